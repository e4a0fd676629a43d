"""`demo`: the whole thing against a stand-in API, on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import option
from collector.cli.serve import in_loop
from collector.errors import CollectorError

if TYPE_CHECKING:
    from collector.rehearsal.demo import Audit, Stage

_COUNT = "SELECT state, count(*) FROM jobs GROUP BY state"


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    default=Path("collector-demo"),
    show_default=True,
    help="Where to play it; what an earlier demo left there is removed first.",
)
@click.option("--stay", is_flag=True, help="Keep service and API up afterwards, until Ctrl-C.")
@option.as_json
def demo(folder: Path, stay: bool, as_json: bool) -> None:
    """See it all work, against a stand-in API.

    3,000 made-up posts are collected, with faults, and the result is audited. Half a minute; needs no network.
    """
    from collector.host import logs
    from collector.rehearsal.demo import prepare

    prepare(folder)
    with (folder / "collector.log").open("w", encoding="utf-8") as log:
        logs.configure(json=True, stream=log)
        audit = in_loop(_played(folder, stay, as_json))
    if audit is None:
        raise KeyboardInterrupt
    if not (audit.balanced and audit.within):
        if as_json:
            raise click.exceptions.Exit(1)  # the document that is out tells it
        raise CollectorError("the demo failed: " + "; ".join(_faults(audit)))


async def _played(folder: Path, stay: bool, as_json: bool) -> Audit | None:
    from collector.cli import screen
    from collector.rehearsal.demo import IDS, LIMIT, WINDOW, staged

    async with staged(folder) as stage:
        if as_json:
            audit = await stage.play(lambda _: None)
        else:
            click.echo(
                f"A service and a stand-in API in {folder}/, {LIMIT} calls in {WINDOW:g} s;"
                f" a CSV of {IDS:,} IDs goes into {folder}/watch/."
            )
            with screen.shown() as show:
                audit = await stage.play(show)
        if audit is None:
            return None
        option.say(as_json, _facts(folder, audit), _text(folder, audit))
        if stay:
            await _stay(stage, folder, as_json)
        return audit


async def _stay(stage: Stage, folder: Path, as_json: bool) -> None:
    if not as_json:
        click.echo(
            f"\nStill up: curl {stage.app.admin_url}/status\nDrop more files in {folder}/watch/; Ctrl-C ends it."
        )
    await stage.interrupted.wait()


def _facts(folder: Path, audit: Audit) -> dict[str, Any]:
    import msgspec

    facts = {"folder": str(folder), "balanced": audit.balanced, "within": audit.within}
    return facts | dict(msgspec.to_builtins(audit))


def _text(folder: Path, audit: Audit) -> str:
    from collector.output.text import books
    from collector.rehearsal.demo import REPEATS

    jobs = audit.batch.jobs
    place = folder / "batches" / audit.batch.folder
    return "\n".join(
        [
            "",
            f"Done in {audit.seconds:.0f} s, {audit.requests:,} requests, {audit.faulty} of which the API spoilt.",
            f"Lines   {audit.lines:,} = {jobs.total:,} IDs + {REPEATS} repeats + {audit.batch.refused} refused",
            f"Books   {books(jobs)} ({'balanced' if audit.balanced else 'NOT BALANCED'}:"
            " each ID looked up in the files and in the API)",
            f"Windows {_windows(audit)}",
            f"Files   {place}/",
            *(f"        {file.stat().st_size:>9,} bytes  {file.name}" for file in sorted(place.iterdir())),
            "Next    look at these, then `collector init` for your own:",
            f"        cat {place}/receipt.txt {place}/report.md",
            f"        head -n 2 {place}/found.jsonl {place}/gone.csv",
            f"        sqlite3 {folder}/collector.db '{_COUNT}'",
        ]
    )


def _windows(audit: Audit) -> str:
    from collector.rehearsal.demo import LIMIT, WINDOW

    count, most = len(audit.windows), max(audit.windows, default=0)
    if not audit.within:
        return f"EXCEEDED: {audit.too_many} requests were one too many, by the API's own log"
    return (
        f"no window saw more than its limit, by the API's own log: {count} windows of {WINDOW:g} s, the fullest"
        f" {most} of {LIMIT}"
    )


def _faults(audit: Audit) -> list[str]:
    faults = [] if audit.within else [f"a window of the API saw {max(audit.windows)} requests, more than its limit"]
    if not audit.balanced:
        faults.append(f"the books do not balance; wrong IDs: {', '.join(audit.wrong[:5]) or 'none'}")
    return faults
