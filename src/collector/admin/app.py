"""The HTTP interface as a whole: its routes in one table."""

from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from collector.admin.api import Api
from collector.admin.guard import host_check, in_json
from collector.admin.orders import Orders
from collector.output.health import Health
from collector.output.snapshot import Snapshot


def application(
    status: Callable[[], Snapshot],
    health: Callable[[], Health],
    hosts: frozenset[str] | None,
    orders: Orders | None = None,
) -> web.Application:
    """The application; `hosts` are more names that are ours, None for the control socket, which no browser reaches and
    which alone takes `orders`."""
    middlewares: list[Middleware] = [in_json]
    if hosts is not None:
        middlewares.append(host_check(hosts))
    app = web.Application(middlewares=middlewares)
    app.on_response_prepare.append(_named)
    api = Api(status, health)
    app.add_routes(
        [
            web.get("/status", api.status),
            web.get("/healthz", api.healthz),
            *(orders.routes() if orders else []),
        ]
    )
    return app


async def _named(_: web.Request, response: web.StreamResponse) -> None:
    """Answers that aiohttp makes have its name and version otherwise."""
    response.headers[hdrs.SERVER] = "collector"
