"""A chain of very many: one seed's followers, page by page, and one call for each of them.

    python -m bench.chain [--followers 200000] [--small 200] [--kills 0]

The service runs in a process of its own against a server on loopback that answers at once. Told are calls a second, the
service's memory as the chain grows, and how long a small chain of the same sources takes that is dropped in the middle.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from collector.cli.serve import in_loop

PAGE = 1_000
SMALL_SEED = 7
PATIENCE = 1_800.0  # seconds
CONFIG = """
root = "state"
[service]
settle = "100ms"
[admin]
listen = "off"
[source.followers]
url = "http://127.0.0.1:{port}/followers/{{id}}"
items = "data"
next = {{ from = "next", to = "cursor" }}
[source.posts]
from = "followers.id"
url = "http://127.0.0.1:{port}/posts/{{id}}"
items = "data"
next = {{ from = "next", to = "cursor" }}
parallel = 16
max_children = 100000000
"""


class Answering(asyncio.Protocol):
    """`/followers/SEED` has as many as its seed says, in pages; `/posts/ID` has one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Nobody sends a second request before the first is answered, and none is longer than a packet."""
        path, _, query = data.split(b" ", 2)[1].partition(b"?")
        _, kind, key = path.split(b"/")
        body = self._followers(int(key), int(query.partition(b"=")[2] or 0)) if kind == b"followers" else _post(key)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)

    @staticmethod
    def _followers(seed: int, start: int) -> bytes:
        count = seed // 10
        end = min(start + PAGE, count)
        items = b",".join(b'{"id":"%d","name":"somebody"}' % (seed * 10**9 + n) for n in range(start, end))
        return b'{"data":[%b]%b}' % (items, b',"next":"%d"' % end if end < count else b"")


def _post(key: bytes) -> bytes:
    return b'{"data":[{"id":"%b1","text":"%b"}]}' % (key, b"x" * 200)


def serve(told: "Connection[int, None]") -> None:
    """The server, until it is ended; tells its port."""

    async def listen() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    in_loop(listen())


class Run:
    """The service over one folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        (folder / "collector.toml").write_text(CONFIG.format(port=port))
        self.start()

    def start(self) -> None:
        """Starts it, and goes on when it runs already."""
        command = [sys.executable, "-m", "collector", "run", "--json", "--config", str(self._folder / "collector.toml")]
        with (self._folder / "log.jsonl").open("a") as log:
            self.process = subprocess.Popen(command, stderr=log)

    def drop(self, name: str, seed: int) -> None:
        """One seed for the chain."""
        watch = self._folder / "state" / "watch" / "posts"
        while not watch.exists():
            time.sleep(0.01)
        (watch / f".{name}.part").write_text(f"{seed}\n")
        (watch / f".{name}.part").rename(watch / name)

    def rss(self) -> float:
        """Resident memory now, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What a query says, from outside; nothing before there are tables."""
        try:
            with closing(sqlite3.connect(f"file:{self._folder / 'state' / 'collector.db'}?mode=ro", uri=True)) as db:
                return db.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []

    def jobs(self, name: str, state: str) -> int:
        """Jobs of the batches of a file that stand in a state, by the books."""
        sql = "SELECT coalesce(sum(jobs), 0) FROM counts AS c JOIN batches ON id = batch"
        rows = self.rows(f"{sql} WHERE name = '{name}' AND c.state = '{state}'")
        return int(cast(int, (rows or [(0,)])[0][0]))

    def ended(self, name: str) -> bool:
        """Whether the chain of a file has ended."""
        sql = f"SELECT count(*), count(finished_at) FROM batches WHERE name LIKE '{name}%'"
        [(batches, ended)] = self.rows(sql) or [(0, 0)]
        return batches == 2 == ended


def measure(run: Run, followers: int, small: int, kills: int) -> None:
    """Drops the large chain, the small one in its middle, and tells."""
    chance, began, dropped, took = random.Random(1), time.monotonic(), 0.0, 0.0
    run.drop("large", 10 * followers)
    print(f"{'s':>6} {'IDs made':>10} {'asked':>10} {'calls/s':>8} {'RSS MB':>7}")
    seen, last = 0, began
    while not run.ended("large") and time.monotonic() - began < PATIENCE:
        time.sleep(2.0)
        now, asked = time.monotonic(), run.jobs("large-posts", "found")
        made = asked + run.jobs("large-posts", "delayed")
        print(f"{now - began:6.0f} {made:10,} {asked:10,} {(asked - seen) / (now - last):8,.0f} {run.rss():7.0f}")
        seen, last = asked, now
        if asked > followers / 4 and not dropped:
            dropped = now
            run.drop("small", 10 * small + SMALL_SEED)
        if dropped and not took and run.ended("small"):
            took = now - dropped
        if kills and chance.random() < 0.3:
            kills -= 1
            run.process.kill()
            run.process.wait()
            run.start()
    [(jobs, items)] = run.rows(
        "SELECT count(*), (SELECT count(DISTINCT job) FROM items WHERE source = 'posts') FROM jobs"
    )
    print(
        json.dumps(
            {"seconds": round(time.monotonic() - began), "jobs": jobs, "posts": items, "small took": round(took)}
        )
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--followers", type=int, default=200_000)
    parser.add_argument("--small", type=int, default=200)
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    ours, theirs = Pipe()
    server = Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), ours.recv())
        try:
            measure(run, given.followers, given.small, given.kills)
        finally:
            run.process.terminate()
            run.process.wait()
            server.terminate()


if __name__ == "__main__":
    main()
