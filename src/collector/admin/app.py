"""The HTTP interface as a whole: its routes in one table."""

from collections.abc import Callable
from typing import Protocol

import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import PayloadEncodingError
from aiohttp.typedefs import Handler, Middleware
from aiolimiter import AsyncLimiter

from collector.admin import reply
from collector.admin.api import Api
from collector.admin.browser import for_browsers
from collector.admin.guard import Guard
from collector.admin.reply import refusal
from collector.errors import Drained, StoreBusy
from collector.output.health import Health
from collector.output.snapshot import Snapshot

MOST_A_SECOND = 1_200  # requests, for all who ask together
_BURST = 30  # of them at once
_LARGEST = 65_536  # bytes of a body that is read whole; ID files are not

log = structlog.get_logger()


class Part(Protocol):
    """Handlers that belong together."""

    def routes(self) -> list[web.RouteDef]:
        """Their paths."""


def application(
    status: Callable[[], Snapshot], health: Callable[[], Health], guard: Guard | None, *parts: Part
) -> web.Application:
    """The application; without a guard it is the one of the control socket, which no browser reaches."""
    middlewares: list[Middleware] = [in_json]
    if guard:
        middlewares = [for_browsers, in_json, guard.middleware()]
        parts = (guard, *parts)
    app = web.Application(middlewares=[_paced(), *middlewares], client_max_size=_LARGEST)
    app.on_response_prepare.append(_with_headers)
    api = Api(status, health)
    app.on_response_prepare.append(api.forget)
    app.add_routes([web.get("/status", api.status), web.get("/healthz", api.healthz)])
    for part in parts:
        app.add_routes(part.routes())
    return app


def _paced() -> Middleware:
    """Whoever asks more often than that waits a little: the loop has calls to send."""
    pace = AsyncLimiter(_BURST, _BURST / MOST_A_SECOND)

    @web.middleware
    async def wait(request: web.Request, handler: Handler) -> web.StreamResponse:
        async with pace:
            return await handler(request)

    return wait


@web.middleware
async def in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is a JSON object with a plain sentence; one of our own faults is logged and says no more."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return refusal(405, f"only {allowed} can be asked of this path", {hdrs.ALLOW: allowed})
    except web.HTTPNotFound:
        return refusal(404, "there is nothing under this path; GET /openapi.json names all that there are")
    except web.HTTPException as error:
        return refusal(error.status, error.reason)
    except Drained as error:
        return refusal(503, str(error))
    except StoreBusy as error:
        return refusal(503, f"the database cannot be used now: {error}")
    except (web.RequestPayloadError, PayloadEncodingError):
        return refusal(400, "the body was cut off, or is no body of HTTP: nothing was done with it")
    except ConnectionError:
        raise  # nobody is there any more
    except Exception:
        log.exception("request_failed", path=ascii(request.path)[:200])
        return refusal(500, "collector made a mistake; its log has the details")


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Answers that aiohttp makes have its name and version otherwise."""
    response.headers[hdrs.SERVER] = "collector"
    for name, value in reply.HEADERS.items():
        response.headers.setdefault(name, value)
