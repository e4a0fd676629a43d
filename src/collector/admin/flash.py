"""What a browser is told once, on the page that it comes to behind an order."""

from urllib.parse import quote, unquote

from aiohttp import web

_NAME = "collector_said"
_LONGEST = 1_000  # characters
_SECONDS = 30


def say(answer: web.StreamResponse, words: str) -> None:
    """The next page shows these words."""
    value = quote(words[:_LONGEST])
    answer.set_cookie(_NAME, value, max_age=_SECONDS, path="/", httponly=True, samesite="Strict")


def said(request: web.Request) -> str | None:
    """What the page before wants to be shown."""
    value = request.cookies.get(_NAME)
    return unquote(value)[:_LONGEST] if value else None


def forget(answer: web.StreamResponse) -> None:
    """It was shown."""
    answer.del_cookie(_NAME, path="/", httponly=True, samesite="Strict")
