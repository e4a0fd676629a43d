"""When what is open will be done, as far as that can be told. Pure."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import msgspec

from collector.budget import forecast
from collector.budget.forecast import PACED, ROUND_TRIPS, Curves, Key, Need, Shares, Span
from collector.budget.limit import Limit
from collector.budget.pace import interval
from collector.model import BatchId, Live, Outlook, Progress, WindowAhead
from collector.output.effort import needs
from collector.sources.spec import Spec

MOST_BATCHES = 50  # told of one by one, and listed: the open ones, then the latest that ended
_LAST_TRIES = 3.0  # seconds that the waits after a first and a second failed try take
_TOLD = 0.02  # of the time; timers are late and clocks differ


class Work(msgspec.Struct, frozen=True):
    """What a batch still owes."""

    batch: BatchId
    source: str
    open: int
    delayed: int  # of the open ones
    air: int = 0  # of the open ones


class Finish(msgspec.Struct, frozen=True):
    """Wall times, of everything and of each batch; None, or left out, where nobody can tell."""

    whole: Span | None
    batches: Mapping[BatchId, Span]


@dataclass(frozen=True)
class _Owed:
    """What a source owes, and what it may draw."""

    works: tuple[Work, ...]
    spec: Spec
    outlook: Outlook
    progress: Progress
    pace: Key | None  # its own window in calls; sources that share it share their pace
    _made: dict[object, Curves] = field(default_factory=dict)

    @cached_property
    def all(self) -> int:
        """Its open jobs."""
        return sum(work.open for work in self.works)

    @cached_property
    def whole(self) -> tuple[Need, Need, Need]:
        """What all of them take."""
        return self.needs(self.all)

    def needs(self, jobs: float) -> tuple[Need, Need, Need]:
        """What so many of its open jobs take; those in the air are of all its batches alike."""
        return needs(jobs, self._air * jobs / self.all, self.progress, self.spec)

    @cached_property
    def _air(self) -> int:
        return min(sum(work.air for work in self.works), self.all)

    @cached_property
    def draws(self) -> list[dict[Key, float]]:
        """What they take of each window, at the least, as is likely and at the most."""
        return [_draws(self.outlook, need) for need in self.whole]

    def curves(self, others: tuple[Shares, Shares, Shares]) -> Curves:
        """Its calls with what others draw, the same for all batches that have the same share of that."""
        shares = tuple(tuple(of.items()) for of in others)
        if shares not in self._made:
            self._made[shares] = forecast.curves(self.outlook, self.whole, self.spec.parallel, others, self._spread)
        return self._made[shares]

    @property
    def _spread(self) -> float:
        """The pace of a server that refills its windows gradually. Headers do not tell before a window is over."""
        limits = (Limit(window.limit, window.seconds) for window in self.outlook.windows if _key(window) == self.pace)
        unknown = (limit for limit in limits if self.progress.calls < limit.count and self.spec.window == "auto")
        return max((interval(limit, self.outlook.round_trip) for limit in unknown), default=0.0)


def finish(works: Sequence[Work], live: Live, specs: Mapping[str, Spec], now: float) -> Finish:
    """The forecast for the batches that are asked; a source that does not run has none, and then the whole has none."""
    by_source: dict[str, list[Work]] = {}
    for work in works:
        by_source.setdefault(work.source, []).append(work)
    asked = [
        _owed(tuple(mine), live, specs[source])
        for source, mine in by_source.items()
        if source in specs and runs(source, live)
    ]
    told = {work.batch for work in works[:MOST_BATCHES]}
    batches, wholes = {}, []
    for one in asked:
        shared = [other for other in asked if other is not one and _meet(one, other)]
        wholes.append(_at(one, one.all, any(work.delayed for work in one.works), shared, now))
        for work, jobs in zip(one.works, _shares(one.works), strict=True):
            if work.batch in told and (ends := _at(one, jobs, bool(work.delayed), shared, now)):
                batches[work.batch] = ends
    known = [whole for whole in wholes if whole]
    if not by_source or len(known) < len(by_source):
        return Finish(None, batches)
    return Finish(Span(*(max(getattr(span, end) for span in known) for end in Span.__struct_fields__)), batches)


def _owed(works: tuple[Work, ...], live: Live, spec: Spec) -> _Owed:
    source = works[0].source
    outlook = live.outlook(source) or forecast.fresh(spec.limit, plain=spec.window == "plain")
    # Its own windows bear the name of a source, those of a `[budget]` never do.
    own = (_key(window) for window in outlook.windows if window.unit == "calls" and window.budget in live.sources)
    return _Owed(works, spec, outlook, live.progress.get(source, Progress()), next(own, None))


def runs(source: str, live: Live) -> bool:
    """True where calls of a source go, now or when a budget lets them."""
    lane = live.sources.get(source)
    works = live.state in ("running", "draining") and not live.stopping
    return works and lane is not None and lane.state in ("running", "waiting")


def _at(one: _Owed, jobs: int, delayed: bool, shared: Sequence[_Owed], now: float) -> Span | None:
    """When so many jobs of a source are done, whose windows it shares with others; None where only an answer can
    tell."""
    need = one.needs(jobs)
    span = forecast.between(one.curves(_others(one, need, shared)), (need[0].calls, need[1].calls, need[2].calls))
    if math.isinf(span.latest):
        return None
    trip = one.outlook.round_trip or ROUND_TRIPS[1]  # what is in the air comes back
    latest = max(span.latest, trip, one.progress.due - now + trip if delayed else 0.0)
    late = latest * (1 + _TOLD) + (_LAST_TRIES if one.progress.due else 0.0)
    early = span.earliest * (1 - _TOLD)
    return Span(now + early, now + max(span.likely, early, trip), now + late)


def _others(one: _Owed, need: tuple[Need, Need, Need], shared: Sequence[_Owed]) -> tuple[Shares, Shares, Shares]:
    """What other sources draw meanwhile for each that this one draws: nothing at the earliest, else as much as it does
    until they have all, and at the latest more where they have more calls in the air."""
    fair: dict[Key, float] = {}
    slow: dict[Key, float] = {}
    mine = [_draws(one.outlook, each) for each in need] if shared else []
    for other in shared:
        stronger = max(other.spec.parallel / one.spec.parallel, 1.0)
        for shares, most, at in ((fair, 1.0, 1), (slow, stronger, 2)):
            for key, amount in other.draws[at].items():
                if mine[at].get(key):
                    shares[key] = shares.get(key, 0.0) + min(amount / mine[at][key], most)
    return {}, _with_pace(one, fair), _with_pace(one, slow)


def _meet(one: _Owed, other: _Owed) -> bool:
    """They draw from a window that is the same."""
    return not {_key(window) for window in one.outlook.windows}.isdisjoint(map(_key, other.outlook.windows))


def _key(window: WindowAhead) -> Key:
    return window.budget, window.unit, window.seconds


def _draws(outlook: Outlook, need: Need) -> dict[Key, float]:
    """What a need takes of each window."""
    return {_key(window): getattr(need, window.unit) for window in outlook.windows}


def _with_pace(one: _Owed, others: dict[Key, float]) -> Shares:
    return others | {PACED: others[one.pace]} if one.pace in others else others


def _shares(owed: Sequence[Work]) -> list[int]:
    """How many jobs of the source are done when each batch is: batches are fed in equal shares."""
    sizes = sorted(work.open for work in owed)
    sums = [0, *accumulate(sizes)]
    smaller = [bisect_right(sizes, work.open) for work in owed]
    return [sums[less] + work.open * (len(sizes) - less) for work, less in zip(owed, smaller, strict=True)]
