"""What the pages show, as values."""

import zlib
from collections.abc import Mapping

import msgspec

from collector.admin.bars import CALLS, IDS, Chart, chart
from collector.clock import unstamp
from collector.model import BatchId, Tally
from collector.output.snapshot import BatchStatus, Snapshot
from collector.output.status import batch_status
from collector.output.text import in_families
from collector.store.retries import RETRIED
from collector.store.store import Store

LISTED = 50  # batches on a page
_ENDED = 10  # of them on the first one, which has more to show
_MOST_REASONS = 40
_SPANS = (("hour", "last hour", 3_600, 60, "a minute"), ("day", "last day", 86_400, 900, "in 15 minutes"))
_WORST = {state.value: place for place, state in enumerate(reversed(RETRIED))}


class Reason(msgspec.Struct, frozen=True):
    """Jobs that stand in one state for one reason."""

    source: str
    state: str
    reason: str
    jobs: int

    @property
    def id(self) -> str:
        """The same row has the same one, whatever signs the reason is made of."""
        return f"{zlib.crc32(' '.join((self.source, self.state, self.reason)).encode()):08x}"


def reasons(store: Store) -> list[Reason]:
    """Why IDs of all batches are not found, what failed first."""
    counts = store.books.by_source().items()
    return _ranked(
        {(source, state.value, why): jobs for (source, state, why), jobs in counts if why and state in RETRIED}
    )


def reasons_of(batch: BatchStatus) -> list[Reason]:
    """Why IDs of one batch are not found, or not yet."""
    counted = {
        (batch.source, state, reason): jobs for state, of in batch.reasons.items() for reason, jobs in of.items()
    }
    return _ranked(counted)


def _ranked(counted: Mapping[tuple[str, str, str], int]) -> list[Reason]:
    rows = [Reason(*entry, jobs) for entry, jobs in counted.items() if jobs]
    ranked = sorted(rows, key=lambda row: (-_WORST.get(row.state, -1), -row.jobs, row.source, row.reason))
    return ranked[:_MOST_REASONS]


def listed(store: Store, now: Snapshot, before: int | None) -> tuple[list[tuple[int, BatchStatus]], int | None]:
    """The batches of a page with how deep each stands in its chain, and the number before which the next page goes
    on: those under way and the latest that ended, or those with lower numbers than one."""
    if before is None:
        ongoing = [batch for batch in now.batches if not batch.finished_at]
        shown = ongoing + [batch for batch in now.batches if batch.finished_at][:_ENDED]
        known = store.batches.all()
        return in_families(shown), max(batch.id for batch in known) + 1 if len(known) > len(shown) else None
    older = store.batches.page(before, LISTED + 1)
    page = older[:LISTED]
    return [(0, status_of(store, now, batch.id)) for batch in page], page[-1].id if len(older) > LISTED else None


def status_of(store: Store, now: Snapshot, batch: BatchId) -> BatchStatus:
    """A batch as the snapshot has it, with its finish time; of many that are under way not all are in there."""
    return next((one for one in now.batches if one.id == batch), None) or batch_status(store, store.batches.get(batch))


def charts(recent: Mapping[int, Tally], now: str) -> list[tuple[str, str, Chart, Chart, str]]:
    """The last hour and the last day, calls and IDs."""
    at = unstamp(now)
    return [
        (name, label, chart(recent, CALLS, at, span, step), chart(recent, IDS, at, span, step), per)
        for name, label, span, step, per in _SPANS
    ]
