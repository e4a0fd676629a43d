"""`retry` of a running service."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.cli.retry import again
from tests.service import Service, service

from .conftest import Run

IDS = [str(number) for number in range(1000, 1010)]


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Service]:
    """A service whose batch 1 was refused as a whole: its function takes no ID before a file is there."""
    (tmp_path / "annotate.py").write_text(
        "from pathlib import Path\n\nfrom collector import Invalid\n\n\ndef look(work):\n"
        f"    if not Path({str(tmp_path / 'mended')!r}).exists():\n        raise Invalid('not-yet')\n"
        "    return {'id': work.id}\n"
    )
    with service(tmp_path, "http://127.0.0.1:9") as made:
        made.config.write_text(
            'root = "state"\ndefault_source = "posts"\n[service]\nsettle = "100ms"\n[admin]\nlisten = "127.0.0.1:0"\n'
            '[source.posts]\ncall = "annotate:look"\n'
        )
        made.start()
        made.until("ready")
        made.drop("ids.txt", IDS)
        made.until("results_written")
        yield made


def test_what_was_refused_is_asked_again_and_its_files_are_written_anew(
    failing: Service, run: Run, tmp_path: Path
) -> None:
    """The batch opens, finds what is there now, and ends with other files."""
    config, folder = ("--config", str(failing.config)), failing.root / "batches/0001-ids"
    assert (failing.books(), (folder / "failed.csv").exists()) == ({"invalid": 10}, True)
    (tmp_path / "mended").touch()
    told = run("retry", "1", *config)
    assert (told.exit_code, told.output) == (0, "0001-ids: nothing is asked again, no ID ended so\n")
    told = run("retry", "0001-ids", "--invalid", *config)
    assert (told.exit_code, told.output) == (0, "asked again: 10 of 10 IDs of 0001-ids\n")
    failing.until("results_written")
    assert failing.books() == {"found": 10}
    assert not (folder / "failed.csv").exists()
    assert len((folder / "found.jsonl").read_text().splitlines()) == 10
    assert failing.rows("SELECT what, of, outcome FROM actions ORDER BY id") == [
        ("retry", "batch 1", "0 IDs are asked again"),
        ("retry", "batch 1", "10 IDs are asked again"),
    ]


def test_a_source_is_retried_by_reason_and_programs_are_told_how_many(failing: Service, run: Run) -> None:
    """Another reason has none, and neither has a source that nobody knows."""
    config = ("--config", str(failing.config))
    told = run("retry", "--source", "posts", "--reason", "else", "--json", *config)
    assert json.loads(told.output) == {"retried": 0, "batches": []}
    told = run("retry", "--all", "--reason", "not-yet", "--json", *config)
    said = json.loads(told.output)
    assert (said["retried"], [batch["folder"] for batch in said["batches"]]) == (10, ["0001-ids"])
    told = run("retry", "--source", "nobody", *config)
    assert (told.exit_code, told.output) == (2, "no source 'nobody'; declared: posts\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "what is to be asked again? Give a BATCH, --source S, or --all\n"),
        (["1", "--all"], "what is to be asked again? Give a BATCH, --source S, or --all\n"),
        (["1", "--absent", "--gone"], "--absent is a choice of its own: it stands for --gone --reason absent\n"),
    ],
)
def test_a_retry_that_says_too_little_or_too_much_is_wrong_usage(
    folder: Path, run: Run, words: list[str], said: str
) -> None:
    """Exit 2, and what to say."""
    told = run("retry", *words)
    assert (told.exit_code, told.output) == (2, said)


def test_each_batch_of_a_retry_has_its_line() -> None:
    """What is asked again, where it waits for a resume, and why a cancelled one is not."""
    one = {"id": 7, "folder": "0007-ids", "state": "open", "total": 1000, "retried": 812}
    assert list(again([one, one | {"retried": 0}])) == ["asked again: 812 of 1,000 IDs of 0007-ids"]
    assert list(again([one | {"state": "paused"}])) == [
        "asked again: 812 of 1,000 IDs of 0007-ids; it is paused: `collector resume 7`"
    ]
    [line] = again([one | {"state": "cancelled", "retried": 0}])
    assert line.startswith("0007-ids was cancelled, and is not asked again")
    assert list(again([])) == ["nothing is asked again: no ID ended so"]
