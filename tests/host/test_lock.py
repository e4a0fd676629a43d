"""One process a state folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from collector.errors import CollectorError, Held
from collector.host import lock

HOLDER = """
import sys
from pathlib import Path
from collector.host import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_free_folder_is_held_and_let_go_again(tmp_path: Path) -> None:
    """The folder is made, its holder is named while it is held, and nobody is afterwards."""
    root = tmp_path / "state" / "folder"
    assert lock.holder(root) is None
    with lock.hold(root):
        assert f"process {os.getpid()} since 20" in (lock.holder(root) or "")
    assert lock.holder(root) is None


def test_a_second_holder_is_told_who_has_the_folder_and_what_to_do(tmp_path: Path) -> None:
    """Held names the process, since when, and the way out."""
    with lock.hold(tmp_path), pytest.raises(Held) as told, lock.hold(tmp_path):
        pass
    assert f"process {os.getpid()} since" in str(told.value)
    assert "`root`" in str(told.value)


def test_a_look_at_the_lock_does_not_take_it(tmp_path: Path) -> None:
    """After any number of looks the folder is still free to hold."""
    with lock.hold(tmp_path):
        pass
    for _ in range(5):
        assert lock.holder(tmp_path) is None
    with lock.hold(tmp_path):
        assert lock.holder(tmp_path) is not None


def test_a_killed_holder_leaves_a_free_folder(tmp_path: Path) -> None:
    """The kernel lets go of the lock; what the dead one wrote into it means nothing."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert f"process {child.pid}" in (lock.holder(tmp_path) or "")
        with pytest.raises(Held, match=f"process {child.pid} "), lock.hold(tmp_path):
            pass
        child.send_signal(signal.SIGKILL)
    assert lock.holder(tmp_path) is None
    with lock.hold(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_told_in_plain_words(tmp_path: Path) -> None:
    """A file where the folder should be is no traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CollectorError, match="cannot use the state folder"), lock.hold(tmp_path / "file" / "root"):
        pass
    assert lock.holder(tmp_path / "file" / "root") is None
