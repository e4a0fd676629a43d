"""The stand-in API and a session to it, and a reader of its lists."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from collector.clock import Clock
from collector.rehearsal.api import StandIn
from collector.rehearsal.posts import NO_FAULTS
from collector.rehearsal.settings import Settings
from collector.rehearsal.users import People

QUIET = Settings(latency=(0.0, 0.0), faults=NO_FAULTS, limit=None)


class Turned(Clock):
    """Two clocks that stand where a test puts them."""

    def __init__(self) -> None:
        self.now = 0.0

    def wall(self) -> float:
        return 1_800_000_000.25 + self.now

    def mono(self) -> float:
        return 50.0 + self.now


def quiet(**settings: Any) -> Settings:
    """No latency, no windows and no faults, but for what is given."""
    return msgspec.structs.replace(QUIET, **settings)


def crowded(**people: Any) -> Settings:
    """A quiet API with such people."""
    return quiet(people=People(**people))


@asynccontextmanager
async def serving(
    settings: Settings, clock: Clock | None = None
) -> AsyncIterator[tuple[StandIn, aiohttp.ClientSession]]:
    async with StandIn(settings, clock=clock) as api, aiohttp.ClientSession(api.url) as session:
        yield api, session


async def told(session: aiohttp.ClientSession, path: str, **params: str) -> tuple[int, Any]:
    """The status and the body of an answer."""
    async with session.get(path, params=params) as answer:
        return answer.status, await answer.json()


async def pages(
    session: aiohttp.ClientSession, path: str, params: Mapping[str, str], to: str = "pagination_token"
) -> list[list[str]]:
    """The IDs on each page of one of X's lists."""
    found: list[list[str]] = []
    more: dict[str, str] = {}
    while True:
        status, body = await told(session, path, **params, **more)
        assert status == 200, body
        found.append([item["id"] for item in body.get("data", ())])
        assert body["meta"]["result_count"] == len(found[-1])
        if "next_token" not in body["meta"]:
            return found
        assert len(body["meta"]["next_token"]) >= 16
        more = {to: body["meta"]["next_token"]}


def joined(found: list[list[str]]) -> list[str]:
    return [key for page in found for key in page]
