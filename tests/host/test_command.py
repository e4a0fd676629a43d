"""Somebody's command, for real: whatever it does, nothing of it stays."""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from collector.host import command

OPEN = "/proc/self/fd"


async def said(script: str, timeout: float = 5.0) -> tuple[int, str]:
    return await command.run(["sh", "-c", script], b"{}\n", {"WORD": "a b"}, timeout)


async def test_its_exit_code_and_the_beginning_of_its_output_are_told() -> None:
    """However much it says."""
    assert await said('cat; echo "$WORD" >&2; exit 3') == (3, "{}\na b")
    code, told = await said("yes | head -c 10000000")
    assert (code, len(told)) == (0, 1_999)


@pytest.mark.parametrize(
    "script",
    [
        "trap '' TERM; sleep 60 & echo $! > pid; wait",
        "yes & echo $! > pid; wait",
        "sleep 60 & echo $! > pid",
        "sleep 60 > sleep.out 2>&1 & echo $! > pid",
    ],
)
async def test_nothing_of_its_group_outlives_it(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it ends or not, heeds signals or not, and whoever holds its output."""
    monkeypatch.chdir(tmp_path)
    with suppress(TimeoutError):
        assert await said(script, 0.3) == (0, "")
    with suppress(ProcessLookupError):
        left = os.pidfd_open(int(Path("pid").read_text()))
        ended, _, _ = select.select([left], [], [], 2.0)
        os.close(left)
        assert ended


async def test_who_left_its_group_and_holds_its_output_keeps_no_file_of_ours_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a time-out each time, and nothing adds up."""
    monkeypatch.chdir(tmp_path)
    await said("true")
    before = len(os.listdir(OPEN))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await said("setsid sh -c 'echo $$ >> pids; exec sleep 60' & exit 0", 0.4)
    for pid in Path("pids").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    assert len(os.listdir(OPEN)) <= before + 1
