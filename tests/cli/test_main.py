"""How errors end, and how fast help is."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from collector.cli import option
from collector.cli.main import cli
from tests.cli.conftest import Run


def test_help_imports_nothing_heavy() -> None:
    """What takes time to import waits for the command that needs it, so that help and version come at once."""
    code = (
        "import sys; from collector.cli.main import cli; cli(['--help'], standalone_mode=False);"
        "print('heavy:', {'aiohttp', 'pydantic', 'asyncio', 'msgspec', 'rich', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: set()\n")


@pytest.mark.parametrize("name", [None, *cli.commands])
def test_help_fits_a_terminal_of_80_columns(name: str | None) -> None:
    """Of the list no summary is cut off, and of a command no option is without its meaning."""
    told = CliRunner(env={"COLUMNS": "80"}).invoke(cli, [*([name] if name else []), "--help"], prog_name="collector")
    assert max(map(len, told.output.splitlines())) <= 80
    assert told.exit_code == 0
    if name is None:
        assert "..." not in told.output.partition("Commands:")[2]
    else:
        assert cli.commands[name].help
        options = [option for option in cli.commands[name].params if isinstance(option, click.Option)]
        assert all(option.help for option in options)


# Of each command what it wants beside the options; and whether it wants a configuration.
WORDS = {
    "init": ([], False),
    "demo": ([], False),
    "sources": ([], False),
    "completion": (["bash"], False),
    **{name: ([], True) for name in ("check", "run", "status", "drain", "reload", "doctor")},
    **{name: (["1"], True) for name in ("pause", "resume", "cancel", "retry", "export", "report")},
    "try": (["posts", "1"], True),
    "priority": (["1", "5"], True),
    "prune": (["--older-than", "90d"], True),
    **{name: (["file"], True) for name in ("plan", "add", "backup", "restore")},
}


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_tells_wrong_words_and_a_wrong_configuration_with_2(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """To people on standard error; with --json as one document on standard output."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("1\n")
    (tmp_path / "bad.toml").write_text("root = 5\n")
    words, configured = WORDS[name]
    for wrong in (["--nonsense"], ["--config", "bad.toml"]):
        if wrong[0] == "--config" and not configured:
            continue
        told = run(name, *words, *wrong)
        in_json = run(name, *words, *wrong, "--json")
        document = json.loads(in_json.stdout)
        if name == "doctor" and wrong[0] == "--config":  # it is there to tell them
            assert (in_json.exit_code, document["findings"][0]["grade"]) == (1, "wrong")
            continue
        assert (told.exit_code, told.stdout, bool(told.stderr)) == (2, "", True)
        assert in_json.exit_code == 2
        assert document["problems" if wrong[0] == "--config" else "error"]


def test_the_version_is_told(run: Run) -> None:
    """One line, for bug reports."""
    assert run("--version").output.startswith("collector 0.")


def test_an_unknown_command_is_wrong_usage(run: Run) -> None:
    """Exit 2, in JSON too."""
    assert run("nonsense").exit_code == 2
    told = run("nonsense", "--json")
    assert (told.exit_code, json.loads(told.stdout)) == (2, {"error": "No such command 'nonsense'."})


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
    if not isinstance(error, ExceptionGroup):
        in_json = run("check", "--json")
        assert (in_json.exit_code, json.loads(in_json.stdout)["error"][:10]) == (code, said[:10] or "broken off")
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
