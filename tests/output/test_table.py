"""Items as CSV: what stands in the cells, and what no spreadsheet takes for a formula."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.output.table import Table, guarded, guarded_id
from collector.store.look import ItemSeen
from collector.store.views import cells

AT = "2026-11-22T08:07:21.123Z"


def rows(table: Table, *items: tuple[str, str, str]) -> list[list[str]]:
    seen = [ItemSeen(job, key, AT, None, body, cells(table.paths, body)) for job, key, body in items]
    return list(csv.reader(io.StringIO((table.head() + table.lines(seen)).decode(), newline=""), strict=True))


def test_a_row_has_the_ids_the_time_and_the_columns() -> None:
    """Numbers in their own digits, plain paths and others in the order in which they are declared."""
    columns = {
        "text": "text",
        "tags": "tags[*].name",
        "likes": "n.likes",
        "most": "max(n.all)",
        "who": "user",
        "ok": "ok",
    }
    body = (
        '{"text":"a,\\n\\"b\\"","tags":[{"name":"x"},{"name":"ü"}],'
        '"n":{"likes":1.10,"all":[1,9223372036854775808]},"user":{"id":7},"ok":true}'
    )
    assert rows(Table(columns, "id"), ("asked", "own", body), ("2", "2", "{}")) == [
        ["job", "key", "fetched_at", *columns],
        ["asked", "own", AT, 'a,\n"b"', '["x","ü"]', "1.10", "9223372036854775808", '{"id":7}', "true"],
        ["2", "2", AT, "", "", "", "", "", ""],
    ]


def test_without_columns_the_item_is_one() -> None:
    """Its own bytes."""
    body = '{"id": 5.26e+17,\n "x":"=1"}'
    assert rows(Table({}, "id"), ("1", "2", body)) == [["job", "key", "fetched_at", "item"], ["1", "2", AT, body]]


def test_a_path_that_does_not_fit_an_item_leaves_its_cell_empty_and_is_counted() -> None:
    """Ten million items do not end at one of another shape."""
    table = Table({"most": "max(n)", "n": "n"}, "id")
    assert rows(table, ("1", "1", '{"n":[1,2]}'), ("2", "2", '{"n":[1,"2"]}'))[1:] == [
        ["1", "1", AT, "2", "[1,2]"],
        ["2", "2", AT, "", '[1,"2"]'],
    ]
    assert table.unfit == 1
    assert table.values_of('{"n":[3]}') == {"most": "3", "n": "[3]"}


def test_lines_end_as_rfc_4180_says() -> None:
    """With CR and LF, in UTF-8, without a byte order mark."""
    assert Table({"ö": "x"}, "id").head() == "job,key,fetched_at,ö\r\n".encode()


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-5", "-5"),
        ("+49", "+49"),
        ("-5.26e+17", "-5.26e+17"),
        ("-", "'-"),
        ("--5", "'--5"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_what_could_be_a_formula_is_guarded_and_a_number_stays_one(cell: str, written: str) -> None:
    """By an apostrophe, as spreadsheets write a text."""
    assert guarded(cell) == written


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("-dQw4w9WgXcQ", "-dQw4w9WgXcQ"),
        ("@user@example.social", "@user@example.social"),
        ("10.1000/(x)", "10.1000/(x)"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("-1+cmd|x", "'-1+cmd|x"),
    ],
)
def test_an_id_is_left_alone_where_it_can_do_no_harm(cell: str, written: str) -> None:
    """It is what the rows are joined by."""
    assert guarded_id(cell) == written


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=4))
def test_no_cell_begins_as_a_formula_and_none_loses_a_letter(texts: list[str]) -> None:
    """Whatever an API says, in any field."""
    table = Table({f"c{n}": f"v[{n}]" for n in range(len(texts))}, "id")
    [_, row] = rows(table, ("1", "1", json.dumps({"v": texts})))
    for cell, given_text in zip(row[3:], texts, strict=True):
        assert cell in (given_text, f"'{given_text}")
        assert cell[:1] not in ("=", "@", "\t", "\r")
