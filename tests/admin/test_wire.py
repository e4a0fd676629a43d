"""Clients that are slow, or many."""

import asyncio
from pathlib import Path

import pytest

from collector.admin import guard, upload, wire
from collector.admin.app import application
from collector.admin.listen import controlled
from collector.output.health import Health
from tests.admin.test_admin import SNAPSHOT, TOKEN, asked, raw, serving
from tests.admin.test_upload import left, receiving


async def test_a_client_that_sends_its_request_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says nothing, and one whose head never ends."""
    monkeypatch.setattr(wire, "_SILENCE", 0.2)
    async with serving() as session:
        assert await raw(session, b"") == b""
        assert await raw(session, b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: ") == b""


async def test_a_body_that_stops_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login and an upload get their answer, and nothing is left of the half."""
    monkeypatch.setattr(wire, "_LINGER", 0.1)
    monkeypatch.setattr(guard, "SILENCE", 0.2)
    monkeypatch.setattr(upload, "SILENCE", 0.2)
    head = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 99\r\n\r\n1\n".encode()
    async with receiving(tmp_path) as (house, session):
        for path in (b"/login", b"/batches?source=posts"):
            answer = await raw(session, b"POST " + path + b" HTTP/1.1\r\n" + head)
            assert answer.split()[1] == b"408"
        assert left(house) == []


async def test_a_flood_of_connections_leaves_the_command_line_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever only keeps a connection open loses it to the next one, and a request that comes has its answer."""
    monkeypatch.setattr(wire, "MOST_OPEN", 5)
    async with (
        serving() as session,
        controlled(application(lambda: SNAPSHOT, lambda: Health(True), None), tmp_path / "s") as path,
    ):
        url = session._base_url
        assert url is not None
        flood = [await asyncio.open_connection(url.host, url.port) for _ in range(30)]
        closed = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in flood[:25])), 5)
        assert set(closed) == {b""}
        assert await asked(path) == 3
        async with session.get("/status") as answer:
            assert answer.status == 200
        for _, writer in flood:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in flood), return_exceptions=True)


async def test_a_request_that_is_being_answered_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come meanwhile."""
    monkeypatch.setattr(wire, "MOST_OPEN", 3)
    async with serving(delay=0.3) as session:
        url = session._base_url
        assert url is not None
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0)
        flood = [await asyncio.open_connection(url.host, url.port) for _ in range(20)]
        assert (await reader.read()).split()[1] == b"401"
        for one in (writer, *(other for _, other in flood)):
            one.close()
