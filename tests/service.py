"""The real service in a process of its own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from collector import config
from collector.cli import control

CONFIG = """\
root = "state"
default_source = "posts"

[service]
settle = "100ms"
grace = "{grace}"
min_free = "20MB"

[admin]
listen = "127.0.0.1:0"

[source.posts]
url = "{url}/2/tweets"
params = {{ ids = "{{ids}}" }}
items = "data"
gone = {{ at = "errors[?parameter=='ids']", id = "resource_id", why = "type" }}
tries = 6
{more}
"""


class Service:
    """`collector run` over one state folder, started and ended as often as a test likes."""

    def __init__(self, folder: Path, url: str, more: str = "pack = 100", grace: str = "5s") -> None:
        self.config = folder / "collector.toml"
        self.config.write_text(CONFIG.format(url=url, more=more, grace=grace))
        self.root = folder / "state"
        self.log = folder / "log.jsonl"
        self.environment = {"TZ": "UTC"}  # beside that of the tests
        self._process: subprocess.Popen[str] | None = None
        self._said: SimpleQueue[str | None] = SimpleQueue()

    @property
    def process(self) -> "subprocess.Popen[str]":
        """The process that runs, or ran last."""
        assert self._process
        return self._process

    def start(self) -> None:
        """Starts it; `until` tells how far it is."""
        command = [sys.executable, "-m", "collector", "run", "--json", "--config", str(self.config)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | self.environment)
        self._said = SimpleQueue()
        # Read at once: a full pipe would stop the service.
        self._reader = Thread(target=self._read, args=(self._process.stderr, self._said))
        self._reader.start()

    def _read(self, stream: IO[str], said: "SimpleQueue[str | None]") -> None:
        with self.log.open("a") as log, stream:
            for line in stream:
                log.write(line)
                said.put(line)
        said.put(None)

    def until(self, *events: str) -> dict[str, Any]:
        """Waits for a line of the log with one of these that was not waited for before, and returns it."""
        while (line := self._said.get()) is not None:
            told: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if told.get("event") in events:
                return told
        raise AssertionError(f"it ended with {self.process.wait()} and never said {events}: {self.log.read_text()}")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.ended()

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Waits for its end; the exit code."""
        self._reader.join()
        return self.process.wait()

    def drop(self, name: str, ids: Sequence[str]) -> Path:
        """An ID file put into the watch folder by rename."""
        watch = self.root / "watch"
        watch.mkdir(parents=True, exist_ok=True)
        part = watch / f".{name}.part"
        part.write_text("".join(f"{key}\n" for key in ids))
        return part.rename(watch / name)

    def status(self) -> dict[str, Any]:
        """`/status` as the command line asks for it."""
        told: dict[str, Any] = json.loads(control.ask(config.load(self.config, secrets=False), "/status"))
        return told

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query says of the database, from outside."""
        with closing(sqlite3.connect(f"file:{self.root / 'collector.db'}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def books(self) -> Counter[str]:
        """The rows themselves, counted."""
        return Counter(dict(self.rows("SELECT state, count(*) FROM jobs GROUP BY state")))


@contextmanager
def service(folder: Path, url: str, more: str = "pack = 100", grace: str = "5s") -> Iterator[Service]:
    """A service that does not outlive its test."""
    made = Service(folder, url, more, grace)
    try:
        yield made
    finally:
        if made._process and made.process.poll() is None:
            made.kill()
