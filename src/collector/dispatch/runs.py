"""Runs of a Python source: its function called for one ID after the other."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import msgspec
import structlog

from collector.budget.permit import Permit
from collector.clock import Clock
from collector.dispatch import retry
from collector.dispatch.consumer import Consumer, Tools, Waits
from collector.dispatch.judge import ALIKE_STOPS, Judge
from collector.dispatch.lane import Lane
from collector.dispatch.purse import Purse
from collector.errors import NoPermit
from collector.host.workers import Seat, Workers
from collector.model import Call, Doing
from collector.sources import python
from collector.sources.answer import Answer, Good, Later, Unreadable
from collector.sources.python import Function
from collector.sources.request import Request
from collector.sources.returned import Ended, Returned, gathered, is_stream, listed, told
from collector.sources.work import Loop, Page, Work, doing
from collector.store.items import Items

ASKED = 2.0  # seconds that a thread has to end after it was asked to
_PART = 500  # items encoded on the loop without a pause

log = structlog.get_logger()


class Host:
    """What a run is given of the service."""

    def __init__(self, purse: Purse, items: Items, clock: Clock) -> None:
        self._purse, self._items, self._clock = purse, items, clock

    def pages(self, source: str, asked: str) -> AsyncIterator[Page]:
        """The stored items of a source under an ID, in short reads."""
        return self._items.under(source, asked)

    async def send(self, request: Request, timeout: float) -> Answer:
        """The answer to a request, which waits for the budgets of the source before it leaves."""
        return await self._purse.send(request, timeout)

    def now(self) -> float:
        """Wall time."""
        return self._clock.wall()


class Runner(Consumer):
    """A consumer whose calls are runs of a function: a coroutine of its own task, or work for a thread."""

    def __init__(self, lane: Lane, judge: Judge, tools: Tools, items: Items, workers: Workers) -> None:
        super().__init__(lane, judge, tools)
        self._items, self._workers = items, workers
        self._function = python.load(lane.endpoint.spec.call or "")
        self._is_async = python.is_async(self._function)
        self._work: Work | None = None  # of the run there is

    @property
    def doing(self) -> Doing | None:
        """What its run said last."""
        return doing(self._work) if self._work else None

    async def _try(self, call: Call, waits: Waits) -> bool:
        """Whether the function was called; if not the source has stopped, or was told to wait."""
        if self._is_async:
            return await self._draw(call, None)
        with await self._workers.seat(self._lane.name, self._lane.endpoint.spec.parallel) as seat:
            return await self._draw(call, seat)

    async def _draw(self, call: Call, seat: Seat | None) -> bool:
        with await self._ledger.draw(self._lane.name, len(call.jobs)) as permit:
            if self._lane.held or not self._lane.is_wanted(call):
                return False
            try:
                permit.spend()
            except NoPermit:
                return False
            self._lane.trouble = None  # the run was written down
            self.in_the_air = True
            try:
                await self._run(call, permit, seat)
            finally:
                self.in_the_air = False
        return True

    async def _run(self, call: Call, permit: Permit, seat: Seat | None) -> None:
        lane, began = self._lane, self._clock.mono()
        purse = Purse(permit, self._further, self._client, lane.endpoint.spec.max_bytes, self._disk_trouble)
        loop = None if seat is None else Loop(asyncio.get_running_loop())
        host = Host(purse, self._items, self._clock)
        self._work = Work(call.keys[0], lane.endpoint.spec.options, host, loop)
        lane.taken.sent(call)
        try:
            ended = await self._ended(self._work, purse, seat)
            purse.land()
            permit.returned(ended.reading.returned if isinstance(ended.reading, Good) else 0)
            await self._tell(call, ended, began)
        finally:
            purse.land()
            lane.taken.landed()
            self._work = None
            if loop:
                loop.end()

    async def _further(self) -> Permit:
        """A permit for one more request. NoPermit where the source is no longer declared."""
        await self._lane.room.enough()
        try:
            permit = await self._ledger.draw(self._lane.name, 1)
        except KeyError as error:
            raise NoPermit(f"the source {self._lane.name} is no longer declared") from error
        self._lane.trouble = None  # the ledger can write
        return permit

    async def _ended(self, work: Work, purse: Purse, seat: Seat | None) -> Ended:
        """How the run ended, within its time."""
        seconds = self._lane.endpoint.spec.timeout
        try:
            with self._client.deadlines.within(seconds) as deadline:
                purse.counts(deadline)
                return await (self._awaited(work) if seat is None else self._threaded(work, seat))
        except TimeoutError:
            said = f"no end within {seconds:g} s; a longer `timeout` gives it more"
        work.end()
        log.warning("run_timed_out", source=self._lane.name, id=work.id, seconds=seconds)
        if seat is None:
            return Ended(Unreadable("timeout", said))
        return Ended(Later(retry.LONGEST, "timeout", f"{said}. Its thread goes on and keeps its place until it ends"))

    async def _awaited(self, work: Work) -> Ended:
        """An async function to its end, on the loop. A cancel that nobody asked for is its own fault."""
        try:
            return await _gathered(self._function, work, self._returned(work))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task and task.cancelling():
                work.cancelled.set()
                raise
            return told(work.id, error)
        except BaseException as error:  # whatever a stranger's function raises; a Ctrl-C of ours is no exception here
            return told(work.id, error)

    async def _threaded(self, work: Work, seat: Seat) -> Ended:
        """A plain function to its end, in a thread. Cancelled, it asks it to end and gives it a moment."""
        if self._workers.busy(self._lane.name, work.id):
            return Ended(Later(retry.LONGEST, "timeout", "the thread of a run that timed out still works on it"))
        future = seat.begin(work.id, partial(_called, self._function, work, self._returned(work)))
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            work.end()
            if self.stopping:
                await asyncio.wait([future], timeout=ASKED)
            raise
        ended: Ended = future.result()
        return ended

    def _returned(self, work: Work) -> Returned:
        return Returned(self._lane.endpoint.spec, work.id)

    async def _tell(self, call: Call, ended: Ended, began: float) -> None:
        """Weighs a run and hands over its outcomes."""
        reading, now = ended.reading, asyncio.get_running_loop().time()
        verdict = self._judge.weigh(call, reading, now, was_closed=True)
        if verdict.stop is not None and isinstance(reading, Unreadable):
            verdict = msgspec.structs.replace(verdict, stop=self._why_stopped(reading))
        if verdict.reason is not None and not isinstance(reading, Good):
            log.info(
                "run_failed", source=self._lane.name, id=call.keys[0], reason=verdict.reason, detail=reading.detail
            )
        self._stop_by(verdict)
        attempt = self._attempt(None, {}, verdict.reason, began, ended.traceback) if verdict.reason else None
        await self._hand_over(call, verdict, attempt)

    def _why_stopped(self, reading: Unreadable) -> str:
        call, resume = self._lane.endpoint.spec.call, f"collector resume --source {self._lane.name}"
        what = f"{ALIKE_STOPS} runs in a row ended with {reading.reason} and none was good ({reading.detail})"
        mend = f"mend {call}, then start the service anew; where it is right, `{resume}` goes on"
        return f"{what}: {mend}. No ID is lost"


def _called(function: Function, work: Work, returned: Returned) -> Ended:
    """A plain function to its end, in its thread; whatever it raises is told."""
    try:
        return gathered(returned, function(work), work.cancelled.is_set)
    except BaseException as error:
        return told(work.id, error)


async def _gathered(function: Function, work: Work, returned: Returned) -> Ended:
    """What an async function returns, to its end; in parts, lest a long list, or a stream that never waits, holds up
    everybody else."""
    value: Any = function(work)
    if not is_stream(value):
        value = await value
    if value is None or isinstance(value, dict):
        if value is not None:
            returned.alone(value)
        return returned.ended()
    async for item in value if is_stream(value) else _streamed(listed(value)):
        returned.add(item)
        if not len(returned) % _PART:
            await asyncio.sleep(0)
    return returned.ended()


async def _streamed(items: Iterator[object] | None) -> AsyncIterator[object]:
    for item in items or ():
        yield item


def doings(consumers: list[Consumer], most: int) -> tuple[Doing, ...]:
    """What the runs among them said last, the oldest first."""
    said = [told for one in consumers if isinstance(one, Runner) and (told := one.doing)]
    return tuple(sorted(said, key=lambda told: told.since)[:most])
