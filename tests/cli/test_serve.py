"""The service as a process, and the commands that speak with it."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.errors import NOT_YOURS
from collector.host import lock
from tests.cli.conftest import Run

CONFIG = """
[admin]
listen = "off"

[source.posts]
url = "http://127.0.0.1:9/{id}"
"""


class Service:
    """`collector run` in a folder; its log is read line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def logged(self, event: str) -> dict[str, Any]:
        """Waits for the next log line of an event."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            said: dict[str, Any] = json.loads(line)
            if said["event"] == event:
                return said
        raise AssertionError(f"ended without {event}")

    def end(self, number: signal.Signals) -> int:
        """The exit code after a signal."""
        self.process.send_signal(number)
        return self.process.wait()


@contextmanager
def running(folder: Path, config: str = CONFIG) -> Iterator[Service]:
    """A service that is ready."""
    (folder / "collector.toml").write_text(config)
    command = [sys.executable, "-m", "collector", "run"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            service = Service(process)
            service.logged("ready")
            yield service
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_told_stop_is_a_success(folder: Path, number: signal.Signals) -> None:
    """Exit 0, and the folder is free again."""
    with running(folder) as service:
        assert service.end(number) == 0
    assert lock.holder(folder) is None


def test_a_second_service_is_told_who_is_there(folder: Path, run: Run) -> None:
    """Exit 2, one plain line after the log, and the first one goes on."""
    with running(folder) as service:
        told = run("run")
        assert told.exit_code == 2
        assert f"is held by process {service.process.pid} since" in told.output
        assert "Traceback" not in told.output
        assert service.process.poll() is None


def test_status_asks_the_running_service(folder: Path, run: Run) -> None:
    """In text for people, in JSON for programs, without the HTTP interface."""
    with running(folder):
        text = run("status")
        assert (text.exit_code, text.output.split(",")[0]) == (0, "collector 0.1.0 is running")
        assert json.loads(run("status", "--json").output)["jobs"]["total"] == 0


def test_status_reaches_a_folder_with_a_very_long_path(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's name may have 107 bytes at most, a folder's many more."""
    folder = tmp_path / ("long" * 25) / ("longer" * 20)
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    with running(folder):
        assert run("status").exit_code == 0


def test_what_is_added_is_taken_in_by_the_running_service(folder: Path, run: Run) -> None:
    """Its column is the one that was asked for."""
    (folder / "ids.csv").write_text("a,b\n11111111,22222222\n11111112,22222223\n")
    with running(folder) as service:
        assert "the running service takes it in" in run("add", "ids.csv", "--column", "b").output
        assert service.logged("batch_opened")["ids"] == 2
        receipt = (folder / "batches/0001-ids/receipt.txt").read_text()
    assert "column 2" in receipt
    assert [path.name for path in (folder / "watch/posts").iterdir()] == []


def test_status_without_a_service_says_so_in_one_line(folder: Path, run: Run) -> None:
    """Exit 1, and the command that starts one; also where a killed one left its socket behind."""
    with running(folder) as service:
        service.end(signal.SIGKILL)
    assert (folder / "control.sock").exists()
    said = f"no service is running in {folder}; `collector run` starts one"
    for words in (["status"], ["status", "--watch"]):
        told = run(*words)
        assert (told.exit_code, told.output) == (1, f"{said}\n")
    told = run("status", "--json")
    assert (told.exit_code, json.loads(told.output)) == (1, {"error": said})


def test_a_user_whom_the_folder_is_shut_to_is_told_who_may(folder: Path) -> None:
    """One line that says what to do: here to a root without its privilege, in the folder of somebody else."""
    if os.geteuid():
        pytest.skip("only root may give its privilege up")
    (folder / "lock").touch()
    with (
        closing(sqlite3.connect(folder / "collector.db")) as connection,
        closing(socket.socket(socket.AF_UNIX)) as listening,
    ):
        connection.execute("CREATE TABLE jobs (key)")
        listening.bind("control.sock")
        for name in ("lock", "collector.db", "control.sock"):
            os.chown(folder / name, 65534, 65534)
            (folder / name).chmod(0o600)
        without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-m", "collector"]
        for words in ("status", "report 1"):
            told = subprocess.run([*without, *words.split()], capture_output=True, text=True, check=False)
            assert (told.returncode, told.stderr.endswith(f" is not open to this user: {NOT_YOURS}\n")) == (1, True), (
                told
            )


def test_where_no_service_ever_ran_another_root_is_thought_of(folder: Path, run: Run) -> None:
    """Whoever changes `root` under a running service asks in a folder where nobody is."""
    with running(folder):
        (folder / "collector.toml").write_text(f'root = "elsewhere"\n{CONFIG}')
        for words in (["status"], ["reload"]):
            told = run(*words)
            assert told.exit_code == 1
            assert told.output.startswith(f"no service is running in {folder}/elsewhere; `collector run` starts one")
            assert told.output.endswith("stop that one first: it still works in the folder before\n")


def test_status_of_a_service_that_does_not_answer_yet_names_it(folder: Path, run: Run) -> None:
    """The lock is held and no socket is there: it starts or stops."""
    with lock.hold(folder):
        told = run("status")
    assert told.exit_code == 1
    assert "does not answer yet" in told.output


def test_watching_goes_on_until_ctrl_c(folder: Path) -> None:
    """Without a terminal one plain line each time something has changed; Ctrl-C is its ordinary end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process inherits what its parent ignores
    with running(folder):
        command = [sys.executable, "-m", "collector", "status", "--watch"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
            assert watch.stdout is not None
            assert watch.stdout.readline().startswith("running: 0 of 0 IDs done")
            watch.send_signal(signal.SIGINT)
            assert watch.communicate() == ("", "")
            assert watch.returncode == 0


def test_a_hang_up_during_the_start_does_not_end_it(folder: Path) -> None:
    """From before the configuration is read a SIGHUP is ignored, and later it is a reload."""
    (folder / "collector.toml").write_text(CONFIG)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a process inherits what its parent ignores
    command = [sys.executable, "-m", "collector", "run"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not (first := _treats(process.pid, signal.SIGHUP)):
                assert process.poll() is None
            process.send_signal(signal.SIGHUP)
            service = Service(process)
            service.logged("ready")
            assert first == "SigIgn"
            process.send_signal(signal.SIGHUP)
            service.logged("config_reloaded")
            assert service.end(signal.SIGTERM) == 0
        finally:
            process.kill()


def _treats(process: int, number: signal.Signals) -> str | None:
    """Whether a process ignores or catches a signal by now."""
    said = Path(f"/proc/{process}/status").read_text()
    masks = {line.split(":")[0]: line.split()[1] for line in said.splitlines() if line.startswith("Sig")}
    return next((kind for kind in ("SigIgn", "SigCgt") if int(masks[kind], 16) >> (number - 1) & 1), None)


def test_a_stop_is_a_success_before_anything_is_loaded(folder: Path) -> None:
    """SIGTERM in the very moment from which on it is heard, long before the service is there."""
    (folder / "collector.toml").write_text(CONFIG)
    with subprocess.Popen([sys.executable, "-m", "collector", "run"], cwd=folder) as process:
        while _treats(process.pid, signal.SIGTERM) != "SigCgt":
            pass
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert not (folder / "lock").exists()


def test_what_a_start_has_loaded_is_not_looked_through_for_cycles(folder: Path) -> None:
    """In a running service; the search is on."""
    said = "{'id': work.id, 'enabled': gc.isenabled(), 'left out': gc.get_freeze_count()}"
    (folder / "told.py").write_text(f"import gc\n\ndef ask(work):\n    return {said}\n")
    (folder / "watch/posts").mkdir(parents=True)
    (folder / "watch/posts/one.txt").write_text("7\n")
    with running(folder, CONFIG.replace('url = "http://127.0.0.1:9/{id}"', 'call = "told:ask"')) as service:
        service.logged("results_written")
    item = json.loads((folder / "batches/0001-one/found.jsonl").read_text())["item"]
    assert item["enabled"]
    assert item["left out"] > 50_000


def test_the_service_does_without_rich() -> None:
    """It would be loaded with the log, for 3 MB of memory, and show the values of names in tracebacks."""
    code = (
        "import sys; from collector.cli import serve; serve._leave_out_rich(); import collector.app;"
        "print([name for name in sys.modules if name.startswith('rich')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
