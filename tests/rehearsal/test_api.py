"""The stand-in API over the wire."""

import asyncio
import gzip
import re
import signal
import sys
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from collector.clock import Clock
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS, Fate, Faults
from collector.rehearsal.verdicts import Verdicts

from .wire import Turned

QUIET = Settings(latency=(0.0, 0.0), faults=NO_FAULTS)
ONE = "/2/tweets/1511524316483141632"


@asynccontextmanager
async def serving(
    settings: Settings, clock: Clock | None = None
) -> AsyncIterator[tuple[StandIn, aiohttp.ClientSession]]:
    async with StandIn(settings, clock=clock) as api, aiohttp.ClientSession(api.url, auto_decompress=False) as session:
        yield api, session


def faulty(**shares: float) -> Settings:
    values: dict[str, Any] = {**{name: getattr(NO_FAULTS, name) for name in Faults.__struct_fields__}, **shares}
    return Settings(latency=(0.0, 0.0), faults=Faults(**values))


async def status(session: aiohttp.ClientSession, path: str = ONE, key: str = "") -> int:
    async with session.get(path, headers={"Authorization": key} if key else {}) as answer:
        await answer.read()
        return answer.status


async def test_a_list_and_a_single_post_are_answered_as_the_fates_say() -> None:
    """What a caller reads over the wire is what `fate` told."""
    ids = [str(1511524316483141632 + step) for step in range(100)]
    async with (
        serving(Settings(latency=(0.0, 0.0))) as (api, session),
        session.get("/2/tweets", params={"ids": ",".join(ids), "expansions": "author_id"}) as many,
        session.get(f"/2/tweets/{ids[0]}") as one,
    ):
        body = await many.json()
        assert [post["id"] for post in body["data"]] == [key for key in ids if api.fate(key) is Fate.FOUND]
        assert body["includes"]["users"]
        assert (await one.json())["data"] == body["data"][0]
        assert api.verdicts.asked[ids[0]] == 2
        assert api.verdicts.asked.keys() == set(ids)


async def test_the_limit_headers_tell_the_window() -> None:
    """Limit, remaining and the reset in epoch seconds, rounded up, on good answers and on the 429; no Retry-After."""
    clock = Turned()
    async with serving(Settings(latency=(0.0, 0.0), faults=NO_FAULTS, limit=2, window=900), clock) as (_, session):
        seen = []
        for clock.now in (0.0, 10.0, 20.0, 900.0):
            async with session.get(ONE) as answer:
                told = [answer.headers[f"x-rate-limit-{name}"] for name in ("limit", "remaining", "reset")]
                seen.append((answer.status, *map(int, told), "Retry-After" in answer.headers))
    assert seen == [
        (200, 2, 1, 1_800_000_901, False),
        (200, 2, 0, 1_800_000_901, False),
        (429, 2, 0, 1_800_000_901, False),
        (200, 2, 1, 1_800_001_801, False),
    ]


async def test_no_window_lets_more_than_its_limit_through() -> None:
    """Forty at once against a limit of ten: ten are answered, and thirty are told 429."""
    for policy in ("fixed", "sliding"):
        settings = Settings(limit=10, policy=policy, faults=NO_FAULTS, latency=(0.0, 0.005))
        async with serving(settings) as (api, session):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(40):
                    tasks.create_task(status(session))
            assert api.verdicts.statuses == {200: 10, 429: 30}
            assert api.verdicts.most_in_any_window(900) == 10


async def test_each_credential_and_endpoint_has_its_own_window() -> None:
    """One key's spent window stands in nobody else's way."""
    async with serving(Settings(limit=1, latency=(0.0, 0.0), faults=NO_FAULTS)) as (_, session):
        asked = [(ONE, "Bearer A"), (ONE, "Bearer A"), (ONE, "Bearer B"), ("/2/tweets?ids=1", "Bearer A"), (ONE, "")]
        assert [await status(session, path, key) for path, key in asked] == [200, 429, 200, 200, 200]


async def test_headers_can_be_left_off_and_retry_after_put_on() -> None:
    """A silent server says nothing on its answers; Retry-After stands on a 429 only."""
    settings = Settings(limit=1, window=60, latency=(0.0, 0.0), faults=NO_FAULTS, headers=False, retry_after=True)
    async with serving(settings, Turned()) as (_, session), session.get(ONE) as good, session.get(ONE) as told:
        assert not [name for name in (*good.headers, *told.headers) if name.lower().startswith("x-rate-limit")]
        assert "Retry-After" not in good.headers
        assert (told.status, told.headers["Retry-After"]) == (429, "60")
        assert (await told.json())["title"] == "Too Many Requests"


async def test_a_server_without_a_limit_refuses_nothing() -> None:
    """No windows: no headers, and every request counts as let through."""
    async with serving(Settings(limit=None, latency=(0.0, 0.0), faults=NO_FAULTS)) as (api, session):
        async with session.get(ONE) as answer:
            assert "x-rate-limit-limit" not in answer.headers
        assert api.verdicts.most_in_any_window(900) == 1


async def test_an_unknown_key_is_refused_and_not_counted() -> None:
    """401 in X's words for any token but the one."""
    settings = Settings(limit=1, bearer="right", latency=(0.0, 0.0), faults=NO_FAULTS)
    async with serving(settings) as (api, session):
        async with session.get(ONE, headers={"Authorization": "Bearer wrong"}) as answer:
            said = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
            assert (answer.status, await answer.json()) == (401, said)
        assert [await status(session), await status(session, key="Bearer right")] == [401, 200]
        assert [verdict.counted for verdict in api.verdicts] == [False, False, True]


async def test_switches_turn_while_it_runs() -> None:
    """Down, no credits and forbidden hold from the next request on, and end as they began."""
    async with serving(QUIET) as (api, session):
        api.down = True
        assert await status(session) == 503
        api.down, api.credits_depleted = False, True
        async with session.get(ONE) as answer:
            assert (answer.status, (await answer.json())["title"]) == (402, "CreditsDepleted")
        api.credits_depleted, api.forbidden = False, True
        async with session.get(ONE) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (403, "client-not-enrolled")
        api.forbidden = False
        assert await status(session) == 200
        assert [verdict.counted for verdict in api.verdicts] == [False, True, True, True]


async def test_answers_can_be_held_back() -> None:
    """A held request has its verdict, and its answer comes when the hold ends."""
    async with serving(QUIET) as (api, session), asyncio.TaskGroup() as tasks:
        api.answering.clear()
        call = tasks.create_task(status(session))
        await api.verdicts.reached(1)
        assert not call.done()
        api.answering.set()
        assert await call == 200


async def test_a_held_answer_does_not_hold_up_the_end() -> None:
    """Leaving the context breaks off what is still in the air."""

    async def call(url: str) -> None:
        async with aiohttp.ClientSession(url) as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await status(session)

    async with asyncio.TaskGroup() as tasks, StandIn(QUIET) as api:
        api.answering.clear()
        tasks.create_task(call(api.url))
        await api.verdicts.reached(1)


async def test_a_port_in_use_is_an_error_that_leaves_nothing_open(tmp_path: Path) -> None:
    """The second server on a port fails, and closes what it had opened."""
    async with StandIn(QUIET) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError):
            async with StandIn(Settings(log=tmp_path / "log.jsonl"), port):
                pass


async def test_latency_is_waited_there_and_back() -> None:
    """No answer comes sooner than the least latency."""
    async with serving(Settings(latency=(0.02, 0.03))) as (_, session):
        start = time.monotonic()
        await status(session)
        assert time.monotonic() - start >= 0.02


async def test_server_errors_come_by_their_share_and_again_in_the_same_order() -> None:
    """A quarter of 200 requests fails with a 5xx, and the same seed draws the same faults."""
    runs = []
    for _ in range(2):
        async with serving(faulty(errors=0.25)) as (api, session):
            runs.append([await status(session) for _ in range(200)])
            assert {verdict.fault for verdict in api.verdicts if verdict.status >= 500} == {"errors"}
    assert runs[0] == runs[1]
    assert 30 <= sum(told >= 500 for told in runs[0]) <= 70
    assert {500, 502, 503, 504} == set(runs[0]) - {200}


@pytest.mark.parametrize(("fault", "counted"), [("dropped", False), ("lost", True)])
async def test_a_connection_can_break_before_or_after_the_request_is_counted(fault: str, counted: bool) -> None:
    """The caller sees the same; only the window knows the difference."""
    async with serving(faulty(**{fault: 1.0})) as (api, session):
        with pytest.raises(aiohttp.ClientConnectionError):
            await status(session)
        # More than one: aiohttp silently sends an idempotent request again.
        assert {(verdict.status, verdict.counted, verdict.fault) for verdict in api.verdicts} == {(0, counted, fault)}
        assert not api.verdicts.asked


async def test_a_gzip_body_can_end_in_the_middle() -> None:
    """The bytes are those of a good start and nothing says that they are not all."""
    async with serving(faulty(truncated=1.0)) as (api, session), session.get(ONE) as answer:
        packed = await answer.read()
        assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
        with pytest.raises(EOFError):
            gzip.decompress(packed)
        assert zlib.decompressobj(31).decompress(packed).startswith(b'{"data"')
        assert not api.verdicts.asked


async def test_a_200_can_be_no_json() -> None:
    """An HTML page in place of an answer."""
    async with serving(faulty(garbled=1.0)) as (_, session), session.get(ONE) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert (await answer.text()).startswith("<!DOCTYPE html>")


async def test_what_is_not_there_is_a_404_and_names_no_version() -> None:
    """An unknown path is answered with an empty body, and no answer tells what serves it."""
    async with serving(QUIET) as (api, session), session.get("/3/tweets") as unknown, session.get(ONE) as good:
        assert (unknown.status, await unknown.read()) == (404, b"")
        assert not re.search(r"\d", unknown.headers["Server"] + good.headers["Server"])
        assert api.verdicts.total == 1


@asynccontextmanager
async def process(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    command = (sys.executable, "-m", "collector.rehearsal.api", "--latency", "0", *options)
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert server.stdout is not None
        ready, url = (await server.stdout.readline()).decode().split()
        assert ready == "READY"
        yield server, url
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


async def test_as_a_process_it_says_ready_and_ends_on_sigterm(tmp_path: Path) -> None:
    """One line with the URL; the options hold; SIGTERM ends it with 0."""
    log = tmp_path / "log.jsonl"
    options = (
        "--limit",
        "2",
        "--window",
        "15m",
        "--deleted",
        "1",
        "--protected",
        "0",
        "--suspended",
        "0",
        "--absent",
        "0",
    )
    async with process(*options, "--log", str(log)) as (server, url), aiohttp.ClientSession(url) as session:
        assert [await status(session) for _ in range(3)] == [200, 200, 429]
        seen = Verdicts.read(log)
        assert (seen.statuses, seen.most_in_any_window(900)) == ({200: 2, 429: 1}, 2)
        server.send_signal(signal.SIGTERM)
        assert await server.wait() == 0


async def test_a_kill_loses_no_line_of_the_log(tmp_path: Path) -> None:
    """Whoever has an answer finds its verdict in the file, whatever became of the server."""
    log = tmp_path / "log.jsonl"
    async with process("--log", str(log)) as (server, url), aiohttp.ClientSession(url) as session:
        for _ in range(20):
            await status(session)
        server.kill()
        await server.wait()
    assert Verdicts.read(log).total == 20
