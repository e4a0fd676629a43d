"""How batches and sources stand after an order, as it is answered."""

from collections.abc import Sequence

import msgspec

from collector.dispatch.controller import Ordered
from collector.model import SourceLive


class Resumed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose stop or pause was ended, and how the others stand; `drain`: it has ended with them."""

    resumed: tuple[str, ...]
    not_stopped: dict[str, SourceLive]
    drain: bool = False


class Draining(msgspec.Struct, frozen=True):
    """A drain; `changed`: by this order. With the batches that go on, and their open jobs."""

    changed: bool
    batches: int
    open: int


class Paused(msgspec.Struct, frozen=True):
    """Which sources are paused by an order, and which were before."""

    paused: tuple[str, ...]
    paused_before: tuple[str, ...]


class Standing(msgspec.Struct, frozen=True):
    """A batch after an order, and whether the order changed it."""

    id: int
    folder: str
    source: str
    parent: int | None
    state: str
    priority: int
    pause_wanted: bool  # it is loading, and paused from then on
    changed: bool
    total: int
    open: int  # jobs that were open at the order


class Retried(Standing, frozen=True):
    """A batch after a retry."""

    retried: int  # jobs that are asked again


class Again(msgspec.Struct, frozen=True):
    """What is asked again: the batches with any of it, and a batch that the order named."""

    retried: int
    batches: tuple[Retried, ...]


class Stood(msgspec.Struct, frozen=True):
    """The batch that an order was for, and all below it, each before its children; of an order for a source, or for
    everything, the batches that it changed."""

    batches: tuple[Standing, ...]


def stood(told: Sequence[Ordered]) -> Stood:
    """The answer to an order for batches."""
    return Stood(tuple(map(_standing, told)))


def again(told: Sequence[Ordered]) -> Again:
    """The answer to a retry."""
    batches = tuple(Retried(**msgspec.structs.asdict(_standing(one)), retried=one.retried) for one in told)
    return Again(sum(batch.retried for batch in batches), batches)


def _standing(told: Ordered) -> Standing:
    batch = told.batch
    return Standing(
        id=batch.id,
        folder=batch.folder,
        source=batch.source,
        parent=batch.parent,
        state=batch.state.value,
        priority=batch.priority,
        pause_wanted=batch.pause_wanted,
        changed=told.changed,
        total=told.total,
        open=told.open,
    )
