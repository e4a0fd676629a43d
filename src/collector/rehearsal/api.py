"""A stand-in API, X-shaped, on loopback: limit windows, missing posts, faults, and a log of every verdict.

As a process of its own, `python -m collector.rehearsal.api`, it prints `READY URL` and ends on SIGTERM.
"""

import argparse
import asyncio
import gzip
import math
import signal
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Literal

import msgspec
from aiohttp import web

from collector import quantity
from collector.clock import Clock
from collector.rehearsal import posts
from collector.rehearsal.posts import Fate, Faults, Reply, World
from collector.rehearsal.verdicts import Fixed, Sliding, Standing, Verdict, Verdicts

WIRE_FAULTS = ("errors", "dropped", "lost", "truncated", "garbled")
SERVER_ERRORS = tuple(HTTPStatus(status) for status in (500, 502, 503, 504))
ROUTES = ("/2/tweets", "/2/tweets/{id}")  # each with windows of its own: posts by a list, and one post
POLICIES: dict[str, type[Fixed] | type[Sliding]] = {"fixed": Fixed, "sliding": Sliding}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the API behaves."""

    limit: int | None = 900  # for each credential and endpoint; None: no windows
    window: float = 900.0
    policy: Literal["fixed", "sliding"] = "fixed"
    headers: bool = True  # x-rate-limit-* on every answer that the window has seen
    retry_after: bool = False  # on a 429; X sends none
    bearer: str | None = None  # the one token that is known; None: any, or none
    missing: int = 200  # the status of a single lookup that finds nothing; 404 as X's newer documents say
    latency: tuple[float, float] = (0.020, 0.050)  # seconds, there and back
    faults: Faults = Faults()
    seed: int = 0
    log: Path | None = None  # a JSON line a request


class _Decision(msgspec.Struct, frozen=True):
    reply: Reply | None  # None: close the connection
    counted: bool
    standing: Standing | None = None
    fault: str = ""


class StandIn:
    """The API at `url` while its context is entered.

    `down` (503 for all), `credits_depleted` (402) and `forbidden` (403) may be set at any time. While `answering` is
    cleared, requests are counted and logged but their answers wait.
    """

    def __init__(self, settings: Settings | None = None, port: int = 0, clock: Clock | None = None) -> None:
        self.settings = settings or Settings()
        self.down = self.credits_depleted = self.forbidden = False
        self.answering = asyncio.Event()
        self.answering.set()
        self.world = World(self.settings.faults)
        self.fate: Callable[[str], Fate] = self.world.fate
        self._port = port
        self._clock = clock or Clock()
        self._windows: dict[tuple[str, str], Fixed | Sliding] = {}
        # Two generators: how many faults there are must not hang on whether there is latency.
        self._chance, self._delays = Random(self.settings.seed), Random(self.settings.seed)  # noqa: S311 - not for secrets
        self._ends = list(accumulate(getattr(self.settings.faults, name) for name in WIRE_FAULTS))
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
        for route in ROUTES:
            app.router.add_get(route, partial(self._handle, route), allow_head=False)
        app.router.add_route("*", "/{rest:.*}", _unknown)
        return app

    async def _handle(self, route: str, request: web.Request) -> web.StreamResponse:
        delay = self._delays.uniform(*self.settings.latency)
        there = delay * self._delays.random()
        if delay:
            await asyncio.sleep(there)
        decision = self._decide(route, request)
        if delay:
            await asyncio.sleep(delay - there)
        await self.answering.wait()
        if decision.reply is None:
            return _hang_up(request)
        return self._response(decision.reply, decision)

    def _decide(self, route: str, request: web.Request) -> _Decision:
        """The verdict on a request, made and logged in one step, as a server does that answers one at a time."""
        key = request.headers.get("Authorization", "anon")
        ids = _asked(request)
        now = mono, wall = self._clock.mono(), self._clock.wall()
        decision = self._verdict(route, request, ids, key, now)
        verdict = Verdict(
            t=wall,
            mono=mono,
            key=key,
            route=route,
            uri=request.raw_path,
            ids=ids,
            status=decision.reply.status if decision.reply else 0,
            counted=decision.counted,
            fault=decision.fault,
        )
        self.verdicts.add(verdict)
        return decision

    def _verdict(
        self, route: str, request: web.Request, ids: tuple[str, ...], key: str, now: tuple[float, float]
    ) -> _Decision:
        fault = self._fault()
        if self.down:
            return _Decision(posts.problem(503, "Service Unavailable"), counted=False)
        if self.settings.bearer is not None and key != f"Bearer {self.settings.bearer}":
            return _Decision(posts.problem(401, "Unauthorized"), counted=False)
        if fault == "dropped":
            return _Decision(None, counted=False, fault=fault)
        standing = self._window(key, route).take(*now) if self.settings.limit else None
        if standing and not standing.granted:
            return _Decision(posts.problem(429, "Too Many Requests"), counted=False, standing=standing)
        if fault == "lost":
            return _Decision(None, counted=True, standing=standing, fault=fault)
        if fault == "errors":
            error = self._chance.choice(SERVER_ERRORS)
            return _Decision(posts.problem(error.value, error.phrase), counted=True, standing=standing, fault=fault)
        reply = self._answer(request, ids)
        return _Decision(reply, counted=True, standing=standing, fault=fault if reply.status == 200 else "")

    def _answer(self, request: web.Request, ids: tuple[str, ...]) -> Reply:
        if self.credits_depleted:
            return posts.credits_depleted()
        if self.forbidden:
            return posts.forbidden()
        authors = "author_id" in request.query.get("expansions", "").split(",")
        if "id" in request.match_info:
            return self.world.one(ids[0], authors, self.settings.missing)
        return self.world.many(ids, authors)

    def _fault(self) -> str:
        point = self._chance.random()
        return next((name for end, name in zip(self._ends, WIRE_FAULTS, strict=True) if point < end), "")

    def _window(self, key: str, route: str) -> Fixed | Sliding:
        found = self._windows.get((key, route))
        if found is None:
            assert self.settings.limit is not None
            found = POLICIES[self.settings.policy](self.settings.limit, self.settings.window)
            self._windows[key, route] = found
        return found

    def _response(self, reply: Reply, decision: _Decision) -> web.Response:
        headers = {"Content-Type": "application/json; charset=utf-8", "Server": "rehearsal"}
        body = reply.body
        if decision.standing:
            headers |= self._limits(decision.standing)
        if decision.fault == "truncated":
            packed = gzip.compress(body, 1)
            body = packed[: len(packed) // 2]
            headers["Content-Encoding"] = "gzip"
        elif decision.fault == "garbled":
            headers["Content-Type"] = "text/html; charset=utf-8"
            body = (
                b"<!DOCTYPE html><html><head><title>One moment</title></head><body>Something went wrong.</body></html>"
            )
        return web.Response(status=reply.status, body=body, headers=headers)

    def _limits(self, standing: Standing) -> dict[str, str]:
        found = {}
        if self.settings.headers:
            found["x-rate-limit-limit"] = str(standing.limit)
            found["x-rate-limit-remaining"] = str(standing.remaining)
            found["x-rate-limit-reset"] = str(math.ceil(standing.resets_at))
        if self.settings.retry_after and not standing.granted:
            found["Retry-After"] = str(math.ceil(standing.left))
        return found


def _asked(request: web.Request) -> tuple[str, ...]:
    one = request.match_info.get("id")
    return tuple(request.query.get("ids", "").split(",")) if one is None else (one,)


async def _unknown(_: web.Request) -> web.Response:
    return web.Response(status=404, headers={"Server": "rehearsal"})


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    # aiohttp wants a response to give up on; the transport is closed before a byte of it could leave.
    return web.Response(status=503)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(*_settings()))


async def _serve(settings: Settings, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with StandIn(settings, port) as api:
        sys.stdout.write(f"READY {api.url}\n")
        sys.stdout.flush()
        await stop.wait()


def _settings() -> tuple[Settings, int]:
    """What the command line says, and the port; what it does not say is as `Settings` and `Faults` have it."""
    parser = argparse.ArgumentParser(
        prog="python -m collector.rehearsal.api",
        description="A stand-in API on loopback.",
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--port", type=int, default=0)
    add("--limit", type=_limit, help="requests a window, for each credential and endpoint; 0: no windows")
    add("--window", type=quantity.seconds, metavar="DURATION")
    add("--policy", choices=list(POLICIES))
    add("--no-headers", action="store_false", dest="headers")
    add("--retry-after", action="store_true")
    add("--bearer", metavar="TOKEN", help="the only token that is known")
    add("--missing", type=int, choices=(200, 404), help="the status of a single lookup that finds nothing")
    add("--latency", type=_latency, metavar="MS-MS")
    add("--seed", type=int)
    add("--log", type=Path, metavar="FILE")
    for name in Faults.__struct_fields__:
        add(f"--{name}", type=float, metavar="SHARE")
    given = vars(parser.parse_args())
    port = given.pop("port")
    faults = Faults(**{name: given.pop(name) for name in Faults.__struct_fields__ if name in given})
    return Settings(**given, faults=faults), port


def _limit(text: str) -> int | None:
    return int(text) or None


def _latency(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low) / 1000, float(high or low) / 1000


if __name__ == "__main__":
    main()
