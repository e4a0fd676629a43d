"""The demo, and the audit that ends it."""

import os
from pathlib import Path

import msgspec
import pytest

from collector.errors import Held, UsageError
from collector.host import lock
from collector.output.snapshot import BatchStatus, JobCounts
from collector.rehearsal import demo
from collector.rehearsal.demo import LIMIT, MARKER, Audit, prepare
from collector.rehearsal.posts import Fate

JOBS = JobCounts(total=10, found=7, gone=2, failed=1)
BATCH = BatchStatus(
    id=1,
    name="ids",
    source="x_posts",
    state="finished",
    jobs=JOBS,
    items=7,
    finish_from=None,
    finish_at=None,
    finish_to=None,
    folder="0001-ids",
    warnings=(),
    created_at="2026-11-22T08:00:00.000Z",
    finished_at="2026-11-22T08:01:00.000Z",
    line=12,
    lines=12,
    refused=1,
    reasons={},
)
GOOD = Audit(
    batch=BATCH,
    distinct=10,
    lines=12,
    found=7,
    gone=2,
    ended=1,
    wrong=(),
    windows=(LIMIT, 3),
    too_many=0,
    requests=43,
    faulty=1,
    seconds=6.0,
)


def test_a_good_audit_is_balanced_and_within() -> None:
    """The measure that the others are held against."""
    assert GOOD.balanced
    assert GOOD.within


@pytest.mark.parametrize(
    "flaw",
    [
        {"distinct": 11},
        {"lines": 13},
        {"found": 6},
        {"gone": 3},
        {"ended": 0},
        {"wrong": ("1",)},
        {"batch": msgspec.structs.replace(BATCH, jobs=msgspec.structs.replace(JOBS, total=9))},
    ],
)
def test_an_id_that_is_lost_or_doubled_anywhere_unbalances_the_books(flaw: dict[str, object]) -> None:
    """Each number is checked against another's."""
    assert not msgspec.structs.replace(GOOD, **flaw).balanced


@pytest.mark.parametrize("flaw", [{"windows": (LIMIT + 1,)}, {"too_many": 1}])
def test_a_request_too_many_is_seen(flaw: dict[str, object]) -> None:
    """One 429, or one request over the limit of a window."""
    assert not msgspec.structs.replace(GOOD, **flaw).within


def test_an_outcome_that_the_api_did_not_say_is_wrong() -> None:
    """Lost, doubled, foreign, and found or gone against the API's word."""
    fates = {"1": Fate.FOUND, "2": Fate.DELETED, "3": Fate.FOUND, "4": Fate.FOUND, "5": Fate.ABSENT}
    wrong = demo._wrong(tuple(fates), ["1", "4", "4", "5"], ["2", "9"], [], lambda key: fates.get(key, Fate.FOUND))
    assert wrong == ("3", "4", "5", "9")


def test_the_folder_of_a_demo_before_is_emptied(tmp_path: Path) -> None:
    """Only what lies inside goes, and a link's target never."""
    folder, other = tmp_path / "demo", tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("")
    prepare(folder)
    (folder / "watch").mkdir()
    (folder / "watch" / "old").write_text("")
    (folder / "link").symlink_to(other)
    prepare(folder)
    assert os.listdir(folder) == [MARKER]
    assert (other / "mine").exists()


def test_a_folder_of_somebody_else_is_never_emptied(tmp_path: Path) -> None:
    """Without our marker what is there stays, and it is said what to do."""
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(UsageError, match="--folder"):
        prepare(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_demo_that_still_runs_is_left_alone(tmp_path: Path) -> None:
    """A second one is told which process it is."""
    prepare(tmp_path)
    with lock.hold(tmp_path), pytest.raises(Held, match=f"process {os.getpid()} "):
        prepare(tmp_path)
    assert (tmp_path / "lock").exists()
