"""Stops at random moments of a service's whole life: how long each takes, and whether it was whole.

    python -m bench.stops [--stops 100] [--kills 0] [--seed 1] [--wait 3] [--keep FOLDER]

The stand-in API answers in 0.5 to 2 s, with faults; a file of posts and one for a Python function are dropped in most
runs, and one of seeds whose followers are listed page by page and asked for their posts. Some stops meet a start, some
the first start of a new folder, with its tables being made, some the results being written, and some an idle service.

After each SIGTERM the exit code is 0, but for a process whose own code has not begun: that is Python's start, and last
it is told how long it takes. No `.part`, no socket and no lock is left, and the books balance. In the end each ID is
recorded once and stands once in the results, and by the stand-in's own log nothing was asked that was recorded before.
With kills among the stops, files that a kill -9 has left are no fault of a stop, so only the books are looked at.
"""

import argparse
import csv
import json
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from collector.clock import stamp
from collector.host import lock
from collector.rehearsal.verdicts import Verdicts

FAULTS = ("--errors=0.02", "--dropped=0.02", "--truncated=0.01", "--garbled=0.01", "--lost=0", "--token-stale=0.02")
PEOPLE = ("--followers=0-40", "--posts=0-15")
PATIENCE = 300.0  # seconds
SOON = 5.0  # seconds within which a stop ends
AIMS = {"start": 15, "first start": 10, "any": 55, "writing": 10, "idle": 10}  # what so many in 100 ends want to meet
AIMING = 15.0  # seconds that an end waits for that, at most
CONFIG = """\
root = "state"
[service]
settle = "100ms"
[admin]
listen = "off"
[secret]
x_bearer = {{ file = "bearer.txt" }}
[source.posts]
url = "{url}/2/tweets"
params = {{ ids = "{{ids}}" }}
items = "data"
gone = {{ at = "errors[?parameter=='ids']", id = "resource_id", why = "type" }}
pack = 100
[source.python]
call = "bench_source:ask"
[source.x_followers]
use = "x/followers"
url = "{url}/2/users/{{id}}/followers"
params = {{ max_results = 10 }}
limit = []
[source.x_follower_posts]
use = "x/follower_posts"
url = "{url}/2/users/{{id}}/tweets"
params = {{ max_results = 10 }}
limit = []
"""
ENDED_WITH_A_LINE = """\
SELECT key FROM jobs AS j WHERE state <> 'found'
OR EXISTS (SELECT 1 FROM items WHERE batch = coalesce(j.same_as, j.batch) AND job = j.key)
"""  # a list may be empty, and found all the same
FUNCTION = """\
import time
def ask(work):
    time.sleep(0.05 + int(work.id) % 10 / 20)
    return {"id": work.id}
"""


@contextmanager
def api(log: Path, latency: str = "500-2000") -> Iterator[str]:
    """The stand-in API in a process of its own; its address."""
    command = [sys.executable, "-m", "collector.rehearsal.api", "--log", str(log), "--limit=0", f"--latency={latency}"]
    with subprocess.Popen([*command, *FAULTS, *PEOPLE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


class Run:
    """One state folder, and the service over it, time and again."""

    def __init__(self, folder: Path, url: str) -> None:
        self.root, self._folder, self._url = folder / "state", folder, url
        (folder / "collector.toml").write_text(CONFIG.format(url=url))
        (folder / "bench_source.py").write_text(FUNCTION)
        (folder / "bearer.txt").write_text("b" * 40)
        (folder / "bearer.txt").chmod(0o600)
        self.dropped: dict[str, list[str]] = {"posts": [], "python": []}
        self._files = 0

    def another(self, turn: int) -> "Run":
        """One over a new folder, at the same API."""
        (folder := self._folder / f"first{turn}").mkdir()
        return Run(folder, self._url)

    def start(self) -> None:
        """Starts it."""
        (self.root / "control.sock").unlink(missing_ok=True)  # a kill -9 leaves it; it tells when the start is over
        command = [sys.executable, "-m", "collector", "run", "--json", "--config", str(self._folder / "collector.toml")]
        with (self._folder / "log.jsonl").open("a") as log:
            self._process = subprocess.Popen(command, stderr=log)

    def until_it_works(self) -> None:
        """Until it can be spoken with; before that a stop meets the start."""
        while not (self.root / "control.sock").exists() and self._process.poll() is None:
            time.sleep(0.02)

    def until(self, phase: str) -> None:
        """Until it does that, or for AIMING seconds."""
        deadline = time.monotonic() + AIMING
        while self.phase() != phase and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002 if phase == "writing" else 0.02)

    def phase(self) -> str:
        """What it does now, as seen from outside."""
        if not (self.root / "control.sock").exists():
            return "start"
        if any(self.root.glob("watch/*/*.txt")) or self.rows("SELECT 1 FROM batches WHERE state = 'loading'"):
            return "taking in"
        if self.rows("SELECT 1 FROM batches WHERE written_at IS NULL AND finished_at IS NOT NULL"):
            return "writing"
        return "asking" if self.rows("SELECT 1 FROM batches WHERE finished_at IS NULL") else "idle"

    def drop(self, source: str, keys: list[str]) -> None:
        """A file, by rename."""
        watch = self.root / "watch" / source
        watch.mkdir(parents=True, exist_ok=True)
        (watch / ".ids.part").write_text("".join(f"{key}\n" for key in keys))
        (watch / ".ids.part").rename(watch / f"{source}{self._files}.txt")
        self._files += 1
        self.dropped.get(source, []).extend(keys)

    def hears(self) -> bool:
        """Whether our own code has begun: the process catches SIGTERM."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1)

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """The exit code, and the seconds that it took."""
        began = time.monotonic()
        self._process.send_signal(number)
        return self._process.wait(PATIENCE), time.monotonic() - began

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What a query says; nothing before there are tables."""
        try:
            with closing(sqlite3.connect(f"file:{self.root / 'collector.db'}?mode=ro", uri=True)) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []

    def unbalanced(self) -> list[str]:
        """What the books say and the rows do not."""
        rows = self.rows("SELECT batch, state, coalesce(reason, ''), count(*) FROM jobs GROUP BY 1, 2, 3")
        kept = self.rows("SELECT batch, state, reason, jobs FROM counts WHERE jobs > 0")
        return [f"books: {entry}" for entry in set(rows) ^ set(kept)]

    def left(self) -> list[str]:
        """What a stop should not have left."""
        parts = [str(path) for path in self.root.rglob("*.part")]
        socket = ["control.sock"] if (self.root / "control.sock").exists() else []
        held = [f"lock: {holder}"] if (holder := lock.holder(self.root)) else []
        return [*parts, *socket, *held, *self.unbalanced()]

    def finish(self) -> None:
        """Runs until every batch has ended and is written."""
        self.start()
        self.until_it_works()
        deadline = time.monotonic() + PATIENCE
        while self.rows("SELECT 1 FROM batches WHERE written_at IS NULL") or any(self.root.glob("watch/*/*.txt")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"it did not end: {(self._folder / 'log.jsonl').read_text()[-2000:]}")
            time.sleep(0.2)

    def wrong(self) -> list[str]:
        """IDs that are not recorded once, and what does not stand once in the results."""
        told: list[str] = []
        for source, keys in self.dropped.items():
            of_source = f"SELECT key FROM jobs JOIN batches ON id = batch WHERE source = '{source}'"
            jobs = Counter(str(key) for (key,) in self.rows(of_source))
            told += _differ(f"recorded of {source}", jobs, Counter(keys))
        if self.rows("SELECT 1 FROM jobs WHERE finished_at IS NULL"):
            told.append("some jobs are open")
        lines = Counter(self._found())
        told += [f"{times} times: {line}" for line, times in lines.items() if times > 1]
        # An ID of two batches may be asked once: the later one's results hold the items of the earlier one.
        items = self.rows(
            "SELECT j.key, i.key FROM jobs AS j"
            " JOIN items AS i ON i.batch = coalesce(j.same_as, j.batch) AND i.job = j.key"
        )
        told += _differ(
            "in found.jsonl",
            Counter((job, item) for _, job, item in lines.elements()),
            Counter((job, item) for job, item in items),
        )
        ended = Counter({(folder, job): 1 for folder, job, _ in lines})
        for name in ("gone", "failed"):
            for path in self.root.glob(f"batches/*/{name}.csv"):
                with path.open(newline="") as file:
                    ended.update((path.parent.name, row[0]) for row in list(csv.reader(file))[1:])
        told += [f"{times} times in the results: {line}" for line, times in ended.items() if times > 1]
        every = Counter(str(key) for (key,) in self.rows(ENDED_WITH_A_LINE))
        return told + _differ("in the results", Counter(job for _, job in ended.elements()), every)

    def _found(self) -> Iterator[tuple[str, str, str]]:
        """Each line of each found.jsonl: its folder, its ID and the item's."""
        for path in self.root.glob("batches/*/found.jsonl"):
            for record in map(json.loads, path.read_text().splitlines()):
                yield path.parent.name, record["id"], str(record["item"]["id"])

    def asked_again(self, log: Path) -> tuple[int, int]:
        """By the API's log: how many posts went out twice in a whole answer, and how many were asked when they were
        recorded."""
        rows = self.rows("SELECT key, finished_at FROM jobs JOIN batches ON id = batch WHERE source = 'posts'")
        ended = {str(key): str(at) for key, at in rows}
        verdicts = [verdict for verdict in Verdicts.read(log) if verdict.route == "/2/tweets"]
        twice = sum(times - 1 for times in Counter(i for v in verdicts if v.answered for i in v.ids).values())
        return twice, sum(ended.get(i, "9") < stamp(v.t) for v in verdicts for i in v.ids)


def _differ(what: str, there: Counter[Any], due: Counter[Any]) -> list[str]:
    """What is there too often, or too seldom."""
    more = [f"{what}, {times} too many: {line}" for line, times in (there - due).items()]
    return [*more, *(f"{what}, {times} too few: {line}" for line, times in (due - there).items())]


class Stop(NamedTuple):
    """How one SIGTERM went."""

    phase: str
    seconds: float
    code: int


def stopped(
    run: Run, stops: int, kills: int, seed: int, wait: float, aims: Mapping[str, int] = MappingProxyType(AIMS)
) -> tuple[list[Stop], list[str]]:
    """Each stop, and what was wrong."""
    chance, taken, wrong = random.Random(seed), [], []
    turns = [signal.SIGTERM] * stops + [signal.SIGKILL] * kills
    chance.shuffle(turns)
    for turn, number in enumerate(turns):
        [aim] = chance.choices([*aims], [*aims.values()])
        moment = chance.uniform(0.0, 1.2 if "start" in aim else wait)
        at = run.another(turn) if aim == "first start" else run
        at.start()
        if aim == "idle":
            at.until(aim)
        elif "start" not in aim:
            at.until_it_works()
            at.drop("posts", [str(1_500_000_000_000_000_000 + 104_729 * (300 * turn + n)) for n in range(300)])
            at.drop("python", [str(1000 * turn + n) for n in range(20)])
            if turn % 8 == 0:
                at.drop("x_follower_posts", [str(700_000_000 + 7_919 * turn)])
        if aim == "writing":
            at.until(aim)
        else:
            time.sleep(moment)
        phase = "first start" if aim == "first start" and at.phase() == "start" else at.phase()
        hears = at.hears()
        code, seconds = at.end(number)
        left = at.unbalanced() if kills else at.left()
        if number == signal.SIGTERM:
            taken.append(Stop(phase if hears else "Python", seconds, code))
            left += [f"exit {code}"] * (code != 0 and (hears or code != -signal.SIGTERM)) + [f"{seconds:.1f} s"] * (
                seconds > SOON
            )
        wrong += [f"turn {turn}, {phase} after {moment:.2f} s: {what}" for what in left]
    run.finish()
    code, _ = run.end(signal.SIGTERM)
    return taken, [*wrong, *run.left(), *run.wrong(), *([f"the last exit: {code}"] if code else [])]


def deaf(run: Run) -> float:
    """The seconds from the start of a process to the last moment at which SIGTERM was its death by the signal."""
    last = 0.0
    for step in range(60):
        run.start()
        time.sleep(moment := step * 0.005)
        last = moment if run.end(signal.SIGTERM)[0] else last
    return last


def table(taken: list[Stop]) -> Iterator[str]:
    """What the stops took, by phase."""
    for phase in (None, *dict.fromkeys(stop.phase for stop in taken)):
        took = sorted(stop.seconds for stop in taken if phase in (None, stop.phase))
        yield (
            f"{phase or 'all':12} {len(took):4} stops, {statistics.median(took):.2f} s in the median,"
            f" {took[int(0.95 * (len(took) - 1))]:.2f} s in 95 %, {took[-1]:.2f} s at most"
        )


@contextmanager
def folder_of(given: Path | None) -> Iterator[Path]:
    """A named folder, which stays, or one that does not."""
    if given:
        given.mkdir(parents=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    """The command; exit 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=100)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wait", type=float, default=3.0, help="seconds from a start to its end, at most")
    parser.add_argument("--keep", type=Path, help="a new folder that is not removed")
    given = parser.parse_args()
    with folder_of(given.keep) as folder, api(folder / "api.jsonl") as url:
        run = Run(folder, url)
        taken, wrong = stopped(run, given.stops, given.kills, given.seed, given.wait)
        twice, again = run.asked_again(folder / "api.jsonl")
        ids = sum(map(len, run.dropped.values()))
        print(f"{len(taken)} stops, {given.kills} kills, {ids} IDs and what the seeds brought", *table(taken), sep="\n")
        print(f"{twice} posts asked twice, {again} asked that were recorded")
        print(f"a new process dies by the signal for its first {1000 * deaf(run):.0f} ms at most")
        print("\n".join(wrong) or "each stop was whole, and each ID is recorded once")
    sys.exit(bool(wrong or again))


if __name__ == "__main__":
    main()
