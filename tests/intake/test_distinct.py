"""How many different texts there are."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import CollectorError
from collector.intake.distinct import Distinct

MANY = 520_000  # more digests than are held in memory


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=3))))
def test_repeats_are_counted_once_wherever_they_stand(parts: list[list[str]]) -> None:
    """As a set would have it, over any parts."""
    with Distinct() as distinct:
        for part in parts:
            distinct.add(part)
        assert distinct.count() == len({text for part in parts for text in part})


def test_what_is_too_much_for_the_memory_goes_into_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeat of what lies in the file is found, and nothing stands in the folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Distinct() as distinct:
        distinct.add(map(str, range(MANY)))
        distinct.add(map(str, range(MANY - 10, MANY + 10)))
        assert distinct.count() == MANY + 10
        assert not list(tmp_path.iterdir())


def test_without_room_for_the_file_it_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder may be full or gone: TMPDIR names another one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with Distinct() as distinct, pytest.raises(CollectorError, match="TMPDIR"):
        distinct.add(map(str, range(MANY)))
