"""What of one source is in memory: jobs read from the table and not yet recorded. It outlives a declaration."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from collector.model import (
    BatchId,
    Call,
    Found,
    Gone,
    Job,
    MorePages,
    Outcome,
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
        self.tally = Tally()
        self.freed = 0  # how often jobs have left the memory
        self._pack = 1  # IDs in a full call
        self._given_back: set[BatchId] = set()
        self._wake = asyncio.Event()

    def begin(self, progress: Progress, pack: int) -> None:
        """The source is declared anew: what calls came to under another declaration says nothing of those to come."""
        self.progress, self._pack = progress, pack

    def wake(self) -> None:
        """Something may have come that can be fed."""
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
        self.flying.update(_places(call.jobs))

    def landed(self) -> None:
        """The call has its answer, or will never have one."""
        self.calls -= 1

    def back(self, call: Call) -> None:
        """A call that was sent is to be sent again; nothing of it is recorded."""
        self.flying.subtract(_places(call.jobs))

    def count(self, result: Result) -> None:
        """What a call came to, before its jobs leave the memory. Calls that are unfilled since nothing more is there
        say nothing of those to come; one that was told to wait was sent too."""
        outcomes = [outcome for _, outcome in result.outcomes]
        self.tally += _tallied(result, outcomes)
        delays = [outcome.delay for outcome in outcomes if isinstance(outcome, PutOff)]
        unsettled = len(delays) + sum(isinstance(outcome, MorePages) for outcome in outcomes)
        known = self.progress
        due = max([known.due, *(result.at + delay for delay in delays if delay)])
        if (result.sent or result.attempt) and len(self.jobs) - len(result.jobs) >= self._pack:
            known = Progress(
                known.calls + 1,
                known.jobs + len(outcomes),
                known.settled + len(outcomes) - unsettled,
                known.items + sum(len(outcome.items) for outcome in outcomes if isinstance(outcome, Found | MorePages)),
            )
        self.progress = msgspec.structs.replace(known, due=due)

    def settle(self, jobs: Iterable[Job]) -> None:
        """The outcomes of jobs of a sent call are in the table."""
        jobs = tuple(jobs)
        self.flying.subtract(_places(jobs))
        self.forget(jobs)

    def forget(self, jobs: Iterable[Job]) -> None:
        """Jobs are no longer in memory; the table says where they stand."""
        self.jobs.difference_update((job.batch, job.key) for job in jobs)
        self.freed += 1
        self.flying = +self.flying
        self.wake()

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Nobody will ask for these jobs, whose rows stand as they were read: they are to be read once more."""
        jobs = tuple(jobs)
        self._given_back.update(job.batch for job in jobs)
        self.forget(jobs)

    def to_read_again(self) -> set[BatchId]:
        """The batches of which jobs were given back since this was asked last."""
        batches, self._given_back = self._given_back, set()
        return batches


def _tallied(result: Result, outcomes: list[Outcome]) -> Tally:
    kinds = Counter(map(type, outcomes))
    found, gone = kinds[Found], kinds[Gone]
    put_off = kinds[PutOff] + kinds[MorePages]
    items = [item.body for outcome in outcomes if isinstance(outcome, Found | MorePages) for item in outcome.items]
    return Tally(
        answered=int(result.sent and result.attempt is None),
        waited=int(not result.sent and result.attempt is not None),
        failed=int(result.sent and result.attempt is not None),
        found=found,
        gone=gone,
        lost=len(outcomes) - found - gone - put_off,
        put_off=put_off,
        items=len(items),
        size=sum(map(len, items)),
    )


def _places(jobs: tuple[Job, ...]) -> Counter[tuple[BatchId, State]]:
    return Counter((job.batch, State.DELAYED if job.delayed else State.QUEUED) for job in jobs)
