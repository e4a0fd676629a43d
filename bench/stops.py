"""Stops at random moments of a busy service, the start itself included: how long each takes, and whether it was whole.

    python -m bench.stops [--stops 100] [--kills 0] [--seed 1] [--wait 3]

The stand-in API answers in 0.5 to 2 s, with faults; a file of posts is dropped in each run, and one of seeds whose
followers are listed page by page and asked for their posts. After each SIGTERM the exit code is 0 (a process that was
still importing the command line may die by the signal), no `.part`, no socket and no lock is left, and the books
balance; in the end each ID is recorded once, and stands once in the results. With kills among the stops, files that a
kill -9 has left are no fault of a stop, so only the books are looked at.
"""

import argparse
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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from collector.host import lock

FAULTS = ("--errors=0.02", "--dropped=0.02", "--lost=0.01", "--truncated=0.01", "--garbled=0.01", "--token-stale=0.02")
PEOPLE = ("--followers=0-40", "--posts=0-15")
PATIENCE = 300.0  # seconds
AT_WORK = 0.8  # the share of ends that wait until the service works; the others meet its start
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
        self.root, self._folder = folder / "state", folder
        (folder / "collector.toml").write_text(CONFIG.format(url=url))
        (folder / "bearer.txt").write_text("b" * 40)
        (folder / "bearer.txt").chmod(0o600)
        self.dropped: list[str] = []

    def start(self) -> None:
        """Starts it."""
        command = [sys.executable, "-m", "collector", "run", "--json", "--config", str(self._folder / "collector.toml")]
        with (self._folder / "log.jsonl").open("a") as log:
            self._process = subprocess.Popen(command, stderr=log)

    def until_it_works(self) -> None:
        """Until it can be spoken with; before that a stop meets the start."""
        while not (self.root / "control.sock").exists() and self._process.poll() is None:
            time.sleep(0.02)

    def drop(self, source: str, keys: list[str]) -> None:
        """A file, by rename."""
        watch = self.root / "watch" / source
        watch.mkdir(parents=True, exist_ok=True)
        (watch / ".ids.part").write_text("".join(f"{key}\n" for key in keys))
        (watch / ".ids.part").rename(watch / f"{source}{len(self.dropped)}.txt")
        self.dropped += keys if source == "posts" else []

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
        """IDs that are not recorded once, and items that do not stand once in the results."""
        posts = "SELECT key FROM jobs JOIN batches ON id = batch WHERE source = 'posts'"
        jobs = Counter(str(key) for (key,) in self.rows(posts))
        told = [f"recorded {times}: {key}" for key, times in (jobs - Counter(self.dropped)).items()]
        told += [f"not recorded {times}: {key}" for key, times in (Counter(self.dropped) - jobs).items()]
        if self.rows("SELECT 1 FROM jobs WHERE finished_at IS NULL"):
            told.append("some jobs are open")
        lines = [
            (path.parent.name, record["id"], str(record["item"]["id"]))
            for path in self.root.glob("batches/*/found.jsonl")
            for record in map(json.loads, path.read_text().splitlines())
        ]
        told += [f"{times} times: {line}" for line, times in Counter(lines).items() if times > 1]
        # An ID of two batches may be asked once: the later one's results hold the items of the earlier one.
        [(items,)] = self.rows(
            "SELECT count(*) FROM jobs AS j JOIN items AS i ON i.batch = coalesce(j.same_as, j.batch) AND i.job = j.key"
        )
        return [*told, *([f"{items} items, {len(lines)} lines"] if items != len(lines) else [])]


def stopped(run: Run, stops: int, kills: int, seed: int, wait: float) -> tuple[list[float], list[str], int]:
    """The seconds of each stop, what was wrong, and how many processes died before their first line."""
    chance, took, wrong, early = random.Random(seed), [], [], 0
    turns = [signal.SIGTERM] * stops + [signal.SIGKILL] * kills
    chance.shuffle(turns)
    for turn, number in enumerate(turns):
        keys = [str(1_500_000_000_000_000_000 + 104_729 * (300 * turn + n)) for n in range(300)]
        run.start()
        if chance.random() < AT_WORK:
            run.until_it_works()
        moment = chance.uniform(0.0, wait)
        time.sleep(moment / 2)
        run.drop("posts", keys)
        if turn % 10 == 0:
            run.drop("x_follower_posts", [str(700_000_000 + 7_919 * turn)])
        time.sleep(moment / 2)
        code, seconds = run.end(number)
        if number == signal.SIGTERM:
            early += code == -signal.SIGTERM
            took.append(seconds)
            wrong += [f"stop {turn} after {moment:.2f} s: exit {code}"] * (code not in (0, -signal.SIGTERM))
            wrong += [
                f"stop {turn} after {moment:.2f} s: {what}" for what in (run.unbalanced() if kills else run.left())
            ]
    run.finish()
    code, _ = run.end(signal.SIGTERM)
    return took, [*wrong, *run.left(), *run.wrong(), *([f"the last exit: {code}"] if code else [])], early


def main() -> None:
    """The command; exit 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=100)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wait", type=float, default=3.0, help="seconds from a start to its end, at most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, api(Path(folder) / "api.jsonl") as url:
        run = Run(Path(folder), url)
        took, wrong, early = stopped(run, given.stops, given.kills, given.seed, given.wait)
        print(f"{len(took)} stops, {given.kills} kills, {len(run.dropped)} IDs and what the seeds brought")
        print(f"a stop took {statistics.median(took):.2f} s in the median, {max(took):.2f} s at most")
        print(f"{early} died by the signal while the command line was imported")
        print("\n".join(wrong) or "each stop was whole, and each ID is recorded once")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
