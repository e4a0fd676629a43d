"""What a function of a Python source is given: its ID, what others have collected, requests, a way to be heard."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec
from multidict import CIMultiDict
from yarl import URL

from collector import quantity
from collector.errors import RequestError
from collector.model import Doing
from collector.sources.answer import Answer
from collector.sources.request import AGENT, Request
from collector.sources.returned import inert
from collector.sources.unpack import ACCEPTED

LONGEST_WORD = 200  # characters of a progress text, and of an ID beside it
_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

T = TypeVar("T")

Page = list[tuple[str, str]]  # keys and bodies


class Host(Protocol):
    """What a run needs of the service, on its event loop."""

    def pages(self, source: str, asked: str) -> AsyncIterator[Page]:
        """The stored items of a source under an ID, in short reads."""

    async def send(self, request: Request, timeout: float) -> Answer:
        """The answer to a request, which waits for the budgets of the source before it leaves."""

    def now(self) -> float:
        """Wall time."""


class Response(msgspec.Struct, frozen=True):
    """A whole answer, whatever its status."""

    status: int
    headers: Mapping[str, str]  # in any case
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; what is no UTF-8 is replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON; msgspec.DecodeError where it is none."""
        return msgspec.json.decode(self.body)


class Loop:
    """The event loop as it is seen from a thread of a run: asked for one thing after the other, until the run is to
    end."""

    __slots__ = ("_asked", "_ended", "_lock", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._asked: set[Future[Any]] = set()  # by any thread of the run, and not answered yet
        self._ended = False

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine comes to, waited for in a thread. CancelledError when the run is to end."""
        try:
            with self._lock:
                if self._ended:
                    raise CancelledError("this run was asked to end")
                future = asyncio.run_coroutine_threadsafe(work, self._loop)
                self._asked.add(future)
        except BaseException:
            work.close()
            raise
        try:
            return future.result()
        finally:
            self._asked.discard(future)

    def end(self) -> None:
        """Whoever waits now, or will ask later, gets a CancelledError."""
        with self._lock:
            self._ended = True
            asked = tuple(self._asked)
        for future in asked:
            future.cancel()


class Items:
    """Stored objects as dicts, in the order of their keys: for `async for` in an async function, else for `for`."""

    def __init__(self, pages: Callable[[], AsyncIterator[Page]], loop: Loop | None) -> None:
        self._pages, self._loop = pages, loop

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._loop is None:
            raise TypeError("in an async function items are read with `async for`")
        pages = self._pages()
        while page := self._loop.ask(_next(pages)):
            yield from map(_decoded, page)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        if self._loop is not None:
            raise TypeError("in a plain function items are read with `for`")
        async for page in self._pages():
            for row in page:
                yield _decoded(row)


class Http:
    """Requests under the budgets of the source; each method is a coroutine."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def request(self, method: str, url: str, **more: Any) -> Response:
        """The answer to a request; RequestError where none came. `more` is any of params, headers, json, data (bytes,
        text or a dict of form fields) and timeout."""
        got = await self._host.send(*_request(method, url, **more))
        return Response(got.status, got.headers, got.body)

    async def get(self, url: str, **more: Any) -> Response:
        """`request("GET", …)`."""
        return await self.request("GET", url, **more)

    async def post(self, url: str, **more: Any) -> Response:
        """`request("POST", …)`."""
        return await self.request("POST", url, **more)


class BlockingHttp:
    """The same for a plain function: each method waits in its thread."""

    def __init__(self, http: Http, loop: Loop) -> None:
        self._http, self._loop = http, loop

    def request(self, method: str, url: str, **more: Any) -> Response:
        """As `Http.request`."""
        return self._loop.ask(self._http.request(method, url, **more))

    def get(self, url: str, **more: Any) -> Response:
        """`request("GET", …)`."""
        return self.request("GET", url, **more)

    def post(self, url: str, **more: Any) -> Response:
        """`request("POST", …)`."""
        return self.request("POST", url, **more)


class Work:
    """One ID that a function is called for, and what it may use meanwhile."""

    def __init__(self, asked: str, config: Mapping[str, Any], host: Host, loop: Loop | None) -> None:
        self._host, self._loop = host, loop
        self._doing: Doing | None = None
        self._cancelled: dict[int, threading.Event] = {}  # made for those who look: few do
        self.id = asked
        self.config = MappingProxyType(config)  # `options` of the source

    @property
    def cancelled(self) -> threading.Event:
        """Set where the run is to end: nobody waits for what it returns."""
        made = self._cancelled
        return made[0] if made else made.setdefault(0, threading.Event())  # of two threads both get the same

    @cached_property
    def http(self) -> Any:
        """Requests that draw from the budgets of the source: `Http` in an async function, else `BlockingHttp`."""
        http = Http(self._host)
        return http if self._loop is None else BlockingHttp(http, self._loop)

    def items(self, source: str) -> Items:
        """What the latest batch that found this ID in another source has stored under it."""
        return Items(lambda: self._host.pages(source, self.id), self._loop)

    def progress(self, says: str) -> None:
        """Says in `/status` what is done for this ID now; at most 200 characters, on one line."""
        self._doing = Doing(inert(self.id)[:LONGEST_WORD], inert(str(says))[:LONGEST_WORD], self._host.now())

    def end(self) -> None:
        """Asks a plain function to end."""
        self.cancelled.set()
        if self._loop:
            self._loop.end()


def doing(work: Work) -> Doing | None:
    """What a run said last."""
    return work._doing


def _decoded(row: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(row[1])
    return found


async def _next(pages: AsyncIterator[Page]) -> Page:
    return await anext(pages, [])


def _request(
    method: str,
    url: str,
    *,
    params: Mapping[str, str | int] | None = None,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    data: bytes | str | Mapping[str, str] | None = None,
    timeout: float | str = 30.0,
) -> tuple[Request, float]:
    """The request, and the seconds that its answer may take; RequestError `malformed` where it cannot be sent."""
    if method.upper() not in _VERBS:
        raise RequestError("malformed", f"the method {method!r}; one of {', '.join(_VERBS)}")
    try:
        where = URL(url).with_fragment(None)
        where = where.update_query(params) if params else where
    except (ValueError, TypeError) as error:
        raise RequestError("malformed", f"an address that cannot be read: {error}") from error
    if where.scheme not in ("http", "https") or not where.host:
        raise RequestError("malformed", "an address that is neither http nor https")
    sent = CIMultiDict({"User-Agent": AGENT, "Accept": "*/*"})
    body = _body(json, data, sent)
    sent.update(headers or {})
    sent["Accept-Encoding"] = ACCEPTED  # whatever the function says
    seconds = quantity.seconds(timeout) if isinstance(timeout, str) else float(timeout)
    return Request(method.upper(), str(where), sent, body), seconds


def _body(json: Any, data: bytes | str | Mapping[str, str] | None, headers: CIMultiDict[str]) -> bytes | None:
    if json is not None:
        headers["Content-Type"] = "application/json"
        return msgspec.json.encode(json)
    if isinstance(data, Mapping):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return urlencode(data).encode()
    return data.encode() if isinstance(data, str) else data
