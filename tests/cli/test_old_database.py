"""Commands beside a database of another version."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests import first
from tests.cli.conftest import Run


def test_commands_read_a_database_of_the_first_schema_and_refuse_a_newer_one(folder: Path, run: Run) -> None:
    """An older one is read, copied and put back as it is; a newer one is named in plain words."""
    (folder / "ids.txt").write_text("301\n999\n")
    path = first.database(folder / "collector.db")
    before = first.told(path)
    assert run("export", "1").exit_code == 0
    assert "schema 1: the next start brings it to" in run("doctor").output
    assert run("plan", "ids.txt", "--source", "posts").exit_code == 0
    assert run("backup", "old.tar").exit_code == 0
    assert run("restore", "old.tar").exit_code == 0
    assert (first.version(path), first.told(path)) == (1, before)

    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    assert run("backup", "newer.tar").exit_code == 0
    newer = {words: run(*words) for words in (("export", "1"), ("pause", "3"), ("restore", "newer.tar"), ("doctor",))}
    assert {told.exit_code for told in newer.values()} == {1}
    assert all("newer collector (schema 99; this one knows" in told.output for told in newer.values())
    assert "newer collector" in run("plan", "ids.txt", "--source", "posts").output
    assert first.told(path) == before
