"""`doctor`: each finding has its grade, and what is wrong says what to do."""

import errno
import json
import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from collector.errors import NOT_YOURS
from collector.store.database import OURS
from tests.service import service

from .conftest import Run


@pytest.fixture
def api() -> Iterator[int]:
    """The port of something that takes connections and never hears a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def configured(folder: Path, port: int, more: str = "") -> None:
    (folder / "collector.toml").write_text(f'{more}\n[source.posts]\nurl = "http://127.0.0.1:{port}/{{id}}"\n')
    (folder / "watch/posts").mkdir(parents=True, exist_ok=True)
    (folder / "batches").mkdir(exist_ok=True)
    (folder / "rejected").mkdir(exist_ok=True)


def found(run: Run, *words: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and by what was looked at its grade and text; the last one holds."""
    told = run("doctor", "--json", *words)
    findings = json.loads(told.output)["findings"]
    return told.exit_code, {finding["what"]: (finding["grade"], finding["text"]) for finding in findings}


def test_a_folder_that_is_well_has_nothing_wrong(folder: Path, run: Run, api: int) -> None:
    """Exit 0, a line for each finding; that no service runs is to be looked at."""
    configured(folder, api)
    code, findings = found(run)
    assert code == 0, findings
    assert {what for what, (grade, _) in findings.items() if grade != "ok"} <= {"service", "disk"}
    assert {"configuration", "state folder", "folder", "SQLite", "clock", "left over"} <= set(findings)
    assert findings[f"API 127.0.0.1:{api}"][1].startswith("connected in ")
    lines = run("doctor").output.splitlines()
    assert len(lines) >= 9
    assert all(line.split()[0] in ("ok", "look", "wrong") for line in lines)


def test_no_byte_is_sent_to_an_api(folder: Path, run: Run) -> None:
    """It is connected to, and the connection is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        configured(folder, listening.getsockname()[1])
        found(run)
        heard, _ = listening.accept()
        with heard, suppress(ConnectionResetError):  # broken off without a word
            assert heard.recv(100) == b""


def test_an_api_that_is_not_there_is_wrong(folder: Path, run: Run) -> None:
    """Exit 1."""
    configured(folder, 9)
    code, findings = found(run)
    assert code == 1
    grade, text = findings["API 127.0.0.1:9"]
    assert (grade, "cannot be reached" in text) == ("wrong", True)


def test_every_problem_of_the_configuration_is_a_finding(folder: Path, run: Run) -> None:
    """And the machine is looked at all the same."""
    (folder / "collector.toml").write_text("root = 5\nodd = 1\n")
    told = run("doctor")
    assert told.exit_code == 1
    assert told.output.count("wrong  configuration: ") == 3
    assert "SQLite: version" in told.output


@pytest.mark.parametrize(("mode", "grade"), [(0o600, "ok"), (0o640, "ok"), (0o644, "wrong")])
def test_a_secret_that_everybody_can_read_is_wrong(folder: Path, run: Run, api: int, mode: int, grade: str) -> None:
    """It names the chmod, and never the secret."""
    configured(folder, api, '[secret]\nkey = { file = "key.txt" }\nother = { env = "SURELY_NOT_SET" }\n')
    (folder / "key.txt").write_text("hunter2")
    (folder / "key.txt").chmod(mode)
    code, findings = found(run)
    assert (findings["secret key"][0], code) == (grade, int(grade == "wrong"))
    assert findings["secret other"][0] == "look"
    assert "hunter2" not in str(findings)
    assert ("chmod 600" in findings["secret key"][1]) == (grade == "wrong")


def test_where_this_user_may_not_go_is_a_finding_like_others(
    folder: Path, run: Run, api: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says whose command it is, and the looks after it are made all the same."""
    configured(folder, api)
    is_dir = Path.is_dir

    def shut(path: Path) -> bool:
        if path == folder / "watch/posts":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", shut)
    code, findings = found(run)
    assert code == 1
    assert findings["not seen"] == ("wrong", f"{folder}/watch/posts: Permission denied; {NOT_YOURS}")
    assert {"disk", "clock", f"API 127.0.0.1:{api}"} <= set(findings)


def test_what_lies_about_is_to_be_looked_at(folder: Path, run: Run, api: int) -> None:
    """Files that were not taken in, files that were rejected, and what a restore set aside."""
    configured(folder, api)
    (folder / "watch/posts/ids.txt").write_text("1")
    (folder / "watch/posts/ids.txt.why.txt").write_text("chmod")
    (folder / "rejected/song.mp3").write_text("la")
    (folder / "rejected/song.mp3.why.txt").write_text("no IDs")
    (folder / "before-restore-20260101T000000Z").mkdir()
    code, findings = found(run)
    assert code == 0
    assert findings["left in watch"] == (
        "look",
        f"{folder}/watch/posts/ids.txt: {folder}/watch/posts/ids.txt.why.txt says why",
    )
    assert findings["rejected"][1].startswith("1 file in ")
    assert findings["set aside"][0] == "look"


def test_a_clock_behind_the_ledger_was_set_back(folder: Path, run: Run, api: int) -> None:
    """The last call lies in the future."""
    configured(folder, api)
    (folder / "budgets.log").write_text(json.dumps(["calls", "posts", time.time() + 7200, 1, 1, 900.0]) + "\n")
    grade, text = found(run)[1]["clock"]
    assert (grade, "set back" in text) == ("look", True)


def test_a_state_folder_that_everybody_may_write_to_is_wrong(folder: Path, run: Run, api: int) -> None:
    """It names the chmod."""
    configured(folder, api)
    os.chmod(folder, 0o777)
    code, findings = found(run)
    assert code == 1
    assert findings["state folder"][1].endswith(f"`chmod o-w {folder}`")


def test_a_running_service_is_well(tmp_path: Path, run: Run) -> None:
    """It is named by its process."""
    with service(tmp_path, "http://127.0.0.1:9") as served:
        served.start()
        served.until("ready")
        grade, text = found(run, "--config", str(served.config))[1]["service"]
        assert (grade, f"process {served.process.pid} " in text) == ("ok", True)


def test_room_inside_the_database_counts_as_for_the_service(folder: Path, run: Run, api: int) -> None:
    """After a prune the file is as large as before, and the service goes on."""
    with closing(sqlite3.connect(folder / "collector.db", isolation_level=None)) as db:
        db.executescript(f"PRAGMA application_id = {OURS}; CREATE TABLE a (x); CREATE TABLE b (x);")
        db.execute("INSERT INTO b VALUES (zeroblob(3000000))")
        db.execute("DROP TABLE b")
    free = shutil.disk_usage(folder).free
    configured(folder, api, f'[service]\nmin_free = "{free // 10**6 + 10**6}MB"')
    grade, text = found(run)[1]["disk"]
    assert grade == "wrong"
    assert " MB, 3.01 MB of it unused; with less than `min_free`" in text
