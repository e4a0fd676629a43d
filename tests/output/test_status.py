"""The snapshot and its text."""

from typing import Any

import msgspec

from collector.model import (
    BatchState,
    Gone,
    Live,
    Outlook,
    PutOff,
    SourceLive,
    State,
    Trouble,
    Wait,
    Why,
    Window,
    WindowAhead,
)
from collector.output.snapshot import Snapshot, SourceStatus, Spent
from collector.output.status import snapshot
from collector.output.text import SPENT, batch_text, text
from collector.sources.rules import Price
from collector.sources.spec import Spec
from collector.store.store import Store
from tests.output.given import LIVE, SPECS, Standing, found, live, recorded, taken_in

NINE = ["total", "queued", "running", "delayed", "found", "gone", "invalid", "failed", "cancelled"]


def taken(store: Store, clock: Standing, state: Live = LIVE) -> Snapshot:
    return snapshot(store, state, SPECS, 1_799_999_000.0, clock)


async def test_the_json_has_every_pinned_key(store: Store, clock: Standing) -> None:
    """Scripts find each key that product says, under its name and in its kind."""
    batch = await taken_in(store, ["1", "2"])
    state = live(
        waiting=(Wait("posts", clock.wall() + 60, 2, "window spent"),),
        budgets={"posts": (Window(900, 900.0, 88, 812, clock.wall() + 60),)},
    )
    got: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(taken(store, clock, state)))
    assert list(got)[:8] == [
        *("state", "version", "started_at", "now", "finish_from", "finish_at", "finish_to", "at_least")
    ]
    assert list(got["jobs"]) == NINE
    assert got["calls_in_the_air"] == 0
    assert got["at_least"] is False
    assert got["waiting"] == [
        {
            "budget": "posts",
            "until": "2027-01-15T08:01:00.000Z",
            "jobs": 2,
            "why": "window spent",
            "window": "",
            "sources": [],
        }
    ]
    assert list(got["batches"][0])[:9] == [
        *("id", "name", "source", "state", "jobs", "items", "finish_from", "finish_at", "finish_to")
    ]
    assert list(got["batches"][0]["jobs"]) == NINE
    assert got["batches"][0]["id"] == batch.id
    window = {"limit": 900, "window_s": 900, "used": 88, "left": 812, "resets_at": "2027-01-15T08:01:00.000Z"}
    assert got["budgets"] == {"posts": [window | {"unit": "calls", "next_at": None, "at": ""}]}
    assert isinstance(got["budgets"]["posts"][0]["window_s"], int)
    assert got["sources"] == {"posts": {"state": "running", "why": None}}
    assert got["troubles"] == []


async def test_running_jobs_are_taken_out_of_queued_or_delayed(store: Store, clock: Standing) -> None:
    """The total is the sum of the others, with jobs in the air counted once."""
    batch = await taken_in(store, ["1", "2", "3", "4", "5"])
    await recorded(store, batch.id, {"1": found("1"), "2": Gone("deleted"), "3": PutOff(5, "http-500")})
    state = live(running={(batch.id, State.QUEUED): 1, (batch.id, State.DELAYED): 1})
    jobs = taken(store, clock, state).batches[0].jobs
    assert (jobs.queued, jobs.running, jobs.delayed, jobs.found, jobs.gone) == (1, 2, 0, 1, 1)
    assert jobs == taken(store, clock, state).jobs
    assert jobs.total == 5


async def test_a_job_recorded_and_still_in_the_air_is_counted_once(store: Store, clock: Standing) -> None:
    """Between the commit and the end of the call no number is below zero."""
    batch = await taken_in(store, ["1"])
    await recorded(store, batch.id, {"1": found("1")})
    jobs = taken(store, clock, live(running={(batch.id, State.QUEUED): 1})).jobs
    assert (jobs.total, jobs.found, jobs.running, jobs.queued) == (1, 1, 0, 0)


async def test_reasons_are_counted_by_state(store: Store, clock: Standing) -> None:
    """A batch says why its IDs are not found."""
    batch = await taken_in(store, ["1", "2", "3"])
    await recorded(store, batch.id, {"1": Gone("deleted"), "2": Gone("deleted"), "3": PutOff(5, "absent")})
    assert taken(store, clock).batches[0].reasons == {"gone": {"deleted": 2}, "delayed": {"absent": 1}}


async def test_at_most_fifty_batches_are_listed_the_open_ones_first(store: Store, clock: Standing) -> None:
    """Open batches come in order, then those that ended, the latest first."""
    ended = []
    for number in range(55):
        clock.now += 1
        ended.append((await taken_in(store, [], name=f"empty{number}")).id)
    still = await taken_in(store, ["1"])
    listed = [batch.id for batch in taken(store, clock).batches]
    assert listed == [still.id, *reversed(ended[-49:])]


async def test_the_order_of_ending_survives_a_start(store: Store, clock: Standing) -> None:
    """What ended last is first, also when it was taken in first."""
    first, second = await taken_in(store, ["1"]), await taken_in(store, ["2"])
    await recorded(store, second.id, {"2": found("2")})
    clock.now += 60
    await recorded(store, first.id, {"1": found("1")})
    await store.batches.load()
    assert [batch.id for batch in store.batches.ended(50)] == [first.id, second.id]


async def test_a_loading_batch_says_how_far_it_is(store: Store, clock: Standing) -> None:
    """Its line grows while its file is read, and it has no finish time yet."""
    batch = await store.batches.begin("posts", "ids", "file", file="ids.txt")
    await store.batches.load_chunk(batch, ["1", "2"], 7)
    [shown] = taken(store, clock).batches
    assert (shown.state, shown.line, shown.jobs.total, shown.finish_at) == ("loading", 7, 2, None)
    assert "line 7" in text(taken(store, clock))


async def test_the_finish_is_a_range(store: Store, clock: Standing) -> None:
    """The likely end lies between the earliest and the latest, all after now, for everything and for the batch."""
    await taken_in(store, [str(number) for number in range(3_000)])
    got = taken(store, clock)
    for end in (got, got.batches[0]):
        assert end.finish_from
        assert end.finish_at
        assert end.finish_to
        assert got.now < end.finish_from <= end.finish_at <= end.finish_to
    assert "done about 2027-01-15 08:00:0" in text(got)
    assert "between" in text(got)


async def test_more_is_to_come_while_a_file_is_read_or_a_batch_is_paused(store: Store, clock: Standing) -> None:
    """Then the finish times are told as the least."""
    batch = await taken_in(store, ["1"])
    assert not taken(store, clock).at_least
    loading = await store.batches.begin("posts", "more", "file", file="more.txt")
    assert taken(store, clock).at_least
    await store.batches.open(loading, lines=0, refused=0, digest="", layout="", warnings=[])
    assert not taken(store, clock).at_least
    store.batches.keep(msgspec.structs.replace(batch, state=BatchState.PAUSED))
    assert taken(store, clock).at_least


async def test_nobody_knows_the_finish_of_a_source_that_is_stopped(store: Store, clock: Standing) -> None:
    """A stopped source is a trouble with its reason, and no finish time is made up."""
    await taken_in(store, ["1"])
    state = live(sources={"posts": SourceLive("stopped", "the key is refused")})
    got = taken(store, clock, state)
    assert (got.finish_from, got.finish_at, got.batches[0].finish_at) == (None, None, None)
    assert [(trouble.kind, trouble.what) for trouble in got.troubles] == [("stopped", "the key is refused")]


async def test_a_batch_whose_source_is_not_configured_is_a_trouble(store: Store, clock: Standing) -> None:
    """It says which table is missing."""
    await taken_in(store, ["1"], source="gone_source")
    [trouble] = taken(store, clock).troubles
    assert "[source.gone_source]" in trouble.what
    assert taken(store, clock).finish_at is None


async def test_warnings_of_a_batch_are_troubles(store: Store, clock: Standing) -> None:
    """IDs that passed through a float are told until a day after the batch's end."""
    batch = await taken_in(store, ["1"], warnings=["these IDs passed through a float"])
    await recorded(store, batch.id, {"1": found("1")})
    assert [trouble.what for trouble in taken(store, clock).troubles] == ["these IDs passed through a float"]
    assert "! 0001-ids: these IDs passed through a float" in text(taken(store, clock))
    clock.now += 90_000
    assert taken(store, clock).troubles == ()


async def test_live_troubles_are_told(store: Store, clock: Standing) -> None:
    """What the actors report stands in the snapshot, with its time as a stamp."""
    got = taken(store, clock, live(troubles=(Trouble("disk", "full", "/data", clock.wall()),)))
    assert msgspec.to_builtins(got.troubles[0]) == {
        "kind": "disk",
        "what": "full",
        "where": "/data",
        "since": "2027-01-15T08:00:00.000Z",
    }


async def test_the_text_fits_its_width_and_obeys_nobody(store: Store, clock: Standing) -> None:
    """No line is longer than a terminal, and no file name moves its cursor."""
    await taken_in(store, [str(number) for number in range(12)], name="x\x1b[2J" + "y" * 90)
    state = live(
        waiting=(Wait("posts", clock.wall() + 60, 2, "window spent", ("posts",), "1000 calls in 15 min"),),
        budgets={"posts": (Window(900, 900.0, 900, 0, clock.wall() + 60),)},
        sources={"posts": SourceLive("down", "it does not answer " * 20)},
    )
    got = taken(store, clock, state)
    page = text(got)
    assert max(map(len, page.splitlines())) <= 80
    assert max(map(len, batch_text(got.batches[0], got, got.now).splitlines()[2:])) <= 80
    assert "\x1b" not in page
    assert "12 IDs = 0 found + 0 gone + 0 invalid + 0 failed + 0 cancelled + 12 open" in page
    assert "waiting for budget posts: 12 IDs until 2027-01-15 08:01:00Z (window" in page


async def test_the_text_says_where_the_time_of_a_source_went(store: Store, clock: Standing) -> None:
    """The largest share first, in words; what is next to nothing is left out, and the JSON has all of it."""
    spent = {Why.IDLE: 225.0, Why.WINDOW: 6_975.0, Why.DISK: 0.25, Why.NETWORK: 300.0}
    got = taken(store, clock, live(time={"posts": spent}))
    words = "time posts: 93 % waiting for the window, 4 % network, 3 % idle, over 2 h 5 min"
    assert words in text(got).splitlines()
    assert msgspec.json.decode(msgspec.json.encode(got))["time"] == {
        "posts": {"idle": 225.0, "window": 6_975.0, "disk": 0.25, "network": 300.0}
    }


def test_every_why_has_its_words() -> None:
    """No status fails for a word that is missing."""
    assert SPENT.keys() == set(Why)


async def test_an_account_that_has_just_begun_can_be_shown(store: Store, clock: Standing) -> None:
    """Nothing is divided by the nothing that went by."""
    assert "time posts: over 0 s" in text(taken(store, clock, live(time={"posts": {}})))


async def test_a_priced_source_says_what_its_items_came_to(store: Store, clock: Standing) -> None:
    """Of all its batches, those that have ended and those before a start too; nothing where no item has a price."""
    for keys in (["1", "2"], ["3"]):
        batch = await taken_in(store, keys)
        await recorded(store, batch.id, {key: found(key) for key in keys})
    other = await taken_in(store, ["1"], source="other")
    await recorded(store, other.id, {"1": found("1")}, source="other")
    await store.batches.load()

    def told(price: Price) -> SourceStatus:
        specs = {"posts": Spec(url=SPECS["posts"].url, pack=100, price=price)}
        got = snapshot(store, LIVE, specs, 1_799_999_000.0, clock)
        pages.append(text(got))
        return got.sources["posts"]

    pages: list[str] = []
    assert told(Price(item=0.1)).spent == Spent(0.3, "USD", at_least=False)
    assert told(Price(item=0.1, call=0.01, currency="EUR")).spent == Spent(0.3, "EUR", at_least=True)
    assert told(Price(call=0.01)).spent is None
    assert "spent posts: 0.30 USD for the items that are stored" in pages[0].splitlines()
    assert "comes on top" in " ".join(pages[1].split())
    assert "spent" not in pages[2]
    assert msgspec.json.encode(told(Price(call=0.01))) == b'{"state":"running","why":null}'


async def test_a_time_that_no_calendar_has_is_null(store: Store, clock: Standing) -> None:
    """A limit of one call in ten thousand years is somebody's slip, and no reason to fall over."""
    await taken_in(store, [str(number) for number in range(300)])
    late = clock.wall() + 4e11
    never = Outlook((WindowAhead("posts", "calls", 1, 4e11, 0, ((4e11, 1),)),), round_trip=0.2)
    state = live(
        outlook=lambda _: never,
        waiting=(Wait("posts", late, 2, "window spent"),),
        budgets={"posts": (Window(1, 4e11, 1, 0, late),)},
    )
    got = taken(store, clock, state)
    assert [got.finish_from, got.finish_at, got.finish_to, got.batches[0].finish_at] == [None] * 4
    assert (got.waiting[0].until, got.budgets["posts"][0].resets_at) == (None, None)
    assert "waiting for budget posts: 2 IDs (window spent)" in text(got)


async def test_an_end_that_may_lie_behind_all_calendars_is_told_in_words(store: Store, clock: Standing) -> None:
    """What can still be told of it stands beside them."""
    await taken_in(store, ["1"])
    now = taken(store, clock)
    soon = msgspec.structs.replace(now, finish_from=now.now, finish_at=now.now, finish_to=None)
    said = " ".join(text(soon).split())
    assert "done about 2027-01-15 08:00:00Z, in 0 s, not before 2027-01-15 08:00:00Z, perhaps after the year" in said
    late = msgspec.structs.replace(soon, finish_at=None)
    assert "done after the year 9998, and not before 2027-01-15 08:00:00Z" in text(late)


async def test_a_paused_batch_has_no_finish_time(store: Store, clock: Standing) -> None:
    """It waits for a person."""
    batch = await taken_in(store, ["1"])
    store.batches.keep(msgspec.structs.replace(batch, state=BatchState.PAUSED))
    assert taken(store, clock).batches[0].finish_at is None
