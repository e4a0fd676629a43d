"""The line of `systemctl status`."""

from datetime import UTC
from zoneinfo import ZoneInfo

from collector.model import Live, Outlook, SourceLive, Trouble, Wait, WindowAhead
from collector.output.headline import headline
from collector.output.snapshot import Snapshot
from collector.output.status import snapshot
from collector.store.store import Store
from tests.output.given import LIVE, SPECS, Standing, live, taken_in

KEYS = [str(n) for n in range(812)]


def taken(store: Store, clock: Standing, state: Live = LIVE) -> Snapshot:
    return snapshot(store, state, SPECS, 1_799_999_000.0, clock)


async def test_an_idle_service_says_so(store: Store, clock: Standing) -> None:
    """With nothing that could change by itself."""
    assert headline(taken(store, clock), UTC) == "nothing to do"


async def test_it_says_what_is_open_what_it_waits_for_and_when_it_ends(store: Store, clock: Standing) -> None:
    """Times of today by the clock alone, others with their day, in one zone that is named once."""
    await taken_in(store, KEYS)
    spent = (WindowAhead("posts", "calls", 1, 86_400.0, 0, ((86_400.0, 1),)),)
    state = live(
        waiting=(Wait("posts", clock.wall() + 1_800, 812, "window spent", ("posts",)),),
        outlook=lambda _: Outlook(spent, round_trip=0.1),
    )
    told = headline(taken(store, clock, state), UTC)
    assert told.startswith("812 of 812 IDs open, 812 waiting for posts until 08:30, ends ")
    assert told.endswith(" UTC")
    assert "until 03:30, ends" in headline(taken(store, clock, state), ZoneInfo("America/New_York"))
    assert len(headline(taken(store, clock, state)).splitlines()) == 1


async def test_what_wants_a_hand_comes_first(store: Store, clock: Standing) -> None:
    """A disk that is unwell, a source that has stopped."""
    await taken_in(store, KEYS)
    state = live(
        state="degraded",
        troubles=(Trouble("disk", "database or disk is full", "/var/lib/collector", clock.wall()),),
        sources={"posts": SourceLive("stopped", "the key is refused")},
    )
    told = headline(taken(store, clock, state), UTC)
    assert told.startswith("degraded: database or disk is full, posts is stopped, 812 of 812 IDs open")


async def test_a_stop_says_that_it_is_one(store: Store, clock: Standing) -> None:
    """With what is left."""
    await taken_in(store, KEYS)
    assert headline(taken(store, clock, live(state="draining", stopping=True)), UTC).startswith(
        "stopping, 812 of 812 IDs open"
    )
