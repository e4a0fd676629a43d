"""Who is let through, as a server counts it, and the log of what every request was told."""

import asyncio
import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

KEPT = 200_000  # verdicts in memory


class Standing(msgspec.Struct, frozen=True):
    """What a window said to one request."""

    granted: bool
    limit: int
    remaining: int
    left: float  # seconds until the window gives room again
    resets_at: float  # wall time of that


class Fixed:
    """At most `limit` requests in `seconds` from the first one, then anew: what X does."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._used = 0
        self._ends: float | None = None  # monotonic; None before the first request
        self._resets_at = 0.0

    def take(self, mono: float, wall: float) -> Standing:
        """Count a request; one that comes at the very end opens the next window."""
        if self._ends is None or mono >= self._ends:
            self._ends, self._resets_at, self._used = mono + self._seconds, wall + self._seconds, 0
        granted = self._used < self._limit
        self._used += granted
        return Standing(granted, self._limit, self._limit - self._used, self._ends - mono, self._resets_at)


class Sliding:
    """At most `limit` requests in any `seconds`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._log: deque[float] = deque()

    def take(self, mono: float, wall: float) -> Standing:
        """Count a request; the reset is when the oldest one leaves the log."""
        while self._log and self._log[0] <= mono - self._seconds:
            self._log.popleft()
        granted = len(self._log) < self._limit
        if granted:
            self._log.append(mono)
        left = self._log[0] + self._seconds - mono
        return Standing(granted, self._limit, self._limit - len(self._log), left, wall + left)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one request was told; a line of the log file."""

    t: float  # wall time
    mono: float
    key: str  # the Authorization header, "anon" without one
    route: str  # the endpoint whose window it drew from
    uri: str
    ids: tuple[str, ...]
    status: int  # 0: the connection was closed without an answer
    counted: bool  # the window let it through
    fault: str = ""  # the declared fault that hit it
    cursor: str = ""  # where in a list it asked to go on
    items: int = 0  # objects in the answer, whether or not it arrived

    @property
    def answered(self) -> bool:
        """True where a whole 200 was sent."""
        return self.status == 200 and not self.fault


class Verdicts:
    """The latest verdicts, in order, and each of them as a JSON line in a file if one is named."""

    def __init__(self, file: Path | None = None, head: dict[str, object] | None = None) -> None:
        self._kept: deque[Verdict] = deque(maxlen=KEPT)
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        self.total = 0
        self.asked: Counter[str] = Counter()  # by ID, how often it went out in a whole 200
        self.statuses: Counter[int] = Counter()
        self._fd = None if file is None else os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if self._fd is not None and os.fstat(self._fd).st_size == 0:
            os.write(self._fd, msgspec.json.encode(head or {}) + b"\n")

    @classmethod
    def read(cls, file: Path) -> "Verdicts":
        """What a server in another process has logged so far; a line that is being written is left out."""
        verdicts = cls()
        for line in file.read_bytes().split(b"\n")[1:-1]:
            verdicts.add(msgspec.json.decode(line, type=Verdict))
        return verdicts

    def add(self, verdict: Verdict) -> None:
        """Note a verdict; it is in the file when this returns."""
        if self._fd is not None:
            os.write(self._fd, msgspec.json.encode(verdict) + b"\n")
        self._kept.append(verdict)
        self.total += 1
        self.statuses[verdict.status] += 1
        if verdict.answered:
            self.asked.update(verdict.ids)
        for count, future in self._awaited:
            if self.total >= count and not future.done():
                future.set_result(None)

    async def reached(self, total: int) -> None:
        """Wait until so many requests have had their verdict."""
        if self.total < total:
            future = asyncio.get_running_loop().create_future()
            self._awaited.append((total, future))
            try:
                await future
            finally:
                self._awaited.remove((total, future))

    def most_in_any_window(self, seconds: float) -> int:
        """The most requests of one credential and endpoint that were let through in any such stretch of time."""
        counted: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for verdict in self._kept:
            if verdict.counted:
                counted[verdict.key, verdict.route].append(verdict.mono)
        most = 0
        for times in counted.values():
            first = 0
            for last, at in enumerate(times):
                while times[first] <= at - seconds:
                    first += 1
                most = max(most, last - first + 1)
        return most

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._kept)

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
