"""What a source without limits pays for the budgets, against a permit that does nothing.

    python -m bench.free [--calls 3000] [--rounds 11]

The service's own consumers and client ask a server on loopback, which answers at once from a process of its own; the
two sides run in turns in one process, and the medians count. A ratio of 1 means that the budget room costs nothing.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import NamedTuple, cast

from collector import config
from collector.budget.freeze import Signal
from collector.budget.ledger import Ledger
from collector.budget.permit import Permit
from collector.cli.serve import in_loop
from collector.clock import Clock
from collector.dispatch.breaker import Breaker
from collector.dispatch.consumer import Consumer
from collector.dispatch.judge import Judge
from collector.dispatch.lane import Lane
from collector.dispatch.taken import Taken
from collector.model import BatchId, Call, Found, Job, Result
from collector.sources.http import Client
from collector.sources.request import Endpoint

AT_ONCE = 16
PATIENCE = 60.0  # seconds for one side of a round
SOURCE = 'root = "."\n[source.free]\nurl = "http://127.0.0.1:{port}/items/{{id}}"\nparallel = 16\n'


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
    """A server that knows one answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Nobody sends a second request before the first is answered, and none is longer than a packet."""
        key = data.split(b" ", 2)[1].rpartition(b"/")[2]
        body = b'{"id": "%b", "text": "%b"}' % (key, b"x" * 200)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)


def serve(told: "Connection[int, None]") -> None:
    """The server, until it is ended; tells its port."""

    async def listen() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    in_loop(listen())


async def carried(read: config.Config, ledger: Ledger, calls: int) -> Cost:
    """So many calls by the consumers of one source, from the queue to the outcome."""
    spec, clock, done = read.sources["free"], Clock(), asyncio.Event()
    lane = Lane("free", Endpoint(spec, read.secrets), Breaker(spec.origin), Taken())
    judge = Judge(spec, lane.breaker, Random(1), ever_good=True)
    left = calls

    async def record(result: Result) -> None:
        nonlocal left
        left -= isinstance(result.outcomes[0][1], Found)
        if not left:
            done.set()

    async with Client() as client, asyncio.TaskGroup() as group:
        made = [Consumer(lane, judge, ledger, client, record, clock) for _ in range(AT_ONCE)]
        tasks = [group.create_task(consumer.run()) for consumer in made]
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(calls):
            job = Job(BatchId(1), str(number))
            await lane.queue.put(Call("free", (job,), (job.key,)))
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
    """Both sides in turns; prints the table."""
    (folder / "collector.toml").write_text(SOURCE.format(port=port))
    read = config.load(folder / "collector.toml")
    ledger = Ledger.open(folder / "budgets.log", Clock(), consumers=AT_ONCE)
    ledger.declare("free", "free", ())
    absent = Absent()
    costs: dict[str, list[Cost]] = {"budgets": [], "nothing": [], "again": []}
    await carried(read, absent, calls)  # warm
    for number in range(rounds):
        sides = [("nothing", absent), ("budgets", ledger), ("again", absent)]
        for name, side in sides if number % 2 else reversed(sides):
            costs[name].append(await carried(read, side, calls))
    alone = await permits(ledger, calls) - await permits(absent, calls)
    ledger.close()
    report(costs, calls, alone)


def report(costs: dict[str, list[Cost]], calls: int, alone: float) -> None:
    """The table of medians, and the ratio."""
    rounds = len(costs["budgets"])
    print(
        f"a source without limits, {calls} calls, median of {rounds} rounds\n\n{'':<10} {'wall':>9} {'cpu':>9}  a call"
    )
    medians = {}
    for name, found in costs.items():
        medians[name] = Cost(*(statistics.median(column) for column in zip(*found, strict=True)))
        print(f"{name:<10} {medians[name].wall * 1e6:>6.1f} us {medians[name].cpu * 1e6:>6.1f} us")
    ratio, same = _ratio(costs["budgets"], costs["nothing"]), _ratio(costs["again"], costs["nothing"])
    print(f"\nratio {ratio.wall:.2f} of the wall time, {ratio.cpu:.2f} of the processor's")
    print(f"nothing against itself {same.wall:.2f} and {same.cpu:.2f}: what is nearer to 1 than that is no difference")
    print(f"drawing, spending and answering alone {alone * 1e6:.1f} us a call, {alone / medians['nothing'].cpu:.1%}")


def _ratio(ours: list[Cost], theirs: list[Cost]) -> Cost:
    """The median of the rounds, each against its own neighbour: a machine that is busy for a while slows both."""
    wall = statistics.median(one.wall / other.wall for one, other in zip(ours, theirs, strict=True))
    cpu = statistics.median(one.cpu / other.cpu for one, other in zip(ours, theirs, strict=True))
    return Cost(wall, cpu)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=11)
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
