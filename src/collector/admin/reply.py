"""How answers look: JSON or text, never kept by anybody."""

from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

_HEADERS = {hdrs.CACHE_CONTROL: "no-store", "X-Content-Type-Options": "nosniff", hdrs.SERVER: "collector"}


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A value as one line of JSON."""
    body = msgspec.json.encode(value) + b"\n"
    return web.Response(
        body=body, status=status, content_type="application/json", headers={**_HEADERS, **(headers or {})}
    )


def text(body: str) -> web.Response:
    """Text for people, in UTF-8."""
    return web.Response(text=body, content_type="text/plain", charset="utf-8", headers=_HEADERS)


def refusal(status: int, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error in a plain sentence."""
    return json({"error": why}, status, headers)
