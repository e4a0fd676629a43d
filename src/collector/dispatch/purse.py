"""What one run of a Python source draws from its budgets: a call for itself, and one for each further request."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

from collector.budget.freeze import Signal
from collector.budget.permit import Permit
from collector.dispatch.judge import HELD_BACK
from collector.errors import NoPermit, RequestError, StoreBusy
from collector.host.alarm import Alarm
from collector.host.deadline import Deadline
from collector.sources.answer import Answer
from collector.sources.http import Client
from collector.sources.request import Request

LANDS = 5.0  # seconds; a run that has asked for nothing till then is no longer a call in the air


class Letter(NamedTuple):
    """A request, and how long its answer may take."""

    request: Request
    timeout: float


class Wire:
    """A permit as the client spends it, which knows whether anything left; that of the run itself is spent already."""

    def __init__(self, permit: Permit, *, spent: bool) -> None:
        self._permit, self._spent = permit, spent
        self.left = False

    def spend(self) -> None:
        """As `Permit.spend`."""
        if not self._spent:
            self._permit.spend()
        self._spent, self.left = False, True

    def unsent(self) -> None:
        """As `Permit.unsent`."""
        self._permit.unsent()


@dataclass(frozen=True, slots=True)
class Means:
    """What the purses of all runs of a source have in common."""

    draw: Callable[[], Awaitable[Permit]]
    client: Client
    max_bytes: int
    trouble: Callable[[StoreBusy], Awaitable[None]]


class Purse:
    """The permits of a run. It never waits for one while it holds another that nobody uses, so no two runs can wait
    for each other."""

    __slots__ = ("_deadline", "_means", "_own")

    def __init__(self, own: Permit, means: Means) -> None:
        self._own: Permit | None = own  # until a request goes with it, or the run has landed
        self._means = means
        self._deadline: Deadline | None = None

    def waits(self, deadline: Deadline, landing: Alarm, now: float) -> None:
        """The run takes its time (`now` in loop time): its own waiting stops this deadline, and `landing` is to ring
        when it must land."""
        self._deadline = deadline
        landing.set(now + LANDS)

    def land(self) -> None:
        """The run itself is no call in the air any more: what it did not ask for it will draw for."""
        own, self._own = self._own, None
        if own:
            own.landed()

    async def send(self, request: Request, timeout: float) -> Answer:
        """The answer to a request, sent again after each wait that the API asked for."""
        letter = Letter(request, timeout)
        for _ in range(HELD_BACK):
            own, self._own = self._own, None
            if own and own.frozen:
                own.landed()
                own = None
            got = await (self._ask_first(letter, own) if own else self._ask_anew(letter))
            if got:
                return got
        raise RequestError("held-back", f"told to wait {HELD_BACK} times")

    async def _ask_first(self, letter: Letter, own: Permit) -> Answer | None:
        with ExitStack() as unless_answered:
            unless_answered.enter_context(own)
            got = await self._ask(letter, own, Wire(own, spent=True))
            unless_answered.pop_all()  # the objects that the function will return are counted with it
            return got

    async def _ask_anew(self, letter: Letter) -> Answer | None:
        try:
            with await self._drawn() as permit:
                got = await self._ask(letter, permit, Wire(permit, spent=False))
                permit.returned(0)  # objects are counted when the function returns them
                return got
        except StoreBusy as error:
            await self._means.trouble(error)
            return None

    async def _drawn(self) -> Permit:
        if self._deadline is None:
            await asyncio.sleep(0)  # so that the run is known to wait, and has a deadline
        if self._deadline is None:
            return await self._means.draw()
        with self._deadline.stopped():
            return await self._means.draw()

    async def _ask(self, letter: Letter, permit: Permit, wire: Wire) -> Answer | None:
        """The answer; None where it said to wait, or nothing could leave."""
        try:
            got = await self._means.client.send(letter.request, wire, letter.timeout, self._means.max_bytes)
        except NoPermit as error:
            if wire.left:
                raise RequestError("no-permit", f"a redirect had no call left: {error}") from error
            return None
        return None if permit.answered(got.status, got.headers) is Signal.WAIT else got
