"""The service beside other people's queues, which do the same work as they are usually set up; all in turns."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from typing import NamedTuple

from bench.answering import Server
from bench.cost import Cost
from bench.given import Given
from bench.loops import HEADS, ROOT, Costs, faster, named, rows, served
from bench.peers.environment import Absent, python
from bench.peers.servers import SERVERS
from bench.results import Figure, Section, Wanted

OURS = "collector"
PATIENCE = 120.0  # seconds for one run of a peer
MORE = Wanted(least=1.0)


class Peer(NamedTuple):
    """One queue, set up in one way."""

    name: str
    program: str  # bench/peers/PROGRAM.py
    task: str  # what it is told to do
    server: str | None = None  # the Debian package of the server that it needs
    settings: str = ""  # of Django
    wanted: Wanted | None = None  # how many times as fast as it we are to be
    times: int = 1  # as many jobs as of the others, since each is quick


class Kind(NamedTuple):
    """What is compared."""

    scenario: str  # ours
    what: str
    peers: tuple[Peer, ...]


DJANGO = "bench.peers.settings"
CELERY = ("with_celery", "rabbitmq-server")
KINDS = {
    "peers-http": Kind(
        "one-16",
        "An ID a call to the same server. Celery: 2 prefork workers, each answer's body a result in SQLite (WAL, FULL);"
        " SAQ: 16 at once, results in Redis; Scrapy: 16 at once, a queue in memory, items in a JSON lines file.",
        (
            Peer("Celery, results", CELERY[0], "http", CELERY[1], DJANGO, Wanted(least=20.0)),
            Peer("SAQ", "with_saq", "http", "redis-server", times=2),
            Peer("Scrapy", "with_scrapy", "http"),
        ),
    ),
    "peers-noop": Kind(
        "python-async",
        "Jobs that do nothing. Celery: 2 prefork workers, with results in SQLite (WAL, FULL) and without; huey: 2"
        " threads over SQLite that does not sync; pgqueuer: 100 jobs at a time from PostgreSQL.",
        (
            Peer("Celery, results", CELERY[0], "results", CELERY[1], DJANGO, MORE),
            Peer("Celery", CELERY[0], "nothing", CELERY[1], wanted=MORE),
            Peer("huey", "with_huey", "nothing", wanted=MORE, times=10),
            Peer("pgqueuer", "with_pgqueuer", "nothing", "postgresql", wanted=MORE, times=5),
        ),
    ),
}
HOW = """\
{what} All IDs are in the queue before the workers begin: {ours:,} for the service, {theirs:,} for a peer, \
some times as many for a quick one; a peer's processor and memory are those of its workers, without its server's."""


class Field:
    """The peers that are on this machine, with their servers running, and why the others are left out."""

    def __init__(self, peers: Sequence[Peer], stack: ExitStack) -> None:
        self.absent: dict[str, str] = {}
        self.addresses: dict[str | None, str] = {None: "-"}
        self._runs = count()
        self.peers: list[Peer] = []
        try:
            self._python = python()
        except Absent as absent:
            self.absent = {peer.name: str(absent) for peer in peers}
            return
        for peer in peers:
            try:
                if peer.server and peer.server not in self.addresses:
                    self.addresses[peer.server] = stack.enter_context(SERVERS[peer.server]())
                self.peers.append(peer)
            except Absent as absent:
                self.absent[peer.name] = str(absent)

    def run(self, peer: Peer, jobs: int, url: str) -> Cost | None:
        """Once; None for one that does not work here, which is left out from then on."""
        if peer.name in self.absent:
            return None
        with tempfile.TemporaryDirectory() as folder:
            server = self.addresses[peer.server]
            own = {"BENCH_FOLDER": folder, "BENCH_BROKER": server, "BENCH_RUN": str(next(self._runs))}
            if peer.settings:
                own["DJANGO_SETTINGS_MODULE"] = peer.settings
            command = [str(self._python), "-m", f"bench.peers.{peer.program}"]
            try:
                done = subprocess.run(
                    [*command, peer.task, str(jobs), url, server, folder],
                    cwd=ROOT,
                    env=os.environ | own,
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                )
            except subprocess.TimeoutExpired:
                self.absent[peer.name] = f"not at its end after {PATIENCE:g} s"
                return None
        if done.returncode:
            self.absent[peer.name] = (done.stderr.strip().splitlines() or ["it told nothing"])[-1]
            return None
        return Cost(*json.loads(done.stdout.splitlines()[-1]))


def section(title: str, given: Given, server: Server) -> Section:
    """All that are there, in turns; the title is one of KINDS."""
    kind = KINDS[title]
    run = named(kind.scenario).run(server.url, given.jobs)
    costs: Costs = {}
    with ExitStack() as stack:
        field = Field(kind.peers, stack)
        for _ in range(given.rounds):
            costs.setdefault(OURS, []).append(served(run))
            for peer in field.peers:
                if cost := field.run(peer, given.peer_jobs * peer.times, f"{server.url}/items/"):
                    costs.setdefault(peer.name, []).append(cost)
    costs = {name: found for name, found in costs.items() if name not in field.absent}
    figures = [
        Figure(f"collector, in times {peer.name}", faster(costs[OURS], costs[peer.name]), peer.wanted, "{:.1f}")
        for peer in kind.peers
        if peer.wanted and peer.name in costs
    ]
    absent = [f"{name}, since {why}" for name, why in field.absent.items()]
    how = HOW.format(what=kind.what, ours=run.jobs, theirs=given.peer_jobs)
    return Section(title, how, HEADS, rows(costs, OURS), figures, left_out=absent)
