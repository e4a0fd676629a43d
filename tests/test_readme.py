"""The documents say what is so: their commands are run as they stand there, their tables are held against the code."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest

from collector import config
from collector.config import Admin, Budget, SecretPlace, Service
from collector.sources.notify import Notify
from collector.sources.rules import Auth, GoneRule, NextRule, OnRule, Price
from collector.sources.spec import Spec
from collector.sources.values import Strict

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

HOME, API, ADMIN = "/home/ada", "127.0.0.1:8099", "127.0.0.1:8090"  # what the README says for what a test has
ENV = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    "COLUMNS": "100",
}
ENV.pop("COLLECTOR_CONFIG", None)
URL = "https://api.example.org/{id}"

# What differs from run to run; the same is done to both sides.
VARIES = {
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?": "TIME",
    r"\b\d+\.\d+\.\d+\b": "VERSION",
    r"(?<=seconds=)\d+(\.\d+)?(e-\d+)?": "SECONDS",
    r"(?<=process )\d+": "PID",
    r"(?<=time=)\{.*\}": "SHARES",
    r"(?<=\ntime x_posts: ).*(\n  .*)*": "SHARES",
}


class Terminal:
    """A command that goes on, with a terminal of its own."""

    def __init__(self, command: str, folder: Path) -> None:
        ours, its = os.openpty()
        self.command, self.lines = command, list[str]()
        self._said: SimpleQueue[str | None] = SimpleQueue()
        self.process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, env=ENV, stdout=its, stderr=its)
        os.close(its)
        self._reader = Thread(target=self._read, args=(ours,))
        self._reader.start()

    def _read(self, number: int) -> None:
        # The end of a terminal is an error in Linux.
        with open(number, encoding="utf-8", errors="replace", newline="") as stream, suppress(OSError):
            for line in stream:
                self._said.put(line.rstrip("\r\n"))
        self._said.put(None)

    def until(self, words: str) -> str:
        """Waits for a line with these words that was not waited for before."""
        while (line := self._said.get()) is not None:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"{self.command} ended without {words!r}: {self.lines}")

    def interrupt(self) -> None:
        """Ctrl-C, and its end."""
        self.process.send_signal(signal.SIGINT)
        self._reader.join()
        self.process.wait()
        while (line := self._said.get()) is not None:
            self.lines.append(line)

    def kill(self) -> None:
        """Ends it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        self._reader.join()


class Reader:
    """Somebody who types what the README says, in an empty folder. Ports are free ones, for tests run side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.real = {HOME: str(folder), API: API, ADMIN: "127.0.0.1:0"}
        self.terminals: dict[str, Terminal] = {}
        self.not_run: set[str] = set()  # tools that this machine does not have

    def type(self, command: str, shown: str) -> None:
        """Runs a command, and holds what it says against what is shown."""
        if command.startswith(("collector run", "python -m collector.rehearsal.api")):
            self._begin(command)
        elif shutil.which(tool := command.split()[0], path=ENV["PATH"]) is None:
            self.not_run.add(tool)
        else:
            done = subprocess.run(
                ["bash", "-c", self._here(command)],
                cwd=self.folder,
                env=ENV,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            self.compare(command, shown, done.stdout)
            self._follow(command)

    def _begin(self, command: str) -> None:
        terminal = self.terminals[command] = Terminal(command.replace("--port 8099", "--port 0"), self.folder)
        if "rehearsal" in command:
            self.real[API] = terminal.until("READY").partition("//")[2]
        else:
            found = re.search(r"admin=http://(\S+)", terminal.until(" ready "))
            assert found
            self.real[ADMIN] = found[1]

    def _follow(self, command: str) -> None:
        if command == "collector init":
            place = self.folder / "collector.toml"
            text = place.read_text()
            assert f'# listen = "{ADMIN}"' in text
            place.write_text(text.replace(f'# listen = "{ADMIN}"', 'listen = "127.0.0.1:0"'))
        elif command.endswith(" watch/") or command.startswith("collector add"):
            self.terminals["collector run"].until("results_written")

    def compare(self, command: str, shown: str, said: str) -> None:
        """A line `…` stands for any lines, `^C` for none."""
        shown = self._here(shown).replace("^C\n", "")
        pattern = "".join(
            r"(?:.*\n)*" if line == "…" else re.escape(line.rstrip()) + r"[ \t]*\n"
            for line in plain(shown).splitlines()
        )
        assert re.fullmatch(pattern, plain(said)), f"$ {command}\nthe README shows\n{shown}\nand it says\n{said}"

    def _here(self, text: str) -> str:
        for written, real in self.real.items():
            text = text.replace(written, real)
        return text


def plain(text: str) -> str:
    """The text without what differs from run to run, and with a newline behind each line."""
    for pattern, word in VARIES.items():
        text = re.sub(pattern, word, text)
    return text if not text or text.endswith("\n") else f"{text}\n"


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of the console blocks, in order, with what is shown below it."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """A reader whose commands do not outlive the test."""
    reader = Reader(folder)
    try:
        yield reader
    finally:
        for terminal in reader.terminals.values():
            terminal.kill()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_commands_of_the_readme_say_what_it_shows(tmp_path: Path) -> None:
    """From `collector init` to Ctrl-C, in order, each with its real output but for times, versions and the like."""
    with reading(tmp_path) as reader:
        typed = [(command, shown) for command, shown in commands(README) if command != "make demo"]
        assert "collector run" in dict(typed)
        for command, shown in typed:
            reader.type(command, shown)
        status = json.loads(subprocess.check_output(["collector", "status", "--json"], cwd=tmp_path, env=ENV))
        assert_the_pinned_keys_are_there(status)
        for command, terminal in reversed(reader.terminals.items()):
            terminal.interrupt()
            reader.compare(command, dict(typed)[command], "\n".join(terminal.lines))
            assert terminal.process.returncode == 0
        if reader.not_run:
            pytest.skip(f"not run, since they are not installed here: {', '.join(sorted(reader.not_run))}")


def assert_the_pinned_keys_are_there(status: dict[str, Any]) -> None:
    [written] = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", README, re.MULTILINE | re.DOTALL)]
    assert status.keys() == written.keys()
    assert status["jobs"].keys() == written["jobs"].keys()
    assert status["batches"][0].keys() == written["batches"][0].keys()
    assert status["batches"][0]["jobs"].keys() == written["batches"][0]["jobs"].keys()
    assert status["budgets"]["x_posts"][0].keys() == written["budgets"]["x_posts"][0].keys()
    assert status["sources"]["x_posts"].keys() == written["sources"]["x_posts"].keys()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_says_what_the_readme_shows(tmp_path: Path) -> None:
    """What `make demo` runs: the books balance within the limits, and every file is where it is said to be. Other
    numbers may differ, for they hang on the machine."""
    [shown] = [shown for command, shown in commands(README) if command == "make demo"]
    done = subprocess.run(["collector", "demo"], cwd=tmp_path, env=ENV, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    Reader(tmp_path).compare("collector demo", without_numbers(shown), without_numbers(done.stdout))
    assert "3,042 = 3,000 IDs + 37 repeats + 5 refused" in done.stdout
    assert "balanced" in done.stdout
    assert "no window saw more than its limit, by the API's own log" in done.stdout
    batch = tmp_path / "collector-demo/batches/0001-election-tweets"
    for name in ("election-tweets.csv", "receipt.txt", "refused.csv", "found.jsonl", "gone.csv", "report.md"):
        assert (batch / name).stat().st_size
        assert name in done.stdout
    for line in (tmp_path / "collector-demo/collector.log").read_text().splitlines():
        assert json.loads(line)["level"] in ("info", "warning")


def without_numbers(text: str) -> str:
    return re.sub(r" *\d[\d,]*", " N", text)


def table(heading: str, text: str = README) -> dict[str, str]:
    """The table below a heading: the first cell of a row, without its quotes, to the second."""
    section = text.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {row[0].strip("`"): row[1] for row in rows[2:]}


@pytest.mark.parametrize(
    ("heading", "model", "needed"),
    [
        ("### `[service]`", Service, {}),
        ("### `notify`", Notify, {"url": "https://example.org"}),
        ("### `[admin]`", Admin, {}),
        ("### `[secret]`", SecretPlace, {"env": "X"}),
        ("### `[source.NAME]`", Spec, {"url": URL}),
        ("### `gone`", GoneRule, {"at": "errors"}),
        ("### `next`", NextRule, {"from": "meta.next", "to": "cursor"}),
        ("### `on`", OnRule, {"status": 429, "do": "wait"}),
        ("### `auth`", Auth, {"url": "https://example.org/token", "id": "us", "secret": "{secret.s}"}),
        ("### `price`", Price, {}),
        ("### `[budget.NAME]`", Budget, {}),
    ],
)
def test_every_setting_is_in_the_readme_with_its_default(
    heading: str, model: type[Strict], needed: dict[str, str]
) -> None:
    """No key is missing, none is there that is not known, and each default is the one that holds."""
    documented = table(heading)
    fields = {field.alias or name: (name, field) for name, field in model.model_fields.items()}
    assert documented.keys() == fields.keys()
    for key, cell in documented.items():
        name, field = fields[key]
        if cell == "required":
            assert field.is_required(), key
        elif cell == "–":
            assert field.default in (None, ""), key
            assert not field.is_required(), key
        else:
            default = tomllib.loads(f"it = {cell.strip('`')}")["it"]
            said = model.model_validate(needed | {key: default})
            assert getattr(said, name) == field.default, key


def test_every_top_level_key_is_in_the_readme_with_its_default(tmp_path: Path) -> None:
    """The same for what stands in no table: a file with the documented defaults is the file without them."""
    documented = table("### top level")
    assert documented.keys() == set(config._KEYS)
    defaults = {key: cell.strip("`") for key, cell in documented.items() if cell[:1] == "`"}
    assert documented.keys() - defaults.keys() == {"default_source", "source"}
    path = tmp_path / "collector.toml"
    source = f'[source.a]\nurl = "{URL}"\n'
    path.write_text(source)
    without = config.load(path)
    path.write_text("".join(f"{key} = {value}\n" for key, value in defaults.items()) + source)
    assert config.load(path) == without
    assert without.default_source is None


def test_every_command_is_in_the_readme() -> None:
    """The table of commands and `collector --help` name the same ones."""
    from collector.cli.main import cli

    documented = [command.split()[1] for command in table("## The commands")]
    assert documented == list(cli.commands)


def test_every_dependency_has_its_line_in_contributing() -> None:
    """Why it is there; and none is there that is not needed."""
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["dev"]]
    names = [re.split(r"[^A-Za-z0-9_.-]", need)[0] for need in wanted]
    documented = table("## Dependencies", CONTRIBUTING)
    assert list(documented) == names
    assert all(documented.values())


def test_contributing_draws_the_layers_that_are_checked() -> None:
    """The order of the rooms is that of the contract."""
    [contract] = PROJECT["tool"]["importlinter"]["contracts"]
    layers = " > ".join(layer.replace("collector.", "") for layer in contract["layers"])
    assert f"`{layers}`" in CONTRIBUTING
