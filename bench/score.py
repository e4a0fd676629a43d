"""What a server's log of verdicts says of how its limit was used.

T/opt is the time from the first request to the last grant, over the least in which that policy grants as many. Steady
is the rate between the first grant of the second window's worth and that of the last, over the limit: what a long run
would use. Most is the most grants in any stretch as long as the window; where windows are fixed and headers tell when
they begin, that may rightly be more than the limit, for the end of one and the begin of the next lie side by side.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

AT_ONCE = 16  # calls
ROUND_TRIP = 0.035  # seconds, on average
REFUSALS = (429, 503)
READ = 0.01  # seconds that an answer, once it has gone, may take until it is read


class Verdict(msgspec.Struct, frozen=True):
    """A line of the log: what one request was told at `t`; the rest only where the server tells it."""

    t: float
    status: int
    key: str
    uri: str = ""
    who: str = ""
    came: float = 0.0
    went: float = 0.0
    left: int | None = None

    @property
    def granted(self) -> bool:
        return 200 <= self.status < 300


class Head(msgspec.Struct, frozen=True):
    """The first line: what the server allows."""

    policy: str
    server: str
    limit: int
    window: int
    burst: int | None = None
    token_limits: str = ""
    second: tuple[int, int] | None = None

    def of(self, key: str) -> "Head":
        """The same for one credential."""
        own = dict(pair.split("=") for pair in self.token_limits.split(",") if pair)
        return msgspec.structs.replace(self, limit=int(own.get(key, self.limit)))

    def least(self, count: int, began: float) -> float:
        """The least seconds in which so many are granted, to one who begins at that moment of the server's clock."""
        rate = self.limit / self.window
        if self.policy == "leaky":
            return max(_waves(count), (count - 1 - (self.burst or 0)) / rate)
        if self.policy == "swc":
            turns = self.window - began % self.window  # its windows begin with the clock's
            return _waves(count) if count <= self.limit else turns + (count - self.limit) / rate
        limits = [(self.limit, self.window), *([self.second] if self.second else [])]
        return _in_windows(count, limits)


class Score(NamedTuple):
    """How one credential's limit was used."""

    granted: int
    refused: int
    other: int
    seconds: float
    least: float
    steady: float | None  # None where there were too few windows to tell, or another limit held too
    most: int

    @property
    def ratio(self) -> float:
        """T/opt."""
        return self.seconds / max(self.least, ROUND_TRIP)


def read(log: Path) -> tuple[Head, list[Verdict]]:
    """A log, whole or still being written, in the order of the verdicts."""
    first, *lines = log.read_bytes().split(b"\n")[:-1]
    verdicts = [msgspec.json.decode(line, type=Verdict) for line in lines]
    return msgspec.json.decode(first, type=Head), sorted(verdicts, key=lambda verdict: verdict.t)


def score(head: Head, verdicts: Sequence[Verdict], began: float | None = None) -> Score:
    """One credential's verdicts, in order; `began`, where it is not the first of them, is when time begins to count."""
    began = verdicts[0].t if began is None else began
    grants = [verdict.t for verdict in verdicts if verdict.granted]
    refused = sum(verdict.status in REFUSALS for verdict in verdicts)
    seconds = max(0.0, grants[-1] - began) if grants else 0.0
    least = head.least(len(grants), began) if grants else 0.0
    return Score(
        granted=len(grants),
        refused=refused,
        other=len(verdicts) - len(grants) - refused,
        seconds=seconds,
        least=least,
        steady=_steady(head, grants),
        most=_most(grants, head.window),
    )


def races(verdicts: Iterable[Verdict], ours: str, limit: int) -> int:
    """Refusals that nobody could have seen coming: by the latest header that had reached us when the call left there
    was room for it, and only calls of others that were granted since had taken it."""
    seen = list(verdicts)
    return sum(_unseen(verdict, seen, ours, limit) for verdict in seen if verdict.who == ours and not verdict.granted)


def _unseen(lost: Verdict, seen: list[Verdict], ours: str, limit: int) -> bool:
    heard = [other for other in seen if other.who == ours and other.left is not None and other.went + READ < lost.came]
    latest = max(heard, key=lambda verdict: verdict.t, default=None)
    left, since = (limit, -math.inf) if latest is None else (latest.left or 0, latest.t)
    between = [other for other in seen if since < other.t < lost.t and other.granted]
    own = sum(other.who == ours for other in between)
    return left - own >= 1 and len(between) > own


def _steady(head: Head, grants: Sequence[float]) -> float | None:
    last = (len(grants) - 1) // head.limit * head.limit
    spent_by_another = head.second is not None and len(grants) > head.second[0]
    if last < 2 * head.limit or spent_by_another:
        return None
    return (last - head.limit) / (grants[last] - grants[head.limit]) * head.window / head.limit


def _most(grants: Sequence[float], window: float) -> int:
    most = first = 0
    for last, at in enumerate(grants):
        while grants[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


def _waves(count: int) -> float:
    """Seconds for so many calls, a few at once, to one who is not limited."""
    return (math.ceil(count / AT_ONCE) - 1) * ROUND_TRIP


def _in_windows(count: int, limits: Sequence[tuple[int, int]]) -> float:
    """Each window spent as soon as it opens; the next opens with the first call after it."""
    now, left, ends = 0.0, [limit for limit, _ in limits], [float(window) for _, window in limits]
    while count > (take := min(left)):
        count -= take
        left = [room - take for room in left]
        now = max(end for room, end in zip(left, ends, strict=True) if not room)
        for at, (limit, window) in enumerate(limits):
            if ends[at] <= now:
                left[at], ends[at] = limit, now + window
    return now + _waves(count)
