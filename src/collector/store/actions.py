"""Who ordered what: a row of `actions` in the transaction of the change that it names."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from collector.clock import Clock, stamp
from collector.model import BatchId
from collector.store.database import Write, json_text

Target: TypeAlias = BatchId | str | None  # a batch with all below it, a source by its name; None: everything


class Order(msgspec.Struct, frozen=True):
    """What somebody wants done, to what."""

    what: str
    of: Target
    who: str = "cli"  # or http
    options: Mapping[str, object] = {}


class Actions:
    """The actions table; it is only written here, for people and their queries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def note(self, write: Write, order: Order, outcome: str) -> int:
        """The number of the row that tells of an order and what came of it."""
        return await write.insert(
            "INSERT INTO actions (at, what, of, who, options, outcome) VALUES (?, ?, ?, ?, ?, ?)",
            (stamp(self._clock.wall()), order.what, named(order.of), order.who, json_text(order.options), outcome),
        )

    async def go_on(self, write: Write, action: int, outcome: str) -> None:
        """More came of an order."""
        await write.change("UPDATE actions SET outcome = ? WHERE id = ?", (outcome, action))


def named(target: Target) -> str:
    """A target in words."""
    if target is None:
        return "all"
    return f"source {target}" if isinstance(target, str) else f"batch {target}"
