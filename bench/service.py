"""The service under measurement: a process over one state folder, with a ticker in its loop."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from bench.scenario import Scenario

TICKING = Path(__file__).with_name("ticking.py")
HEAD = """\
root = "state"

[service]
settle = "100ms"
grace = "5s"

[admin]
listen = "off"
"""
SOURCE = """
[source.{name}]
url = "http://127.0.0.1:{port}{asks}
headers = {headers}
limit = {limit}
parallel = 16
"""
ONE = '/items/{id}"'
PACKED = '/packs/{{ids}}"\npack = {pack}\nitems = "data"'


class Service:
    """Started and killed as often as a scenario likes; one source for each credential."""

    def __init__(self, folder: Path, scenario: Scenario, port: int) -> None:
        self._folder, self._config = folder, folder / "collector.toml"
        self._lags, self.log = folder / "lags.txt", folder / "service.jsonl"
        self.sources = [f"source{number}" for number in range(len(scenario.keys))]
        self._config.write_text(self._declared(scenario, port))
        self._process: subprocess.Popen[str] | None = None
        self._said: SimpleQueue[str | None] = SimpleQueue()

    def _declared(self, scenario: Scenario, port: int) -> str:
        asks = ONE if scenario.pack == 1 else PACKED.format(pack=scenario.pack)
        text, secrets = HEAD, "\n[secret]\n"
        for name, (key, limit) in zip(self.sources, scenario.keys.items(), strict=True):
            headers, limits = "{}", list(scenario.declared)
            if key:
                (self._folder / name).write_text(key)
                (self._folder / name).chmod(0o600)
                secrets += f'{name} = {{ file = "{name}" }}\n'
                headers = f'{{ Authorization = "{{secret.{name}}}" }}'
                limits = [f"{limit}/{scenario.limiter.window}s"]
            text += SOURCE.format(name=name, port=port, asks=asks, headers=headers, limit=json.dumps(limits))
        return text + secrets

    def start(self) -> None:
        """Starts it; `until` tells how far it is."""
        command = [sys.executable, str(TICKING), str(self._config), str(self._lags)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TZ": "UTC"})
        self._said = SimpleQueue()
        self._reader = Thread(target=self._read, args=(self._process.stderr, self._said))
        self._reader.start()

    def _read(self, stream: IO[str], said: "SimpleQueue[str | None]") -> None:
        with self.log.open("a") as log, stream:
            for line in stream:
                log.write(line)
                said.put(line)
        said.put(None)

    def until(self, event: str, seconds: float) -> dict[str, Any]:
        """The next line of the log with this event; RuntimeError when the service ends or takes longer."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise RuntimeError(f"no {event} within {seconds:.0f} s: {self.log.read_text()[-2000:]}") from None
            if line is None:
                raise RuntimeError(f"the service ended before {event}: {self.log.read_text()[-2000:]}")
            told: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if told.get("event") == event:
                return told

    def drop(self, source: str, ids: Sequence[str]) -> None:
        """An ID file put into the source's watch folder by rename."""
        part = self._folder / "state" / "watch" / source / ".ids.txt.part"
        part.write_text("".join(f"{key}\n" for key in ids))
        part.rename(part.with_name("ids.txt"))

    def lags(self) -> list[tuple[float, float]]:
        """When its loop was late (wall time), and by how many seconds."""
        if not self._lags.exists():
            return []
        lines = self._lags.read_text().splitlines()
        return [(float(at), float(late)) for at, late in (line.split() for line in lines)]

    def kill(self) -> None:
        """kill -9."""
        self._end(hard=True)

    def stop(self) -> None:
        """SIGTERM, and its end."""
        self._end(hard=False)

    def _end(self, *, hard: bool) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill() if hard else self._process.terminate()
            self._reader.join()
            self._process.wait()
