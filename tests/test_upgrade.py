"""A database of the first schema under today's code, with the disk that fails and the kill that comes meanwhile."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from collector.rehearsal.verdicts import Verdicts
from collector.store import database
from tests import first
from tests.service import service

from .test_promises import api

# So many that an index of them takes a while, and megabytes.
LONG = """
UPDATE counts SET jobs = 0 WHERE batch = 4;
DELETE FROM jobs WHERE batch = 4;
INSERT INTO jobs (batch, key, state, due_at, cursor)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000)
SELECT 4, '4' || n, 'delayed', '2026-11-22T10:00:00.000Z', '{"next": "b26v89c19zqg8o3fpdg", "pages": 1}' FROM n;
INSERT INTO counts VALUES (4, 'delayed', '', 100000);
"""


async def test_a_database_of_the_first_schema_keeps_every_row(tmp_path: Path) -> None:
    """Batches, jobs and items in every state are as they were; the file is sound and its books are right."""
    path = first.database(tmp_path / "collector.db")
    before = first.told(path)
    assert all(before.values())
    async with database.opened(path) as db:
        assert first.told(path) == before
        assert await db.read("PRAGMA integrity_check") == [("ok",)]
        assert await db.read("PRAGMA foreign_key_check") == []
        rows = await db.read("SELECT batch, state, coalesce(reason, ''), count(*) FROM jobs GROUP BY 1, 2, 3")
        assert rows == await db.read("SELECT * FROM counts WHERE jobs > 0")
    assert first.version(path) == database.newest()


def test_a_service_goes_on_with_a_database_of_the_first_schema(tmp_path: Path) -> None:
    """Open jobs of open batches are asked, what has ended is not, and what was to be written is."""
    log = tmp_path / "api.jsonl"
    with api(log, "--limit=0", "--latency=0-5") as url, service(tmp_path, url) as made:
        path = first.database(made.root / "collector.db")
        ended = "batch NOT IN (3, 7)"
        before = first.told(path, ended)
        made.start()
        told = made.until("migrating")
        assert (told["from"], told["to"]) == (1, database.newest())
        for _ in range(2):
            made.until("results_written")
        made.terminate()
        assert made.ended() == 0
        after = first.told(path, ended)
        assert all(after[table] == before[table] for table in ("jobs", "counts", "items", "answers", "attempts"))
        states = dict(made.rows("SELECT id, state FROM batches"))
        expected = {1: "finished", 2: "finished", 3: "finished", 4: "paused", 5: "held", 6: "cancelled", 7: "paused"}
        assert states == expected
        assert made.rows("SELECT value FROM meta WHERE key = 'hash_key'") == [(first.KEY,)]
    asked = {key for verdict in Verdicts.read(log) for key in verdict.ids}
    assert asked == {"301", "302", "303", "304"}


@pytest.mark.timeout(30)
def test_an_upgrade_that_is_cut_off_leaves_every_row_and_is_done_again(tmp_path: Path) -> None:
    """By a disk that takes no more bytes, in plain words and exit 1; by a stop, exit 0; by kill -9."""
    with service(tmp_path, "http://127.0.0.1:9") as made:
        path = first.database(made.root / "collector.db", LONG)
        before = first.told(path)
        command = [sys.executable, "-m", "collector", "run", "--config", str(made.config)]
        told = subprocess.run(
            ["sh", "-c", f"ulimit -f 2000; exec {shlex.join(command)}"], capture_output=True, text=True
        )
        assert told.returncode == 1
        assert "cannot be brought from schema 1 to" in told.stderr.splitlines()[-1]
        assert "Traceback" not in told.stderr
        assert (first.version(path), first.told(path)) == (1, before)

        for end in (made.terminate, made.kill):
            made.start()
            made.until("migrating" if first.version(path) == 1 else "starting")
            end()
            assert made.ended() in (0, -9)
            assert first.version(path) in (1, database.newest())  # it may have been done when the end came
            assert first.told(path) == before

        made.start()
        made.until("ready")
        assert first.told(path, "batch <> 3")["jobs"] == [row for row in before["jobs"] if row[0] != 3]
        made.terminate()
        assert made.ended() == 0
