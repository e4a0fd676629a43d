"""What a peer's program has at hand: workers in processes of their own, and how its cost is told."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.cost import Cost, of_session, own_rss

PATIENCE = 60.0  # seconds for one run
LOOK_EVERY = 0.01  # seconds


class Task(NamedTuple):
    """What a peer's program was told on its command line, in this order."""

    kind: str  # http, results or nothing
    jobs: int
    url: str  # an ID is put behind it
    server: str  # the address of the one that it needs
    folder: Path

    @classmethod
    def read(cls, words: Sequence[str]) -> "Task":
        """Of the command line."""
        kind, jobs, url, server, folder = words
        return cls(kind, int(jobs), url, server, Path(folder))


class Here(NamedTuple):
    """A place of a run, which the workers' processes find by the environment."""

    folder: Path

    @classmethod
    def found(cls) -> "Here":
        """In a worker."""
        return cls(Path(os.environ["BENCH_FOLDER"]))

    def ready(self) -> None:
        """A worker begins to take tasks."""
        (self.folder / "ready").touch()

    def note(self) -> None:
        """A task has ended: one byte more."""
        with (self.folder / "ended").open("ab", buffering=0) as file:
            file.write(b".")

    @property
    def noted(self) -> int:
        """Tasks that have ended."""
        path = self.folder / "ended"
        return path.stat().st_size if path.exists() else 0


def by_workers(command: Sequence[str], task: Task, ended: Callable[[], int]) -> Cost:
    """What workers cost from when they are ready to the end of the last task; they are ended then."""
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        try:
            _until(lambda: (task.folder / "ready").exists(), process)
            began, before, (used, _) = time.perf_counter(), ended(), of_session(process.pid)
            _until(lambda: ended() >= task.jobs, process)
            seconds, (cpu, held) = time.perf_counter() - began, of_session(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    jobs = task.jobs - before  # some may have ended before it was seen that the workers are ready
    return Cost(jobs / seconds, (cpu - used) / jobs, held)


def _until(so: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while not so():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the workers ended, or took too long")
        time.sleep(LOOK_EVERY)


class Clock:
    """Of work in this process: from its making to its end."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def cost(self, jobs: int) -> Cost:
        """What so many jobs have cost since."""
        seconds = time.perf_counter() - self._began
        return Cost(jobs / seconds, (time.process_time() - self._cpu) / jobs, own_rss())


def tell(cost: Cost) -> None:
    """The last line of a peer's program."""
    print(json.dumps(cost), flush=True)
