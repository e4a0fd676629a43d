"""What the tests of output begin with: a store with batches, a live state, a clock that stands."""

from collections.abc import Sequence

import msgspec

from collector.clock import Clock
from collector.model import BatchId, Extra, Found, Item, Job, Live, Outcome, Result, SourceLive
from collector.sources.spec import Spec
from collector.store.batches import Batch
from collector.store.store import Store

SPECS = {"posts": Spec(url="https://api.example.org/posts?ids={ids}", pack=100)}

LIVE = Live(
    state="running",
    calls_in_the_air=0,
    running={},
    waiting=(),
    budgets={},
    sources={"posts": SourceLive("running", None)},
    troubles=(),
)


class Standing(Clock):
    """Two clocks that stand where a test puts them."""

    def __init__(self) -> None:
        self.now = 0.0

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now

    def mono(self) -> float:
        return 1_000.0 + self.now


def live(**changes: object) -> Live:
    """The quiet live state with changes."""
    return msgspec.structs.replace(LIVE, **changes)


async def taken_in(
    store: Store, keys: Sequence[str], *, name: str = "ids", source: str = "posts", warnings: Sequence[str] = ()
) -> Batch:
    """An open batch of these IDs."""
    batch = await store.batches.begin(source, name, "file", file=f"{name}.txt")
    if keys:
        batch, _ = await store.batches.load_chunk(batch, list(keys), len(keys))
    return await store.batches.open(
        batch, lines=len(keys), refused=0, digest="ab" * 32, layout="one ID a line", warnings=list(warnings)
    )


async def recorded(
    store: Store, batch: BatchId, outcomes: dict[str, Outcome], *, source: str = "posts", also: str | None = None
) -> None:
    """Outcomes of jobs of a batch, of one call."""
    pairs = tuple((Job(batch, key), outcome) for key, outcome in outcomes.items())
    extra = Extra(also) if also else None
    jobs = tuple(job for job, _ in pairs)
    await store.jobs.record([Result(source, jobs, pairs, at=1_800_000_000.0, extra=extra)])


def found(key: str, body: str | None = None) -> Found:
    """The answer that brought an object."""
    return Found((Item(key, body or f'{{"id": "{key}"}}'),))
