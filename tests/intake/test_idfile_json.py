"""IDs out of JSON: as text, by their own digits."""

import gzip
import io
import json

import pytest

from collector.errors import UnreadableFile
from collector.intake.entry import Match
from collector.intake.idfile import Reader
from tests.intake.reading import IDS, Reading, anything, post

POSTS = [{"text": "a\u2028b", "id": key, "author_id": "12"} for key in IDS]
PAGE = {"data": POSTS, "includes": {"users": [{"id": "12"}]}, "meta": {"next_token": "x"}}


@pytest.mark.parametrize("match", [post, anything])
@pytest.mark.parametrize(
    "data",
    [
        "".join(json.dumps(one) + "\n" for one in POSTS),
        "".join(json.dumps(one, ensure_ascii=False) + "\r\n\n" for one in POSTS),
        json.dumps(PAGE),
        json.dumps(PAGE, indent=2),
        "\n".join(json.dumps({**PAGE, "data": POSTS[i : i + 5]}) for i in (0, 5)),
        "\n".join(json.dumps({"data": one}) for one in POSTS),
        json.dumps(IDS),
        json.dumps(IDS, indent=1),
        f"[{','.join(IDS)}]",
        json.dumps({"ids": [int(key) for key in IDS], "next_cursor": 0}),
        json.dumps(POSTS),
        "[\n" + ",\n".join(json.dumps(one) for one in POSTS) + "\n]\n",
        "".join(json.dumps({"tweet_id": key}) + "\n" for key in IDS),
        "".join(f'{{"id": {float(key)!r}, "id_str": "{key}"}}\n' for key in IDS),
        "".join(f'{{"id": {key[:-2]}00, "id_str": "{key}"}}\n' for key in IDS),
        "".join(f'{{"id": {key}, "text": "cut \\ud83d"}}\n' for key in IDS),
    ],
)
def test_every_form_of_json_gives_the_same_ids(data: str, match: Match) -> None:
    """Lines, pages, arrays and documents; an `id_str` goes before a number that may be rounded."""
    reading = Reading(gzip.compress(data.encode(), mtime=0), match)
    assert reading.keys == IDS
    assert reading.refused == []


def test_a_path_may_be_named() -> None:
    """`column` is a path in JSON, through lists without a word for them."""
    data = json.dumps({"answer": {"rows": [{"user": {"id": 11111111}}, {"user": {"id": 22222222}}]}})
    assert Reading(data, column="answer.rows.user.id").keys == ["11111111", "22222222"]
    assert Reading(json.dumps(PAGE), column="data[].author_id").keys == ["12"] * 10


def test_a_line_without_an_id_is_refused_with_its_number() -> None:
    """A broken line, an error page and a float cost themselves only."""
    reading = Reading('{"id": "1"}\n{"id": \n{"errors": []}\n{"id": 5.26e+17}\n{"id": null}\n{"id": "2"}\n')
    assert reading.keys == ["1", "2"]
    assert reading.refused_lines == [2, 3, 4, 5]
    assert "float" in reading.refused[2].why


def test_lines_are_read_as_lines_when_the_first_is_broken() -> None:
    """A file whose first line was cut is no broken document."""
    reading = Reading('{"id": "1", "te\n{"id": "2"}\n{"id": "3"}\n')
    assert (reading.keys, reading.refused_lines) == (["2", "3"], [1])


def test_entries_of_a_document_are_counted_by_their_number() -> None:
    """The second of four entries is refused as 2."""
    reading = Reading(json.dumps([{"id": "1"}, {"di": "2"}, {"id": "3"}, {"id": "4"}], indent=1), chunk=2)
    assert (reading.keys, reading.refused_lines, reading.ends) == (["1", "3", "4"], [2], [2, 4])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ('{"a": 1}', "column = "),
        ('{"tweet_id": "11111111", "user_id": "22222222"}', "more than one column"),
        ('{"id": [1,\n', "neither one JSON document nor JSON lines"),
        ("[" * 100_000, "neither one JSON document nor JSON lines"),
        ("[]", "column = "),
    ],
)
def test_json_without_a_sure_place_of_ids_is_refused_whole(data: str, told: str) -> None:
    """The error says what was seen and what to set."""
    with pytest.raises(UnreadableFile, match=told):
        Reading(data)


def test_a_document_of_over_64_mb_is_refused_with_a_hint_to_json_lines() -> None:
    """It would have to be in memory as a whole."""
    with pytest.raises(UnreadableFile, match="JSON lines"):
        Reader(io.BytesIO(b'["' + b"1" * 65_000_000 + b'"]'), post)
