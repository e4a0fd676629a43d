"""What of one source is in memory: jobs read from the table and not yet recorded. It outlives a declaration."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from collector.model import (
    BatchId,
    Call,
    Found,
    Gone,
    Job,
    MorePages,
    Progress,
    PutOff,
    Result,
    State,
    Tally,
)


class Taken:
    """Shared by all who work for a source, so that a call in the air under an old declaration is not asked again under
    the next."""

    def __init__(self) -> None:
        self.jobs: set[tuple[BatchId, str]] = set()
        self._flying: dict[tuple[BatchId, bool], int] = {}  # by batch, and whether they are delayed
        self.calls = 0  # sent and not yet answered
        self.progress = Progress()
        self.freed = 0  # how often jobs have left the memory
        self.wakes = 0
        self._did: Counter[str] = Counter()  # by the fields of a Tally
        self._pack = 1  # IDs in a full call
        self._given_back: set[BatchId] = set()
        self._wake = asyncio.Event()

    def begin(self, progress: Progress, pack: int) -> None:
        """The source is declared anew: what calls came to under another declaration says nothing of those to come."""
        self.progress, self._pack = progress, pack

    @property
    def tally(self) -> Tally:
        """What the source did since the start."""
        return Tally(*(self._did[field] for field in Tally.__struct_fields__))

    @property
    def flying(self) -> Counter[tuple[BatchId, State]]:
        """Jobs of calls sent and not yet recorded, by batch and the state of their rows."""
        flying = self._flying.items()
        return Counter({(b, State.DELAYED if delayed else State.QUEUED): jobs for (b, delayed), jobs in flying})

    def wake(self) -> None:
        """Something may have come that can be fed."""
        self.wakes += 1
        self._wake.set()

    async def woken(self, timeout: float | None) -> None:
        """Returns at the next wake, or after `timeout` seconds."""
        # Not wait_for: before Python 3.12 it may swallow a cancel.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        self._wake.clear()

    def take(self, jobs: list[Job]) -> list[Job]:
        """Those of the jobs that are not in memory yet; from now on they are."""
        known, fresh = self.jobs, []
        for job in jobs:
            place = (job.batch, job.key)
            if place not in known:
                known.add(place)
                fresh.append(job)
        return fresh

    def sent(self, call: Call) -> None:
        """A call leaves."""
        self.calls += 1
        flying = self._flying
        for job in call.jobs:
            place = (job.batch, job.delayed)
            flying[place] = flying.get(place, 0) + 1

    def landed(self) -> None:
        """The call has its answer, or will never have one."""
        self.calls -= 1

    def back(self, call: Call) -> None:
        """A call that was sent is to be sent again; nothing of it is recorded."""
        self._land(call.jobs)

    def settle(self, results: Sequence[Result]) -> None:
        """What calls came to is in the table: it is counted, and their jobs are no longer in memory."""
        for result in results:
            self._count(result)
            if result.sent:
                self._land([job for job, _ in result.outcomes])
            self._drop(job for job, _ in result.outcomes)
        self._leave()

    def _count(self, result: Result) -> None:
        """Before its jobs leave the memory. Calls that are unfilled since nothing more is there say nothing of those
        to come; one that was told to wait was sent too."""
        did, outcomes = self._did, result.outcomes
        did[_kind(result)] += 1
        found = items = size = unsettled = 0
        due = self.progress.due
        for _, outcome in outcomes:
            if isinstance(outcome, Found):
                found += 1
                items += len(outcome.items)
                for item in outcome.items:
                    size += len(item.body)
                continue
            match outcome:
                case MorePages():
                    did["put_off"] += 1
                    unsettled += 1
                    items += len(outcome.items)
                    size += sum([len(item.body) for item in outcome.items])
                case Gone():
                    did["gone"] += 1
                case PutOff():
                    did["put_off"] += 1
                    unsettled += 1
                    due = max(due, result.at + outcome.delay) if outcome.delay else due
                case _:
                    did["lost"] += 1
        did["found"] += found
        did["items"] += items
        did["size"] += size
        self._follow(result, len(outcomes) - unsettled, items, due)

    def _follow(self, result: Result, settled: int, items: int, due: float) -> None:
        known = self.progress
        if (result.sent or result.attempt) and len(self.jobs) - len(result.jobs) >= self._pack:
            jobs = known.jobs + len(result.outcomes)
            self.progress = Progress(known.calls + 1, jobs, known.settled + settled, known.items + items, due)
        elif due != known.due:
            self.progress = msgspec.structs.replace(known, due=due)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Jobs are no longer in memory; the table says where they stand."""
        self._drop(jobs)
        self._leave()

    def _drop(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self.jobs.discard((job.batch, job.key))

    def _leave(self) -> None:
        self.freed += 1
        self.wake()

    def _land(self, jobs: Iterable[Job]) -> None:
        flying = self._flying
        for job in jobs:
            place = (job.batch, job.delayed)
            left = flying.get(place, 0) - 1
            if left > 0:
                flying[place] = left
            else:
                flying.pop(place, None)

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Nobody will ask for these jobs, whose rows stand as they were read: they are to be read once more."""
        jobs = tuple(jobs)
        self._given_back.update(job.batch for job in jobs)
        self.forget(jobs)

    def to_read_again(self) -> set[BatchId]:
        """The batches of which jobs were given back since this was asked last."""
        batches, self._given_back = self._given_back, set()
        return batches


def _kind(result: Result) -> str:
    if result.attempt is None:
        return "answered" if result.sent else "unasked"
    return "failed" if result.sent else "waited"
