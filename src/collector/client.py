"""A client of the HTTP interface, for other programs; it needs nothing of the service, and nothing but Python."""

import http.client
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from collector.errors import Refused, Unreachable

FIRST_LOOK, LONGEST_LOOK = 0.2, 5.0  # seconds between two looks of `wait`
_BLOCK = 1 << 16  # bytes
_ENDED = ("finished", "cancelled")


@dataclass(frozen=True, slots=True)
class Progress:
    """How a batch stands; `all` has everything that the service tells of it."""

    id: int
    state: str  # loading, held, open, paused, cancelled, finished
    jobs: dict[str, int]  # IDs by where they stand
    all: dict[str, Any] = field(repr=False)

    @property
    def ended(self) -> bool:
        """Whether no ID of it is owed any more."""
        return self.state in _ENDED and not any(self.jobs[state] for state in ("queued", "running", "delayed"))


class Client:
    """Asks one service. Unreachable where it does not answer, Refused where it answers with an error.

    `Client("http://127.0.0.1:8090", token)`; one object may be used by several threads.
    """

    def __init__(self, url: str, token: str, timeout: float = 60.0) -> None:
        self._url, self._token, self._timeout = urlsplit(url), token, timeout
        if self._url.scheme not in ("http", "https") or not self._url.hostname:
            raise ValueError(f"{url!r} is no URL of a service, as http://127.0.0.1:8090")

    def __repr__(self) -> str:
        return f"Client({self._url.geturl()!r})"

    def submit(
        self, source: str, ids: Iterable[str], name: str | None = None, *, then: Sequence[str] = (), hold: bool = False
    ) -> int:
        """Hands IDs to the service, however many; the number of their batch."""
        query = {"source": source, "then": list(then), **({"name": name} if name else {}), "hold": str(hold).lower()}
        body = _blocks(ids)
        told: dict[str, Any] = self._json("POST", f"/batches?{urlencode(query, doseq=True)}", body)
        return int(told["id"])

    def status(self, batch: int) -> Progress:
        """How a batch stands now."""
        told = self._json("GET", f"/batches/{batch}")
        return Progress(told["id"], told["state"], told["jobs"], told)

    def wait(self, batch: int, timeout: float | None = None) -> Progress:
        """How a batch ended; TimeoutError where it has not within so many seconds."""
        end, pause = None if timeout is None else time.monotonic() + timeout, FIRST_LOOK
        while not (now := self.status(batch)).ended:
            left = LONGEST_LOOK if end is None else end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"batch {batch} has not ended within {timeout:g} s: it is {now.state}")
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_LOOK)
        return now

    def results(self, batch: int) -> Iterator[dict[str, Any]]:
        """The lines of its found.jsonl so far, one after the other: `id`, `fetched_at`, `item`."""
        with self._answer("GET", f"/batches/{batch}/found.jsonl") as answer:
            for line in answer:
                yield json.loads(line)

    def order(self, verb: str, batch: int, **query: str) -> dict[str, Any]:
        """pause, resume, cancel, retry or priority of a batch; what the service answers."""
        told: dict[str, Any] = self._json("POST", f"/batches/{batch}/{quote(verb, safe='')}?{urlencode(query)}")
        return told

    def _json(self, method: str, path: str, body: Iterable[bytes] | None = None) -> Any:
        with self._answer(method, path, body) as answer:
            return json.loads(answer.read())

    @contextmanager
    def _answer(
        self, method: str, path: str, body: Iterable[bytes] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        try:
            headers = {"Authorization": f"Bearer {self._token}"}
            chunked = body is not None
            if chunked:
                headers["Transfer-Encoding"] = "chunked"
            # Where it is refused, the answer is there before all of the body has gone.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, self._url.path.rstrip("/") + path, body, headers, encode_chunked=chunked)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise Refused(answer.status, _why(answer.read()))
            yield answer
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            raise Unreachable(f"no answer from {self._url.geturl()}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        assert self._url.hostname is not None
        return kind(self._url.hostname, self._url.port, timeout=self._timeout)


def _blocks(ids: Iterable[str]) -> Iterator[bytes]:
    """One ID a line, in pieces of a size that a socket likes; ValueError for what would be several lines."""
    block = bytearray()
    for key in ids:
        if not key or "\n" in key or "\r" in key:
            raise ValueError(f"{key!r} is no ID")
        block += f"{key}\n".encode()
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _why(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
