"""What a call pays for the budgets, against a permit that does nothing: without limits, and with limits and headers.

    python -m bench.free [--calls 500] [--rounds 61]

The service's own consumers and client ask a server on loopback, which answers at once from a process of its own; the
sides run in short turns in one process, and the medians count. A ratio of 1 means that the budget room costs nothing.
The limited source has a window that is never spent, told of by each answer, and each of its calls is written down.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Mapping
from email.utils import formatdate
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import NamedTuple, cast

from collector import config
from collector.budget.freeze import Signal
from collector.budget.ledger import Ledger
from collector.budget.limit import Limit
from collector.budget.permit import Permit
from collector.cli.serve import in_loop
from collector.clock import Clock
from collector.dispatch.breaker import Breaker
from collector.dispatch.consumer import Consumer, Tools
from collector.dispatch.judge import Judge
from collector.dispatch.lane import Lane
from collector.dispatch.taken import Taken
from collector.host.disk import Room
from collector.model import BatchId, Call, Found, Job, Result
from collector.sources.http import Client
from collector.sources.request import Endpoint

AT_ONCE = 16
PATIENCE = 60.0  # seconds for one side of a round
SOURCE = """\
[source.{name}]
url = "http://127.0.0.1:{port}/{name}/{{id}}"
parallel = 16
"""
LIMIT = Limit(180_000, 3600.0)  # a faster one would be written down in blocks, which costs less


class Cost(NamedTuple):
    """Of one call, in seconds."""

    wall: float
    cpu: float


class Nothing(Permit):
    """A permit that nobody asked for."""

    def __init__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def spend(self) -> None:
        pass

    def unsent(self) -> None:
        pass

    def answered(self, status: int, answer_headers: Mapping[str, str]) -> Signal:
        return Signal.GO

    def returned(self, items: int | None) -> None:
        pass


class Absent(Ledger):
    """Stands where the ledger would."""

    def __init__(self) -> None:
        pass

    async def draw(self, source: str, jobs: int, keys: int = 1) -> Permit:
        return Nothing()


class Answering(asyncio.Protocol):
    """A server that knows one answer, and tells those who ask for `/limited/` of a window that just began."""

    def __init__(self) -> None:
        began = time.time()
        told = {"limit": LIMIT.count, "remaining": LIMIT.count - 1, "reset": int(began + LIMIT.seconds)}
        lines = [f"x-rate-limit-{name}: {value}\r\n" for name, value in told.items()]
        self._told = "".join([f"Date: {formatdate(began, usegmt=True)}\r\n", *lines]).encode()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Nobody sends a second request before the first is answered, and none is longer than a packet."""
        path, _, key = data.split(b" ", 2)[1].rpartition(b"/")
        body = b'{"id": "%b", "text": "%b"}' % (key, b"x" * 200)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
        self._transport.write(head % (len(body), self._told if path == b"/limited" else b"") + body)


def serve(told: "Connection[int, None]") -> None:
    """The server, until it is ended; tells its port."""

    async def listen() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    in_loop(listen())


async def carried(read: config.Config, name: str, ledger: Ledger, calls: int) -> Cost:
    """So many calls by the consumers of one source, from the queue to the outcome."""
    spec, clock, done = read.sources[name], Clock(), asyncio.Event()
    lane = Lane(name, Endpoint(spec, read.secrets), Breaker(spec.origin), Taken(), lambda _: True, Room())
    judge = Judge(spec, lane.breaker, Random(1), ever_good=True)
    left = calls

    async def record(result: Result) -> None:
        nonlocal left
        left -= isinstance(result.outcomes[0][1], Found)
        if not left:
            done.set()

    async with Client() as client, asyncio.TaskGroup() as group:
        tools = Tools(lambda _: (), ledger, client, record, clock)
        made = [Consumer(lane, judge, tools) for _ in range(AT_ONCE)]
        tasks = [group.create_task(consumer.run()) for consumer in made]
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(calls):
            job = Job(BatchId(1), str(number))
            await lane.queue.put(Call(name, (job,), (job.key,)))
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        cost = Cost((time.perf_counter() - wall) / calls, (time.process_time() - cpu) / calls)
        for task in tasks:
            task.cancel()
    return cost


async def permits(ledger: Ledger, calls: int) -> float:
    """Seconds of processor for drawing, spending and answering alone."""
    began = time.process_time()
    for _ in range(calls):
        with await ledger.draw("free", 1) as permit:
            permit.spend()
            permit.answered(200, {"Content-Type": "application/json", "Content-Length": "230"})
    return (time.process_time() - began) / calls


async def compare(folder: Path, port: int, calls: int, rounds: int) -> None:
    """All sides in turns; prints the table."""
    sources = [SOURCE.format(name=name, port=port) for name in ("free", "limited")]
    (folder / "collector.toml").write_text("".join(['root = "."\n', *sources]))
    read = config.load(folder / "collector.toml")
    ledger = Ledger.open(folder / "budgets.log", Clock(), consumers=AT_ONCE)
    ledger.declare("free", "free", ())
    ledger.declare("limited", "limited", (LIMIT,))
    absent = Absent()
    sides: list[tuple[str, str, Ledger]] = [
        ("nothing", "free", absent),
        ("without limits", "free", ledger),
        ("nothing again", "free", absent),
        ("nothing, told", "limited", absent),
        ("limited", "limited", ledger),
    ]
    costs: dict[str, list[Cost]] = {label: [] for label, _, _ in sides}
    for name in ("free", "limited"):
        await carried(read, name, absent, calls)  # warm
    for number in range(rounds):
        for label, name, side in sides if number % 2 else reversed(sides):
            costs[label].append(await carried(read, name, side, calls))
    alone = await permits(ledger, calls) - await permits(absent, calls)
    ledger.close()
    report(costs, calls, alone)


def report(costs: dict[str, list[Cost]], calls: int, alone: float) -> None:
    """The table of medians, and the ratios."""
    rounds = len(costs["nothing"])
    print(f"{calls} calls a turn, median of {rounds} rounds\n\n{'':<15} {'wall':>9} {'cpu':>9}  a call")
    for name, found in costs.items():
        wall, cpu = (statistics.median(column) * 1e6 for column in zip(*found, strict=True))
        print(f"{name:<15} {wall:>6.1f} us {cpu:>6.1f} us")
    print()
    for name, other in (("without limits", "nothing"), ("limited", "nothing, told"), ("nothing again", "nothing")):
        ratio = _ratio(costs[name], costs[other])
        print(f"{name} against {other}: {ratio.wall:.2f} of the wall time, {ratio.cpu:.2f} of the processor's")
    print("\nwhat is nearer to 1 than nothing against itself is no difference")
    print(f"drawing, spending and answering alone, without limits: {alone * 1e6:.1f} us a call")


def _ratio(ours: list[Cost], theirs: list[Cost]) -> Cost:
    """The median of the rounds, each against its own neighbour: a machine that is busy for a while slows both."""
    wall = statistics.median(one.wall / other.wall for one, other in zip(ours, theirs, strict=True))
    cpu = statistics.median(one.cpu / other.cpu for one, other in zip(ours, theirs, strict=True))
    return Cost(wall, cpu)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=61)
    given = parser.parse_args()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    server = multiprocessing.Process(target=serve, args=(sender,), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            in_loop(compare(Path(folder), receiver.recv(), given.calls, given.rounds))
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
