"""A ledger on a stage of virtual time."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from collector.budget.ledger import Ledger
from tests.budget.virtual import VirtualClock, run

Scene: TypeAlias = Callable[[Ledger, VirtualClock], Awaitable[None]]


def play(path: Path, scene: Scene, consumers: int = 16) -> None:
    """Runs a scene with a ledger of its own."""

    async def main() -> None:
        clock = VirtualClock()
        ledger = Ledger.open(path, clock, consumers)
        await scene(ledger, clock)
        ledger.close()

    run(main())
