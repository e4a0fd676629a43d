"""`/status` asked by many at once while calls go at full speed, and what that costs the calls.

    python -m bench.status [--seconds 6] [--rounds 3] [--connections 24] [--batches 50] [--path /status]

wrk (Debian: wrk) asks over kept connections, first with a pause of 10 ms in each, about 1,000 times a second in all,
and then as fast as it can. In turns with that nobody asks. Only ratios say something on a machine that others use.
"""

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import IO, NamedTuple

from bench.answering import answering
from bench.bare import FIRST
from bench.carried import started, until
from collector import config
from collector.cli import control

IDS = 3_000  # of a batch
PAUSED = "math.randomseed(os.time()) function delay() return math.random(4, 16) end\n"
CONFIG = """\
root = "state"
[service]
consumers = 16
settle = "100ms"
[admin]
listen = "127.0.0.1:0"
[source.asked]
url = "{url}/items/{{id}}"
parallel = 16
"""


class Asked(NamedTuple):
    """What wrk found: answers a second, and within how many milliseconds 99 of 100 came."""

    speed: float
    p99: float
    errors: bool


class Running:
    """The service, and how many IDs it has found."""

    def __init__(self, folder: Path) -> None:
        self._known = config.load(folder / "collector.toml")

    def found(self) -> int:
        """IDs until now."""
        told = json.loads(control.ask(self._known, "/status"))
        return int(told["jobs"]["found"])

    def drop(self, number: int) -> None:
        """One more batch."""
        part = self._known.watch / f".{number}.txt.part"
        part.write_text("".join(f"{FIRST + number * IDS + one}\n" for one in range(IDS)))
        part.rename(self._known.watch / f"{number}.txt")

    def speed(self, during: Callable[[], None]) -> float:
        """IDs a second while something is done."""
        before, began = self.found(), time.monotonic()
        during()
        return (self.found() - before) / (time.monotonic() - began)


def wrk(url: str, given: argparse.Namespace, script: Path | None) -> Asked:
    """Many who ask."""
    lua = ["-s", str(script)] if script else []
    command = ["wrk", "-t", "1", "-c", str(given.connections), "-d", f"{given.seconds}s", "--latency", *lua, url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    [speed] = re.findall(r"Requests/sec:\s+([0-9.]+)", told)
    [(number, unit)] = re.findall(r"99%\s+([0-9.]+)(us|ms|s)", told)
    errors = "Socket errors" in told or "Non-2xx" in told
    return Asked(float(speed), float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit], errors)


def compare(folder: Path, given: argparse.Namespace, log: "IO[str]", url: str) -> None:
    """All sides in turns."""
    run, numbers, script = Running(folder), count(), folder / "paused.lua"
    script.write_text(PAUSED)
    for _ in range(given.batches):
        run.drop(next(numbers))
        until(log, "batch_opened")
    speeds: dict[str, list[float]] = {"alone": [], "paced": [], "flood": []}
    asked: dict[str, list[Asked]] = {"paced": [], "flood": []}
    for _ in range(given.rounds):
        speeds["alone"].append(run.speed(lambda: time.sleep(given.seconds)))
        for side, lua in (("paced", script), ("flood", None)):
            speeds[side].append(run.speed(lambda: asked[side].append(wrk(url, given, lua))))  # noqa: B023
    alone = statistics.median(speeds["alone"])
    print(f"nobody asks: {alone:,.0f} IDs/s")
    for side, found in asked.items():
        speed, late = (statistics.median(column) for column in list(zip(*found, strict=True))[:2])
        ratios = [under / free for under, free in zip(speeds[side], speeds["alone"], strict=True)]
        ids, ratio = statistics.median(speeds[side]), statistics.median(ratios)
        wrong = ", WITH ERRORS" if any(one.errors for one in found) else ""
        print(f"{side}: {speed:,.0f} answers/s, p99 {late:.1f} ms{wrong}; {ids:,.0f} IDs/s, {ratio:.2f} of alone")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=24)
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--path", default="/status")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, answering(Path(place)) as server:
        folder = Path(place)
        (folder / "collector.toml").write_text('default_source = "asked"\n' + CONFIG.format(url=server.url))
        (folder / "state").mkdir()
        with started(folder) as process:
            assert process.stderr is not None
            for line in process.stderr:
                told = json.loads(line) if line.startswith("{") else {}
                if told.get("event") == "ready":
                    break
            compare(folder, given, process.stderr, f"{told['admin']}{given.path}")


if __name__ == "__main__":
    main()
