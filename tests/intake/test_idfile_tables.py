"""Tables: which column holds the IDs, and what its cells hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import UnreadableFile
from collector.intake.entry import Match
from tests.intake.reading import IDS, Reading, anything, post


def rows(*columns: object, separator: str = ",", header: str | None = None) -> str:
    """A table whose rows have an ID where a column is `id`, else the row's number or the text."""
    cells = [[IDS[i] if c == "id" else str(i) if c == "n" else str(c) for c in columns] for i in range(len(IDS))]
    lines = [separator.join(row) for row in cells]
    return "\n".join([header, *lines] if header is not None else lines) + "\n"


@pytest.mark.parametrize("match", [post, anything])
@pytest.mark.parametrize(
    "data",
    [
        rows("n", "id", "0", header=",tweet_id,label"),
        rows("n", "id", "x", header=",0,1"),
        rows("id", "FALSE", separator="\t", header="tweet_id,tweet_class"),
        rows("id", "FALSE", separator="\t"),
        rows("id", "true", "", "", separator="\t", header="tweet_ID\tgolden\t\t"),
        rows("a;b", "id", separator=";", header="name;TweetId")[:-1].replace("a;b", "ab"),
        rows("id", "x", separator="|", header="status_id|word"),
        rows("id", "", header="id,"),
        rows("n", "id", "https://a.b/c", header="n,Post-ID,page"),
        rows("n", "id", '"a, ""b""\n\nc\n"', header="row,id,text"),
        rows("n", "id", '"said ""1, 2"""', header='"row","id","text"'),
        rows("7", "id", header="user number,something else"),
        rows("n", "id"),
        rows("n", "id", "9", header="likes,tweet,shares"),
    ],
)
def test_the_column_of_ids_is_found(data: str, match: Match) -> None:
    """By a known name, else since only one column's cells are IDs; a header's own separator does not matter."""
    reading = Reading(data, match)
    assert reading.keys == IDS
    assert reading.refused == []


@pytest.mark.parametrize("match", [post, anything])
@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("tweet_id,user_id\n1511524316483141632,151152431648314\n", ["tweet_id", "user_id"]),
        ("id,author_id,text\n1511524316483141632,151152431648314,x\n", ["id", "author_id"]),
        ("one,other\n1511524316483141632,151152431648314\n", ["one", "other"]),
        ("1511524316483141632;151152431648314\n1511524316483141633;151152431648315\n", ["column 1", "column 2"]),
    ],
)
def test_two_columns_that_may_hold_the_ids_are_never_chosen_from(data: str, names: list[str], match: Match) -> None:
    """The error names both, and the setting that decides."""
    with pytest.raises(UnreadableFile) as caught:
        Reading(data, match)
    for name in [*names, "column = ", "[source.NAME]", "--column"]:
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["tweet_id", "a name"])
@pytest.mark.parametrize("spoiled", ["1.77465E+18", "1774650000000000000.0"])
def test_a_column_of_spoiled_ids_is_not_passed_over_for_another(name: str, spoiled: str) -> None:
    """Labels match a pattern of digits too; the file is refused with what happened to its IDs."""
    with pytest.raises(UnreadableFile, match="spreadsheet or a float"):
        Reading(f"{name},label\n{spoiled},0\n{spoiled},1\n")


@pytest.mark.parametrize("column", ["User_ID", "userid", 2, "2"])
def test_a_named_column_decides(column: str | int) -> None:
    """By its folded name or its number from 1."""
    assert Reading("tweet_id,user_id\n11111111,22222222\n", column=column).keys == ["22222222"]


def test_a_named_column_that_is_not_there_is_told_with_those_that_are() -> None:
    """The operator can read the right name off the error."""
    with pytest.raises(UnreadableFile, match="tweet_id, label"):
        Reading("tweet_id,label\n11111111,x\n", column="post")
    with pytest.raises(UnreadableFile, match="no column 3"):
        Reading("tweet_id,label\n11111111,x\n", column=3)


def test_a_cell_that_was_kept_from_being_a_formula_is_the_id_that_it_was() -> None:
    """`failed.csv` may be dropped to ask for its IDs once more."""
    given = "id,state\n'=2(3),failed\n'tis,failed\n-1,failed\n"
    assert Reading(given, anything, "id").keys == ["=2(3)", "'tis", "-1"]


def test_a_plain_list_needs_no_column_whatever_the_source_says() -> None:
    """The `column` of a source is for its tables; a plain list has no choice."""
    assert Reading("11111111\n22222222\n", column="tweet_id").keys == ["11111111", "22222222"]
    with pytest.raises(UnreadableFile, match="no column 'tweet_id'"):
        Reading("word\n11111111\n", column="tweet_id")


@pytest.mark.parametrize("between", ["\t", " ", "\n"])
@pytest.mark.parametrize("match", [post, anything])
def test_a_cell_may_hold_a_list_of_ids(between: str, match: Match) -> None:
    """Thousands in one cell, past the bound of Python's csv module, are an entry each."""
    keys = [str(10**18 + i) for i in range(20_000)]
    listed = between.join(keys)
    cell = f'"{listed}"' if between == "\n" else listed
    data = f'id,news_url,title,tweet_ids\ng-1,a.b,"a, b",{cell}\ng-2,a.b,c,\ng-3,a.b,c,7777777777\n'
    reading = Reading(data, match)
    assert reading.keys == [*keys, "7777777777"]
    assert [one.why for one in reading.refused] == ["the cell of the ID is empty"]


def test_a_one_column_table_of_lists_is_split() -> None:
    """Under a header that names the one column, tabs are between IDs and not between columns."""
    assert Reading("tweet_ids\n11111111\t22222222\n33333333\n").keys == ["11111111", "22222222", "33333333"]


def test_a_stray_quote_swallows_no_rows() -> None:
    """Tweets begin with quotes that nobody closes; the rows behind such a cell are read as rows."""
    data = rows("id", "said", separator="\t", header="tweet_id\ttext").replace("said", '"said', 1)
    assert Reading(data).keys == IDS
    assert Reading(data.replace("said\n15115243164831495", 'said"\n15115243164831495')).keys == IDS


def test_a_short_row_and_an_empty_cell_are_refused_and_an_empty_row_is_blank() -> None:
    """Each entry is an ID or a refused line with its number."""
    reading = Reading("n,tweet_id,text\n1,11111111,a\n2\n3,,c\n,,\n\n4,22222222,d\n")
    assert reading.keys == ["11111111", "22222222"]
    assert reading.refused_lines == [3, 4]
    assert reading.blank == 2


def test_other_cells_that_are_no_utf_8_cost_no_id() -> None:
    """Old tables hold Latin-1 texts; only the cell of the ID must be text."""
    reading = Reading(b"tweet_id,text\n11111111,caf\xe9\n22222222,na\xefve\n3333333\xe9,x\n")
    assert reading.keys == ["11111111", "22222222"]
    assert reading.refused_lines == [4]


def test_the_line_of_a_record_is_the_one_at_which_it_ends() -> None:
    """Chunks end at record ends, at the same lines in every reading."""
    data = "id,text\n" + "".join(f'1000000{i},"a\nb\nc"\n' for i in range(10))
    reading = Reading(data, chunk=4)
    assert reading.ends == [4, 10, 16, 22, 28, 31]
    assert len(reading.keys) == 10


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\0", exclude_categories=("Cs", "Cc")), max_size=12),
        min_size=3,
        max_size=30,
    )
)
def test_quoted_texts_never_change_the_ids(texts: list[str]) -> None:
    """Whatever is quoted beside an ID as the CSV rules say, the ID is found."""
    keys = [str(10**17 + i) for i in range(len(texts))]
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    data = "text,tweet_id\n" + "".join(f"{text},{key}\n" for text, key in zip(quoted, keys, strict=True))
    assert Reading(data).keys == keys
