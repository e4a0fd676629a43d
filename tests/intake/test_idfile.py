"""Plain lists, in every encoding and with every line end."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import UnreadableFile
from collector.intake.entry import Match
from tests.intake.reading import IDS, Reading, anything, matching, post

LIST = "\n".join(IDS) + "\n"


@pytest.mark.parametrize("match", [post, anything])
@pytest.mark.parametrize(
    "data",
    [
        LIST.encode(),
        LIST.strip().encode(),
        LIST.replace("\n", "\r\n").encode(),
        LIST.replace("\n", "\r").encode(),
        LIST.encode("utf-8-sig"),
        b"\xff\xfe" + LIST.replace("\n", "\r\n").encode("utf-16-le"),
        b"\xfe\xff" + LIST.encode("utf-16-be"),
        LIST.encode("utf-16-le"),
        LIST.encode("utf-32"),
        gzip.compress(LIST.encode(), mtime=0),
        gzip.compress(LIST[:50].encode(), mtime=0) + gzip.compress(LIST[50:].encode(), mtime=0) + bytes(100),
        gzip.compress(b"\xff\xfe" + LIST.encode("utf-16-le"), mtime=0),
        LIST.replace("\n", "\n\n  \n").encode(),
        LIST.replace("\n", " \t\n").encode(),
        "".join(f'"{key}"\n' for key in IDS).encode(),
        "".join(f"'{key}'\n" for key in IDS).encode(),
        "".join(f"'{key}\n" for key in IDS).encode(),
        "".join(f'="{key}"\n' for key in IDS).encode(),
        ",\n".join(IDS).encode(),
        "".join(f"\ufeff{key}\u2028\n" for key in IDS).encode(),
    ],
)
def test_every_form_of_a_plain_list_gives_the_same_ids(data: bytes, match: Match) -> None:
    """Line ends, marks, encodings, gzip, blanks and quotes change no ID."""
    reading = Reading(data, match)
    assert reading.keys == IDS
    assert reading.refused == []
    assert reading.warnings == []


@pytest.mark.parametrize(
    "header", ["id", "ID", "tweet_id", "tweet_ID", "tweetid", "TweetId", "id_str", "Tweet IDs", "0"]
)
@pytest.mark.parametrize("match", [post, anything])
def test_a_header_over_a_plain_list_is_neither_an_id_nor_refused(header: str, match: Match) -> None:
    """The usual names, and pandas's `0`, are counted as a header."""
    reading = Reading(f"{header}\n{LIST}", match)
    assert (reading.keys, reading.refused, reading.headers) == (IDS, [], 1)
    assert header in reading.layout.text


def test_a_zero_over_short_ids_is_an_id() -> None:
    """`0` is a header only over lines of eight digits or more."""
    assert Reading("0\n1\n2\n").keys == ["0", "1", "2"]


def test_a_first_line_that_is_a_broken_id_is_refused_and_not_taken_for_a_header() -> None:
    """What has digits like an ID is a line, so that it is told."""
    reading = Reading(f"15115243164831416x3\n{LIST}")
    assert (reading.keys, reading.refused_lines, reading.headers) == (IDS, [1], 0)


def test_urls_give_the_id_in_them_and_other_urls_are_refused_with_their_lines() -> None:
    """The group of the id pattern is the ID; a line number counts the header and blank lines too."""
    data = f"url\nhttps://twitter.com/a/status/{IDS[0]}?s=20\n\nhttps://www.facebook.com/a/1\nx.com/b/status/{IDS[1]}\n"
    reading = Reading(data)
    assert reading.keys == IDS[:2]
    assert reading.refused_lines == [4]
    assert (reading.headers, reading.blank) == (1, 1)


def test_repeats_are_handed_out_for_the_store_to_count() -> None:
    """The reader keeps no memory of IDs."""
    assert Reading("1\n2\n1\n").keys == ["1", "2", "1"]


def test_only_a_newline_ends_a_line() -> None:
    """U+2028, U+0085, a form feed and \\x1c are letters of the line they stand in."""
    reading = Reading("a\u2028b\nc\u0085d\ne\x0cf\ng\x1ch\n", anything)
    assert reading.keys == ["a\u2028b", "c\u0085d", "e\x0cf", "g\x1ch"]


def test_a_line_that_is_no_text_costs_itself_only() -> None:
    """Bytes that are no UTF-8, a NUL and a lone surrogate are refused, whatever the pattern takes."""
    reading = Reading(b"1\n\xff\xfe2\n3\x004\n\xed\xa0\x805\n6\n", anything)
    assert reading.keys == ["1", "6"]
    assert reading.refused_lines == [2, 3, 4]
    for one in reading.refused:
        one.text.encode()


def test_a_lone_surrogate_in_utf_16_costs_its_line_only() -> None:
    """A broken UTF-16 file is read on."""
    reading = Reading(b"\xff\xfe" + "1\n2\n".encode("utf-16-le") + b"\x00\xd8\n\x00" + "3\n".encode("utf-16-le"))
    assert (reading.keys, reading.refused_lines) == (["1", "2", "3"], [3])


def test_a_line_of_over_64_kb_is_refused_and_shown_in_short() -> None:
    """It is one refused line of at most 200 characters, and the lines behind it are read."""
    reading = Reading("1\n" + "2" * 5_000_000 + "\n3\n", anything)
    assert reading.keys == ["1", "3"]
    assert reading.refused_lines == [2]
    assert len(reading.refused[0].text) == 200


def test_chunks_end_at_the_same_lines_in_every_reading() -> None:
    """A loader that comes back drops whole chunks by their line."""
    data = "id\n" + "\n".join(map(str, range(95)))
    assert Reading(data, chunk=10).ends == [10, 20, 30, 40, 50, 60, 70, 80, 90, 96]


def test_a_chunk_is_bounded_in_bytes_too() -> None:
    """Long lines make short chunks, so that memory stays the same."""
    ends = Reading(("x" * 60_000 + "\n") * 200, anything).ends
    assert ends[-1] == 200
    assert len(ends) > 2


def test_reading_twice_gives_the_same() -> None:
    """Each iteration starts at the first byte with new counters."""
    first, second = (Reading(f"id\n\n{LIST}x1111111\n") for _ in range(2))
    assert (first.keys, first.ends, first.blank) == (second.keys, second.ends, second.blank)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "0 bytes: no IDs in it"),
        (b"\xef\xbb\xbf", "0 bytes"),
        (gzip.compress(b"", mtime=0), "0 bytes"),
        (b"\n \n\r\n", "3 blank lines: no IDs in it"),
        (b"tweet_id\n", "a header and nothing below it"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"<!DOCTYPE html>\n<html>", "HTML"),
        (bytes(range(256)) * 50, "binary"),
        (gzip.compress(gzip.compress(b"1\n", mtime=0), mtime=0), "gzip inside gzip"),
    ],
)
def test_a_file_without_ids_is_refused_with_what_it_is(data: bytes, told: str) -> None:
    """The text says what it looks like, also under a pattern that takes anything."""
    with pytest.raises(UnreadableFile, match=told):
        Reading(data, anything)


def test_a_file_in_which_nothing_matches_shows_its_first_lines() -> None:
    """The operator sees what was read, why it is no ID, and where the pattern comes from."""
    with pytest.raises(UnreadableFile) as caught:
        Reading("11x\n22x\n33x\n44x\n")
    text = str(caught.value)
    assert "line 1: 11x" in text
    assert "line 3: 33x" in text
    assert "all 4 lines" in text
    assert "[source.NAME]" in text


def test_the_first_id_may_come_late() -> None:
    """A file is refused only when its last line is read, and nothing read on the way is lost."""
    reading = Reading("x1111111\n" * 3000 + "5\n", chunk=100)
    assert (reading.keys, len(reading.refused)) == (["5"], 3000)


@given(st.lists(st.from_regex(r"[A-Za-z0-9:/.]{1,30}", fullmatch=True), min_size=1, max_size=40), st.integers(1, 50))
def test_lines_are_always_keys_and_refused_lines(lines: list[str], chunk: int) -> None:
    """No line is lost or counted twice, whatever stands in the file."""
    data = "12345678\n" + "\n".join(lines) + "\n"
    reading = Reading(data, matching("[0-9]+"), chunk=chunk)
    assert len(reading.keys) + len(reading.refused) == len(lines) + 1
    assert reading.ends == sorted(set(reading.ends))


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_and_never_crash(data: bytes) -> None:
    """There is no file that raises anything but UnreadableFile."""
    for match in (post, anything):
        try:
            reading = Reading(data, match)
        except UnreadableFile:
            continue
        assert reading.keys
