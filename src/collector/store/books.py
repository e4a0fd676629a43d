"""The books: how many jobs of each batch stand in each state, in the table and mirrored in memory."""

import sqlite3
from collections import Counter
from collections.abc import Mapping

import msgspec

from collector.model import OPEN, BatchId, State
from collector.store.database import Database, Write

MOST_REASONS = 64  # of one source; the rest are counted as `other`

Entry = tuple[BatchId, State, str]  # batch, state, reason ("" for none)


class Account(msgspec.Struct, frozen=True):
    """The books of one batch, or of all."""

    states: Mapping[State, int]
    reasons: Mapping[tuple[State, str], int]  # of jobs that have one

    @property
    def total(self) -> int:
        """Every job taken in."""
        return sum(self.states.values())

    @property
    def open(self) -> int:
        """Jobs that are still owed."""
        return sum(self.states.get(state, 0) for state in OPEN)

    def count(self, state: State) -> int:
        """Jobs in one state."""
        return self.states.get(state, 0)


class Books:
    """The counts table; no status ever counts rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: dict[BatchId, Counter[tuple[State, str]]] = {}
        self._states: dict[BatchId, Counter[State]] = {}
        self._total: Counter[State] = Counter()
        self._by_source: Counter[tuple[str, State, str]] = Counter()
        self._sources: dict[BatchId, str] = {}
        self._reasons: dict[str, set[str]] = {}

    async def load(self) -> None:
        """Reads every count into memory; once, at the start."""
        rows = await self._database.read(
            "SELECT c.batch, c.state, c.reason, c.jobs, b.source FROM counts AS c JOIN batches AS b ON b.id = c.batch"
        )
        for batch, state, reason, jobs, source in rows:
            self.belongs(batch, source)
            self._add({(batch, State(state), reason): jobs})
            self._reasons.setdefault(source, set()).add(reason)

    def of(self, batch: BatchId) -> Account:
        """The books of one batch."""
        entries, states = self._entries.get(batch, Counter()), self._states.get(batch, Counter())
        return Account(states.copy(), {entry: jobs for entry, jobs in entries.items() if entry[1] and jobs})

    def open_in(self, batch: BatchId) -> int:
        """Jobs of a batch that are still owed."""
        states = self._states.get(batch)
        return sum([states[state] for state in OPEN]) if states else 0

    def count(self, batch: BatchId, state: State) -> int:
        """Jobs of a batch in one state."""
        states = self._states.get(batch)
        return states[state] if states else 0

    def waiting(self, batch: BatchId, state: State, reason: str) -> int:
        """Jobs of a batch in one state for one reason."""
        return self._entries.get(batch, Counter())[state, reason]

    def belongs(self, batch: BatchId, source: str) -> None:
        """Whose jobs a batch has; known before any is counted."""
        self._sources[batch] = source

    def total(self) -> Mapping[State, int]:
        """Jobs of every batch by state."""
        return self._total

    def by_source(self) -> Mapping[tuple[str, State, str], int]:
        """Jobs of every batch by source, state and reason; a count may be 0."""
        return self._by_source

    def bounded(self, source: str, reason: str) -> str:
        """The reason itself, or `other` when the source already has as many as people can read."""
        known = self._reasons.setdefault(source, set())
        if reason not in known and len(known) >= MOST_REASONS:
            return "other"
        known.add(reason)
        return reason

    async def change(self, write: Write, deltas: Mapping[Entry, int]) -> None:
        """Adds to the counts in the transaction that changes the rows; memory follows at its commit."""
        await write.visit(lambda cursor: self.write(cursor, deltas))
        write.after_commit(lambda: self.follow(deltas))

    def write(self, cursor: sqlite3.Cursor, deltas: Mapping[Entry, int]) -> None:
        """The same in the writer's thread; `follow` is to be called at the commit."""
        # The CHECK looks at the row to insert before the conflict is found, hence max().
        cursor.executemany(
            "INSERT INTO counts (batch, state, reason, jobs) VALUES (?, ?, ?, max(?, 0))"
            " ON CONFLICT (batch, state, reason) DO UPDATE SET jobs = jobs + ?",
            [(batch, state.value, reason, jobs, jobs) for (batch, state, reason), jobs in deltas.items() if jobs],
        )

    def drop(self, batch: BatchId) -> None:
        """The mirror follows a committed removal."""
        gone = self._entries.get(batch, Counter())
        self.follow({(batch, state, reason): -jobs for (state, reason), jobs in gone.items()})
        for place in (self._entries, self._states, self._sources):
            place.pop(batch, None)

    def follow(self, deltas: Mapping[Entry, int]) -> None:
        """The mirror follows a committed change."""
        self._add({entry: jobs for entry, jobs in deltas.items() if jobs})

    def _add(self, deltas: Mapping[Entry, int]) -> None:
        for (batch, state, reason), jobs in deltas.items():
            self._entries.setdefault(batch, Counter())[state, reason] += jobs
            self._states.setdefault(batch, Counter())[state] += jobs
            self._total[state] += jobs
            if (source := self._sources.get(batch)) is not None:
                self._by_source[source, state, reason] += jobs
