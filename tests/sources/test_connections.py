"""Which requests go over a connection of the pool, and in which bytes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import pytest
from aiohttp.http_exceptions import HttpProcessingError

from collector.sources.connections import Connections, known
from collector.sources.request import Request
from tests.sources.wire import OK, wire


async def data_of(request: Request) -> bytes | None:
    async with aiohttp.ClientSession() as session:
        letter = Connections(session, 8_190).letter(request)
        return letter.data if letter else None


def test_the_installed_aiohttp_is_known() -> None:
    """With another one the service works and is slower: then look at what has changed, and at this module."""
    assert known()


async def test_a_request_is_sent_as_it_was_built() -> None:
    """The target keeps its escapes, and the host has its port where it is not the usual one."""
    assert (
        await data_of(Request("GET", "http://api.example:81/a%2Fb?c=%20&d=:", {"Accept": "x", "X-é": "y"}, None))
        is None
    )
    assert await data_of(Request("GET", "http://api.example:81/a%2Fb?c=%20&d=:", {"Accept": "é"}, None)) == (
        "GET /a%2Fb?c=%20&d=: HTTP/1.1\r\nHost: api.example:81\r\nAccept: é\r\n\r\n".encode()
    )
    posted = Request("POST", "https://api.example:443/p", {"Content-Type": "a/b"}, b"{}")
    assert await data_of(posted) == (
        b"POST /p HTTP/1.1\r\nHost: api.example\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("method", "address", "headers", "body"),
    [
        ("GET", "http://api.example", {}, None),  # no target
        ("GET", "http://me:pw@api.example/", {}, None),  # the session makes a header of it
        ("GET", "http://api.example/a b", {}, None),
        ("GET", "http://api.example/a\r\nX: y", {}, None),
        ("GET", "http://api.example/é", {}, None),
        ("GET", "http://api.example/a#b", {}, None),
        ("GET", "http://api.example/", {"A": "b\r\nC: d"}, None),
        ("GET", "http://api.example/", {"A\r\nB": "c"}, None),
        ("GET", "http://api.example/", {"Host": "other.example"}, None),
        ("GET", "http://api.example/", {"TRANSFER-ENCODING": "chunked"}, None),
        ("POST", "http://api.example/", {}, None),
        ("POST", "http://api.example/", {}, b"{}"),
    ],
)
async def test_what_has_no_plain_form_is_for_the_session(
    method: str, address: str, headers: Mapping[str, str], body: bytes | None
) -> None:
    """Nothing that could be read as another request leaves by this way."""
    assert await data_of(Request(method, address, headers, body)) is None


async def test_what_comes_unasked_is_no_answer() -> None:
    """Some proxies answer an idle connection with a 408: the next request goes by another one."""
    async with wire(OK) as server, aiohttp.ClientSession() as session:
        connections = Connections(session, 8_190)
        letter = connections.letter(Request("GET", f"http://127.0.0.1:{server.port}/", {}, None))
        assert letter is not None
        with await connections.sent(letter) as reply:
            assert await reply.content.read() == b'{"id":1}'
        assert session.connector is not None
        [idle] = session.connector._acquired
        idle.data_received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        with await connections.sent(letter) as reply:
            assert reply.status == 200
        assert len(server.open) == 1
        connections.close()


async def test_a_connection_goes_back_to_the_pool_when_it_is_not_used() -> None:
    """There it is closed when it has been idle for too long."""
    async with wire(OK) as server, aiohttp.ClientSession() as session:
        connections = Connections(session, 8_190)
        letter = connections.letter(Request("GET", f"http://127.0.0.1:{server.port}/", {}, None))
        assert letter is not None
        for _ in range(3):
            with await connections.sent(letter) as reply:
                assert reply.at_hand(100) == b'{"id":1}'
        assert len(server.open) == 1
        connections.close()
        assert session.connector is not None
        assert not session.connector._acquired


class Talkative(aiohttp.TCPConnector):
    """Whose new connections have heard something already, as they have on a loop that reads at once."""

    made = 0

    async def _create_connection(self, *args: Any, **keys: Any) -> Any:
        protocol = await super()._create_connection(*args, **keys)
        protocol.data_received(b"SSH-2.0-OpenSSH\r\n")
        self.made += 1
        return protocol


async def test_a_server_that_speaks_first_is_not_connected_to_without_end() -> None:
    """No permit counts connections, so there is hardly more than one."""
    connector = Talkative()
    async with wire(OK) as server, aiohttp.ClientSession(connector=connector) as session:
        connections = Connections(session, 8_190)
        letter = connections.letter(Request("GET", f"http://127.0.0.1:{server.port}/", {}, None))
        assert letter is not None
        async with asyncio.timeout(2.0):
            with pytest.raises(HttpProcessingError):
                await connections.sent(letter)
    assert connector.made <= 2
    assert server.heads == []


async def test_of_all_that_came_unasked_none_is_an_answer() -> None:
    """However many connections of the pool have heard something."""
    async with wire(OK) as server, aiohttp.ClientSession() as session:
        connections = Connections(session, 8_190)
        letter = connections.letter(Request("GET", f"http://127.0.0.1:{server.port}/", {}, None))
        assert letter is not None
        async with asyncio.TaskGroup() as group:
            sent = [group.create_task(connections.sent(letter)) for _ in range(3)]
        for task in sent:
            with task.result() as reply:
                assert await reply.content.read() == b'{"id":1}'
        connections.close()  # into the pool
        assert session.connector is not None
        [idle] = session.connector._conns.values()
        for protocol, _ in idle:
            protocol.data_received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        with await connections.sent(letter) as reply:
            assert reply.status == 200
        connections.close()


LARGE = b"x" * 16_000_000  # more than the system takes at once


def transports_of(session: aiohttp.ClientSession) -> list[asyncio.Transport]:
    """Those that are in use."""
    assert session.connector is not None
    return [protocol.transport for protocol in session.connector._acquired if protocol.transport]


@asynccontextmanager
async def never_reading(answer: bytes, asked: asyncio.Event | None = None) -> AsyncIterator[str]:
    """The origin of a server that answers a request when it has its head, and reads no more of it."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        cast(asyncio.Transport, writer.transport).pause_reading()
        writer.write(answer)
        if asked:
            asked.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for writer in writers:
            writer.transport.abort()


def is_gone(transport: asyncio.Transport) -> bool:
    return transport.is_closing() and not transport.get_write_buffer_size()


async def test_a_connection_on_which_a_body_is_stuck_is_not_used_again() -> None:
    """A server may answer before it has read a request, and never read it: the next one goes by another connection."""
    async with never_reading(OK) as origin, aiohttp.ClientSession() as session, asyncio.timeout(5.0):
        connections = Connections(session, 8_190)
        transports = []
        for _ in range(2):
            letter = connections.letter(Request("POST", f"{origin}/", {"Content-Type": "a/b"}, LARGE))
            assert letter is not None
            with await connections.sent(letter) as reply:
                assert await reply.content.read() == b'{"id":1}'
                transports += transports_of(session)
        assert [is_gone(transport) for transport in transports] == [True, True]


async def test_a_connection_whose_server_reads_no_more_does_not_stay_open() -> None:
    """Closed after what is still to be sent it would stay for ever, one for each call that timed out."""
    asked = asyncio.Event()
    async with never_reading(b"", asked) as origin, aiohttp.ClientSession() as session:
        connections = Connections(session, 8_190)
        letter = connections.letter(Request("POST", f"{origin}/", {"Content-Type": "a/b"}, LARGE))
        assert letter is not None
        sending = asyncio.create_task(connections.sent(letter))
        await asked.wait()
        [transport] = transports_of(session)
        sending.cancel()
        await asyncio.wait([sending])
        assert is_gone(transport)
