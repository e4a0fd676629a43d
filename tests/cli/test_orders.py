"""`pause`, `resume`, `cancel` and `reload` where no service takes them; with one they are tested beside the signals."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.cli.orders import stood
from collector.host import lock
from tests.service import Service

from .conftest import Run, unanswered

IDS = [str(number) for number in range(1000, 1010)]


@pytest.fixture(name="unanswered")
def _unanswered(tmp_path: Path) -> Iterator[Service]:
    with unanswered(tmp_path, IDS) as made:
        yield made


@pytest.mark.parametrize(
    "words",
    [
        ["resume", "--all"],
        ["resume", "--source", "posts"],
        ["reload"],
        ["pause", "1"],
        ["resume", "1"],
        ["cancel", "1"],
        ["retry", "1"],
    ],
)
def test_without_a_service_it_is_said_so_in_the_words_of_status(folder: Path, run: Run, words: list[str]) -> None:
    """Exit 1, and the command that starts one."""
    told = run(*words)
    assert (told.exit_code, told.output) == (1, run("status").output)
    assert "`collector run` starts one" in told.output


@pytest.mark.parametrize("words", [[], ["--all", "--source", "posts"], ["1", "--all"]])
def test_it_has_to_be_said_who_is_to_go_on(folder: Path, run: Run, words: list[str]) -> None:
    """Batches, one source, or every source; none of these, and two, are wrong usage."""
    told = run("resume", *words)
    assert (told.exit_code, told.output) == (2, "what is to go on? Give a BATCH, --source S, or --all\n")


def test_a_reload_of_a_bad_configuration_is_refused_before_it_is_asked_for(folder: Path, run: Run) -> None:
    """The problems are those that `check` tells, and the exit is its exit."""
    (folder / "collector.toml").write_text("root = 5\n")
    told = run("reload")
    assert (told.exit_code, told.output) == (2, run("check").output)


def test_a_batch_is_paused_resumed_and_cancelled_by_name(unanswered: Service, run: Run) -> None:
    """Each order says in a line what it did, the second time too, and each is in the table at once."""
    config = ("--config", str(unanswered.config))
    for words, said, state in (
        (("pause", "1"), "paused 0001-ids: 10 of 10 IDs are open\n", "paused"),
        (("pause", "0001-ids"), "0001-ids is paused already\n", "paused"),
        (("resume", "state/batches/0001-ids/"), "resumed 0001-ids: 10 of 10 IDs are open\n", "open"),
        (("resume", "1"), "0001-ids is open already\n", "open"),
        (("cancel", "0001"), "cancelled 0001-ids: 10 of 10 IDs were open\n", "cancelled"),
        (("cancel", "1"), "0001-ids was cancelled before: there is nothing to cancel\n", "cancelled"),
    ):
        told = run(*words, *config)
        assert (told.exit_code, told.output) == (0, said)
        assert unanswered.rows("SELECT state FROM batches") == [(state,)]
    unanswered.until("results_written")
    assert unanswered.books() == {"cancelled": 10}
    assert (unanswered.root / "batches/0001-ids/failed.csv").read_text().count(",cancelled,cancelled,") == 10


def test_an_unknown_batch_is_wrong_usage_and_those_before_it_are_done(unanswered: Service, run: Run) -> None:
    """Exit 2 with the batches there are; programs get what was done."""
    told = run("pause", "1", "7", "--json", "--config", str(unanswered.config))
    assert told.exit_code == 2
    document = json.loads(told.output)
    assert document["error"] == "no batch '7'; the latest there are: 0001-ids"
    [done] = document["batches"]
    assert (done["folder"], done["state"], done["changed"], done["open"]) == ("0001-ids", "paused", True, 10)


def test_a_source_is_paused_over_a_start_and_status_says_so(unanswered: Service, run: Run) -> None:
    """With what lets it go on; all at once is told of the whole service."""
    config = ("--config", str(unanswered.config))
    assert run("pause", "--source", "posts", *config).output == "paused posts\n"
    unanswered.terminate()
    unanswered.ended()
    unanswered.start()
    unanswered.until("ready")
    source = unanswered.status()["sources"]["posts"]
    assert (source["state"], "`collector resume --source posts`" in source["why"]) == ("paused", True)
    assert run("pause", "--source", "posts", *config).output == "paused already: posts\n"
    run("pause", "--all", *config)
    assert unanswered.status()["state"] == "paused"
    assert "`collector resume --all` lets it go on" in run("resume", "--source", "posts", *config).output
    assert run("resume", "--all", *config).output == "resumed posts\n"
    assert (unanswered.status()["state"], unanswered.status()["sources"]["posts"]["state"]) == ("running", "running")
    orders = unanswered.rows("SELECT what, of, outcome FROM actions ORDER BY id")
    assert orders[0] == ("pause", "source posts", "paused")
    assert orders[-1] == ("resume", "all", "ended paused.all")


def test_batches_are_put_first_and_cancelled_with_their_source(unanswered: Service, run: Run) -> None:
    """Each order says in a line what it did, and what there is not to do."""
    config = ("--config", str(unanswered.config))
    for words, code, said in (
        (("priority", "1", "5"), 0, "0001-ids has priority 5\n"),
        (("priority", "0001-ids", "5"), 0, "0001-ids has priority 5 already\n"),
        (("priority", "--source", "posts", "-1"), 0, "0001-ids has priority -1\n"),
        (("priority", "1"), 2, "what is to have it? Give a BATCH, --source S, or --all\n"),
        (("priority", "1", "high"), 2, None),
        (("cancel", "--source", "posts"), 0, "cancelled 0001-ids: 10 of 10 IDs were open\n"),
        (("cancel", "--all"), 0, "nothing to cancel: no batch is concerned\n"),
        (("priority", "1", "7"), 0, "0001-ids was cancelled before: there is nothing to put first or last\n"),
    ):
        told = run(*words, *config)
        assert (told.exit_code, told.output if said else None) == (code, said)


def test_without_a_service_orders_are_carried_out_in_the_database(unanswered: Service, run: Run) -> None:
    """And it says so; jobs of a cancelled batch end at once, their files are written at the next start."""
    config = ("--config", str(unanswered.config))
    unanswered.terminate()
    unanswered.ended()
    note = "no service is running: this was done in the database, and holds at the next start\n"
    for words, said, state in (
        (("pause", "1"), "paused 0001-ids: 10 of 10 IDs are open\n", "paused"),
        (("pause", "--source", "posts"), "paused posts\n", "paused"),
        (("priority", "1", "5"), "0001-ids has priority 5\n", "paused"),
        (("resume", "--all"), "resumed posts\n", "paused"),
        (("cancel", "1"), "cancelled 0001-ids: 10 of 10 IDs were open\n", "cancelled"),
    ):
        told = run(*words, *config)
        assert (told.exit_code, told.stdout, told.stderr) == (0, said, note)
        assert unanswered.rows("SELECT state FROM batches") == [(state,)]
    assert unanswered.books() == {"cancelled": 10}
    assert run("retry", "1", *config).stdout.startswith("0001-ids was cancelled, and is not asked again")
    told = run("pause", "7", *config)
    assert (told.exit_code, told.stderr.startswith("no batch '7'")) == (2, True)
    assert not lock.holder(unanswered.root)
    assert len(unanswered.rows("SELECT * FROM actions")) == 6
    unanswered.start()
    unanswered.until("results_written")


def batch(number: int, state: str, *, changed: bool, pause_wanted: bool = False) -> dict[str, Any]:
    """One of 1,000 IDs, 812 of them open, as the service tells of it."""
    told = {"id": number, "folder": f"000{number}-ids", "state": state, "changed": changed, "total": 1000, "open": 812}
    return told | {"pause_wanted": pause_wanted, "parent": None if number == 7 else number - 1, "priority": 5}


@pytest.mark.parametrize(
    ("verb", "family", "said"),
    [
        (
            "cancel",
            [batch(7, "cancelled", changed=True), batch(8, "cancelled", changed=True)],
            [
                "cancelled 0007-ids: 812 of 1,000 IDs were open; 1 batch below it too",
                "  cancelled 0008-ids: 812 of 1,000 IDs were open",
            ],
        ),
        (
            "pause",
            [batch(7, "finished", changed=False), batch(8, "held", changed=False), batch(9, "paused", changed=True)],
            [
                "0007-ids has finished: there is nothing to pause",
                "  0008-ids is held already: it waits for a yes, `collector resume 8`",
                "  paused 0009-ids: 812 of 1,000 IDs are open",
            ],
        ),
        (
            "pause",
            [batch(7, "loading", changed=True, pause_wanted=True)],
            ["paused 0007-ids: it is paused as soon as it is taken in"],
        ),
        ("resume", [batch(7, "loading", changed=True)], ["resumed 0007-ids: it is asked as soon as it is taken in"]),
        ("pause", [batch(7, "loading", changed=False, pause_wanted=True)], ["0007-ids waits for its pause already"]),
    ],
)
def test_each_batch_of_a_family_has_its_line(verb: str, family: list[dict[str, Any]], said: list[str]) -> None:
    """What an order did to it, or how it stands where it did nothing."""
    assert list(stood(verb, family)) == said
