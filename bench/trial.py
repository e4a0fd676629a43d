"""One run: a limiter, the service, perhaps another client and kills; and what the limiter's log says of it."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from bench.scenario import Scenario
from bench.score import Head, Score, Verdict, races, read, score
from bench.service import Service

ROOT = Path(__file__).parents[1]
RIVAL = "rival"
RIVAL_SHARE = 1 / 3  # of the limit
FIRST = 1_500_000_000_000_000_001
SLACK = 90.0  # seconds above what a run takes at the worst
LOOK_EVERY = 0.01  # seconds
JUST_BEFORE = 2.0  # seconds before a refusal in which a late loop may have caused it
AFTER_READY = (0.2, 1.0)  # seconds after a start at which the next of several kills comes
KILLS = ("mid", "spent", "three")


class Refusal(NamedTuple):
    """A 429 to us: when, counted from the first request, and how late the service's loop was just before (seconds)."""

    at: float
    lag: float
    left: int | None


class Result(NamedTuple):
    """One credential of one run."""

    name: str
    key: str
    asked: int
    ours: Score
    use: Score  # of everybody with this credential
    races: int  # of the refusals, those that could not be seen coming
    lag: float  # the latest that the loop was, in seconds
    refusals: tuple[Refusal, ...]


def run(scenario: Scenario, windows: float, kill: str | None = None, keep: Path | None = None) -> list[Result]:
    """As many windows' worth of IDs for each credential; the limiter's log goes to `keep` too, a folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "verdicts.jsonl"
        asked = {key: round(limit * windows) * scenario.pack for key, limit in scenario.keys.items()}
        with limiter(scenario, log) as port:
            if scenario.spent:
                spend(scenario, port)
            service = Service(folder, scenario, port)
            try:
                with rival(scenario, port):
                    carry(service, scenario, list(asked.values()), log, kill)
            finally:
                service.kill()
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{scenario.limiter.name}-{folder.name}.jsonl").write_bytes(log.read_bytes())
        return weigh(scenario, asked, log, service.lags())


def carry(service: Service, scenario: Scenario, counts: Sequence[int], log: Path, kill: str | None) -> None:
    """From the first start to the last result, over the kills."""
    patience = SLACK + 4 * max(counts) / min(scenario.keys.values()) * scenario.limiter.window
    service.start()
    service.until("ready", patience)
    for source, count in zip(service.sources, counts, strict=True):
        service.drop(source, [str(FIRST + 104_729 * number) for number in range(count)])
    if kill:
        strike(service, kill, scenario.limiter.limit, log, patience)
    for _ in service.sources:
        service.until("results_written", patience)
    service.stop()


def strike(service: Service, kill: str, limit: int, log: Path, patience: float) -> None:
    """kill -9 in mid-window, with the window just spent, or three times in a row, and a start at once."""
    granted(log, 2 * limit if kill == "spent" else limit * 3 // 2, patience)
    random = Random()
    for number in range(3 if kill == "three" else 1):
        if number:
            time.sleep(random.uniform(*AFTER_READY))
        service.kill()
        service.start()
        service.until("ready", patience)


def granted(log: Path, count: int, patience: float) -> None:
    """Returns when the limiter has granted so many calls."""
    deadline = time.monotonic() + patience
    while log.read_bytes().count(b'"status": 200') < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"fewer than {count} grants within {patience:.0f} s")
        time.sleep(LOOK_EVERY)


def weigh(scenario: Scenario, asked: dict[str, int], log: Path, lags: Sequence[tuple[float, float]]) -> list[Result]:
    """What the log says of each credential."""
    head, verdicts = read(log)
    found = []
    for key, count in asked.items():
        all_of_it = [verdict for verdict in verdicts if verdict.key == (key or "anon")]
        ours = [verdict for verdict in all_of_it if verdict.who != RIVAL]
        found.append(_result(scenario, head.of(key), (key, count), ours, all_of_it, lags))
    return found


def _result(
    scenario: Scenario,
    head: Head,
    asked: tuple[str, int],
    ours: list[Verdict],
    everybody: list[Verdict],
    lags: Sequence[tuple[float, float]],
) -> Result:
    began = None
    if scenario.spent:  # nothing could be had before the window that was spent is over
        began = max(ours[0].t, *(verdict.t + head.window for verdict in everybody if verdict.who == RIVAL))
    refused = [verdict for verdict in ours if verdict.status == 429]
    return Result(
        scenario.limiter.name,
        asked[0],
        asked[1],
        score(head, ours, began),
        score(head, ours if scenario.spent else everybody, began),
        races(everybody, ours[0].who, head.limit) if scenario.rival else 0,
        max((late for _, late in lags), default=0.0),
        tuple(Refusal(verdict.t - ours[0].t, _lag(lags, verdict.t), verdict.left) for verdict in refused),
    )


def _lag(lags: Sequence[tuple[float, float]], before: float) -> float:
    return max((late for at, late in lags if before - JUST_BEFORE < at <= before), default=0.0)


@contextmanager
def limiter(scenario: Scenario, log: Path) -> Iterator[int]:
    """The limiter in a process of its own, and its port."""
    command = [sys.executable, "-m", "bench.server", msgspec.json.encode(scenario.limiter).decode(), str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdin
        said = process.stdout.readline().split()
        if not said:
            raise RuntimeError("the limiter did not start: its words are above")
        try:
            yield int(said[1])
        finally:
            process.stdin.close()


def spend(scenario: Scenario, port: int) -> None:
    """Another client takes the whole window."""
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: _ask(port, f"spent{number}"), range(scenario.limiter.limit)))


@contextmanager
def rival(scenario: Scenario, port: int) -> Iterator[None]:
    """Another client with the same key, at random moments and all the while, where the scenario wants one."""
    over = threading.Event()

    def ask() -> None:
        random, number = Random(), 0
        rate = RIVAL_SHARE * scenario.limiter.limit / scenario.limiter.window
        while not over.wait(random.expovariate(rate)):
            number += 1
            if _ask(port, f"rival{number}") == 429:
                over.wait(1.0)

    thread = threading.Thread(target=ask)
    if scenario.rival:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if scenario.rival:
            thread.join()


def _ask(port: int, key: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/items/{key}", headers={"User-Agent": RIVAL})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status
