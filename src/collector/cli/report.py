"""`report`: the collection report of a batch, whether it has ended or not, and whether the service runs or not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import option
from collector.cli.export import known
from collector.errors import CollectorError

if TYPE_CHECKING:
    from collector.output.report import Members


@click.command()
@option.batch
@option.config_file
@option.as_json
def report(batch: str, config_path: Path | None, as_json: bool) -> None:
    """Show the report of a batch: counts, reasons, gaps, times.

    BATCH is its number or the name of its folder. Of one that has ended this is its report.md; of one that goes on it
    is how it stands, as far as the database knows. It does not matter whether the service runs.
    """
    from collector.output.report import report as written
    from collector.store.look import seen

    config = option.load(config_path, secrets=False)
    number = known(config, batch).id
    (first, account), *below = family = seen(config.database, lambda look: look.family(number))
    file = config.batches / first.folder / "report.md"
    try:
        text = file.read_text(encoding="utf-8") if first.written_at is not None and file.is_file() else None
    except OSError as error:
        raise CollectorError(f"cannot read {file}: {error.strerror}") from error
    facts = _facts(family) | {"report": None if text is None else str(file)}
    if text is None:
        text = written(first, account, config.sources.get(first.source), time.time(), below=below)
    option.say(as_json, facts, text.rstrip("\n"))


def _facts(family: Members) -> dict[str, Any]:
    from collector.clock import told
    from collector.model import State

    (batch, account), *below = family
    reasons: dict[str, dict[str, int]] = {}
    for (state, reason), jobs in account.reasons.items():
        reasons.setdefault(state.value, {})[reason] = jobs
    return {
        "batch": batch.id,
        "folder": batch.folder,
        "source": batch.source,
        "state": batch.state.value,
        "came_as": batch.origin,
        "file": batch.file,
        "sha256": batch.digest,
        "lines": batch.lines,
        "refused": batch.refused,
        "total": account.total,
        "open": account.open,
        "jobs": {state.value: account.count(state) for state in State},
        "reasons": reasons,
        "items": batch.items,
        "warnings": batch.warnings,
        "taken_in_at": told(batch.created_at),
        "opened_at": told(batch.opened_at),
        "ended_at": told(batch.finished_at),
        "below": [member.folder for member, _ in below],
    }
