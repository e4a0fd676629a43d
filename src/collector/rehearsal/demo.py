"""The whole service against the stand-in API, windows scaled down, and then an audit that trusts neither of the two
but reads the files that one wrote and the log that the other kept."""

import asyncio
import csv
import json
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from collector import config
from collector.app import App
from collector.errors import CollectorError, Held, UsageError
from collector.host import lock
from collector.output.snapshot import BatchStatus, Snapshot
from collector.rehearsal.api import StandIn
from collector.rehearsal.fates import Fate, Faults
from collector.rehearsal.numbered import EPOCH_MS
from collector.rehearsal.posts import made_at
from collector.rehearsal.settings import Settings
from collector.rehearsal.verdicts import Verdict

MARKER = ".collector-demo"  # in a folder that is ours to empty
LIMIT, WINDOW = 40, 5.0  # calls in seconds
IDS, REPEATS = 3_000, 37
REFUSED = ("1.50465E+18", "1.52177E+18", "n/a", "deleted", "see notes")

_LONGEST = 90.0  # seconds, after which something is wrong
_LOOK = 0.2  # seconds from one picture to the next
_SETTINGS = Settings(limit=LIMIT, window=WINDOW, faults=Faults(errors=0.03, dropped=0.02))
_CONFIG = """\
# Made by `collector demo`. The stand-in API at this address lives only as long as the demo.
root           = "."
default_source = "x_posts"

[service]
min_free = "50MB"            # it needs no more

[admin]
listen = "127.0.0.1:0"        # any free port

[source.x_posts]
url     = "{url}/2/tweets"
params  = {{ ids = "{{ids}}", expansions = "author_id" }}
pack    = 20
id      = '(?:(?:https?://)?(?:www\\.|mobile\\.)?(?:twitter|x)\\.com/\\w+/status(?:es)?/)?([0-9]{{1,19}})(?:[/?#].*)?'
items   = "data"
also    = ["includes"]
gone    = {{ at = "errors[?parameter=='ids']", id = "resource_id", why = "type" }}
reasons = {{ "resource-not-found" = "deleted", "not-authorized-for-resource" = "protected" }}
limit   = ["{limit}/{window:g}s"]
"""


class Audit(msgspec.Struct, frozen=True):
    """What came of the demo, counted by others than the service."""

    batch: BatchStatus  # as the service itself tells it
    distinct: int  # IDs in the file that was dropped
    lines: int  # its data lines
    found: int  # IDs in found.jsonl, gone.csv and failed.csv
    gone: int
    ended: int
    wrong: tuple[str, ...]  # IDs written twice, nowhere, or otherwise than the API has it
    windows: tuple[int, ...]  # requests that reached each window of the API, those it refused included
    too_many: int  # requests it refused: 429
    requests: int
    faulty: int  # answered with a 5xx, or not at all
    seconds: float

    @property
    def balanced(self) -> bool:
        """The service's counts, the files and the dropped file agree, and no ID is lost or wrong."""
        jobs = self.batch.jobs
        told = (jobs.found, jobs.gone, jobs.invalid + jobs.failed + jobs.cancelled)
        return (
            not self.wrong
            and jobs.total == self.distinct == sum(told) + jobs.open
            and told == (self.found, self.gone, self.ended)
            and self.batch.lines == self.lines
        )

    @property
    def within(self) -> bool:
        """No window of the API saw more than its limit."""
        return not self.too_many and max(self.windows, default=0) <= LIMIT


def prepare(folder: Path) -> None:
    """An empty folder with our marker; UsageError when what is in it is not ours to remove."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        inside = list(folder.iterdir())
        if inside and not (folder / MARKER).exists():
            raise UsageError(f"{folder} is not empty and was not made by a demo: give another with --folder")
        if holder := lock.holder(folder):
            raise Held(f"a demo is still going on in {folder}: {holder}; end that one, or give another with --folder")
        for path in inside:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (folder / MARKER).write_text("`collector demo` empties this folder when it starts.\n")
    except OSError as error:
        raise CollectorError(f"cannot use {error.filename} for the demo: {error.strerror}") from error


class Stage:
    """The service and the API, both up."""

    def __init__(self, folder: Path, app: App, api: StandIn) -> None:
        self.app, self._folder, self._api = app, folder, api
        self.interrupted = asyncio.Event()  # by Ctrl-C or SIGTERM

    async def play(self, show: Callable[[Snapshot], object]) -> Audit | None:
        """Drops the ID file, shows what happens until it is written out, and audits it; None when interrupted."""
        await self.app.ready.wait()
        loop = asyncio.get_running_loop()
        began = loop.time()
        dropped = await asyncio.to_thread(_drop, self._folder)
        while not (batch := self._written()):
            show(self.app.snapshot())
            if loop.time() - began > _LONGEST:
                raise CollectorError(f"not done after {_LONGEST:.0f} s; {self._folder / 'collector.log'} may tell why")
            if await self._paused():
                return None
        show(self.app.snapshot())
        seconds = loop.time() - began
        return await asyncio.to_thread(audit, self._folder, dropped, batch, self._api, seconds)

    def _written(self) -> BatchStatus | None:
        ended = [batch for batch in self.app.snapshot().batches if batch.finished_at]
        done = ended and (self._folder / "batches" / ended[0].folder / "report.md").exists()
        return ended[0] if done else None

    async def _paused(self) -> bool:
        try:
            async with asyncio.timeout(_LOOK):
                return await self.interrupted.wait()
        except TimeoutError:
            return False


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """Service and API in a prepared folder, stopped in order at the end."""
    async with StandIn(_SETTINGS) as api:
        path = folder / "collector.toml"
        path.write_text(_CONFIG.format(url=api.url, limit=LIMIT, window=WINDOW), encoding="utf-8")
        stage = Stage(folder, app := App(config.load(path.absolute())), api)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stage.interrupted.set)
        # Not the service's own group: its death must end the demo, and the demo's end must stop it.
        async with asyncio.TaskGroup() as group:
            group.create_task(app.run(signals=False))
            try:
                yield stage
            finally:
                app.stop()


def audit(folder: Path, dropped: tuple[str, ...], batch: BatchStatus, api: StandIn, seconds: float) -> Audit:
    """Counts again, from the files and the API's log."""
    place = folder / "batches" / batch.folder
    with (place / "found.jsonl").open(encoding="utf-8") as file:
        found = [json.loads(line)["id"] for line in file]
    gone, ended = _column(place / "gone.csv"), _column(place / "failed.csv")
    windows = _windows(api.verdicts)
    return Audit(
        batch=batch,
        distinct=len(set(dropped)),
        lines=len(dropped) + len(REFUSED),
        found=len(found),
        gone=len(gone),
        ended=len(ended),
        wrong=_wrong(dropped, found, gone, ended, api.fate),
        windows=windows,
        too_many=api.verdicts.statuses[429],
        requests=api.verdicts.total,
        faulty=sum(count for status, count in api.verdicts.statuses.items() if status == 0 or status >= 500),
        seconds=seconds,
    )


def _wrong(
    dropped: Iterable[str], found: list[str], gone: list[str], ended: list[str], fate: Callable[[str], Fate]
) -> tuple[str, ...]:
    written = Counter([*found, *gone, *ended])
    wrong = {key for key in written.keys() | set(dropped) if written[key] != 1}
    wrong |= written.keys() - set(dropped)
    wrong |= {key for key in found if fate(key) is not Fate.FOUND}
    wrong |= {key for key in gone if fate(key) is Fate.FOUND}
    return tuple(sorted(wrong))


def _windows(verdicts: Iterable[Verdict]) -> tuple[int, ...]:
    """Requests in each window as the API opened them: with the first request after the one before had ended."""
    counts: list[int] = []
    ends = float("-inf")
    for verdict in verdicts:
        if not verdict.counted and verdict.status != 429:
            continue
        if verdict.mono >= ends:
            ends = verdict.mono + WINDOW
            counts.append(0)
        counts[-1] += 1
    return tuple(counts)


def _column(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row["id"] for row in csv.DictReader(file)]


def _drop(folder: Path) -> tuple[str, ...]:
    """An ID file as people have them, copied into the watch folder; its IDs in order, repeats included."""
    rows, keys = _rows()
    file = folder / "election-tweets.csv"
    file.write_text("".join(f"{row}\n" for row in ["tweet_id,created_at,stance", *rows]), encoding="utf-8")
    shutil.copyfile(file, folder / "watch" / file.name)
    return keys


def _rows() -> tuple[list[str], tuple[str, ...]]:
    random = Random(2022)  # noqa: S311 - the same file each time
    begin = int(datetime.fromisoformat("2022-03-01T00:00:00Z").timestamp() * 1000) - EPOCH_MS
    draw = partial(random.randrange, 90 * 86_400_000)
    keys = sorted({str(begin + draw() << 22 | random.randrange(1 << 22)) for _ in range(IDS)})
    keys += random.sample(keys, REPEATS)
    rows = [f"{key},{made_at(key)},{random.choice(('for', 'against', 'none'))}" for key in keys]
    for refused in REFUSED:
        rows.insert(random.randrange(len(rows)), f"{refused},,none")
    return rows, tuple(keys)
