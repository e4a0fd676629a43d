"""An order that was answered is kept, whatever becomes of the process a moment later."""

from pathlib import Path

import pytest

from tests import first
from tests.service import service

from .conftest import Run


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["pause", "3"], "SELECT state = 'paused' FROM batches WHERE id = 3"),
        (["resume", "4"], "SELECT state = 'open' FROM batches WHERE id = 4"),
        (["cancel", "3"], "SELECT state = 'cancelled' FROM batches WHERE id = 3"),
        (["priority", "3", "7"], "SELECT priority = 7 FROM batches WHERE id = 3"),
        (["retry", "1", "--gone"], "SELECT count(*) = 0 FROM jobs WHERE batch = 1 AND state = 'gone'"),
        (["pause", "--source", "posts"], "SELECT count(*) = 1 FROM meta WHERE key = 'paused.source.posts'"),
    ],
)
def test_an_order_is_kept_over_a_kill_right_after_its_answer(
    words: list[str], kept: str, tmp_path: Path, run: Run
) -> None:
    """With the row that tells of it."""
    with service(tmp_path, "http://127.0.0.1:9") as made:
        first.database(made.root / "collector.db")
        made.start()
        made.until("ready")
        told = run(*words, "--config", str(made.config))
        made.kill()
        assert told.exit_code == 0, told.output
        assert made.rows(kept) == [(1,)]
        assert made.rows("SELECT what, who FROM actions") == [(words[0], "cli")]
