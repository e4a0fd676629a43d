"""Which requests go over a connection of the pool, and in which bytes."""

from collections.abc import Mapping

import aiohttp
import pytest

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
