"""Simulated limiters in virtual time, with clocks of their own and headers in whole seconds."""

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from random import Random

from collector.budget.freeze import Signal
from collector.budget.ledger import Ledger
from tests.budget.virtual import VirtualClock


@dataclass
class Server:
    """A window of `limit` calls; `kind`: fixed (from its first call), clock (whole ones of its clock), moving or swc.

    swc is the sliding window counter: the window before counts by the share of it that is still in the last `seconds`.
    """

    clock: VirtualClock
    limit: int = 90
    seconds: float = 9.0
    kind: str = "fixed"
    style: str = "x"  # x: a moment, rounded up; floor: rounded down; left: seconds to go, rounded down; silent
    skew: float = 0.0
    policy: bool = False  # names its window by `w=`
    lost: float = 0.0  # the share of answers that come without their headers, as from a gateway
    one_at_a_time: float = 0.0  # seconds that it works on each call, one after the other
    granted: list[float] = field(default_factory=list)
    refused: int = 0
    random: Random = field(default_factory=lambda: Random(1))
    ends: float = -math.inf
    previous: int = 0
    bin: int = 0
    counted: deque[float] = field(default_factory=deque)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def now(self) -> float:
        return self.clock.wall() + self.skew

    def count(self) -> bool:
        """One call, ours or another's: True when it is granted."""
        now = self.now
        if self.kind == "swc":
            self._turn()
            if self._weighted() >= self.limit:
                return False
            self.counted.append(now)
            return True
        if self.kind == "moving":
            while self.counted and self.counted[0] + self.seconds <= now:
                self.counted.popleft()
        elif now >= self.ends:
            self.counted.clear()
            self.ends = now + self.seconds if self.kind == "fixed" else (now // self.seconds + 1) * self.seconds
        if len(self.counted) >= self.limit:
            return False
        self.counted.append(now)
        return True

    def _turn(self) -> None:
        bins = int(self.now // self.seconds)
        if bins > self.bin:
            self.previous = len(self.counted) if bins == self.bin + 1 else 0
            self.bin = bins
            self.counted.clear()

    def _weighted(self) -> float:
        return self.previous * (1 - self.now / self.seconds % 1) + len(self.counted)

    def _ends(self) -> float:
        if self.kind == "moving":
            return self.counted[0] + self.seconds
        if self.kind != "swc":
            return self.ends
        left = self.seconds - self.now % self.seconds
        return self.now + (left % (self.seconds / self.previous) if self.previous else left)

    def headers(self) -> dict[str, str]:
        if self.style == "silent" or (self.lost and self.random.random() < self.lost):
            return {}
        ends = self._ends()
        reset = {"x": math.floor(ends + 1), "floor": math.floor(ends), "left": math.floor(ends - self.now)}[self.style]
        said = {"x-rate-limit-limit": self.limit, "x-rate-limit-reset": reset}
        used = math.floor(self._weighted()) if self.kind == "swc" else len(self.counted)
        said["x-rate-limit-remaining"] = max(0, self.limit - used)
        told = {name: str(value) for name, value in said.items()}
        if self.policy:
            told["x-rate-limit-policy"] = f"{self.limit};w={self.seconds:.0f}"
        return told | {"Date": formatdate(math.floor(self.now), usegmt=True)}

    async def visit(self) -> tuple[int, dict[str, str]]:
        """There, the verdict, and back: 20 to 50 ms."""
        await asyncio.sleep(self.random.uniform(0.01, 0.025))
        if self.one_at_a_time:
            async with self.turn:
                await asyncio.sleep(self.one_at_a_time)
        granted = self.count()
        if granted:
            self.granted.append(self.clock.mono())
        self.refused += not granted
        headers = self.headers()
        await asyncio.sleep(self.random.uniform(0.01, 0.025))
        return (200 if granted else 429), headers

    def steady(self) -> float:
        """The use of the windows from the second to the last that was begun, in a long run."""
        last = (len(self.granted) - 1) // self.limit * self.limit
        seconds = self.granted[last] - self.granted[self.limit]
        return (last - self.limit) * self.seconds / self.limit / seconds


async def collect(ledger: Ledger, server: Server, calls: int, parallel: int = 16) -> None:
    """So many calls of source x, by that many callers."""
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            signal = Signal.WAIT
            while signal is Signal.WAIT:
                with await ledger.draw("x", 1) as permit:
                    permit.spend()
                    signal = permit.answered(*await server.visit())

    async with asyncio.TaskGroup() as tasks:
        for _ in range(parallel):
            tasks.create_task(caller())
