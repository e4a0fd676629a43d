"""When what is open will be done, as far as that can be told. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec

from collector.budget import forecast
from collector.model import BatchId, Live
from collector.sources.spec import Spec

SECONDS_A_CALL = 0.5  # what an API usually takes


class Work(msgspec.Struct, frozen=True):
    """What a batch still owes."""

    batch: BatchId
    source: str
    open: int
    delayed: int  # of the open ones


class Finish(msgspec.Struct, frozen=True):
    """Wall times; None where nobody can tell. `earliest` leaves out what is delayed."""

    earliest: float | None
    latest: float | None
    batches: Mapping[BatchId, float]


def finish(works: Sequence[Work], live: Live, specs: Mapping[str, Spec], now: float) -> Finish:
    """The forecast for the batches that are asked; a source that does not run has none, and then the whole has none."""
    by_source: dict[str, list[Work]] = {}
    for work in works:
        by_source.setdefault(work.source, []).append(work)
    batches: dict[BatchId, float] = {}
    earliest, latest, known = now, now, bool(by_source)
    for source, owed in by_source.items():
        spec, begin = specs.get(source), _begin(source, live, now)
        if spec is None or begin is None:
            known = False
            continue
        jobs = sum(work.open for work in owed)
        earliest = max(earliest, begin + _seconds(jobs - sum(work.delayed for work in owed), spec))
        latest = max(latest, begin + _seconds(jobs, spec))
        batches |= {batch: begin + _seconds(share, spec) for batch, share in _shares(owed)}
    return Finish(earliest if known else None, latest if known else None, batches)


def _begin(source: str, live: Live, now: float) -> float | None:
    """When the next call of a source may go; None when nobody can tell."""
    lane = live.sources.get(source)
    if live.state != "running" or lane is None or lane.state in ("stopped", "down"):
        return None
    return max([now, *(wait.until for wait in live.waiting if wait.budget == source and wait.until)])


def _seconds(jobs: int, spec: Spec) -> float:
    calls = forecast.calls(jobs, spec.pack if spec.packed else 1)
    return forecast.seconds(calls, spec.limit, spec.parallel, SECONDS_A_CALL)


def _shares(owed: Sequence[Work]) -> list[tuple[BatchId, int]]:
    """How many jobs of the source are done when each batch is: batches are fed in equal shares."""
    sizes = sorted(work.open for work in owed)
    sums = [0, *accumulate(sizes)]
    shares = []
    for work in owed:
        smaller = bisect_right(sizes, work.open)
        shares.append((work.batch, sums[smaller] + work.open * (len(sizes) - smaller)))
    return shares
