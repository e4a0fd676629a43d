"""The only client session: one request out, one whole answer back."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol, Self

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from collector.errors import RequestError
from collector.host.deadline import Deadline, Deadlines
from collector.sources.answer import Answer, rule
from collector.sources.auth import Bearer, Grant
from collector.sources.connections import Connections, Reply
from collector.sources.load import LARGE, Load, Share
from collector.sources.request import Endpoint, Request, redirected
from collector.sources.rules import Do
from collector.sources.spec import Spec
from collector.sources.unpack import Unpacker

MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_TOKEN_SECONDS, _TOKEN_BYTES = 30.0, 65_536  # the most that an answer with a token takes
_IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")  # a repeated one does no more than the first
_NO_HTTP = "the answer is not HTTP that can be read"
_LONGEST_LINE = 32_768  # of a header; above it the answer is refused


class Permit(Protocol):
    """What a call has drawn from its budgets."""

    def spend(self) -> None:
        """Called once for each request on the wire; NoPermit breaks the call off."""

    def unsent(self) -> None:
        """Called where that request never left."""


class Client:
    """Asks the sources; one for the whole service, used as `async with`."""

    def __init__(self, load: Load | None = None, *, by_session: bool = False) -> None:
        """`by_session`: only by what aiohttp documents, which costs more."""
        self.load = load or Load()  # whoever keeps an answer tells it here
        self.deadlines = Deadlines()
        self._by_session = by_session

    async def __aenter__(self) -> Self:
        self._bearers: dict[Grant, Bearer] = {}
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
        self._connections = Connections(self._session, _LONGEST_LINE)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connections.close()
        await self._session.close()

    def ask(
        self, endpoint: Endpoint, keys: tuple[str, ...], permit: Permit, cursor: str | None = None
    ) -> Coroutine[Any, Any, Answer]:
        """The whole answer to a call for these IDs, whatever its status; with a cursor, for that page of their list.

        RequestError when there is none: `timeout`, `connection`, `too-large`, `redirect`; `auth-refused` when the
        token endpoint will not have the client; and `malformed`, before anything is sent, when an ID or a cursor
        cannot be asked for. NoPermit when a redirect or a resend has none left.
        """
        request = endpoint.build(keys, cursor)
        if endpoint.grant is None:
            return self._answer(endpoint, keys, request, permit)
        return self._bearer(endpoint.grant).carry(partial(self._signed, endpoint, keys, request, permit))

    def _bearer(self, grant: Grant) -> Bearer:
        return self._bearers.setdefault(grant, Bearer(grant, self._post, asyncio.get_running_loop().time))

    async def _signed(
        self, endpoint: Endpoint, keys: tuple[str, ...], request: Request, permit: Permit, token: str
    ) -> Answer:
        endpoint.hide(token)
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        return await self._answer(endpoint, keys, replace(request, headers=headers), permit)

    async def send(self, request: Request, permit: Permit, timeout: float, max_bytes: int) -> Answer:
        """The whole answer to a request that is made already; errors as `ask`."""
        answer, _ = await self._got(request, permit, timeout, max_bytes)
        return answer

    async def _answer(self, endpoint: Endpoint, keys: tuple[str, ...], request: Request, permit: Permit) -> Answer:
        spec = endpoint.spec
        answer, request = await self._got(request, permit, spec.timeout, spec.max_bytes)
        if answer.status >= 400:
            answer = msgspec.structs.replace(answer, body=endpoint.masked(answer.body))
        if spec.next != "link" or not _is_page(spec, answer, keys):
            return answer
        link = endpoint.link(request.url, _links(answer.headers))
        return answer if link is None else msgspec.structs.replace(answer, link=link)

    async def _got(self, request: Request, permit: Permit, timeout: float, max_bytes: int) -> tuple[Answer, Request]:
        """What came over the wire, and to which request in the end."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            with self.deadlines.within(timeout) as deadline:
                for _ in range(MOST_REDIRECTS + 1):
                    got, body = await self._exchanged(request, permit, max_bytes, deadline)
                    if (location := _location(got)) is None:
                        return Answer(got.status, got.headers, body, clock() - started), request
                    request = redirected(request, got.status, location)
        except TimeoutError as error:
            raise RequestError("timeout", f"no whole answer within {timeout:g} s") from error
        except aiohttp.ClientResponseError as error:
            # Its text holds the whole URL, and that may hold a secret: only what lies behind it goes on.
            raise RequestError("connection", _NO_HTTP) from error.__cause__
        except HttpProcessingError as error:
            raise RequestError("connection", _NO_HTTP) from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError):
                permit.unsent()
            raise RequestError("connection", _told(error)) from error
        raise RequestError("redirect", f"more than {MOST_REDIRECTS} redirects")

    async def _exchanged(
        self, request: Request, permit: Permit, most: int, deadline: Deadline
    ) -> tuple[aiohttp.ClientResponse | Reply, bytes]:
        """One response with its body, of which that of a redirect is not read."""
        letter = None if self._by_session else self._connections.letter(request)
        if letter is None:
            async with self._asked(request, permit) as response:
                return response, await self._body(response, most, deadline)
        permit.spend()
        try:
            got = await self._connections.sent(letter)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            # Sent once more, where that does no more: a server may close an idle connection at any moment.
            if isinstance(error, aiohttp.ClientConnectorError) or request.method not in _IDEMPOTENT:
                raise
            permit.spend()
            got = await self._connections.sent(letter)
        with got:
            body = got.at_hand(min(most, LARGE))
            return got, await self._body(got, most, deadline) if body is None else body

    async def _body(self, got: aiohttp.ClientResponse | Reply, most: int, deadline: Deadline) -> bytes:
        if _location(got) is not None:
            return b""
        with self.load.reading() as share:
            return await _Reading(most, share, deadline).body(got)

    def _asked(self, request: Request, permit: Permit) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The same by the session."""

        async def spend(wire: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            permit.spend()
            return await send(wire)

        return self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            middlewares=(spend,),
        )

    async def notify(self, url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> int:
        """The status that a POST of ours is answered with, whose body nobody reads; no budget counts it. RequestError
        where no answer came."""
        async with self._posted(url, headers, body, f"{URL(url).origin()}", timeout) as response:
            response.close()  # a body may be without end
            return response.status

    async def _post(self, url: str, headers: Mapping[str, str], form: bytes) -> tuple[int, bytes]:
        """A request for a token, which no budget counts."""
        where = f"the token endpoint {URL(url).with_query(None)}"
        async with self._posted(url, headers, form, where, _TOKEN_SECONDS) as response:
            return response.status, await _Reading(_TOKEN_BYTES).body(response)

    @asynccontextmanager
    async def _posted(
        self, url: str, headers: Mapping[str, str], body: bytes, where: str, timeout: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """No redirect is followed."""
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.post(url, headers=headers, data=body, allow_redirects=False) as response,
            ):
                yield response
        except TimeoutError as error:
            raise RequestError("connection", f"{where}: no whole answer within {timeout:g} s") from error
        except aiohttp.ClientResponseError as error:
            raise RequestError("connection", f"{where}: no HTTP that can be read") from error.__cause__
        except (aiohttp.ClientError, OSError) as error:
            raise RequestError("connection", f"{where}: {_told(error)}") from error
        except RequestError as error:  # too large, or it cannot be unpacked
            raise RequestError("connection", f"{where}: {error.detail}") from error


def _is_page(spec: Spec, answer: Answer, keys: tuple[str, ...]) -> bool:
    """Whether a next page is looked for: an answer is good, or a rule says that it is."""
    return 200 <= answer.status < 300 or (answer.status >= 400 and rule(spec, answer, keys) is Do.OK)


def _location(got: aiohttp.ClientResponse | Reply) -> str | None:
    """Where a redirect leads to; None where it is none."""
    return got.headers.get("Location") if got.status in _REDIRECTS else None


def _links(headers: Mapping[str, str]) -> list[str]:
    return [value for name, value in headers.items() if name.lower() == "link"]


class _Reading(NamedTuple):
    """How a body is read: how much of it at most, and how a large one waits until there is room in memory."""

    most: int
    share: Share | None = None  # None: it never waits
    deadline: Deadline | None = None  # it stands still meanwhile

    async def body(self, response: aiohttp.ClientResponse | Reply) -> bytes:
        """The body, decompressed. An error status is an answer by itself, so there what came of a broken body will
        do."""
        unpacker = Unpacker(response.headers.get("Content-Encoding", ""), self.most)
        try:
            while chunk := await response.content.readany():
                unpacker.feed(chunk)
                if self.share and not self.share.size and len(unpacker.body) > LARGE:
                    await self._room(response, self.share)
            unpacker.finish()
        except (aiohttp.ClientError, OSError, RequestError):
            if response.status < 400:
                raise
        return bytes(unpacker.body)

    async def _room(self, response: aiohttp.ClientResponse | Reply, share: Share) -> None:
        """Takes what the whole body may need; of one that is packed nobody knows how large it is."""
        packed = "Content-Encoding" in response.headers
        length = self.most if packed or response.content_length is None else response.content_length
        with self.deadline.stopped() if self.deadline else nullcontext():
            await share.take(min(length, self.most))


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
