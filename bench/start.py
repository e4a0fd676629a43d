"""How soon a service is at work over a database of very many IDs, and what it takes while it runs.

    python -m bench.start [--ids 10000000] [--rounds 3] [--idle 60] [--folder DIR]

Sides are an empty database, one with all IDs queued, and one whose first half is found. Each round tells the seconds
from the start to READY (by the socket that systemd would have), the CPU time of that, which a busy machine leaves as it
is, and the seconds to the first call at a server on loopback; the same after a kill -9; resident memory 5 s after
READY, `/status` over 200 requests, and how long a stop takes. The last round also tells what a service takes that is
paused: the share of one core in percent, and memory.
"""

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from bench import built, cost
from collector import config
from collector.cli import control
from collector.cli.serve import in_loop

PATIENCE = 120.0  # seconds
SIDES = {"empty": 0.0, "queued": 0.0, "half found": 0.5}  # the share of IDs that are found
CONFIG = """
root = "state"
[admin]
listen = "off"
[source.posts]
url = "http://127.0.0.1:{port}/{{id}}"
limit = ["20/1s"]
"""


class Answering(asyncio.Protocol):
    """Answers each ID with itself, and tells when it was asked."""

    def __init__(self, told: "Connection[float, None]") -> None:
        self._told = told

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Nobody sends a second request before the first is answered, and none is longer than a packet."""
        self._told.send(time.monotonic())
        body = b'{"id": "%b"}' % data.split(b" ", 2)[1][1:]
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)


def serve(port: "Connection[int, None]", told: "Connection[float, None]") -> None:
    """The server, until it is ended; tells its port."""

    async def listen() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Answering(told), "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    in_loop(listen())


@contextmanager
def answering() -> Iterator[tuple[int, "Connection[None, float]"]]:
    """That server in a process of its own: its port, and where it tells when it was asked."""
    (ports, port), (tells, told) = Pipe(False), Pipe(False)
    server = Process(target=serve, args=(port, told), daemon=True)
    server.start()
    try:
        yield ports.recv(), tells
    finally:
        server.terminate()


class Run:
    """The service over one folder, started as systemd would."""

    def __init__(self, folder: Path, port: int, told: "Connection[None, float]") -> None:
        self._folder, self._told = folder, told
        self._config = folder / "collector.toml"
        self._config.write_text(CONFIG.format(port=port))
        self.read = config.load(self._config)

    def start(self) -> tuple[float, float | None]:
        """Seconds to READY, and to the first call after that; None where there is nothing to ask."""
        while self._told.poll():
            self._told.recv()
        name = str(self._folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound, (self._folder / "log.jsonl").open("a") as log:
            Path(name).unlink(missing_ok=True)
            bound.bind(name)
            bound.settimeout(PATIENCE)
            command = [sys.executable, "-m", "collector", "run", "--json", "--config", str(self._config)]
            began = time.monotonic()
            self.process = subprocess.Popen(command, stderr=log, env=os.environ | {"NOTIFY_SOCKET": name})
            while bound.recv(65_536) != b"READY=1":
                pass
            ready = time.monotonic()
            self.spent = cost.cpu(self.process.pid)
        asked = self._told.recv() if self._told.poll(3.0) else None
        return ready - began, asked and asked - began

    def rss(self) -> float:
        """Resident memory now, in MB."""
        return cost.rss(self.process.pid, "VmRSS") / 1e6

    def cpu(self, seconds: float) -> float:
        """The share of one core that is used meanwhile, in percent."""
        before = cost.cpu(self.process.pid)
        time.sleep(seconds)
        return 100 * (cost.cpu(self.process.pid) - before) / seconds

    def status(self, times: int = 200) -> tuple[float, float]:
        """Median and 99th percentile of `/status`, in milliseconds."""
        took = []
        for _ in range(times):
            began = time.perf_counter()
            control.ask(self.read, "/status")
            took.append(1000 * (time.perf_counter() - began))
        return statistics.median(took), statistics.quantiles(took, n=100)[-1]

    def pause(self) -> None:
        """Nothing is asked any more."""
        command = [sys.executable, "-m", "collector", "pause", "--all", "--config", str(self._config)]
        subprocess.run(command, check=True, capture_output=True)

    def end(self, number: signal.Signals) -> float:
        """Seconds from the signal to the end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait()
        return time.monotonic() - began


def measure(run: Run, idle: float) -> dict[str, float]:
    """One round of one side."""
    ready, asked = run.start()
    spent = run.spent
    time.sleep(5.0)
    rss = run.rss()
    usual, worst = run.status()
    run.end(signal.SIGKILL)
    again, asked_again = run.start()
    spent_again = run.spent
    stop = run.end(signal.SIGTERM)
    told: dict[str, float | None] = {"READY s": ready, "CPU until READY s": spent, "first call s": asked}
    told |= {"READY after kill -9 s": again, "its CPU s": spent_again, "its first call s": asked_again}
    told |= {"RSS MB": rss, "status p50 ms": usual, "status p99 ms": worst, "stop s": stop}
    if idle:
        run.start()
        run.pause()
        time.sleep(2.0)
        told |= {"idle CPU %": run.cpu(idle), "idle RSS MB": run.rss()}
        run.end(signal.SIGTERM)
    return {what: value for what, value in told.items() if value is not None}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds; 0: not measured")
    parser.add_argument("--folder", type=Path, help="where the databases are built; some 50 bytes an ID, twice")
    given = parser.parse_args()
    with answering() as (port, told):
        for side, found in SIDES.items():
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                built.jobs(Path(folder), given.ids if side != "empty" else 0, int(given.ids * found))
                run = Run(Path(folder), port, told)
                try:
                    rounds = [measure(run, given.idle * (turn == given.rounds - 1)) for turn in range(given.rounds)]
                finally:
                    run.process.kill()
            print(f"\n{side}, {given.rounds} rounds, load {os.getloadavg()[0]:.1f}")
            for what in rounds[-1]:
                values = [one[what] for one in rounds if what in one]
                middle = statistics.median(values)
                print(f"  {what:21} {middle:8.3f}  ({min(values):.3f} to {max(values):.3f})", flush=True)


if __name__ == "__main__":
    main()
