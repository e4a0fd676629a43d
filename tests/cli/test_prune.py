"""`prune` through a running service and without one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.service import service

from .conftest import Run


@pytest.mark.parametrize("running", [True, False])
def test_old_batches_are_shown_and_with_yes_removed(tmp_path: Path, run: Run, running: bool) -> None:
    """The latest one stays, and so do the folders."""
    with service(tmp_path, "http://127.0.0.1:9") as served:
        config = ("--config", str(served.config))
        served.start()
        served.until("ready")
        for name in ("a.txt", "b.txt"):
            served.drop(name, ["1", "2"])
            served.until("batch_opened")
        assert run("cancel", "1", "2", *config).exit_code == 0
        served.until("results_written")
        served.until("results_written")
        served.kill()
        with closing(sqlite3.connect(served.root / "collector.db")) as db, db:
            db.execute("UPDATE batches SET finished_at = '2001-01-01T00:00:00.000Z'")
        if running:
            served.start()
            served.until("ready")
        shown = run("prune", "--older-than", "90d", *config)
        assert shown.exit_code == 0, shown.output
        assert "would go 0001-a: 2 IDs, 0 items\n" in shown.output
        assert served.rows("SELECT count(*) FROM jobs") == [(4,)]
        done = run("prune", "--older-than", "90d", "--yes", *config)
        assert done.exit_code == 0, done.output
        assert "removed 1 batch, 2 IDs, 0 items\n" in done.output
        assert served.rows("SELECT id FROM batches") == [(2,)]
        assert served.rows("SELECT sum(jobs) FROM counts") == served.rows("SELECT count(*) FROM jobs") == [(2,)]
        assert (served.root / "batches/0001-a").is_dir()
        if running:
            assert served.status()["jobs"]["total"] == 2


@pytest.mark.parametrize("age", ["soon", "1s", "-3d"])
def test_an_age_that_is_none_or_too_young_is_wrong_usage(folder: Path, run: Run, age: str) -> None:
    """Exit 2."""
    told = run("prune", f"--older-than={age}")
    assert told.exit_code == 2
    assert f"--older-than '{age}': expected " in told.output
