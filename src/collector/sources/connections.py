"""One request over a connection of aiohttp's pool, without its session.

What a session does for cookies, proxies, traces, middlewares and redirects costs three times as much as the request
itself. Connecting, TLS, keeping alive, parsing and flow control are aiohttp's own here too. These parts of it are not
documented, so where a later aiohttp has others, or a request is none of a plain form, the session is asked.
"""

import asyncio
import inspect
import re
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from multidict import CIMultiDictProxy
from yarl import URL

from collector.sources.request import Request

_PARAMS: dict[str, Any] = {"read_until_eof": True, "auto_decompress": False, "read_bufsize": 1 << 16}
_BODILESS = ("GET", "HEAD")  # without a body their requests have no Content-Length
_SCHEME = len("http://")
_MOST_PEERS = 1_000
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=None)
_WARM = 1.0  # seconds at most that a connection is kept out of the pool
_TARGET = re.compile(r"/[!-\"$-~]*")  # no space, no control character, no fragment
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
# What says where a message ends, or whom it is for, is left to the session.
_NOT_OURS = {"host", "connection", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer"}


class Reply:
    """A response whose body comes as it is read; as a context it gives its connection back, and closes it on an error
    or where the body was not read to its end."""

    __slots__ = ("_connection", "_peer", "content", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        peer: "_Peer",
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
    ) -> None:
        self._connection, self._peer = connection, peer
        self.status, self.headers, self.content = status, headers, content

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as they are sent; None where nobody said."""
        told = self.headers.get("Content-Length")
        return int(told) if told is not None and told.isdecimal() else None

    def at_hand(self, most: int) -> bytes | None:
        """A body that came with its head, as nearly all do, and is neither compressed nor larger; else None."""
        content = self.content
        if not content.is_eof() or content.total_bytes > most or "Content-Encoding" in self.headers:
            return None
        if content.total_bytes == 0 or content.exception() is not None:
            return None
        # Reading them would start the connection's flow again, for a body that is at its end.
        pieces = content._buffer
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def __enter__(self) -> "Reply":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._peer.keep(self._connection)
        else:
            _break_off(self._connection)


class _Peer:
    """Whom requests go to, and the connections there."""

    def __init__(self, origin: str, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        # By such a request aiohttp knows whom a connection leads to.
        self._request = aiohttp.ClientRequest("GET", URL(f"{origin}/"), loop=loop, session=session)
        self.host = self._request.headers["Host"]
        assert session.connector is not None
        self._connector = session.connector
        self._warm: list[Connection] = []  # kept out of the pool
        self._cooling: asyncio.TimerHandle | None = None  # until they are in it, which knows how long one may be idle

    async def connection(self) -> Connection:
        """One on which nothing has come yet, where there is one."""
        while self._warm:
            if _is_fresh(connection := self._warm.pop()):
                return connection
            connection.close()
        is_new = False
        while True:
            connection = await self._connector.connect(self._request, [], _NO_TIMEOUT)
            if is_new or _is_fresh(connection):
                return connection
            connection.close()
            # Where a server speaks as soon as it is connected to, the next one would be no better.
            is_new = not self._connector._conns.get(self._request.connection_key)

    def keep(self, connection: Connection) -> None:
        """For the next request: through the pool it would go back and forth for each."""
        if not _is_fresh(connection) or _unsent(connection):
            _break_off(connection)
            return
        self._warm.append(connection)
        if not self._cooling:
            self._cooling = asyncio.get_running_loop().call_later(_WARM, self.cool)

    def cool(self) -> None:
        """Gives all that are not in use to the pool."""
        while self._warm:
            self._warm.pop().release()
        if self._cooling:
            self._cooling.cancel()
            self._cooling = None


@dataclass(frozen=True, slots=True, repr=False)
class Letter:
    """A request in the bytes that go on the wire, secrets among them, and to whom."""

    peer: _Peer
    data: bytes
    bodiless: bool  # no answer to its kind has a body


class _Block(NamedTuple):
    """Headers as they are sent."""

    text: str
    names: frozenset[str]  # in lower case


class Connections:
    """The pool of a session."""

    def __init__(self, session: aiohttp.ClientSession, longest_line: int) -> None:
        self._session = session
        self._params = {**_PARAMS, "max_line_size": longest_line, "max_field_size": longest_line}
        self._peers: dict[str, _Peer] = {}
        self._known = known() and hasattr(session.connector, "_conns")

    def letter(self, request: Request) -> Letter | None:
        """The request as it is sent here; None where it is for the session."""
        at = request.address.find("/", _SCHEME + 1)
        origin, target, method, body = request.address[:at], request.address[at:], request.method, request.body
        block = _block(tuple(request.headers.items()))
        if not self._known or block is None or "@" in origin or not _TARGET.fullmatch(target):
            return None
        if (method not in _BODILESS) if body is None else "content-type" not in block.names:
            return None  # the session has a header more to say
        peer = self._peers.get(origin) or self._meet(origin)
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {target} HTTP/1.1\r\nHost: {peer.host}\r\n{block.text}{length}\r\n"
        return Letter(peer, head.encode() + (body or b""), method == "HEAD")

    async def sent(self, letter: Letter) -> Reply:
        """What comes back. aiohttp's errors where nothing does."""
        connection = await letter.peer.connection()
        try:
            protocol = connection.protocol
            if protocol is None or protocol.transport is None:
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(skip_payload=letter.bodiless, **self._params)
            protocol.transport.write(letter.data)
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:
                message, content = await protocol.read()
        except BaseException:
            _break_off(connection)
            raise
        return Reply(connection, letter.peer, message.code, message.headers, content)

    def close(self) -> None:
        """Gives every connection to the pool, before that is closed."""
        for peer in self._peers.values():
            peer.cool()

    def _meet(self, origin: str) -> _Peer:
        if len(self._peers) >= _MOST_PEERS:
            self.close()
            self._peers.clear()
        peer = self._peers[origin] = _Peer(origin, self._session)
        return peer


def _is_fresh(connection: Connection) -> bool:
    """False where it is closed, or something has come: what a server sends unasked is no answer to the next request."""
    protocol = connection.protocol
    return protocol is not None and protocol.is_connected() and not protocol.should_close


def _unsent(connection: Connection) -> int:
    """Bytes of a request that its server has left unread: they stand before those of the next one."""
    transport = connection.transport
    return 0 if transport is None else transport.get_write_buffer_size()


def _break_off(connection: Connection) -> None:
    """Closes it at once: closed only, it would stay open until a server reads what it was sent, which may be never."""
    if connection.transport is not None and _unsent(connection):
        connection.transport.abort()
    connection.close()


@lru_cache(64)
def _block(headers: tuple[tuple[str, str], ...]) -> _Block | None:
    """Headers as they are sent; None where one cannot be sent, or says what is not for us to say."""
    for name, value in headers:
        if name.lower() in _NOT_OURS or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return None
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return _Block(text, frozenset(name.lower() for name, _ in headers))


def known() -> bool:
    """Whether the parts of aiohttp that are used here are those of the version that is installed."""
    wanted = {*_PARAMS, "skip_payload", "max_line_size", "max_field_size"}
    has = inspect.signature(ResponseHandler.set_response_params).parameters
    connects = list(inspect.signature(aiohttp.TCPConnector.connect).parameters)
    return (
        wanted <= set(has)
        and "_buffer" in aiohttp.StreamReader.__slots__
        and connects == ["self", "req", "traces", "timeout"]
    )
