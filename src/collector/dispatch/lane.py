"""The lane of one source: its queue, what of it is in memory, and whether it may run."""

import asyncio
from collections import Counter
from contextlib import suppress

import msgspec

from collector.dispatch.breaker import Breaker
from collector.model import BatchId, Call, Found, Job, Progress, PutOff, Result, State
from collector.sources.spec import Spec


class Lane:
    """What feeder, consumers and recorder of one source share."""

    def __init__(self, name: str, spec: Spec, breaker: Breaker) -> None:
        self.name, self.spec, self.breaker = name, spec, breaker
        # Small, so that a new batch is soon in turn: whatever waits in here is ahead of it.
        self.queue: asyncio.Queue[Call] = asyncio.Queue(maxsize=min(spec.parallel, 16))
        self.taken: set[tuple[BatchId, str]] = set()  # jobs read from the table and not yet recorded
        self.flying: Counter[tuple[BatchId, State]] = Counter()  # jobs of calls sent and not yet recorded
        self.calls = 0  # sent and not yet answered
        self.stopped: str | None = None  # why, in plain words
        self.trouble: str | None = None  # why no call can leave, where a disk is unwell
        self.progress = Progress()
        self._running = asyncio.Event()
        self._running.set()
        self._wake = asyncio.Event()

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

    def stop(self, why: str) -> None:
        """No further call goes: the same would happen to each."""
        self.stopped = why
        self._running.clear()

    async def running(self) -> None:
        """Returns when the source is not stopped."""
        await self._running.wait()

    def take(self, jobs: list[Job]) -> list[Job]:
        """Those of the jobs that are not in memory yet; from now on they are."""
        fresh = [job for job in jobs if (job.batch, job.key) not in self.taken]
        self.taken.update((job.batch, job.key) for job in fresh)
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
        delays = [outcome.delay for outcome in outcomes if isinstance(outcome, PutOff)]
        known = self.progress
        due = max([known.due, *(result.at + delay for delay in delays if delay)])
        if (result.sent or result.attempt) and len(self.taken) - len(result.jobs) >= self.spec.pack:
            known = Progress(
                known.calls + 1,
                known.jobs + len(outcomes),
                known.settled + len(outcomes) - len(delays),
                known.items + sum(len(outcome.items) for outcome in outcomes if isinstance(outcome, Found)),
            )
        self.progress = msgspec.structs.replace(known, due=due)

    def settle(self, jobs: list[Job]) -> None:
        """The outcomes of jobs of a sent call are in the table."""
        self.flying.subtract(_places(tuple(jobs)))
        self.forget(jobs)

    def forget(self, jobs: list[Job]) -> None:
        """Jobs are no longer in memory; the table says where they stand."""
        self.taken.difference_update((job.batch, job.key) for job in jobs)
        self.flying = +self.flying
        self.wake()


def _places(jobs: tuple[Job, ...]) -> Counter[tuple[BatchId, State]]:
    return Counter((job.batch, State.DELAYED if job.delayed else State.QUEUED) for job in jobs)
