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
        self.flying: Counter[tuple[BatchId, State]] = Counter()  # jobs of calls sent and not yet recorded
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
        fresh = [job for job in jobs if (job.batch, job.key) not in self.jobs]
        self.jobs.update((job.batch, job.key) for job in fresh)
        return fresh

    def sent(self, call: Call) -> None:
        """A call leaves."""
        self.calls += 1
        for job in call.jobs:
            self.flying[_place(job)] += 1

    def landed(self) -> None:
        """The call has its answer, or will never have one."""
        self.calls -= 1

    def back(self, call: Call) -> None:
        """A call that was sent is to be sent again; nothing of it is recorded."""
        self._land(call.jobs)

    def count(self, result: Result) -> None:
        """What a call came to, before its jobs leave the memory. Calls that are unfilled since nothing more is there
        say nothing of those to come; one that was told to wait was sent too."""
        did, outcomes, known = self._did, result.outcomes, self.progress
        did[_kind(result)] += 1
        items = unsettled = 0
        due = known.due
        for _, outcome in outcomes:
            if isinstance(outcome, Found | MorePages):
                items += len(outcome.items)
                did["size"] += sum([len(item.body) for item in outcome.items])
            match outcome:
                case Found():
                    did["found"] += 1
                case Gone():
                    did["gone"] += 1
                case PutOff() | MorePages():
                    did["put_off"] += 1
                    unsettled += 1
                    due = max(due, result.at + outcome.delay) if isinstance(outcome, PutOff) and outcome.delay else due
                case _:
                    did["lost"] += 1
        did["items"] += items
        self._follow(result, len(outcomes) - unsettled, items, due)

    def _follow(self, result: Result, settled: int, items: int, due: float) -> None:
        known = self.progress
        if (result.sent or result.attempt) and len(self.jobs) - len(result.jobs) >= self._pack:
            jobs = known.jobs + len(result.outcomes)
            self.progress = Progress(known.calls + 1, jobs, known.settled + settled, known.items + items, due)
        elif due != known.due:
            self.progress = msgspec.structs.replace(known, due=due)

    def settle(self, jobs: Sequence[Job]) -> None:
        """The outcomes of jobs of a sent call are in the table."""
        self._land(jobs)
        self.forget(jobs)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Jobs are no longer in memory; the table says where they stand."""
        for job in jobs:
            self.jobs.discard((job.batch, job.key))
        self.freed += 1
        self.wake()

    def _land(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            place = _place(job)
            self.flying[place] -= 1
            if self.flying[place] <= 0:
                del self.flying[place]

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


def _place(job: Job) -> tuple[BatchId, State]:
    return job.batch, State.DELAYED if job.delayed else State.QUEUED
