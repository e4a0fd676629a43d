"""The words of the field: batches, jobs, calls, items and what became of them."""

from collections.abc import Callable
from enum import StrEnum
from typing import NewType, TypeAlias

import msgspec

BatchId = NewType("BatchId", int)

ABSENT = "absent"  # the reason of a job that an answer left out without a word
RETRY_LATER = "retry-later"  # the reason of a job whose function asks for a later time, which may be days ahead
LONGEST_LATER = 30 * 86_400.0  # seconds; the latest time that it may ask for


class State(StrEnum):
    """Where a job stands. What is in the air is known in memory only and is none of these."""

    QUEUED = "queued"  # taken in, and the feeder has not passed it; the feeder leads it out
    DELAYED = "delayed"  # to be asked (again) at its due time; the feeder leads it out
    FOUND = "found"  # the API returned it; its items are stored
    GONE = "gone"  # the API says that it is not there; `retry` leads out
    INVALID = "invalid"  # the API refused it when asked alone; `retry` leads out
    FAILED = "failed"  # its tries are spent; `retry` leads out
    CANCELLED = "cancelled"  # somebody cancelled it; only an answer already on its way leads out


OPEN = (State.QUEUED, State.DELAYED)
TERMINAL = (State.FOUND, State.GONE, State.INVALID, State.FAILED, State.CANCELLED)


class BatchState(StrEnum):
    """Where a batch stands."""

    LOADING = "loading"  # its file is being read; none of its jobs is asked
    HELD = "held"  # loaded, waits for a yes
    OPEN = "open"  # its jobs are asked
    PAUSED = "paused"  # loaded, none is asked until a resume
    CANCELLED = "cancelled"  # ended by somebody
    FINISHED = "finished"  # no open job is left


class Why(StrEnum):
    """What the time of a source goes into: at each moment exactly one of these."""

    WINDOW = "window"  # calls wait for a budget: a spent window, the pace, a 429
    NETWORK = "network"  # calls are in the air, and none waits for a budget
    BACKOFF = "backoff"  # all that is owed was put off and is not due yet
    PAUSED = "paused"  # all that is owed is held or paused: it waits for a person
    STOPPED = "stopped"  # the source was stopped by cause and waits for a person
    DOWN = "down"  # the API is away, and is probed
    DISK = "disk"  # outcomes or sends cannot be written
    BUSY = "busy"  # our own work, a stop too: loading, reading, recording, waiting for one of `consumers`
    IDLE = "idle"  # nothing is owed
    OFF = "off"  # no service ran, or none that had this source


class Cursor(msgspec.Struct, frozen=True):
    """Where a list goes on whose pages are asked for one after the other."""

    next: str  # as the API gave it; empty: the first page, once more
    pages: int = 0  # got since the list was begun
    restarts: int = 0  # how often it was begun anew, since the API no longer knew its cursor
    mark: str = ""  # the cursor of an earlier page: a list that comes back to it goes in a circle
    known: int = 0  # pages got before it was begun anew: so many may bring nothing new


class Job(msgspec.Struct, frozen=True):
    """One ID of one batch, as the feeder read it."""

    batch: BatchId
    key: str
    attempts: int = 0
    pack_max: int | None = None  # the largest call it may go in; None: the source's
    reason: str | None = None  # why it was put off last
    delayed: bool = False  # read from the delayed rows, not from the queued ones
    cursor: Cursor | None = None  # None: its list was not begun


class Call(msgspec.Struct, frozen=True):
    """One request to come: jobs of one source, of any batches; `keys` are their distinct IDs in order."""

    source: str
    jobs: tuple[Job, ...]
    keys: tuple[str, ...]

    @property
    def cursor(self) -> str | None:
        """Where the list goes on that this call asks for; None for a first page, and for what has no pages."""
        cursor = self.jobs[0].cursor if self.jobs else None
        return (cursor and cursor.next) or None


class Item(msgspec.Struct, frozen=True):
    """One object that the API returned, in its own bytes as text."""

    key: str  # its own ID
    body: str
    reencoded: bool = False  # True where the bytes are ours, since `items` is no plain path


class Found(msgspec.Struct, frozen=True):
    """The API returned it; or a batch before had it (`same_as`) and it was not asked for again."""

    items: tuple[Item, ...] = ()
    same_as: BatchId | None = None
    detail: str = ""  # what is to be known of it, as that its list was cut


class MorePages(msgspec.Struct, frozen=True):
    """A page of a list came, and another one follows it: the job is due at once."""

    items: tuple[Item, ...]
    cursor: Cursor


class Gone(msgspec.Struct, frozen=True):
    """The API says that it is not there."""

    reason: str
    detail: str = ""


class Invalid(msgspec.Struct, frozen=True):
    """The API refused the ID itself, asked alone."""

    reason: str
    detail: str = ""


class Failed(msgspec.Struct, frozen=True):
    """Its tries are spent."""

    reason: str
    detail: str = ""


class PutOff(msgspec.Struct, frozen=True):
    """Not yet: it is due again in `delay` seconds. Only `attempt` spends a try."""

    delay: float
    reason: str
    detail: str = ""
    attempt: bool = False
    pack_max: int | None = None  # a new limit on the size of its calls; None leaves it as it is
    cursor: Cursor | None = None  # where its list is begun anew; None leaves it as it is


Outcome: TypeAlias = Found | MorePages | Gone | Invalid | Failed | PutOff


class Extra(msgspec.Struct, frozen=True):
    """What `also` keeps once for an answer: a JSON object of path to value."""

    body: str


class Attempt(msgspec.Struct, frozen=True):
    """A call that was sent and failed, or was told to wait, as the page shows it later."""

    at: float  # wall time
    status: int | None
    reason: str
    headers: str  # the limit headers seen, a JSON object
    seconds: float
    traceback: str = ""  # of a Python source's function


class Heir(msgspec.Struct, frozen=True):
    """A batch that is to take its IDs from the items of another one, and those below it."""

    source: str
    chain: tuple[str, ...]  # every source below it
    heirs: "tuple[Heir, ...]" = ()


class Offspring(msgspec.Struct, frozen=True):
    """IDs that items made for a batch of the next source in a chain."""

    batch: BatchId
    source: str
    keys: tuple[str, ...]
    malformed: tuple[str, ...] = ()  # what the next source's `id` does not match
    most: int = 100_000  # with more than so many IDs the batch is held until somebody says yes


class Result(msgspec.Struct, frozen=True):
    """What one call came to: an outcome for each job (none when it was told to wait and goes again), what is kept
    beside the items, and how it failed if it did."""

    source: str
    jobs: tuple[Job, ...]
    outcomes: tuple[tuple[Job, Outcome], ...]
    at: float  # wall time of the answer
    extra: Extra | None = None
    attempt: Attempt | None = None
    sent: bool = True  # False where no call was needed
    offspring: tuple[Offspring, ...] = ()


class Wait(msgspec.Struct, frozen=True):
    """Calls that wait for a budget."""

    budget: str
    until: float | None  # wall time; None where only an answer can tell
    jobs: int  # of calls that are packed and wait; more may be behind them
    why: str
    sources: tuple[str, ...] = ()  # whose calls wait
    window: str = ""  # that is spent, in words


class Window(msgspec.Struct, frozen=True):
    """One window of a budget as status shows it."""

    limit: int
    window_s: float
    used: int
    left: int
    resets_at: float | None  # wall time when all of it is free; None where it is now
    unit: str = "calls"  # or items, units
    next_at: float | None = None  # wall time when the first of a spent window is free
    at: str = ""  # where it begins by a clock, in words


class WindowAhead(msgspec.Struct, frozen=True):
    """One window as a forecast needs it. Times are seconds from now."""

    budget: str  # whose it is: windows of the same budget, unit and length are one window
    unit: str  # what it counts: calls, items or units
    limit: int
    seconds: float
    left: int
    frees: tuple[tuple[float, int], ...]  # when how many come free, in order: those used, or a server's whole window


class Outlook(msgspec.Struct, frozen=True):
    """How fast the calls of a source may go from now on. Times are seconds from now."""

    windows: tuple[WindowAhead, ...]
    wait: float = 0.0  # nobody sends before; infinity where only an answer can tell
    every: float = 0.0  # from one call to the next where they are spread evenly
    round_trip: float = 0.0  # what an answer takes; 0 until one came


class Progress(msgspec.Struct, frozen=True):
    """What the calls of a source came to since the start, but for those that had nobody left to share them with."""

    calls: int = 0
    jobs: int = 0  # that they carried
    settled: int = 0  # of these: no call more is wanted for them
    items: int = 0  # that came back
    due: float = 0.0  # wall time by which all that was put off is due; 0 where nothing was


class Tally(msgspec.Struct, frozen=True):
    """What a source did since the start of the service; no number ever goes down."""

    answered: int = 0  # calls that said something of their IDs
    waited: int = 0  # calls that were told to wait
    failed: int = 0  # calls that broke, or whose answer was none
    found: int = 0  # jobs
    gone: int = 0
    lost: int = 0  # jobs that are invalid or have failed
    put_off: int = 0  # jobs that were asked and are to be asked again
    items: int = 0
    size: int = 0  # characters of these

    @property
    def calls(self) -> int:
        """All that were sent."""
        return self.answered + self.waited + self.failed

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(mine + its for mine, its in zip(*map(msgspec.structs.astuple, (self, other)), strict=True)))

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(*(mine - its for mine, its in zip(*map(msgspec.structs.astuple, (self, other)), strict=True)))


class Doing(msgspec.Struct, frozen=True):
    """What a run of a Python source says that it does."""

    id: str
    says: str
    since: float  # wall time


class SourceLive(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is in memory of one source."""

    state: str  # running, waiting, paused, down, stopped
    why: str | None
    doing: tuple[Doing, ...] = ()


class Trouble(msgspec.Struct, frozen=True):
    """Something an operator should know."""

    kind: str
    what: str
    where: str
    since: float  # wall time


class Space(msgspec.Struct, frozen=True):
    """The disk under the database, in bytes."""

    path: str
    free: int | None = None  # None: nobody has looked yet
    spare: int = 0  # inside the database, of what was removed; looked at only where little is free
    database: int = 0
    min_free: int = 0  # what is to stay free
    wal: int = 0  # what is committed and not yet in the database itself


class Live(msgspec.Struct, frozen=True):
    """Everything that is in memory only, for status and the page."""

    state: str  # running, paused, draining (nothing new is taken in, by an order or since it stops), degraded
    calls_in_the_air: int
    running: dict[tuple[BatchId, State], int]  # jobs in the air by batch and the state their rows have
    waiting: tuple[Wait, ...]
    budgets: dict[str, tuple[Window, ...]]
    sources: dict[str, SourceLive]
    troubles: tuple[Trouble, ...]
    outlook: Callable[[str], Outlook | None] = lambda _: None  # of a source; only a forecast pays for it
    time: dict[str, dict[Why, float]] = {}  # seconds by source since its account began
    progress: dict[str, Progress] = {}  # by source
    tallies: dict[str, Tally] = {}  # by source
    space: Space | None = None
    stopping: bool = False  # a stop is under way
