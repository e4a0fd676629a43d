"""Files that lost something on their way: floats, spreadsheets, cut archives."""

import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.intake.entry import Match
from collector.intake.floats import FloatCheck, is_rounded
from collector.intake.idfile import Reader
from tests.intake.reading import IDS, Reading, anything, post

MANY = [str(1511524316483141633 + 7919 * i) for i in range(60)]
DAMAGES: dict[str, Callable[[str], str]] = {
    "R or pandas": lambda key: str(int(float(key))),
    "a spreadsheet": lambda key: f"{Decimal(key):.14E}".split("E")[0].replace(".", "") + "0" * (len(key) - 15),
    "JavaScript": lambda key: str(int(Decimal(repr(float(key))))),
}


@pytest.mark.parametrize(
    "text", ["1.77465E+18", "4.63991589028e+17", "5.26e17", "1,77465E+18", "1e+18", "151152431648.0"]
)
@pytest.mark.parametrize("match", [post, anything])
def test_a_number_in_scientific_notation_is_never_an_id(text: str, match: Match) -> None:
    """Whatever the pattern takes, the line is refused and says what happened to it."""
    reading = Reading(f"11111111\n{text}\n22222222\n", match)
    assert (reading.keys, reading.refused_lines) == (["11111111", "22222222"], [2])
    assert "spreadsheet" in reading.refused[0].why
    assert any("1 line is a float" in warning for warning in reading.warnings)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_file_whose_ids_are_all_rounded_is_warned_of(damage: Callable[[str], str]) -> None:
    """The IDs are taken in, and the warning is loud."""
    keys = [damage(key) for key in MANY]
    reading = Reading("\n".join(keys))
    assert reading.keys == keys
    assert [warning for warning in reading.warnings if "ALL 60 IDs" in warning]


def test_one_whole_id_clears_a_file() -> None:
    """Some IDs are exact in a float by chance; all of fifty are not."""
    rounded = [str(int(float(key))) for key in MANY]
    assert Reading("\n".join([*rounded, MANY[0]])).warnings == []


def test_fewer_than_fifty_rounded_ids_warn_only_beside_a_float() -> None:
    """A line in scientific notation is evidence enough for the others."""
    rounded = "\n".join(str(int(float(key))) for key in IDS)
    assert Reading(rounded).warnings == []
    assert any("ALL 10 IDs" in warning for warning in Reading(rounded + "\n4.6e+17\n").warnings)


@pytest.mark.parametrize("key", ["12345678", str(2**53), "9" * 30, "W2741809807", "9" * 5000])
def test_ids_that_a_float_holds_or_that_are_no_integers_are_not_judged(key: str) -> None:
    """Short numbers, words and numbers longer than any API's say nothing of rounding."""
    check = FloatCheck()
    check.see([key] * 100)
    assert check.warnings() == []


@given(st.integers(2**53 + 1, 10**19))
def test_a_rounded_id_is_known_and_rounding_it_again_changes_nothing(value: int) -> None:
    """Each way of rounding is recognised for every large integer."""
    assert all(is_rounded(int(damage(str(value)))) for damage in DAMAGES.values())


def test_a_cut_gzip_gives_what_stands_before_the_cut_and_says_so() -> None:
    """No ID before the cut is lost, and the one it goes through is refused: half an ID is another ID."""
    keys = [str(1511524316483141633 + 7919**2 * i) for i in range(5000)]
    data = gzip.compress("\n".join(keys).encode(), mtime=0)
    reading = Reading(data[: len(data) // 2])
    assert 1000 < len(reading.keys) < 5000
    assert reading.keys == keys[: len(reading.keys)]
    assert [one.why for one in reading.refused] in ([], ["the file is cut short in this line"])
    assert any("cut short" in warning for warning in reading.warnings)


def test_a_damaged_gzip_says_so() -> None:
    """A wrong checksum is told; what stands behind the end is passed over and told."""
    data = gzip.compress("\n".join(IDS).encode(), mtime=0)
    damaged = Reading(data[:-8] + bytes(8))
    assert any("damaged" in warning for warning in damaged.warnings)
    behind = Reading(data + b"behind")
    assert behind.keys == IDS
    assert any("behind" in warning for warning in behind.warnings)


class Bomb(io.RawIOBase):
    """A gzip file of one line that is a gigabyte long, made while it is read."""

    def __init__(self, head: bytes, megabytes: int) -> None:
        self._head, self._megabytes = head, megabytes
        self._made, self._kept = self._make(), b""

    def _make(self) -> Iterator[bytes]:
        pack = zlib.compressobj(1, zlib.DEFLATED, 31)
        yield pack.compress(self._head)
        for _ in range(self._megabytes):
            yield pack.compress(b"1" * 1_000_000)
        yield pack.compress(b"\n22222222\n") + pack.flush()

    def seek(self, offset: int, whence: int = 0) -> int:
        self._made, self._kept = self._make(), b""
        return offset

    def read(self, size: int = -1) -> bytes:
        while len(self._kept) < size and (more := next(self._made, None)) is not None:
            self._kept += more
        data, self._kept = self._kept[:size], self._kept[size:]
        return data


@pytest.mark.parametrize("head", [b"11111111\n", b'n,tweet_id\n1,11111111\n2,"'])
def test_a_line_of_any_length_takes_no_memory(head: bytes) -> None:
    """A small archive that unpacks to one huge line is read in constant memory."""
    tracemalloc.start()
    try:
        reader = Reader(Bomb(head, 200), anything)  # type: ignore[arg-type]
        keys = [key for chunk in reader for key in chunk.keys]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert keys[0] == "11111111"
    assert peak < 40_000_000
