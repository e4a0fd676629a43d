"""What a shell is offered."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collector.sources.presets import shipped

from .conftest import Run

COLLECTOR = Path(sys.executable).with_name("collector")


def offered(folder: Path, *words: str) -> list[str]:
    """What bash is told when TAB is pressed behind the last of these words."""
    asked = {"COMP_WORDS": " ".join(["collector", *words]), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [str(COLLECTOR)],
        env={**os.environ, **asked, "_COLLECTOR_COMPLETE": "bash_complete"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_batches_sources_and_presets_are_completed(folder: Path) -> None:
    """The latest batch first; one whose name a shell would take apart by its number, and no such source."""
    for name in ("0001-ids", "0002-my ids; $(x)", "0010-more", ".hidden"):
        (folder / "batches" / name).mkdir(parents=True)
    assert offered(folder, "pause", "00") == ["0010-more", "0002", "0001-ids"]
    with (folder / "collector.toml").open("a") as config:
        config.write('[source."users$(x)"]\n[source."users;x"]\n')
    assert offered(folder, "retry", "--source", "u") == ["users"]
    assert offered(folder, "sources", "") == list(shipped())


@pytest.mark.parametrize("text", ["", "root = 5", "no toml", None])
def test_a_completion_is_silent_where_nothing_can_be_known(folder: Path, text: str | None) -> None:
    """Whatever the configuration holds, or where there is none."""
    (folder / "collector.toml").unlink()
    if text is not None:
        (folder / "collector.toml").write_text(text)
    assert offered(folder, "pause", "") == []
    assert offered(folder, "pause", "--source", "") == []
    assert offered(folder, "pau") == ["pause"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_its_shell_takes(run: Run, shell: str, tmp_path: Path) -> None:
    """Read by the shell itself where it is there."""
    told = run("completion", shell)
    assert "_COLLECTOR_COMPLETE" in told.stdout
    if shutil.which(shell):
        (tmp_path / "script").write_text(told.stdout)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)
