"""How errors end, and how fast help is."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector.cli import option
from tests.cli.conftest import Run


def test_help_imports_nothing_heavy() -> None:
    """What takes time to import waits for the command that needs it, so that help and version come at once."""
    code = (
        "import sys; from collector.cli.main import cli; cli(['--help'], standalone_mode=False);"
        "print('heavy:', {'aiohttp', 'pydantic', 'asyncio', 'msgspec', 'rich', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: set()\n")


def test_every_command_has_help_in_whole_words(run: Run) -> None:
    """The list of commands shows no line that is cut off."""
    listed = run("--help").output
    assert "..." not in listed.partition("Commands:")[2]
    assert "run" in listed


def test_the_version_is_told(run: Run) -> None:
    """One line, for bug reports."""
    assert run("--version").output.startswith("collector 0.")


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    """Exit 2."""
    assert run("nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError: by zero; this is a fault of collector"),
        (ExceptionGroup("g", [KeyError("x")]), 1, "KeyError: 'x'; this is a fault of collector"),
        (ExceptionGroup("g", [BrokenPipeError(errno.EPIPE, "Broken pipe")]), 1, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_nobody_expected_is_one_plain_line(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    """A fault is told without a traceback, which COLLECTOR_DEBUG=1 adds; Ctrl-C is quiet."""

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(option, "load", fail)
    told = run("check")
    assert told.exit_code == code
    assert told.output.startswith(said)
    assert told.output.count("\n") == bool(said)
    monkeypatch.setenv("COLLECTOR_DEBUG", "1")
    assert ("Traceback" in run("check").output) == bool(said)


def test_a_reader_that_went_away_is_no_traceback(folder: Path) -> None:
    """`collector check | head -0` says nothing on standard error."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "collector", "check"]
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=folder, check=False)
    finally:
        os.close(write)
    assert done.stderr == ""
