"""What `/status` says, in the shape that scripts rely on: keys are added, never renamed. Times are stamps."""

import msgspec

from collector.model import Why


class JobCounts(msgspec.Struct, frozen=True):
    """Jobs by where they stand; `total` is the sum of the others."""

    total: int = 0
    queued: int = 0
    running: int = 0
    delayed: int = 0
    found: int = 0
    gone: int = 0
    invalid: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def open(self) -> int:
        """Jobs that are still owed."""
        return self.queued + self.running + self.delayed

    @property
    def settled(self) -> int:
        """Jobs that have ended."""
        return self.total - self.open


class Waiting(msgspec.Struct, frozen=True):
    """Jobs that wait for a budget."""

    budget: str
    until: str | None
    jobs: int
    why: str
    window: str  # the one that is spent, in words; empty where it is none
    sources: tuple[str, ...]


class BatchStatus(msgspec.Struct, frozen=True):
    """One batch; `reasons` are counts by state and reason, `line` is where loading has come to.

    `finish_at` is the likely end, `finish_from` and `finish_to` the range around it; null where nobody can tell.
    """

    id: int
    name: str
    source: str
    state: str
    jobs: JobCounts
    items: int
    finish_from: str | None
    finish_at: str | None
    finish_to: str | None
    folder: str
    warnings: tuple[str, ...]
    created_at: str
    finished_at: str | None
    line: int
    lines: int
    refused: int
    reasons: dict[str, dict[str, int]]
    parent: int | None = None  # whose items its IDs come from
    chain: tuple[int, ...] = ()  # the batches whose IDs come from its items
    written_at: str | None = None  # when its files were written


class WindowStatus(msgspec.Struct, frozen=True):
    """One window of a budget."""

    limit: int
    window_s: int | float
    used: int
    left: int
    resets_at: str | None
    unit: str  # what it counts: calls, items or units
    next_at: str | None  # when the first of a spent window is free; `resets_at` is when all of it is
    at: str  # where its windows begin by a clock, in words; else empty


class Spent(msgspec.Struct, frozen=True):
    """Money that went into the stored items of a source; with `at_least` the API charges for more than these."""

    amount: float
    currency: str
    at_least: bool


class DoingStatus(msgspec.Struct, frozen=True):
    """What a run of a Python source says that it does, and since when."""

    id: str
    says: str
    since: str


class SourceStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """A source; `spent` is there where it declares a price for an item, `doing` where runs say what they do."""

    state: str
    why: str | None
    spent: Spent | None = None
    doing: tuple[DoingStatus, ...] = ()


class TroubleStatus(msgspec.Struct, frozen=True):
    """Something an operator should know; `since` is null where nobody knows."""

    kind: str
    what: str
    where: str
    since: str | None


class DiskStatus(msgspec.Struct, frozen=True):
    """The disk under the database, in bytes; `forecast` is its size when all that is open is done, null where nobody
    can tell."""

    path: str
    free: int
    min_free: int
    database: int
    forecast: int | None


class Snapshot(msgspec.Struct, frozen=True):
    """The service at one moment; with `at_least` there is more to come than the finish times speak of. `state` is
    draining by an order, and while it is `stopping`."""

    state: str
    version: str
    started_at: str
    now: str
    finish_from: str | None
    finish_at: str | None
    finish_to: str | None
    at_least: bool
    jobs: JobCounts
    calls_in_the_air: int
    waiting: tuple[Waiting, ...]
    batches: tuple[BatchStatus, ...]
    budgets: dict[str, tuple[WindowStatus, ...]]
    sources: dict[str, SourceStatus]
    troubles: tuple[TroubleStatus, ...]
    stopping: bool = False
    time: dict[str, dict[Why, float]] = {}  # seconds by source since its account began; what took none is left out
    disk: DiskStatus | None = None

    @property
    def does(self) -> str:
        """Its state in a word for people."""
        return "stopping" if self.stopping else self.state
