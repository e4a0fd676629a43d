"""The collection report of a batch, in Markdown. Pure."""

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import sqlite_version
from typing import TypeAlias

from collector import __version__
from collector.clock import stamp
from collector.model import TERMINAL, BatchState, State, Why
from collector.output.text import SPENT, moment, plain
from collector.quantity import things
from collector.sources.spec import Spec
from collector.store.batches import Batch
from collector.store.books import Account

_LEFT = (State.GONE, State.INVALID, State.FAILED, State.CANCELLED)
_CHAIN = re.compile(r"^## What followed\n.*?(?=^## )", re.DOTALL | re.MULTILINE)
_UNACCOUNTED = 1.0  # seconds, from which on the account and the two times of a batch are said to differ

Members: TypeAlias = Sequence[tuple[Batch, Account]]


def report(
    batch: Batch,
    account: Account,
    spec: Spec | None,
    now: float,
    notes: tuple[str, ...] = (),
    spent: Mapping[Why, float] | None = None,
    below: Members = (),
) -> str:
    """Everything that somebody needs who asks later what was collected, from where, and what is missing.

    `spent`: seconds of the source between the taking in and the end, by what they went into. `below`: the batches of
    its chain, with their books.
    """
    said = [*batch.warnings, *notes, *_cut(batch)]
    parts = [
        [
            f"# Collection report: {_plain(batch.name)}",
            "",
            f"Batch {batch.id}, {batch.state.value}; written {_at(now)}.",
        ],
        *([["## Mind this", "", *(f"- {_plain(note)}" for note in said)]] if said else []),
        ["## Counts", "", *_counts(account)],
        ["## Why IDs were not found", "", *_reasons(account)],
        ["## Input", "", *_input(batch, account)],
        ["## Collection", "", *_collection(batch, spec)],
        *([["## Where the time went", "", *_time(batch, spent)]] if spent else []),
        ["## Gaps", "", *_gaps(batch, account)],
        *([_chain(below)] if below else []),
        ["## For a methods section", "", _methods(batch, account, spec)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def with_chain(text: str, below: Members) -> str:
    """A report whose chain has gone on since it was written."""
    section = "\n".join(_chain(below))
    return _CHAIN.sub(lambda _: f"{section}\n\n", text, count=1)


def _cut(batch: Batch) -> list[str]:
    if batch.state is not BatchState.CANCELLED or batch.opened_at is not None or batch.parent is not None:
        return []
    return [f"It was cancelled while its file was read: only IDs up to line {batch.line:,} were taken in."]


def _chain(below: Members) -> list[str]:
    rows = [
        (member.id, member.source, member.state.value, f"batches/{member.folder}", _books(account))
        for member, account in below
    ]
    return ["## What followed", "", *_table(("batch", "source", "state", "folder", "books"), rows)]


def _books(account: Account) -> str:
    ended = " + ".join(f"{account.count(state):,} {state.value}" for state in TERMINAL)
    return f"{account.total:,} = {ended} + {account.open:,} open"


def _counts(account: Account) -> list[str]:
    rows = [("IDs taken in", account.total), ("found", account.count(State.FOUND))]
    rows += [(state.value, account.count(state)) for state in _LEFT]
    rows.append(("open", account.open))
    ended = " + ".join(f"{jobs:,}" for _, jobs in rows[1:])
    return [*_table(("", "IDs"), rows), "", f"{account.total:,} = {ended}"]


def _reasons(account: Account) -> list[str]:
    rows = [
        (state.value, reason, jobs)
        for state in _LEFT
        for (at, reason), jobs in sorted(account.reasons.items(), key=lambda entry: (-entry[1], entry[0]))
        if at is state
    ]
    if rows:
        return _table(("state", "reason", "IDs"), rows)
    if account.open:
        return ["None has ended so as yet."]
    return ["Every ID was found." if account.total else "No ID."]


def _input(batch: Batch, account: Account) -> list[str]:
    if batch.parent is not None:
        return [f"IDs taken from the items of batch {batch.parent}: {account.total:,}. No file came with them."]
    rows: list[tuple[str, object]] = [
        ("came as", batch.origin),
        ("file", batch.file or "none"),
        ("SHA-256", batch.digest or "unknown"),
        ("recognised as", batch.layout or "unknown"),
        ("lines", batch.lines),
        ("IDs taken in", account.total),
        ("repeats", max(batch.lines - account.total - batch.refused, 0)),
        ("refused lines (refused.csv)", batch.refused),
    ]
    return _table(("", ""), rows)


def _collection(batch: Batch, spec: Spec | None) -> list[str]:
    rows: list[tuple[str, object]] = [("source", batch.source)]
    if spec is not None:
        rows.append(("called", spec.call) if spec.call else ("asked", f"{spec.method} {spec.url}"))
        rows.append(("IDs a call", spec.pack if spec.packed else 1))
        rows.append(("limits", ", ".join(map(str, spec.limit)) or "none declared"))
    rows += [
        ("items stored", batch.items),
        ("taken in", _at(batch.created_at)),
        ("opened", _at(batch.opened_at)),
        ("ended", _at(batch.finished_at)),
        ("collector", __version__),
        ("Python", platform.python_version()),
        ("SQLite", sqlite_version),
    ]
    return _table(("", ""), rows)


def _gaps(batch: Batch, account: Account) -> list[str]:
    lines = []
    if failed := account.count(State.FAILED):
        lines.append(f"- {_ids(failed)} without any usable answer in all tries (failed). See failed.csv.")
    if cancelled := account.count(State.CANCELLED):
        lines.append(f"- {_ids(cancelled)} cancelled before an answer came. See failed.csv.")
    if account.open:
        lines.append(f"- {_ids(account.open)} not answered yet (open).")
    if batch.refused:
        lines.append(f"- lines of the file that were refused and never asked: {batch.refused:,}. See refused.csv.")
    if failed or cancelled:
        lines.append(
            "- To go on, drop a file of those IDs into the watch folder again: what was found is not asked twice."
        )
    return lines or ["None: every ID has its answer."]


def _time(batch: Batch, spent: Mapping[Why, float]) -> list[str]:
    total = sum(spent.values())
    ranked = sorted(spent.items(), key=lambda entry: (-entry[1], entry[0]))
    rows = [(SPENT[why], f"{seconds:,.1f}", f"{seconds / total:.1%}") for why, seconds in ranked]
    lines = _table(("", "seconds", "share"), [*rows, ("sum", f"{total:,.1f}", f"{1:.1%}")])
    said = (
        f"What source {_plain(batch.source)} did from the taking in to the end, for this batch and others at once."
        " It was looked at about four times a second: the sum is exact, and a share of a few seconds is rough."
    )
    elapsed = (batch.finished_at or batch.created_at) - batch.created_at
    if abs(elapsed - total) >= _UNACCOUNTED:
        said += f" Between the two lie {elapsed:,.1f} s: the account began later, or the clock was set meanwhile."
    return [said, "", *lines]


def _methods(batch: Batch, account: Account, spec: Spec | None) -> str:
    where = f" ({_plain(spec.call or spec.url)})" if spec else ""
    file = f' from the file "{_plain(batch.file)}" (SHA-256 {batch.digest})' if batch.file and batch.digest else ""
    file = file if batch.parent is None else f" from the items of batch {batch.parent}"
    said = [
        f"{_ids(account.total)}{file} {'was' if account.total == 1 else 'were'} requested from the source"
        f" {batch.source}{where} {_when(batch)} with collector {__version__}.",
        f"An object was returned for {_share(account.count(State.FOUND), account.total)}.",
    ]
    for state, what in (
        (State.GONE, "were reported as not available"),
        (State.INVALID, "were refused as invalid by the API"),
        (State.FAILED, "got no usable answer"),
        (State.CANCELLED, "were cancelled"),
    ):
        if jobs := account.count(state):
            said.append(f"{_share(jobs, account.total)} {what}{_why(account, state)}.")
    if account.open:
        said.append(f"{_share(account.open, account.total)} {'is' if account.open == 1 else 'are'} not answered yet.")
    return " ".join(said)


def _when(batch: Batch) -> str:
    began = _at(batch.opened_at or batch.created_at)
    return f"from {began} on" if batch.finished_at is None else f"between {began} and {_at(batch.finished_at)}"


def _why(account: Account, state: State) -> str:
    ranked = sorted(((jobs, reason) for (at, reason), jobs in account.reasons.items() if at is state), reverse=True)
    return f" ({', '.join(f'{_plain(reason)}: {jobs:,}' for jobs, reason in ranked)})" if ranked else ""


def _share(jobs: int, total: int) -> str:
    return f"{jobs:,} ({jobs / total:.1%})" if total else f"{jobs:,}"


def _ids(jobs: int) -> str:
    return things(jobs, "ID")


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    """A pipe table; numbers with thousands apart."""
    body = [[f"{cell:,}" if isinstance(cell, int) else _plain(str(cell)) for cell in row] for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(cells)} |" for cells in body)]


def _at(wall: float | None) -> str:
    return "not yet" if wall is None else moment(stamp(wall))


def _plain(text: str) -> str:
    """A name or an API's word, kept on its line and in its cell."""
    return plain(text).replace("|", "\\|")
