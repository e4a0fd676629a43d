"""One call after the other: draw from the budget, ask, weigh the answer, hand the outcomes over."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import structlog

from collector.budget.freeze import Signal
from collector.budget.ledger import Ledger
from collector.budget.permit import NO_PERMIT_DELAY, Permit
from collector.clock import Clock
from collector.dispatch.judge import HELD_BACK, Judge, Outcomes, Verdict
from collector.dispatch.lane import DISK_DELAY, Lane
from collector.errors import NoPermit, RequestError, StoreBusy
from collector.model import Attempt, Call, Offspring, PutOff, Result
from collector.sources import answer, auth
from collector.sources.answer import Answer, Faulty, Good, Missing, Reading, Refused, Stopped, Unreadable
from collector.sources.http import Client
from collector.sources.request import Endpoint
from collector.sources.rules import Do
from collector.sources.ruling import Ruling, ruling

_LIMIT_HEADER = re.compile(r"(x-)?rate-?limit(-.*)?|retry-after|date", re.IGNORECASE)

Bear: TypeAlias = Callable[[Outcomes], tuple[Offspring, ...]]  # what outcomes make for a chain
Record: TypeAlias = Callable[[Result], Awaitable[None]]

log = structlog.get_logger()


class Waits:
    """How often a call was told to wait, and since when (loop time)."""

    def __init__(self) -> None:
        self.times, self.since = 0, 0.0

    def count(self, now: float) -> None:
        """It was told to wait once more."""
        self.since = self.since if self.times else now
        self.times += 1


@dataclass(frozen=True, slots=True)
class Tools:
    """What consumers of every source work with."""

    bear: Bear
    ledger: Ledger
    client: Client
    record: Record
    clock: Clock


class Consumer:
    """The actor that carries calls of one source as it is declared; several share its lane and its judge."""

    def __init__(self, lane: Lane, judge: Judge, tools: Tools) -> None:
        self._lane, self._judge = lane, judge
        self._bear, self._record = tools.bear, tools.record
        self._ledger, self._client, self._clock = tools.ledger, tools.client, tools.clock
        self.in_the_air = False  # a stop or a reload waits for it
        self.stopping = False

    @property
    def source(self) -> str:
        """Whose calls it carries."""
        return self._lane.name

    async def run(self) -> None:
        """Carries calls until it is cancelled or told to stop."""
        while not self.stopping:
            await self._carry(await self._lane.queue.get())

    async def _carry(self, call: Call) -> None:
        waits, done = Waits(), False
        try:
            while not (done or self.stopping) and self._lane.is_wanted(call):
                if self._lane.held:
                    await self._lane.running()
                if not self._lane.breaker.closed:
                    await self._lane.breaker.passable()
                try:
                    done = await self._try(call, waits)
                except StoreBusy as error:
                    await self._disk_trouble(error)
        finally:
            if not done:
                self._lane.taken.give_back(call.jobs)

    async def _try(self, call: Call, waits: Waits) -> bool:
        """Whether the call came to something; if not it was told to wait, or could not leave yet."""
        with await self._ledger.draw(self._lane.name, len(call.jobs), len(call.keys)) as permit:
            if self._lane.held or not self._lane.is_wanted(call) or not self._lane.breaker.claim():
                return False
            self.in_the_air = True
            try:
                if not self._lane.breaker.closed and (control := self._judge.control(call)):
                    await self._ask(control, permit, Waits())
                    return False
                return await self._ask(call, permit, waits)
            finally:
                self.in_the_air = False

    async def _disk_trouble(self, error: StoreBusy) -> None:
        """The ledger cannot write what leaves, so nothing leaves: only that keeps a limit over a kill."""
        if self._lane.trouble is None:
            log.error("ledger_cannot_be_written", source=self._lane.name, why=str(error))
        self._lane.trouble = str(error)
        await asyncio.sleep(DISK_DELAY)

    async def _ask(self, call: Call, permit: Permit, waits: Waits) -> bool:
        """Sends the call and hands over its outcomes; False when it was told to wait and is to be sent again."""
        was_closed = self._lane.breaker.closed
        began = self._clock.mono()
        self._lane.taken.sent(call)
        try:
            got = await self._client.ask(self._lane.endpoint, call.keys, permit, call.cursor)
        except RequestError as error:
            verdict = self._weigh(call, without_answer(error), was_closed=was_closed)
            await self._record(self._result(call, verdict, self._attempt(None, {}, error.reason, began)))
        except NoPermit:
            verdict = Verdict(tuple((job, PutOff(NO_PERMIT_DELAY, "no-permit")) for job in call.jobs))
            await self._record(self._result(call, verdict, None))
        except StoreBusy:
            self._lane.taken.back(call)
            raise
        else:
            self._lane.trouble = None  # what left was written down
            fits = ruling(self._lane.endpoint.spec, call.keys, got.status, got.body)
            if permit.answered(heard(got.status, fits), got.headers) is Signal.WAIT:
                return await self._told_to_wait(call, got, began, waits)
            reading = answer.read_by(fits, self._lane.endpoint.spec, call.keys, got)
            reading = _masked(reading, self._lane.endpoint)
            permit.returned(reading.returned if isinstance(reading, Good) else None)
            verdict = self._weigh(call, reading, was_closed=was_closed)
            attempt = self._attempt(got.status, got.headers, verdict.reason, began) if verdict.reason else None
            await self._record(self._result(call, verdict, attempt, reading))
        finally:
            self._lane.taken.landed()
        return True

    async def _told_to_wait(self, call: Call, got: Answer, began: float, waits: Waits) -> bool:
        reason = f"http-{got.status}" if got.status >= 400 else "told-to-wait"
        waits.count(asyncio.get_running_loop().time())
        attempt = self._attempt(got.status, got.headers, reason, began)
        log.info("told_to_wait", source=self._lane.name, status=got.status, ids=len(call.keys))
        if waits.times >= HELD_BACK:
            verdict = self._judge.held_back(call, reason, waits.since)
            await self._record(self._result(call, verdict, attempt))
            return True
        self._lane.taken.back(call)
        result = Result(self._lane.name, call.jobs, (), at=self._clock.wall(), attempt=attempt, sent=False)
        await self._record(result)
        return False

    def _weigh(self, call: Call, reading: Reading, *, was_closed: bool) -> Verdict:
        lane = self._lane
        away = not lane.breaker.closed
        verdict = self._judge.weigh(call, reading, asyncio.get_running_loop().time(), was_closed=was_closed)
        if verdict.reason is not None and not isinstance(reading, Good):
            log.info("call_failed", source=lane.name, reason=verdict.reason, detail=reading.detail, ids=len(call.keys))
        if verdict.opened:
            log.warning("origin_is_down", origin=lane.breaker.origin, source=lane.name, reason=verdict.reason)
        if away and lane.breaker.closed:
            log.warning("origin_is_back", origin=lane.breaker.origin, source=lane.name)
        if verdict.shrunk is not None:
            log.warning("answers_are_cut_short", source=lane.name, pack=verdict.shrunk)
        self._stop_by(verdict)
        return verdict

    def _stop_by(self, verdict: Verdict) -> None:
        if verdict.stop is not None and self._lane.stopped is None:
            log.error("source_stopped", source=self._lane.name, why=verdict.stop)
            self._lane.stop(verdict.stop)

    def _result(self, call: Call, verdict: Verdict, attempt: Attempt | None, reading: Reading | None = None) -> Result:
        extra = reading.extra if isinstance(reading, Good) else None
        born = self._bear(verdict.outcomes)
        at = self._clock.wall()
        return Result(self._lane.name, call.jobs, verdict.outcomes, at, extra=extra, attempt=attempt, offspring=born)

    def _attempt(
        self, status: int | None, headers: Mapping[str, str], reason: str, began: float, traceback: str = ""
    ) -> Attempt:
        seen = {name.lower(): value[:200] for name, value in headers.items() if _LIMIT_HEADER.fullmatch(name)}
        took = round(self._clock.mono() - began, 3)
        return Attempt(self._clock.wall(), status, reason, msgspec.json.encode(seen).decode(), took, traceback)


def _masked(reading: Reading, endpoint: Endpoint) -> Reading:
    """What an answer says, without the source's secrets: some servers repeat the URL or the header."""
    if not endpoint.spec.secrets:
        return reading
    if not isinstance(reading, Good):
        return msgspec.structs.replace(reading, **endpoint.masked_words(reading.reason, reading.detail))
    masked = {
        key: msgspec.structs.replace(lost, **endpoint.masked_words(lost.reason, lost.detail))
        for key, lost in reading.gone.items()
    }
    return msgspec.structs.replace(reading, gone=masked)


def heard(status: int, fits: Ruling | None) -> int:
    """The status as the budget hears it: an `on` rule says what is a wait and what is none."""
    match fits and fits.do:
        case None:
            return status
        case Do.WAIT:
            return 429
        case Do.OK:
            return 200
        case _:
            return 400


def without_answer(error: RequestError) -> Reading:
    """What is to be made of a call that ended so."""
    match error.reason:
        case "malformed":
            return Refused(0, error.reason, error.detail)
        case "cursor":
            return Missing(error.reason, error.detail)  # kept while `next` was declared otherwise
        case "timeout" | "connection":
            return Faulty(error.reason, error.detail)
        case auth.REFUSED:
            return Stopped(error.reason, error.detail)
        case _:
            return Unreadable(error.reason, error.detail)
