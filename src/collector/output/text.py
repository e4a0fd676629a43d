"""A snapshot for people: curl, status.txt, a terminal. Plain characters, times in UTC. Pure."""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

from collector import quantity
from collector.clock import BEYOND, unstamp
from collector.model import TERMINAL, Why
from collector.output.estimate import money
from collector.output.snapshot import BatchStatus, JobCounts, Snapshot, Spent, Waiting, WindowStatus

_MOST_REASONS = 8  # of a state, in status.txt; the rest are summed
SPENT = {  # what the time of a source went into, for people
    Why.WINDOW: "waiting for the window",
    Why.NETWORK: "network",
    Why.BACKOFF: "backoff",
    Why.PAUSED: "paused",
    Why.STOPPED: "stopped",
    Why.DOWN: "API down",
    Why.DISK: "disk trouble",
    Why.BUSY: "own work",
    Why.IDLE: "idle",
    Why.OFF: "service off",
}


def text(snapshot: Snapshot, width: int = 80) -> str:
    """The whole service, ending in a newline."""
    jobs = snapshot.jobs
    lines = [f"collector {snapshot.version} is {snapshot.does}, since {moment(snapshot.started_at)}"]
    lines += [line for trouble in snapshot.troubles for line in _alarm(trouble.where, trouble.what, width)]
    lines += ["", f"{bar(jobs, width - 9)} {percent(jobs)}", *_wrapped(books(jobs), width)]
    lines += [_in_the_air(snapshot), *_waits(snapshot, width)]
    lines += [*_finish(snapshot, snapshot.now, width), "", *_batches(snapshot.batches, width)]
    lines += [""] * bool(snapshot.budgets)
    for name, windows in snapshot.budgets.items():
        lines += [line for window in windows for line in _wrapped(f"budget {name}: {_window(window)}", width)]
    for name, source in snapshot.sources.items():
        why = f": {source.why}" if source.why else ""
        lines += _wrapped(f"source {name}: {source.state}{why}", width)
        lines += [line for doing in source.doing for line in _wrapped(f"  {doing.id}: {doing.says}", width)]
        lines += _wrapped(f"spent {name}: {_money(source.spent)}", width) if source.spent else []
    for name, spent in snapshot.time.items():
        lines += _wrapped(f"time {name}: {_shares(spent)}", width)
    return _page(lines)


def batch_text(
    batch: BatchStatus, snapshot: Snapshot | None, now: str, width: int = 80, below: Iterable[BatchStatus] = ()
) -> str:
    """One batch, for its status.txt, with all `below` it; without a snapshot one that has ended."""
    lines = [f"{batch.folder} (source {batch.source}): {batch.state}", f"as of {moment(now)}"]
    lines += [f"its IDs are taken from the items of batch {batch.parent}"] * (batch.parent is not None)
    lines += [*_rests(batch, width), ""]
    lines += [line for warning in batch.warnings for line in _alarm("warning", warning, width)]
    if batch.state == "loading":
        lines.append(f"loading has come to line {batch.line:,}")
    lines += [f"{bar(batch.jobs, width - 9)} {percent(batch.jobs)}", *_wrapped(books(batch.jobs), width)]
    lines += _reasons(batch, width)
    lines += [f"{batch.items:,} items", *filter(None, [rate(batch, now)])]
    if batch.finished_at:
        lines.append(f"ended {moment(batch.finished_at)}")
    elif snapshot is not None:
        source = snapshot.sources.get(batch.source)
        if source and source.state != "running":
            lines += _wrapped(f"source {batch.source} is {source.state}: {source.why}", width)
        lines += [*_waits(snapshot, width, batch.source), *_finish(batch, now, width)]
    lines += [line for child in below for line in ("", *_below(child, width))]
    return _page(lines)


def in_families(batches: Sequence[BatchStatus]) -> list[tuple[int, BatchStatus]]:
    """Batches in their order, those of a chain together, each below the one whose items it follows; the number says
    how deep."""
    listed = {batch.id: batch for batch in batches}

    def lineage(batch: BatchStatus) -> tuple[int, ...]:
        parent = listed.get(batch.parent) if batch.parent is not None else None
        return (*(lineage(parent) if parent else ()), batch.id)

    lines = {batch.id: lineage(batch) for batch in batches}
    first = {top: place for place, (top, *_) in reversed(list(enumerate(lines.values())))}
    ordered = sorted(batches, key=lambda batch: (first[lines[batch.id][0]], lines[batch.id]))
    return [(len(lines[batch.id]) - 1, batch) for batch in ordered]


def bar(jobs: JobCounts, width: int) -> str:
    """How much of the jobs has ended, as `[####----]`."""
    room = max(width - 2, 1)
    done = room * jobs.settled // jobs.total if jobs.total else 0
    return f"[{'#' * done}{'-' * (room - done)}]"


def percent(jobs: JobCounts) -> str:
    """How much of the jobs has ended."""
    # Rounded down: 100 % says that nothing is left.
    return f"{jobs.settled * 1000 // jobs.total / 10:5.1f} %" if jobs.total else "  0.0 %"


def moment(stamped: str) -> str:
    """A stamp to the second, easier to read: `2026-11-22 08:07:21Z`."""
    return f"{stamped[:10]} {stamped[11:19]}Z"


def plain(text: str) -> str:
    """Names of files and words of APIs may hold anything; a terminal obeys some of it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def why(wait: Waiting) -> str:
    """Why somebody waits, and for which window."""
    return f"{wait.why}: {wait.window}" if wait.window else wait.why


def books(jobs: JobCounts) -> str:
    """The books of so many jobs in one line."""
    ended = " + ".join(f"{getattr(jobs, state.value):,} {state.value}" for state in TERMINAL)
    return f"{jobs.total:,} IDs = {ended} + {jobs.open:,} open"


def _in_the_air(snapshot: Snapshot) -> str:
    calls, jobs = quantity.things(snapshot.calls_in_the_air, "call"), quantity.things(snapshot.jobs.running, "ID")
    return f"in the air: {calls}; {jobs} asked and not recorded yet"


def _waits(snapshot: Snapshot, width: int, only: str | None = None) -> list[str]:
    lines = []
    for wait in snapshot.waiting:
        if only is None or only in wait.sources:
            until = f" until {moment(wait.until)}" if wait.until else ""
            lines += _wrapped(f"waiting for budget {wait.budget}: {wait.jobs:,} IDs{until} ({why(wait)})", width)
    return lines


def ends(end: Snapshot | BatchStatus, now: str, shown: Callable[[str], str]) -> str | None:
    """When it is done, with its range, in times as `shown` tells them; None where nobody can tell."""
    if end.finish_from is None:
        return None
    more = ", and later with what is still to come" if isinstance(end, Snapshot) and end.at_least else ""
    earliest, latest = shown(end.finish_from), shown(end.finish_to) if end.finish_to else BEYOND
    if end.finish_at is None:
        return f"{BEYOND}, and not before {earliest}{more}"
    left = quantity.spoken(round(max(unstamp(end.finish_at) - unstamp(now), 0.0)))
    between = f"between {earliest} and {latest}" if end.finish_to else f"not before {earliest}, perhaps {BEYOND}"
    return f"about {shown(end.finish_at)}, in {left}, {between}{more}"


def _finish(end: Snapshot | BatchStatus, now: str, width: int) -> list[str]:
    said = ends(end, now, moment)
    return _wrapped(f"done {said}", width) if said else []


def _rests(batch: BatchStatus, width: int) -> list[str]:
    """How a batch goes on that waits for a person."""
    match batch.state:
        case "held":
            why = "" if batch.parent is None else ", since it has more IDs than its source's `max_children`"
            said = f"held{why}: `collector resume {batch.id}` says yes, `collector cancel {batch.id}` says no"
        case "paused":
            said = f"paused: `collector resume {batch.id}` lets it go on"
        case _:
            return []
    return _wrapped(said, width)


def _below(batch: BatchStatus, width: int) -> list[str]:
    return [*_wrapped(f"then {batch.folder} ({batch.source}): {batch.state}; {books(batch.jobs)}", width)] + [
        f"  {line}" for line in _rests(batch, width - 2)
    ]


def _batches(batches: Sequence[BatchStatus], width: int) -> list[str]:
    lines = []
    room = max(width - 45, 12)
    for depth, batch in in_families(batches):
        reached = f"line {batch.line:,}" if batch.state == "loading" else f"{batch.jobs.total:,} IDs"
        name = f"{'  ' * depth}{batch.folder} ({batch.source})"
        lines.append(f"{name:{room}.{room}} {bar(batch.jobs, 12)} {percent(batch.jobs)} {batch.state:9} {reached}")
        lines += [f"{'  ' * (depth + 1)}{line}" for line in _rests(batch, width - 2 * depth - 2)]
    return lines


def _reasons(batch: BatchStatus, width: int) -> list[str]:
    lines = []
    for state, reasons in batch.reasons.items():
        ranked = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
        shown = [f"{jobs:,} {reason}" for reason, jobs in ranked[:_MOST_REASONS]]
        rest = sum(jobs for _, jobs in ranked[_MOST_REASONS:])
        lines += _wrapped(f"{state}: {', '.join(shown)}{f', {rest:,} others' if rest else ''}", width)
    return lines


def rate(batch: BatchStatus, now: str) -> str | None:
    """How fast its IDs ended; None where none has."""
    minutes = (unstamp(batch.finished_at or now) - unstamp(batch.created_at)) / 60
    if minutes <= 0 or not batch.jobs.settled:
        return None
    return f"{batch.jobs.settled / minutes:,.0f} IDs a minute since it was taken in"


def _window(window: WindowStatus) -> str:
    following = f"; the next is free {moment(window.next_at)}" if window.next_at else ""
    length = f"{quantity.spoken(window.window_s)} {window.at}".strip()
    return f"{window.used:,} of {window.limit:,} {window.unit} used in {length}{following}"


def _money(spent: Spent) -> str:
    more = "; what is charged for calls or beside them comes on top" if spent.at_least else ""
    return f"{money(spent.amount)} {spent.currency} for the items that are stored{more}"


def _shares(spent: Mapping[Why, float]) -> str:
    """The largest first; what is under a half percent is left out."""
    total = sum(spent.values())
    ranked = sorted(spent.items(), key=lambda entry: (-entry[1], entry[0]))
    shown = [f"{100 * seconds / total:.0f} % {SPENT[why]}, " for why, seconds in ranked if seconds >= total / 200]
    return f"{''.join(shown)}over {quantity.spoken(round(total))}"


def _alarm(where: str, what: str, width: int) -> list[str]:
    return _wrapped(f"! {where}: {what}", width)


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _page(lines: Iterable[str]) -> str:
    return "\n".join(map(plain, lines)).rstrip("\n") + "\n"
