"""How answers look: JSON or text, never kept by anybody, and what a browser may do with them."""

from collections.abc import Mapping

import msgspec
from aiohttp import hdrs, web

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    hdrs.SERVER: "collector",
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A value as one line of JSON."""
    body = msgspec.json.encode(value) + b"\n"
    return web.Response(
        body=body, status=status, content_type="application/json", headers={**HEADERS, **(headers or {})}
    )


def made(body: bytes, kind: str) -> web.Response:
    """Bytes in UTF-8 that are an answer already."""
    charset = "utf-8" if kind.startswith("text/") else None
    return web.Response(body=body, content_type=kind, charset=charset, headers=HEADERS)


def html(body: str, status: int = 200) -> web.Response:
    """A page for a browser."""
    return web.Response(text=body, status=status, content_type="text/html", charset="utf-8", headers=HEADERS)


def refusal(status: int, why: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error in a plain sentence."""
    return json({"error": why}, status, headers)
