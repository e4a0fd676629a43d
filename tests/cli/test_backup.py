"""`backup` and `restore` over a real service and over a folder in which none runs."""

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.store.backup import check
from tests.service import Service

from .conftest import Run, unanswered

IDS = [str(number) for number in range(1000, 1100)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Service]:
    """A service that took in a batch and cannot ask for it; it runs."""
    with unanswered(tmp_path, IDS) as made:
        yield made


def jobs_in(archive: Path, folder: Path) -> int:
    """The jobs in the database of a backup, which is sound."""
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["collector.db", "budgets.log"]
        tar.extractall(folder, filter="data")
    check(folder / "collector.db")
    with closing(sqlite3.connect(folder / "collector.db")) as db:
        [(jobs,)] = db.execute("SELECT count(*) FROM jobs").fetchall()
    return int(jobs)


def test_a_running_service_is_backed_up_and_goes_on(served: Service, run: Run, tmp_path: Path) -> None:
    """The file holds database and ledger, is its owner's alone, and nothing else is left."""
    file, config = tmp_path / "copy.tar", ("--config", str(served.config))
    told = run("backup", str(file), "--json", *config)
    assert told.exit_code == 0, told.output
    facts = json.loads(told.output)
    assert (facts["bytes"], facts["service"]) == (file.stat().st_size, True)
    assert set(facts["of"]) == {"collector.db", "budgets.log"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert jobs_in(file, tmp_path / "out") == 100
    assert not [left for left in served.root.iterdir() if "copy" in left.name]
    assert served.status()["jobs"]["total"] == 100


def test_a_file_that_is_there_is_kept_without_force(served: Service, run: Run, tmp_path: Path) -> None:
    """Exit 2 and what to do; with `--force` it is replaced."""
    file, config = tmp_path / "copy.tar", ("--config", str(served.config))
    file.write_text("mine")
    told = run("backup", str(file), *config)
    assert (told.exit_code, told.output) == (2, f"{file} is there already; name another file, or give --force\n")
    assert file.read_text() == "mine"
    assert run("backup", str(file), "--force", *config).exit_code == 0
    assert jobs_in(file, tmp_path / "out") == 100


def test_without_a_service_the_folder_is_backed_up_under_the_lock(served: Service, run: Run, tmp_path: Path) -> None:
    """What a kill left in the write-ahead log is in it."""
    served.kill()
    file = tmp_path / "copy.tar"
    told = run("backup", str(file), "--config", str(served.config))
    assert told.exit_code == 0, told.output
    assert told.output.endswith("bytes; no service was running\n")
    assert jobs_in(file, tmp_path / "out") == 100


def test_nothing_to_back_up_is_said_in_a_line(folder: Path, run: Run) -> None:
    """Exit 1, and no file."""
    told = run("backup", "copy.tar")
    assert (told.exit_code, told.output) == (1, f"nothing to back up: there is no {folder / 'collector.db'}\n")
    assert not (folder / "copy.tar").exists()


def test_where_nothing_can_be_written_it_is_said_so(served: Service, run: Run, tmp_path: Path) -> None:
    """Exit 1 with the file's name."""
    file = tmp_path / "nowhere/copy.tar"
    told = run("backup", str(file), "--config", str(served.config))
    assert told.exit_code == 1
    assert f"cannot write {file}: No such file or directory" in told.output


def restored(run: Run, served: Service, file: Path) -> dict[str, Any]:
    """What `restore` told, which was good."""
    told = run("restore", str(file), "--json", "--config", str(served.config))
    assert told.exit_code == 0, told.output
    facts: dict[str, Any] = json.loads(told.output)
    return facts


def test_a_backup_is_put_back_and_what_was_there_is_set_aside(served: Service, run: Run, tmp_path: Path) -> None:
    """The service goes on with the backup, and no call that was sent since is forgotten."""
    file, config = tmp_path / "copy.tar", ("--config", str(served.config))
    assert run("backup", str(file), *config).exit_code == 0
    served.drop("more.txt", ["1", "2", "3"])
    served.until("batch_opened")
    served.kill()
    ledger = (served.root / "budgets.log").read_bytes()
    facts = restored(run, served, file)
    assert facts["ledger"] == "present"
    aside = Path(facts["aside"])
    assert (aside / "budgets.log").read_bytes() == ledger == (served.root / "budgets.log").read_bytes()
    with closing(sqlite3.connect(aside / "collector.db")) as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone() == (103,)
    assert served.rows("SELECT count(*) FROM jobs") == [(100,)]
    served.start()
    served.until("ready")
    assert served.status()["jobs"]["total"] == 100


def test_a_backup_is_put_into_an_empty_folder(served: Service, run: Run, tmp_path: Path) -> None:
    """As on another machine: nothing is there to be set aside."""
    file = tmp_path / "copy.tar"
    assert run("backup", str(file), "--config", str(served.config)).exit_code == 0
    served.kill()
    served.root.rename(tmp_path / "lost")
    facts = restored(run, served, file)
    assert (facts["ledger"], facts["aside"]) == ("backup", None)
    assert served.rows("SELECT count(*) FROM jobs") == [(100,)]


def test_the_ledger_of_another_history_is_kept_beside_that_of_the_backup(
    served: Service, run: Run, tmp_path: Path
) -> None:
    """A database that was begun anew names its budgets by another key."""
    file = tmp_path / "copy.tar"
    assert run("backup", str(file), "--config", str(served.config)).exit_code == 0
    served.kill()
    served.root.rename(tmp_path / "lost")
    served.start()
    served.until("ready")
    served.kill()
    lines = (served.root / "budgets.log").read_bytes()
    assert restored(run, served, file)["ledger"] == "both"
    kept = (served.root / "budgets.log").read_bytes()
    assert kept.endswith(lines)
    with tarfile.open(file) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    assert kept.startswith((tmp_path / "out/budgets.log").read_bytes())


def test_a_running_service_is_not_pulled_from_under_its_feet(served: Service, run: Run, tmp_path: Path) -> None:
    """Exit 2, and it says who is to be stopped."""
    file, config = tmp_path / "copy.tar", ("--config", str(served.config))
    assert run("backup", str(file), *config).exit_code == 0
    told = run("restore", str(file), *config)
    assert told.exit_code == 2
    assert "stop that one first" in told.output
    assert served.status()["jobs"]["total"] == 100


@pytest.mark.parametrize("spoilt", ["cut", "text", "empty", "damaged", "missing"])
def test_a_spoilt_backup_changes_nothing(served: Service, run: Run, tmp_path: Path, spoilt: str) -> None:
    """It is told in one line, and the database is as it was."""
    file, config = tmp_path / "copy.tar", ("--config", str(served.config))
    assert run("backup", str(file), *config).exit_code == 0
    served.kill()
    data = file.read_bytes()
    wrong = {"cut": data[:20_000], "text": b"ids\n" * 5000, "empty": b"", "damaged": data[:4608] + b"x" * 8192}
    file.unlink()
    if spoilt != "missing":
        file.write_bytes(wrong[spoilt] + (data[4608 + 8192 :] if spoilt == "damaged" else b""))
    told = run("restore", str(file), *config)
    assert told.exit_code in (1, 2)
    assert told.output.count("\n") == 1
    assert str(file) in told.output
    assert "nothing was changed" in told.output
    assert served.rows("SELECT count(*) FROM jobs") == [(100,)]
    assert not [left for left in served.root.iterdir() if left.name.startswith((".restore", "before-restore"))]
