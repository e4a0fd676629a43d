"""`pause`, `resume`, `cancel` and `reload` where no service takes them; with one they are tested beside the signals."""

from pathlib import Path

import pytest

from .conftest import Run


@pytest.mark.parametrize(
    "words",
    [
        ["resume", "--all"],
        ["resume", "--source", "posts"],
        ["reload"],
        ["pause", "1"],
        ["resume", "1"],
        ["cancel", "1"],
    ],
)
def test_without_a_service_it_is_said_so_in_the_words_of_status(folder: Path, run: Run, words: list[str]) -> None:
    """Exit 1, and the command that starts one."""
    told = run(*words)
    assert (told.exit_code, told.output) == (1, run("status").output)
    assert "`collector run` starts one" in told.output


@pytest.mark.parametrize("words", [[], ["--all", "--source", "posts"], ["1", "--all"]])
def test_it_has_to_be_said_who_is_to_go_on(folder: Path, run: Run, words: list[str]) -> None:
    """Batches, one source, or every source; none of these, and two, are wrong usage."""
    told = run("resume", *words)
    assert (told.exit_code, told.output) == (2, "what is to go on? Give a BATCH, --source S, or --all\n")


def test_a_reload_of_a_bad_configuration_is_refused_before_it_is_asked_for(folder: Path, run: Run) -> None:
    """The problems are those that `check` tells, and the exit is its exit."""
    (folder / "collector.toml").write_text("root = 5\n")
    told = run("reload")
    assert (told.exit_code, told.output) == (2, run("check").output)
