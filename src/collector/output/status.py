"""The one snapshot behind `/status`, status.txt and the terminal: from memory alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from collector import __version__
from collector.budget.forecast import Span
from collector.clock import Clock, stamp, told
from collector.model import OPEN, TERMINAL, BatchId, BatchState, Live, SourceLive, State, Wait, Window
from collector.output import growth
from collector.output.finish import MOST_BATCHES, Finish, Work
from collector.output.recent import Finishes
from collector.output.snapshot import (
    BatchStatus,
    DiskStatus,
    DoingStatus,
    JobCounts,
    Snapshot,
    SourceStatus,
    Spent,
    TroubleStatus,
    Waiting,
    WindowStatus,
)
from collector.sources.spec import Spec
from collector.store.batches import Batch
from collector.store.books import Books
from collector.store.store import Store

_TOLD_FOR = 86_400.0  # seconds that the warnings of an ended batch stay among the troubles
_NAMES = {state: state.value for state in State}  # looking a value up is slow, and a snapshot does it a thousand times

Air = Mapping[BatchId, Mapping[State, int]]


def snapshot(
    store: Store,
    live: Live,
    specs: Mapping[str, Spec],
    started_at: float,
    clock: Clock,
    finishes: Finishes | None = None,
) -> Snapshot:
    """The service as it is now; `finishes` remembers its finish times for a moment."""
    now = clock.wall()
    ongoing = store.batches.ongoing()
    listed = [*ongoing[:MOST_BATCHES], *store.batches.ended(MOST_BATCHES - min(len(ongoing), MOST_BATCHES))]
    air = _air(store.books, live)
    disk = _disk(live, store.books)
    ends = (finishes or Finishes(clock)).now(ongoing, partial(_works, store.books, ongoing, air), live, specs)
    return Snapshot(
        state=live.state,
        version=__version__,
        started_at=stamp(started_at),
        now=stamp(now),
        **_range(ends.whole),
        at_least=_more_to_come(ongoing, store, specs),
        jobs=_jobs(_total(store.books, ongoing), _sum(air)),
        calls_in_the_air=live.calls_in_the_air,
        waiting=tuple(_waiting(wait, store.books, ongoing, air) for wait in live.waiting),
        batches=tuple(batch_status(store, batch, air, ends) for batch in listed),
        budgets={name: tuple(_window(window) for window in windows) for name, windows in live.budgets.items()},
        sources={name: _source(name, source, specs, store) for name, source in live.sources.items()},
        troubles=(*_troubles(live, ongoing, listed, specs, now), *_shortage(live, disk)),
        stopping=live.stopping,
        time=live.time,
        disk=disk,
    )


def batch_status(store: Store, batch: Batch, air: Air | None = None, ends: Finish | None = None) -> BatchStatus:
    """One batch as it is now; without `air` and `ends` one that has ended."""
    account = store.books.of(batch.id)
    reasons: dict[str, dict[str, int]] = {}
    for (state, reason), jobs in account.reasons.items():
        reasons.setdefault(_NAMES[state], {})[reason] = jobs
    done = batch.finished_at
    span = Span(done, done, done) if done else ends.batches.get(batch.id) if ends else None
    return BatchStatus(
        id=batch.id,
        name=batch.name,
        source=batch.source,
        state=batch.state.value,
        jobs=_jobs(account.states, (air or {}).get(batch.id, {})),
        items=batch.items,
        **_range(span),
        folder=batch.folder,
        warnings=batch.warnings,
        created_at=stamp(batch.created_at),
        finished_at=told(batch.finished_at),
        line=batch.line,
        lines=batch.lines,
        refused=batch.refused,
        reasons=reasons,
        parent=batch.parent,
        chain=tuple(child.id for child in store.batches.children(batch.id)),
        written_at=told(batch.written_at),
    )


def _air(books: Books, live: Live) -> Air:
    """Jobs in the air by batch and state of their rows; never more than there are rows, since an outcome is in the
    books a moment before its job has left the air."""
    air: dict[BatchId, dict[State, int]] = {}
    for (batch, state), jobs in live.running.items():
        if there := min(jobs, books.count(batch, state)):
            air.setdefault(batch, {})[state] = there
    return air


def _sum(air: Air) -> Mapping[State, int]:
    total: Counter[State] = Counter()
    for states in air.values():
        total.update(states)
    return total


def _total(books: Books, ongoing: Sequence[Batch]) -> Mapping[State, int]:
    """All that was taken in, but for what waits for its first yes."""
    total = Counter(books.total())
    for batch in ongoing:
        if batch.is_draft:
            total.subtract(books.of(batch.id).states)
    return total


def _jobs(states: Mapping[State, int], air: Mapping[State, int]) -> JobCounts:
    counts = {name: states.get(state, 0) - air.get(state, 0) for state, name in _NAMES.items()}
    return JobCounts(total=sum(states.values()), running=sum(air.values()), **counts)


def _works(books: Books, ongoing: Sequence[Batch], air: Air) -> list[Work]:
    return [
        Work(batch.id, batch.source, owed, books.count(batch.id, State.DELAYED), sum(air.get(batch.id, {}).values()))
        for batch in ongoing
        if batch.state is BatchState.OPEN and (owed := books.open_in(batch.id))
    ]


def _more_to_come(ongoing: Sequence[Batch], store: Store, specs: Mapping[str, Spec]) -> bool:
    """True where a batch owes more than the finish time speaks of: its file is being read, it waits for a person, its
    lists have pages that nobody has counted, or others take their IDs from its items."""
    # In thousands of batches only their sources are asked about, once each.
    whole = {
        source
        for source in {batch.source for batch in ongoing}
        if not store.pauses.holds(source) and (source not in specs or specs[source].next is None)
    }
    return any(
        batch.state is BatchState.LOADING or bool(store.books.open_in(batch.id))
        for batch in ongoing
        if (batch.state is not BatchState.OPEN or batch.chain or batch.source not in whole) and not batch.is_draft
    )


def _window(window: Window) -> WindowStatus:
    length = int(window.window_s) if window.window_s == int(window.window_s) else window.window_s
    times = told(window.resets_at), window.unit, told(window.next_at)
    return WindowStatus(window.limit, length, window.used, window.left, *times, window.at)


def _source(name: str, source: SourceLive, specs: Mapping[str, Spec], store: Store) -> SourceStatus:
    doing = tuple(DoingStatus(doing.id, doing.says, stamp(doing.since)) for doing in source.doing)
    price = specs[name].price if name in specs else None
    if price is None or not price.item:
        return SourceStatus(source.state, source.why, doing=doing)
    amount = round(store.batches.items_of(name) * price.item, 6)
    spent = Spent(amount, price.currency, bool(price.call or price.also))
    return SourceStatus(source.state, source.why, spent, doing)


def _waiting(wait: Wait, books: Books, ongoing: Sequence[Batch], air: Air) -> Waiting:
    """With all who are behind it: the queued jobs of its sources too, which no call carries yet."""
    queued = sum(
        books.count(batch.id, State.QUEUED) - air.get(batch.id, {}).get(State.QUEUED, 0)
        for batch in ongoing
        if batch.state is BatchState.OPEN and batch.source in wait.sources
    )
    return Waiting(wait.budget, told(wait.until), max(wait.jobs, queued), wait.why, wait.window, wait.sources)


def _troubles(
    live: Live, ongoing: Sequence[Batch], listed: Sequence[Batch], specs: Mapping[str, Spec], now: float
) -> tuple[TroubleStatus, ...]:
    found = [
        TroubleStatus(trouble.kind, trouble.what, trouble.where, stamp(trouble.since)) for trouble in live.troubles
    ]
    found += [
        TroubleStatus(source.state, source.why or "", name, None)
        for name, source in live.sources.items()
        if source.state in ("stopped", "down")
    ]
    orphans = {batch.source: batch for batch in reversed(ongoing) if batch.source not in specs}
    found += [
        TroubleStatus("source", _no_source(batch), batch.folder, stamp(batch.created_at)) for batch in orphans.values()
    ]
    found += [
        TroubleStatus("warning", warning, batch.folder, stamp(batch.created_at))
        for batch in listed
        if batch.finished_at is None or now - batch.finished_at < _TOLD_FOR
        for warning in batch.warnings
    ]
    return tuple(found)


def _disk(live: Live, books: Books) -> DiskStatus | None:
    space = live.space
    if space is None or space.free is None:
        return None
    owed: Counter[str] = Counter()
    for (source, state, _), jobs in books.by_source().items():
        if state in OPEN:
            owed[source] += jobs
    total = books.total()
    settled = sum(total.get(state, 0) for state in TERMINAL)
    size = growth.forecast(space, +owed, live.tallies, settled)
    return DiskStatus(space.path, space.free, space.min_free, space.database, size)


def _shortage(live: Live, disk: DiskStatus | None) -> tuple[TroubleStatus, ...]:
    said = growth.shortage(live.space, live.space.min_free, disk.forecast) if live.space and disk else None
    return (TroubleStatus("disk-forecast", said, live.space.path, None),) if live.space and said else ()


def _no_source(batch: Batch) -> str:
    return (
        f"no IDs of source {batch.source} are asked for, since the configuration has no [source.{batch.source}]:"
        " declare it again, then `collector reload`"
    )


def _range(span: Span | None) -> dict[str, str | None]:
    earliest, likely, latest = (span.earliest, span.likely, span.latest) if span else (None, None, None)
    return {"finish_from": told(earliest), "finish_at": told(likely), "finish_to": told(latest)}
