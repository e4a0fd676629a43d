"""A stand-in API, X-shaped, on loopback: limit windows, missing posts, lists, faults, and a log of every verdict.

As a process of its own, `python -m collector.rehearsal.api`, it prints `READY URL` and ends on SIGTERM.
"""

import asyncio
import gzip
import signal
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from itertools import accumulate
from random import Random

import msgspec
from aiohttp import web

from collector.clock import Clock
from collector.rehearsal import oauth, reply, switches
from collector.rehearsal.cursors import Cursors
from collector.rehearsal.fates import Fate
from collector.rehearsal.mastodon import Mastodon
from collector.rehearsal.merged import Merged, Mergers
from collector.rehearsal.oauth import Grants
from collector.rehearsal.posts import World
from collector.rehearsal.reddit import Reddit
from collector.rehearsal.reply import Reply
from collector.rehearsal.route import Ask, Route
from collector.rehearsal.settings import Settings
from collector.rehearsal.usage import Usage
from collector.rehearsal.verdicts import Standing, Verdict, Verdicts
from collector.rehearsal.windows import Windows
from collector.rehearsal.x import X

__all__ = ["Settings", "StandIn"]

WIRE_FAULTS = ("errors", "dropped", "lost", "truncated", "garbled")
SERVER_ERRORS = tuple(HTTPStatus(status) for status in (500, 502, 503, 504))
_PAGE = b"<!DOCTYPE html><html><head><title>One moment</title></head><body>Something went wrong.</body></html>"


class _Decision(msgspec.Struct, frozen=True):
    reply: Reply | None  # None: close the connection
    counted: bool
    standing: Standing | None = None
    fault: str = ""
    items: int = 0  # in the answer, whether or not it arrives


class StandIn:
    """The API at `url` while its context is entered.

    `down` (503 for all), `credits_depleted` (402) and `forbidden` (403) may be set at any time. While `answering` is
    cleared, requests are counted and logged but their answers wait. What there is to be had stands in `world` and
    `mergers`; page tokens are expired by `cursors`, access tokens revoked by `grants`, caps lifted by `usage`.
    """

    def __init__(self, settings: Settings | None = None, port: int = 0, clock: Clock | None = None) -> None:
        self.settings = settings = settings or Settings()
        self.down = self.credits_depleted = self.forbidden = False
        self.answering = asyncio.Event()
        self.answering.set()
        self.world = World(settings.faults, settings.people)
        self.fate: Callable[[str], Fate] = self.world.fate
        self._port = port
        self._clock = clock or Clock()
        self.mergers = Mergers(settings.merged)
        self.cursors = Cursors(settings.tokens, settings.seed, self._clock)
        self.grants = Grants(settings.client, settings.seed, self._clock)
        self.usage = Usage(settings.caps)
        self._windows = Windows(settings)
        # Two generators: how many faults there are must not hang on whether there is latency.
        self._chance, self._delays = Random(settings.seed), Random(settings.seed)  # noqa: S311 - not for secrets
        self._ends = list(accumulate(getattr(settings.faults, name) for name in WIRE_FAULTS))
        if self._ends[-1] > 1 + 1e-9:
            raise ValueError(f"shares of the requests of at most 1 together, not {self._ends[-1]:g}")

    async def __aenter__(self) -> "StandIn":
        settings = self.settings
        head = {"server": "rehearsal", "policy": {"fixed": "fixed", "sliding": "moving"}[settings.policy]}
        self.verdicts = Verdicts(settings.log, {**head, "limit": settings.limit, "window": settings.window})
        self._runner = web.AppRunner(self._app(), access_log=None, handle_signals=False, shutdown_timeout=0.05)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=1024).start()
        except OSError:
            await self.__aexit__()
            raise
        self.url = "http://127.0.0.1:{1}".format(*self._runner.addresses[0])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        self.verdicts.close()

    def _app(self) -> web.Application:
        app = web.Application()
        for route in self._routes():
            handler = partial(self._handle, route)
            if route.method == "GET":
                app.router.add_get(route.path, handler, allow_head=False)
            else:
                app.router.add_route(route.method, route.path, handler)
        app.router.add_route("*", "/{rest:.*}", _unknown)
        return app

    def _routes(self) -> tuple[Route, ...]:
        world, settings = self.world, self.settings
        others = (Reddit(world), Mastodon(world, settings.link), Merged(world, self.mergers), self.grants)
        apis = (X(world, self.cursors, settings.missing), *others)
        return tuple(route for api in apis for route in api.routes())

    async def _handle(self, route: Route, request: web.Request) -> web.StreamResponse:
        delay = self._delays.uniform(*self.settings.latency)
        there = delay * self._delays.random()
        ask = Ask(request.match_info, request.query, request.headers, await request.read(), str(request.url.origin()))
        if delay:
            await asyncio.sleep(there)
        decision = self._decide(route, ask, request.raw_path)
        if delay:
            await asyncio.sleep(delay - there)
        await self.answering.wait()
        if decision.reply is None:
            return _hang_up(request)
        return self._response(decision.reply, decision)

    def _decide(self, route: Route, ask: Ask, uri: str) -> _Decision:
        """The verdict on a request, made and logged in one step, as a server does that answers one at a time."""
        key = self._credential(ask)
        now = mono, wall = self._clock.mono(), self._clock.wall()
        decision = self._verdict(route, ask, key, now)
        verdict = Verdict(
            t=wall,
            mono=mono,
            key=key,
            route=route.path,
            uri=uri,
            ids=route.ids(ask),
            status=decision.reply.status if decision.reply else 0,
            counted=decision.counted,
            fault=decision.fault,
            cursor=next((ask.query[name] for name in route.cursors if name in ask.query), ""),
            items=decision.items,
        )
        self.verdicts.add(verdict)
        return decision

    def _credential(self, ask: Ask) -> str:
        """Whose windows a request draws from: a client's are the same with each token it fetches."""
        header = ask.headers.get("Authorization", "anon")
        return f"client {self.settings.client.id}" if self.grants.holds(header) else header

    def _verdict(self, route: Route, ask: Ask, key: str, now: tuple[float, float]) -> _Decision:
        fault = self._fault()
        if self.down:
            return _Decision(reply.problem(503, "Service Unavailable"), counted=False)
        if not self._may_ask(route, ask):
            return _Decision(reply.problem(401, "Unauthorized"), counted=False)
        if fault == "dropped":
            return _Decision(None, counted=False, fault=fault)
        if refusal := self.usage.refusal(now[1], self.settings.window):
            return _Decision(refusal, counted=False)
        standing = self._windows.take(key, route.path, now)
        if standing and not standing.granted:
            return _Decision(reply.problem(429, "Too Many Requests"), counted=False, standing=standing)
        self.usage.draw(now[1])
        if fault == "errors":
            error = self._chance.choice(SERVER_ERRORS)
            return _Decision(reply.problem(error.value, error.phrase), counted=True, standing=standing, fault=fault)
        return self._answered(route, ask, standing, fault)

    def _answered(self, route: Route, ask: Ask, standing: Standing | None, fault: str) -> _Decision:
        told = self._answer(route, ask)
        self.usage.items += told.items
        if fault == "lost":
            return _Decision(None, counted=True, standing=standing, fault=fault, items=told.items)
        return _Decision(told, True, standing, fault if told.status == 200 else "", told.items)

    def _answer(self, route: Route, ask: Ask) -> Reply:
        if self.credits_depleted:
            return reply.credits_depleted()
        if self.forbidden:
            return reply.forbidden()
        return route.answer(ask)

    def _may_ask(self, route: Route, ask: Ask) -> bool:
        if route.path == oauth.PATH:
            return True
        header = ask.headers.get("Authorization", "")
        if self.settings.client.wanted:
            return self.grants.holds(header)
        return self.settings.bearer is None or header == f"Bearer {self.settings.bearer}"

    def _fault(self) -> str:
        point = self._chance.random()
        return next((name for end, name in zip(self._ends, WIRE_FAULTS, strict=True) if point < end), "")

    def _response(self, told: Reply, decision: _Decision) -> web.Response:
        headers = {"Content-Type": "application/json; charset=utf-8", "Server": "rehearsal", **told.headers}
        body = told.body
        if decision.standing:
            headers |= self._windows.headers(decision.standing)
        if decision.fault == "truncated":
            packed = gzip.compress(body, 1)
            body = packed[: len(packed) // 2]
            headers["Content-Encoding"] = "gzip"
        elif decision.fault == "garbled":
            headers["Content-Type"] = "text/html; charset=utf-8"
            body = _PAGE
        return web.Response(status=told.status, body=body, headers=headers)


async def _unknown(_: web.Request) -> web.Response:
    return web.Response(status=404, headers={"Server": "rehearsal"})


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    # aiohttp wants a response to give up on; the transport is closed before a byte of it could leave.
    return web.Response(status=503)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(*switches.settings()))


async def _serve(settings: Settings, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with StandIn(settings, port) as api:
        sys.stdout.write(f"READY {api.url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    main()
