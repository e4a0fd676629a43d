"""How true the finish time is: at a tenth of the IDs `/status` is asked, and the end is held against what it said.

    python bench/finish.py [--runs 10] [--ids 3000] [--at-once 2] [--only NAME] [--seed 0]

The whole service in a process of its own against the stand-in API, windows scaled down to 40 calls in 5 s. An error is
given in percent of the time that was left when it was said, and in windows.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import msgspec

from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import Faults

LIMIT, WINDOW = 40, 5.0
ASKED_AT = 0.1  # share of the IDs that has ended
LOOK = 0.05  # seconds
FIRST = 1_500_000_000_000_000_000
FAULTS = Faults(errors=0.03, dropped=0.02)
CONFIG = """
root = "state"
default_source = "posts"
[service]
settle = "100ms"
[admin]
listen = "127.0.0.1:0"
[source.posts]
url = "{url}/2/tweets{path}"
items = "data"
gone = {{ at = "errors", id = "{gone}", why = "type" }}
limit = ["{limit}/{window:g}s"]
{more}
"""


class Kind(msgspec.Struct, frozen=True):
    """One way to ask the stand-in."""

    packed: bool
    api: Settings
    more: str = ""


KINDS = {
    "packed, headers": Kind(True, Settings(limit=LIMIT, window=WINDOW, faults=FAULTS)),
    "packed, no headers": Kind(True, Settings(limit=LIMIT, window=WINDOW, faults=FAULTS, headers=False)),
    "one a call, headers": Kind(False, Settings(limit=LIMIT, window=WINDOW, faults=FAULTS)),
    "one a call, no headers": Kind(False, Settings(limit=LIMIT, window=WINDOW, faults=FAULTS, headers=False)),
    "packed, sliding": Kind(True, Settings(limit=LIMIT, window=WINDOW, faults=FAULTS, policy="sliding")),
    "packed, plain": Kind(True, Settings(limit=LIMIT, window=WINDOW, faults=FAULTS, headers=False), 'window = "plain"'),
}


class Run(msgspec.Struct, frozen=True):
    """What was said and what came, in seconds from when it was said."""

    earliest: float
    likely: float
    latest: float
    real: float

    @property
    def late(self) -> float:
        """By how much the end came after the likely one."""
        return self.real - self.likely

    @property
    def within(self) -> bool:
        """The end came within the range."""
        return self.earliest <= self.real <= self.latest

    @property
    def kept(self) -> bool:
        """The end came within 5 % and a window of what was said."""
        return abs(self.late) <= 0.05 * self.likely + WINDOW


async def run(kind: Kind, ids: int, seed: int) -> Run:
    """Drops a file and reads the status until the batch has ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with StandIn(msgspec.structs.replace(kind.api, seed=seed)) as api:
            more = 'params = { ids = "{ids}" }\npack = 20\n' if kind.packed else ""
            path, gone = ("", "resource_id") if kind.packed else ("/{id}", "value")
            text = CONFIG.format(url=api.url, path=path, gone=gone, limit=LIMIT, window=WINDOW, more=more + kind.more)
            (folder / "collector.toml").write_text(text)
            async with serving(folder) as address, aiohttp.ClientSession(address) as session:
                drop(folder / "state" / "watch", ids if kind.packed else ids // 15, seed)
                said = await status_when(session, lambda batch: ended(batch) >= ASKED_AT and batch["finish_at"])
                done = await status_when(session, lambda batch: batch["finished_at"])
    batch, now = said["batches"][0], moment(said["now"])
    earliest, likely, latest = (moment(batch[key]) - now for key in ("finish_from", "finish_at", "finish_to"))
    return Run(earliest, likely, latest, moment(done["batches"][0]["finished_at"]) - now)


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[str]:
    """The service; its address."""
    command = ("-m", "collector", "run", "--json", "--config", str(folder / "collector.toml"))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stderr=asyncio.subprocess.PIPE)
    try:
        assert process.stderr is not None
        async for line in process.stderr:
            if (told := json.loads(line))["event"] == "ready":
                async with asyncio.TaskGroup() as group:
                    reader = group.create_task(drained(process.stderr))
                    yield told["admin"]
                    reader.cancel()
                break
    finally:
        process.kill()
        await process.wait()


async def drained(stream: asyncio.StreamReader) -> None:
    """Reads on: a full pipe would stop the service."""
    async for _ in stream:
        pass


def drop(watch: Path, ids: int, seed: int) -> None:
    """An ID file by rename, another one for each seed."""
    part = watch / ".ids.txt.part"
    part.write_text("".join(f"{FIRST + 104_729 * (seed * 100_000 + number)}\n" for number in range(ids)))
    part.rename(watch / "ids.txt")


async def status_when(session: aiohttp.ClientSession, fits: Any) -> dict[str, Any]:
    """The first status whose batch fits."""
    while True:
        async with session.get("/status") as answer:
            told: dict[str, Any] = await answer.json()
        if told["batches"] and told["batches"][0]["state"] != "loading" and fits(told["batches"][0]):
            return told
        await asyncio.sleep(LOOK)


def ended(batch: dict[str, Any]) -> float:
    """The share of a batch's IDs that has ended."""
    jobs = batch["jobs"]
    return 1 - float((jobs["queued"] + jobs["running"] + jobs["delayed"]) / jobs["total"])


def moment(stamp: str) -> float:
    """A stamp as seconds."""
    return datetime.fromisoformat(stamp).timestamp()


async def measure(kind: Kind, seeds: range, ids: int, at_once: int) -> list[Run]:
    """So many runs, some of them side by side."""
    places = asyncio.Semaphore(at_once)

    async def one(seed: int) -> Run:
        async with places:
            return await run(kind, ids, seed)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(seed)) for seed in seeds]
    return [task.result() for task in tasks]


def row(name: str, runs: list[Run], each: bool) -> None:
    """A line of the table, and with `each` one for each run."""
    parts = sorted(abs(one.late) / one.real for one in runs)
    windows = sorted(abs(one.late) / WINDOW for one in runs)
    wide = median((one.latest - one.earliest) / WINDOW for one in runs)
    within, kept = sum(one.within for one in runs), sum(one.kept for one in runs)
    print(
        f"{name:<24}{median(one.real for one in runs):>8.1f} s{median(parts):>10.1%}{median(windows):>8.2f}"
        f"{parts[-1]:>10.1%}{windows[-1]:>8.2f}{wide:>8.2f}{kept:>6} of {len(runs)}{within:>6} of {len(runs)}",
        flush=True,
    )
    for one in runs if each else ():
        print(f"    said {one.earliest:.1f} {one.likely:.1f} {one.latest:.1f}, came {one.real:.1f}", flush=True)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--ids", type=int, default=3_000, help="packed; one a call a fifteenth of them")
    parser.add_argument("--at-once", type=int, default=2, help="runs side by side")
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    parser.add_argument("--each", action="store_true", help="show each run")
    parser.add_argument("--seed", type=int, default=0, help="of the first run: other IDs, other faults")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.runs)
    print(
        f"{'':<24}{'left':>10}{'median':>10}{'windows':>8}{'worst':>10}{'windows':>8}{'range':>8}{'kept':>12}{'within':>12}"
    )
    for name, kind in KINDS.items():
        if given.only in name:
            row(name, asyncio.run(measure(kind, seeds, given.ids, given.at_once)), given.each)


if __name__ == "__main__":
    main()
