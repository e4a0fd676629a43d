"""The three promises, each by its own words, with real processes, a real server and real kills."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from collector.rehearsal.posts import Fate, Faults, World
from collector.rehearsal.verdicts import Verdicts

from .service import Service, service

ENDS = {Fate.FOUND: "found", Fate.POISON: "failed", Fate.BAD: "invalid"}  # the rest are gone


def ids(count: int, first: int = 1_500_000_000_000_000_000) -> list[str]:
    return [str(first + 104_729 * n) for n in range(count)]


def expected(keys: list[str], faults: Faults) -> Counter[str]:
    world = World(faults)
    return Counter(ENDS.get(world.fate(key), "gone") for key in keys)


@contextmanager
def api(log: Path, *options: str) -> Iterator[str]:
    """The stand-in API in a process of its own, which no kill of the service reaches."""
    command = [sys.executable, "-m", "collector.rehearsal.api", "--log", str(log), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


def assert_everything_is_there_once(run: Service, keys: list[str], faults: Faults) -> None:
    states = expected(keys, faults)
    assert run.books() == states
    kept = run.rows("SELECT state, sum(jobs) FROM counts WHERE jobs > 0 GROUP BY state")
    assert Counter(dict(kept)) == states
    assert run.rows("SELECT count(*), count(DISTINCT key) FROM jobs") == [(len(keys), len(keys))]
    assert run.rows("SELECT count(*), count(DISTINCT job) FROM items") == [(states["found"], states["found"])]
    assert run.rows("SELECT sum(items) FROM batches") == [(states["found"],)]
    without_reason = "SELECT count(*) FROM jobs WHERE state <> 'found' AND (reason IS NULL OR reason = '')"
    assert run.rows(without_reason) == [(0,)]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_books_balance(tmp_path: Path) -> None:
    """Under every fault that the API knows: IDs taken in = found + gone + invalid + failed + cancelled + open, while
    it runs and at its end, each ID that is not found with its reason."""
    keys = ids(4_000)
    faults = Faults(errors=0.05, dropped=0.03, lost=0.02, truncated=0.02, garbled=0.02, bad=0.002, poison=0.001)
    options = [f"--{name}={value}" for name, value in faults_given(faults).items()]
    with api(tmp_path / "api.jsonl", "--limit=0", "--latency=0-5", *options) as url, service(tmp_path, url) as run:
        run.start()
        run.until("ready")
        run.drop("ids.txt", [*keys, *keys[:50], "", "1.5e+18"])
        told = run.until("batch_opened")
        while told["event"] != "results_written":
            jobs = run.status()["jobs"]
            assert jobs["total"] == len(keys) == sum(jobs.values()) - jobs["total"]
            if not jobs["running"]:
                told = run.until("call_failed", "told_to_wait", "results_written")
        assert_everything_is_there_once(run, keys, faults)
        folder = run.root / "batches" / "0001-ids"
        found = [json.loads(line)["id"] for line in (folder / "found.jsonl").read_text().splitlines()]
        assert len(found) == len(set(found)) == expected(keys, faults)["found"]
        jobs = run.status()["jobs"]
        assert {state: jobs[state] for state in run.books()} == run.books()
        run.terminate()
        assert run.ended() == 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_rate_is_never_exceeded_and_never_wasted(tmp_path: Path) -> None:
    """By the API's own log no request is refused, over three kills in mid-window too; and without a kill nearly every
    window is used."""
    limit, window = 60, 3
    log = tmp_path / "api.jsonl"
    more = f'pack = 1\nlimit = ["{limit}/{window}s"]'
    with (
        api(log, f"--limit={limit}", f"--window={window}s", "--policy=sliding", "--no-headers") as url,
        service(tmp_path, url, more) as run,
    ):
        keys = ids(5 * limit)
        run.start()
        run.until("ready")
        run.drop("ids.txt", keys)
        run.until("results_written")
        verdicts = Verdicts.read(log)
        times = [verdict.t for verdict in verdicts]
        assert verdicts.statuses[429] == 0
        assert verdicts.most_in_any_window(window) <= limit
        assert (len(times) - 1) / (times[-1] - times[0]) >= 0.95 * limit / window

        more_keys = ids(4 * limit, first=1_600_000_000_000_000_000)
        run.drop("more.txt", more_keys)
        random = Random(4)
        for _ in range(3):
            with pytest.raises(subprocess.TimeoutExpired):
                run.process.wait(random.uniform(0.8, 2.5))
            run.kill()
            run.start()
            run.until("ready")
        run.until("results_written")
        verdicts = Verdicts.read(log)
        assert verdicts.statuses[429] == 0
        assert verdicts.most_in_any_window(window) <= limit
        run.terminate()
        assert run.ended() == 0


MOMENTS = (("ready", 0.3), ("starting", 0.2), ("ready", 0.8))  # a line of the log, and the seconds after it, at most


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_kill_it_at_any_moment_and_the_next_start_goes_on(tmp_path: Path) -> None:
    """kill -9 at 12 random moments of taking in, of starts and of work, then a start: every ID is there exactly once.
    `python -m bench.stops --kills 100` makes many more."""
    random = Random(20)
    faults = Faults(errors=0.01, dropped=0.01)
    options = [f"--{name}={value}" for name, value in faults_given(faults).items()]
    files = [ids(15_000, first=(15 + n) * 10**17) for n in range(4)]
    keys = [key for file in files for key in file]
    met: Counter[str] = Counter()
    with (
        api(tmp_path / "api.jsonl", "--limit=0", "--latency=5-40", *options) as url,
        service(tmp_path, url) as run,
    ):
        for number, file in enumerate(files):
            run.drop(f"ids-{number}.txt", file)
            for event, most in MOMENTS:
                run.start()
                run.until(event)
                with pytest.raises(subprocess.TimeoutExpired):
                    run.process.wait(random.uniform(0.0, most))
                run.kill()
                met.update(cut_off(run))
        assert met["taking in"], "no kill met a file that was being taken in"
        assert met["work"], "no kill met an ID that was being asked for"
        run.start()
        run.until("ready")
        while run.status()["jobs"]["total"] < len(keys):
            run.until("batch_opened")
        while any(batch["state"] != "finished" for batch in run.status()["batches"]):
            run.until("results_written")
        assert run.rows("SELECT count(*) FROM batches") == [(4,)]
        assert_everything_is_there_once(run, keys, faults)
        assert not list((run.root / "watch").glob("*.txt"))
        run.terminate()
        assert run.ended() == 0


def cut_off(run: Service) -> Iterator[str]:
    """What a kill found under way."""
    if run.rows("SELECT 1 FROM batches WHERE state = 'loading'") or any((run.root / "watch").glob("*.txt")):
        yield "taking in"
    if run.rows("SELECT 1 FROM jobs WHERE state = 'delayed'"):
        yield "work"


def faults_given(faults: Faults) -> dict[str, float]:
    """The shares that differ from the stand-in's own."""
    usual = Faults()
    names = ("errors", "dropped", "lost", "truncated", "garbled", "bad", "poison")
    shares = {name: getattr(faults, name) for name in names}
    return {name: share for name, share in shares.items() if share != getattr(usual, name)}
