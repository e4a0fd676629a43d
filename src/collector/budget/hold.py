"""Why a call may not go now, and the queue in which it waits."""

from dataclasses import dataclass
from typing import Protocol


class Waiter(Protocol):
    """Somebody who looks again when it is stirred."""

    def stir(self) -> None:
        """Something may have come free."""


class Queue(Protocol):
    """What several wait for in the order of coming."""

    name: str

    def line_up(self, who: Waiter) -> None:
        """From now on those who come later wait until `who` went, or left."""

    def leave(self, who: Waiter) -> None:
        """`who` no longer waits here."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no call may go, and until when on the monotonic clock; infinity where only an answer can tell."""

    until: float
    why: str
    window: str = ""  # that is spent, in words
    queue: Queue | None = None  # in which to wait, where others wait for the same
