"""`drain`: over a running service, over a kill, and where none runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import Service, service

from .conftest import Run, unanswered

IDS = [str(number) for number in range(1000, 1010)]
UNTIL = "nothing new is taken in until `collector resume --all`"


@pytest.fixture(name="unanswered")
def _unanswered(tmp_path: Path) -> Iterator[Service]:
    with unanswered(tmp_path, IDS) as made:
        yield made


def test_a_drain_takes_nothing_new_in_until_a_resume_of_all_over_a_kill_too(
    unanswered: Service, run: Run, tmp_path: Path
) -> None:
    """What is open goes on, files stay where they are, and the second drain changes nothing."""
    config = ("--config", str(unanswered.config))
    told = run("drain", *config)
    assert (told.exit_code, told.output) == (0, f"draining: 10 IDs of 1 batch are open, and {UNTIL}\n")
    unanswered.kill()
    (tmp_path / "more.txt").write_text("1\n")
    added = run("add", str(tmp_path / "more.txt"), *config)
    assert "it stays in watch/ until `collector resume --all`, since somebody drains the service" in added.output
    unanswered.start()
    unanswered.until("ready")
    status = unanswered.status()
    assert (status["state"], status["stopping"]) == ("draining", False)
    assert "`collector resume --all` ends that" in status["troubles"][0]["what"]
    assert run("drain", *config).output.startswith("draining already: 10 IDs")
    assert run("resume", "--source", "posts", *config).output == "nothing to resume: posts is running\n"
    told = run("resume", "--all", *config)
    assert (told.exit_code, told.output) == (0, "the drain has ended, new files are taken in again\n")
    assert unanswered.until("batch_opened")["file"] == "more.txt"
    assert unanswered.rows("SELECT what, of, outcome FROM actions") == [
        ("drain", "all", "draining"),
        ("drain", "all", "changed nothing"),
        ("resume", "source posts", "ended nothing"),
        ("resume", "all", "ended paused.intake"),
    ]


def test_without_a_service_a_drain_holds_for_the_next_start(unanswered: Service, run: Run) -> None:
    """So does the resume that ends it."""
    config = ("--config", str(unanswered.config))
    unanswered.terminate()
    unanswered.ended()
    told = run("drain", "--json", *config)
    assert (told.exit_code, json.loads(told.stdout)) == (0, {"changed": True, "batches": 1, "open": 10})
    assert run("drain", *config).stdout.startswith("draining already")
    assert run("resume", "--all", *config).stdout == "the drain has ended, new files are taken in again\n"
    assert run("resume", "--all", *config).stdout.startswith("nothing to resume")


def test_a_drain_that_waits_comes_back_when_all_is_written(tmp_path: Path, run: Run) -> None:
    """It ends with 1 where what is left waits for somebody."""
    (tmp_path / "annotate.py").write_text("def look(work):\n    return {'id': work.id}\n")
    with service(tmp_path, "http://127.0.0.1:9") as made:
        made.config.write_text(
            'root = "state"\ndefault_source = "posts"\n[service]\nsettle = "100ms"\n[admin]\nlisten = "127.0.0.1:0"\n'
            '[source.posts]\ncall = "annotate:look"\n'
        )
        config = ("--config", str(made.config))
        made.start()
        made.until("ready")
        run("pause", "--all", *config)
        made.drop("ids.txt", IDS)
        made.until("batch_opened")
        run("pause", "1", *config)
        run("resume", "--all", *config)
        told = run("drain", "--wait", *config)
        assert told.exit_code == 1
        assert "nothing more ends by itself: 0001-ids is paused (`collector resume 1`)" in told.output
        run("resume", "1", *config)
        told = run("drain", "--wait", "--json", *config)
        assert (told.exit_code, json.loads(told.stdout)) == (0, {"changed": False, "batches": 0, "open": 0})
        assert (made.root / "batches/0001-ids/report.md").exists()
        assert run("drain", "--wait", *config).output == f"drained: nothing is open, and {UNTIL}\n"
