"""Runs of a Python source: its function called for one ID after the other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import msgspec
import structlog

from collector.budget.permit import Permit
from collector.clock import Clock
from collector.dispatch import retry, step
from collector.dispatch.consumer import Consumer, Tools, Waits
from collector.dispatch.judge import ALIKE_STOPS, Judge
from collector.dispatch.lane import Lane
from collector.dispatch.purse import Means, Purse
from collector.errors import NoPermit, NoThread
from collector.host.alarm import Alarm
from collector.host.workers import Seat, Workers
from collector.model import Call, Doing
from collector.sources import python
from collector.sources.answer import Answer, Good, Later, Unreadable
from collector.sources.python import Function
from collector.sources.request import Request
from collector.sources.returned import Ended, Returned, gathered, is_stream, listed, told, whole
from collector.sources.work import Loop, Page, Work, doing
from collector.store.items import Items

ASKED = 2.0  # seconds that a thread has to end after it was asked to
NO_THREAD_DELAY = 5.0  # seconds until a run for which no thread could begin is tried again
_PART = 500  # items encoded on the loop without a pause

log = structlog.get_logger()


class Host:
    """What a run is given of the service."""

    __slots__ = ("_clock", "_items", "_purse")

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
        self._means = Means(self._further, self._client, lane.endpoint.spec.max_bytes, self._disk_trouble)
        self._work: Work | None = None  # of the run there is
        self._purse: Purse | None = None  # of that one too
        self._landing = Alarm(self._land)

    @property
    def doing(self) -> Doing | None:
        """What its run said last."""
        return doing(self._work) if self._work else None

    async def run(self) -> None:
        """As a consumer does."""
        try:
            await super().run()
        finally:
            self._landing.close()

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
        purse = self._purse = Purse(permit, self._means)
        loop = None if seat is None else Loop(asyncio.get_running_loop())
        work = self._work = Work(call.keys[0], lane.endpoint.spec.options, Host(purse, self._items, self._clock), loop)
        lane.taken.sent(call)
        try:
            ended = await (self._on_loop(work, purse) if seat is None else self._in_thread(work, purse, seat))
            purse.land()
            permit.returned(ended.reading.returned if isinstance(ended.reading, Good) else 0)
            await self._tell(call, ended, began)
        finally:
            purse.land()
            self._landing.set(None)
            lane.taken.landed()
            self._work = self._purse = None
            if loop:
                loop.end()

    def _land(self) -> None:
        if self._purse:
            self._purse.land()

    async def _further(self) -> Permit:
        """A permit for one more request. NoPermit where the source is no longer declared."""
        await self._lane.room.enough()
        try:
            permit = await self._ledger.draw(self._lane.name, 1)
        except KeyError as error:
            raise NoPermit(f"the source {self._lane.name} is no longer declared") from error
        self._lane.trouble = None  # the ledger can write
        return permit

    async def _on_loop(self, work: Work, purse: Purse) -> Ended:
        """How an async function ended. One that waits for nothing is done before a clock is set for it."""
        returned = self._returned(work)
        try:
            is_over, value = step.first(self._function, work)
            if is_over and (value is None or isinstance(value, dict)):
                return whole(returned, value)
        except BaseException as error:  # whatever a stranger's function raises; a Ctrl-C of ours is no exception here
            return told(work.id, error)
        rest = _gathered(returned, value) if is_over else _awaited(returned, value)
        ended = await self._in_time(work, purse, _caught(work, rest))
        return ended or Ended(Unreadable("timeout", self._no_end))

    async def _in_thread(self, work: Work, purse: Purse, seat: Seat) -> Ended:
        """How a plain function ended. After its time its thread may go on: then nobody else has this ID."""
        if self._workers.kept_for(self._lane.name, work.id):
            return Ended(Later(retry.LONGEST, "timeout", "the thread of a run that timed out still works on it"))
        called = partial(_called, self._function, work, self._returned(work))
        try:
            ended = await self._in_time(work, purse, self._threaded(work, seat, called))
        except NoThread as error:
            return await self._without_thread(error)
        if ended:
            return ended
        goes_on = ". Its thread goes on and keeps its place until it ends" if seat.key else ""
        return Ended(Later(retry.LONGEST, "timeout", self._no_end + goes_on))

    async def _without_thread(self, error: NoThread) -> Ended:
        """The ID is put off; and its place waits, since the next run would fare no better."""
        log.error("no_thread_begins", source=self._lane.name, why=str(error))
        await asyncio.sleep(NO_THREAD_DELAY)
        return Ended(Later(NO_THREAD_DELAY, "no-thread", "the machine begins no further thread"))

    async def _in_time(self, work: Work, purse: Purse, rest: Coroutine[Any, Any, Ended]) -> Ended | None:
        """How a run that takes its time ends; None where it was asked to end since that was over."""
        seconds = self._lane.endpoint.spec.timeout
        try:
            with self._client.deadlines.within(seconds) as deadline:
                purse.waits(deadline, self._landing, asyncio.get_running_loop().time())
                return await rest
        except TimeoutError:
            work.end()
            log.warning("run_timed_out", source=self._lane.name, id=work.id, seconds=seconds)
            return None

    async def _threaded(self, work: Work, seat: Seat, called: Callable[[], Ended]) -> Ended:
        """A call to its end, in a thread. Cancelled, it asks it to end and gives it a moment."""
        try:
            ended: Ended = await seat.begin(work.id, called)
        except asyncio.CancelledError:
            work.end()
            if not seat.withdraw() and self.stopping:
                await seat.over(timeout=ASKED)
            raise
        return ended

    @property
    def _no_end(self) -> str:
        return f"no end within {self._lane.endpoint.spec.timeout:g} s; a longer `timeout` gives it more"

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
        await self._record(self._result(call, verdict, attempt))

    def _why_stopped(self, reading: Unreadable) -> str:
        call, resume = self._lane.endpoint.spec.call, f"collector resume --source {self._lane.name}"
        what = f"{ALIKE_STOPS} runs in a row ended with {reading.reason} and none was good ({reading.detail})"
        mend = f"mend {call}, then start the service anew; where it is right, `{resume}` goes on"
        return f"{what}: {mend}. No ID is lost"


def _called(function: Function, work: Work, returned: Returned) -> Ended:
    """A plain function to its end, in its thread; whatever it raises is told."""
    try:
        return gathered(returned, function(work), lambda: work.cancelled.is_set())  # looked at for a list alone
    except BaseException as error:
        return told(work.id, error)


async def _caught(work: Work, rest: Coroutine[Any, Any, Ended]) -> Ended:
    """How what is left of an async function ends. A cancel that nobody asked for is its own fault."""
    try:
        return await rest
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task and task.cancelling():
            work.cancelled.set()
            raise
        return told(work.id, error)
    except BaseException as error:
        return told(work.id, error)


async def _awaited(returned: Returned, value: Any) -> Ended:
    """What an async function gave, to its end."""
    return await _gathered(returned, value if is_stream(value) else await value)


async def _gathered(returned: Returned, value: Any) -> Ended:
    """What it returned, to its end; in parts, lest a long list, or a stream that never waits, holds up everybody
    else."""
    if value is None or isinstance(value, dict):
        return whole(returned, value)
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
