"""The only client session: one request out, one whole answer back."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Protocol, Self

import aiohttp

from collector.errors import RequestError
from collector.sources.answer import Answer
from collector.sources.request import Endpoint, Request, redirected

MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_MEMBERS = 16  # of one gzip body; a body of empty members would keep the loop busy for nothing
_LONGEST_LINE = 32_768  # of a header; above it the answer is refused


class Permit(Protocol):
    """What a call has drawn from its budgets."""

    def spend(self) -> None:
        """Called once for each request on the wire; NoPermit breaks the call off."""

    def unsent(self) -> None:
        """Called where that request never left."""


class Client:
    """Asks the sources; one for the whole service, used as `async with`."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # A permit is spent before a connection is waited for, so nothing may wait for one.
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            # aiohttp takes a gzip body that was cut in the middle for a whole one.
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, endpoint: Endpoint, keys: tuple[str, ...], permit: Permit) -> Answer:
        """The whole answer to a call for these IDs, whatever its status.

        RequestError when there is none: `timeout`, `connection`, `too-large`, `redirect`; and `malformed`, before
        anything is sent, when an ID cannot be asked for. NoPermit when a redirect or a resend has none left.
        """
        request = endpoint.build(keys)
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(endpoint.spec.timeout):
                status, headers, body = await self._follow(request, permit, endpoint.spec.max_bytes)
        except TimeoutError as error:
            raise RequestError("timeout", f"no whole answer within {endpoint.spec.timeout:g} s") from error
        except aiohttp.ClientResponseError as error:
            # Its text holds the whole URL, and that may hold a secret: only what lies behind it goes on.
            raise RequestError("connection", "the answer is not HTTP that can be read") from error.__cause__
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError):
                permit.unsent()
            raise RequestError("connection", _told(error)) from error
        return Answer(status, headers, endpoint.masked(body) if status >= 400 else body, clock() - started)

    async def _follow(self, request: Request, permit: Permit, max_bytes: int) -> tuple[int, Mapping[str, str], bytes]:
        async def spend(wire: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            permit.spend()
            return await send(wire)

        for _ in range(MOST_REDIRECTS + 1):
            async with self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
                middlewares=(spend,),
            ) as response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    return response.status, response.headers, await _body(response, max_bytes)
                request = redirected(request, response.status, location)
        raise RequestError("redirect", f"more than {MOST_REDIRECTS} redirects")


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, decompressed. An error status is an answer by itself, so there what came of a broken body will do."""
    unpacker = _Unpacker(response.headers.get("Content-Encoding", ""), most)
    try:
        async for chunk in response.content.iter_any():
            unpacker.feed(chunk)
        unpacker.finish()
    except (aiohttp.ClientError, OSError, RequestError):
        if response.status < 400:
            raise
    return bytes(unpacker.body)


class _Unpacker:
    """Decompresses a body as it comes and never holds more than `most` bytes of it."""

    def __init__(self, encoding: str, most: int) -> None:
        self.body = bytearray()
        self._encoding = encoding.strip().lower().removeprefix("x-")
        self._most = most
        self._members = 0
        self._inflate: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> None:
        if self._encoding in ("", "identity"):
            self._take(chunk)
            return
        try:
            self._unpack(chunk)
        except zlib.error as error:
            raise RequestError("connection", "the body cannot be decompressed") from error

    def finish(self) -> None:
        if self._inflate is not None and not self._inflate.eof:
            raise RequestError("connection", "the compressed body was cut in the middle")

    def _unpack(self, chunk: bytes) -> None:
        while chunk:
            if self._inflate is None or self._inflate.eof:
                chunk = chunk.lstrip(b"\0") if self._members else chunk  # some servers pad
                if not chunk:
                    return
                self._inflate = self._next_member(chunk)
            # One byte above the cap is enough to know; the rest stays packed.
            self._take(self._inflate.decompress(chunk, self._most - len(self.body) + 1))
            chunk = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def _next_member(self, chunk: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise RequestError("too-large", f"a compressed body of more than {_MOST_MEMBERS} parts")
        match self._encoding:
            case "gzip":
                return zlib.decompressobj(31)
            case "deflate":  # meant with a zlib header, and often sent without
                return zlib.decompressobj(15 if chunk[0] & 0x0F == 8 else -15)
        raise RequestError("connection", f"a body in an encoding that was not asked for: {self._encoding[:40]!r}")

    def _take(self, piece: bytes) -> None:
        self.body += piece
        if len(self.body) > self._most:
            raise RequestError("too-large", f"an answer of more than {self._most} bytes")


def _told(error: aiohttp.ClientError | OSError) -> str:
    """What broke, in words that hold neither the URL nor anything of the answer."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host}:{error.port} is not trusted"
        case aiohttp.ClientConnectorError():
            return f"cannot connect to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "the answer was cut in the middle"
    return f"the connection broke ({type(error).__name__})"
