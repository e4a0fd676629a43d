"""What `/healthz` answers."""

from collector.model import SourceLive, Trouble
from collector.output.health import Health, health
from collector.store.store import Store
from tests.output.given import found, live, recorded, taken_in

STOPPED = live(sources={"posts": SourceLive("stopped", "no credit left")})


async def test_a_stopped_source_that_owes_ids_is_ill(store: Store) -> None:
    """Somebody has to do something; once nothing is owed nobody has to."""
    assert health(store, STOPPED) == Health(True)
    batch = await taken_in(store, ["1"])
    assert health(store, STOPPED) == Health(False, "source posts is stopped: no credit left")
    await recorded(store, batch.id, {"1": found("1")})
    assert health(store, STOPPED) == Health(True)


async def test_a_source_that_is_down_is_told_and_well(store: Store) -> None:
    """It is probed and goes on by itself."""
    await taken_in(store, ["1"])
    down = live(sources={"posts": SourceLive("down", "it does not answer")})
    assert health(store, down) == Health(True, "source posts is down: it does not answer")


async def test_a_disk_that_takes_nothing_is_ill(store: Store) -> None:
    """Other troubles, as a file that was rejected, are not."""
    troubles = (Trouble("rejected", "no IDs in it", "rejected/a", 0.0), Trouble("disk", "disk full", "state", 0.0))
    assert health(store, live(troubles=troubles)) == Health(False, "disk full")
    assert health(store, live(troubles=troubles[:1])) == Health(True)
