"""Who may ask: a page of another site, opened in a browser on this machine, may not (DNS rebinding)."""

import re

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from collector.admin.reply import refusal

LOOPBACK = frozenset({"127.0.0.1", "[::1]", "localhost"})

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]{1,5})?")

log = structlog.get_logger()


def is_ours(given: str | None, hosts: frozenset[str]) -> bool:
    """True when a Host header names this service: a loopback name or one of `hosts`, with any port, since a tunnel
    changes it; one of `hosts` that has a port is ours with that port only."""
    if given is None:
        return False
    host = given.lower()
    found = _HOST.fullmatch(host)
    return found is not None and (found["name"] in LOOPBACK | hosts or host in hosts)


def host_check(hosts: frozenset[str]) -> Middleware:
    """A middleware that answers 421 to whoever means another host, and 403 to a page of another site."""
    ours = frozenset(host.lower() for host in hosts)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.getall(hdrs.HOST, [])
        if len(given) != 1 or not is_ours(given[0], ours):
            return refusal(
                421,
                "this Host is not one of ours: ask by a loopback name, or add the name to `hosts` under [admin]",
            )
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not is_ours(origin.partition("://")[2], ours):
            return refusal(403, "this Origin is not one of ours: a page of another site may not ask")
        return await handler(request)

    return check


@web.middleware
async def in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is a JSON object with a plain sentence; one of our own faults is logged and says no more."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return refusal(405, f"only {allowed} can be asked of this path", {hdrs.ALLOW: allowed})
    except web.HTTPNotFound:
        return refusal(404, "there is nothing under this path; GET /status and GET /healthz are")
    except web.HTTPException as error:
        return refusal(error.status, error.reason)
    except Exception:
        log.exception("request_failed", path=ascii(request.path)[:200])
        return refusal(500, "collector made a mistake; its log has the details")
