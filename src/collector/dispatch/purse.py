"""What one run of a Python source draws from its budgets: a call for itself, and one for each further request."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import NamedTuple

from collector.budget.freeze import Signal
from collector.budget.permit import Permit
from collector.dispatch.judge import HELD_BACK
from collector.errors import NoPermit, RequestError, StoreBusy
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


class Purse:
    """The permits of a run. It never waits for one while it holds another that nobody uses, so no two runs can wait
    for each other."""

    def __init__(
        self,
        own: Permit,
        draw: Callable[[], Awaitable[Permit]],
        client: Client,
        max_bytes: int,
        trouble: Callable[[StoreBusy], Awaitable[None]],
    ) -> None:
        self._own: Permit | None = own  # until a request goes with it, or the run has landed
        self._draw, self._client, self._max_bytes, self._trouble = draw, client, max_bytes, trouble
        self._deadline: Deadline | None = None
        self._timer = asyncio.get_running_loop().call_later(LANDS, self.land)

    def counts(self, deadline: Deadline) -> None:
        """From now on waiting stops this deadline."""
        self._deadline = deadline

    def land(self) -> None:
        """The run itself is no call in the air any more: what it did not ask for it will draw for."""
        self._timer.cancel()
        own, self._own = self._own, None
        if own:
            own.answered(200, {})

    async def send(self, request: Request, timeout: float) -> Answer:
        """The answer to a request, sent again after each wait that the API asked for."""
        letter = Letter(request, timeout)
        for _ in range(HELD_BACK):
            own, self._own = self._own, None
            if own and own.frozen:
                own.answered(200, {})
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
            await self._trouble(error)
            return None

    async def _drawn(self) -> Permit:
        if self._deadline is None:
            return await self._draw()
        with self._deadline.stopped():
            return await self._draw()

    async def _ask(self, letter: Letter, permit: Permit, wire: Wire) -> Answer | None:
        """The answer; None where it said to wait, or nothing could leave."""
        try:
            got = await self._client.send(letter.request, wire, letter.timeout, self._max_bytes)
        except NoPermit as error:
            if wire.left:
                raise RequestError("no-permit", f"a redirect had no call left: {error}") from error
            return None
        return None if permit.answered(got.status, got.headers) is Signal.WAIT else got
