"""A folder with a configuration, and the command line called in it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from click.testing import CliRunner, Result

from collector.cli.main import cli
from tests.service import Service, service

Run: TypeAlias = Callable[..., Result]

CONFIG = """
[source.posts]
url = "https://api.example.org/posts/{id}"

[source.users]
url = "https://api.example.org/users/{id}"
"""


@contextmanager
def unanswered(folder: Path, ids: Sequence[str]) -> Iterator[Service]:
    """A service that runs, and whose API is not there: the IDs of batch 1 stay open."""
    with service(folder, "http://127.0.0.1:9") as made:
        made.start()
        made.until("ready")
        made.drop("ids.txt", ids)
        made.until("batch_opened")
        yield made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are called; it holds a configuration of two sources."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLLECTOR_CONFIG", raising=False)
    (tmp_path / "collector.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Calls a command; `stdin` is what it may read."""
    monkeypatch.delenv("COLLECTOR_DEBUG", raising=False)

    def call(*words: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, words, input=stdin, prog_name="collector")

    return call
