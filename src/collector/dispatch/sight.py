"""What is known of a source at one moment, and what its time goes into then."""

from collections.abc import Mapping

import msgspec

from collector.budget.ledger import Ledger
from collector.dispatch.dispatcher import Dispatcher
from collector.dispatch.lane import Lane
from collector.model import BatchState, State, Why
from collector.store.batches import Batch
from collector.store.store import Store


class Sight(msgspec.Struct, frozen=True):
    """One source at one moment, from memory alone."""

    loading: bool = False  # IDs of a batch are being taken in
    asked: bool = False  # IDs are owed that may be asked
    resting: bool = False  # IDs are owed that wait for a person: held or paused, by batch or source
    put_off: bool = False  # of those that may be asked all are delayed, and none is due
    calls: bool = False  # calls are in the air
    waits: bool = False  # calls wait for a budget
    state: str = "running"  # as in SourceLive
    disk: bool = False  # outcomes or sends cannot be written, or have no room


def why(sight: Sight) -> Why:
    """What the time of the source goes into; the first that fits, from what only a person ends to our own work."""
    active = sight.loading or sight.asked or sight.calls
    for fits, reason in (
        (not active and not sight.resting, Why.IDLE),
        (not active, Why.PAUSED),
        (sight.disk, Why.DISK),
        (sight.state == "stopped", Why.STOPPED),
        (sight.state == "down", Why.DOWN),
        (sight.waits, Why.WINDOW),
        (sight.calls, Why.NETWORK),
        (sight.put_off and not sight.loading, Why.BACKOFF),
    ):
        if fits:
            return reason
    return Why.BUSY


def sights(store: Store, dispatcher: Dispatcher, ledger: Ledger) -> Mapping[str, Sight]:
    """Every source that is declared, as it is now."""
    lanes = dispatcher.lanes
    batches: dict[str, list[Batch]] = {name: [] for name in lanes}
    for batch in store.batches.ongoing():
        if batch.source in batches:
            batches[batch.source].append(batch)
    waiting = {source for wait in ledger.waits() for source in wait.sources}
    sources, disk = dispatcher.sources(), bool(dispatcher.recorder.trouble or dispatcher.room.trouble)
    return {
        name: _sight(
            store,
            lane,
            batches[name],
            waits=name in waiting,
            state=sources[name].state,
            disk=disk or lane.trouble is not None,
        )
        for name, lane in lanes.items()
    }


def _sight(store: Store, lane: Lane, batches: list[Batch], *, waits: bool, state: str, disk: bool) -> Sight:
    states = {batch.state for batch in batches}
    asked = any(store.batches.is_open(batch.id) for batch in batches)
    return Sight(
        loading=BatchState.LOADING in states,
        asked=asked,
        resting=not states.isdisjoint((BatchState.HELD, BatchState.PAUSED))
        or (BatchState.OPEN in states and not asked),
        put_off=not lane.taken.jobs and _all_delayed(store, batches),
        calls=lane.taken.calls > 0,
        waits=waits,
        state=state,
        disk=disk,
    )


def _all_delayed(store: Store, batches: list[Batch]) -> bool:
    """No row is left that the feeder has not read; what is due it reads within a tenth of a second."""
    return not any(store.books.count(batch.id, State.QUEUED) for batch in batches if store.batches.is_open(batch.id))
