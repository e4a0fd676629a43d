"""The views of declared columns, as any SQLite program reads them."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Found, Item, Result
from collector.store.store import Store
from collector.store.views import View, can_follow, cells, is_id, sql

from .conftest import open_batch


def view(key: str = "id", source: str = "posts", **columns: str) -> View:
    return View(source, key, columns)


async def store_item(store: Store, body: str, source: str = "posts") -> None:
    batch = await open_batch(store, ["asked"], source)
    jobs = await store.jobs.queued(batch.id, "", 10)
    outcomes = tuple((job, Found((Item("own", body),))) for job in jobs)
    await store.jobs.record([Result(source, tuple(jobs), outcomes, at=1_700_000_000.0)])


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    """What somebody else's program reads while the service works."""
    with closing(sqlite3.connect(f"{store.path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def views(store: Store) -> list[str]:
    return [name for (name,) in rows(store, "SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name")]


def read(made: View, body: str) -> tuple[Any, ...]:
    """The declared columns of one item."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE items (job, key, batch, fetched_at, source, body)")
        db.execute("INSERT INTO items VALUES ('asked', 'own', 1, '', ?, ?)", (made.source, body))
        db.execute(sql(made))
        [row] = db.execute(f'SELECT * FROM "v_{made.source}"').fetchall()
    return tuple(row[4:])


async def test_a_view_has_one_row_an_item_with_the_columns_in_order(store: Store) -> None:
    """The ID asked for, the item's own, batch and time, then what is declared."""
    await store_item(store, '{"id":"7","text":"hello","user":{"names":["a","b"]}}')
    await store_item(store, '{"id":"8"}', source="users")
    made, dropped = await store.views.declare([view(text="text", second="user.names[1]")])
    assert (made, dropped) == (["v_posts"], [])
    with closing(sqlite3.connect(store.path)) as db:
        found = db.execute("SELECT * FROM v_posts")
        assert [column[0] for column in found.description] == ["job", "key", "batch", "fetched_at", "text", "second"]
        assert found.fetchall() == [("asked", "own", 1, "2023-11-14T22:13:20.000Z", "hello", "b")]


async def test_views_come_change_and_go_with_the_declaration(store: Store) -> None:
    """One that is declared as it was is left alone; a source that lost its columns, or is gone, has no view."""
    posts, users = view(text="text"), view(source="users", name="name")
    await store.views.declare([posts, users, view(source="works")])
    assert views(store) == ["v_posts", "v_users"]
    assert await store.views.declare([posts, users]) == ([], [])
    assert await store.views.declare([view(text="full_text"), view(source="users")]) == (["v_posts"], ["v_users"])
    assert views(store) == ["v_posts"]
    assert await store.views.declare([]) == ([], ["v_posts"])
    assert views(store) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"v":"7"}', "7"),
        ('{"v":7}', 7),
        ('{"v":-5}', -5),
        ('{"v":1.10}', 1.1),
        ('{"v":9007199254740992}', 2**53),
        ('{"v":9007199254740993}', "9007199254740993"),
        ('{"v":-9007199254740993}', "-9007199254740993"),
        ('{"v":9223372036854775807}', "9223372036854775807"),
        ('{"v":9223372036854775808}', "9223372036854775808"),
        ('{"v":123456789012345678901234567890}', "123456789012345678901234567890"),
        ('{"v":5.26e+17}', "5.26e+17"),
        ('{"v":5.264879456214425e+17}', "5.264879456214425e+17"),
        ('{"v":1e400}', "1e400"),
        ('{"v":true}', 1),
        ('{"v":false}', 0),
        ('{"v":null}', None),
        ('{"w":1}', None),
        ("[1]", None),
        ("7", None),
        ('{"v":{"a": [1.10, 9223372036854775808]}}', '{"a":[1.10,9223372036854775808]}'),
        ('{"v":[]}', "[]"),
        ('{"v":"Zo\\u00eb \\ud83d\\ude00"}', "Zoë 😀"),
        ('{"v":"it\'s \\"quoted\\""}', 'it\'s "quoted"'),
    ],
)
def test_values_are_what_the_json_says(body: str, expected: object) -> None:
    """As SQLite has them, but for numbers that no float holds: these are text, in their own digits."""
    [value] = read(view(value="v"), body)
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("7", "7"),
        ('"007"', "007"),
        ("1.10", "1.10"),
        ("5.26e+17", "5.26e+17"),
        ("9223372036854775808",) * 2,
        ("null", None),
    ],
)
def test_an_id_is_text_always(number: str, expected: str | None) -> None:
    """In its own digits, wherever it stands."""
    body = f'{{"id":{number},"user":{{"id":{number}}},"pinned_id":{number},"parentId":{number},"ids":[{number}]}}'
    made = view(id="id", author="user.id", pinned="pinned_id", parent="parentId", first="ids[0]", user_id="user.id")
    assert read(made, body) == (expected,) * 6


def test_the_items_own_id_is_text_whatever_it_is_called() -> None:
    """Some APIs call it `number` or `pk`."""
    assert read(view(key="meta.number", number="meta.number", other="other"), '{"meta":{"number":7},"other":7}') == (
        "7",
        7,
    )


@pytest.mark.parametrize(
    ("name", "path", "is_one"),
    [
        ("x", "id", True),
        ("x", "a.b_id", True),
        ("x", 'a."b-ids"[3]', False),
        ("x", "a.b_ids[3]", True),
        ("x", "userID", True),
        ("user_id", "length(x)", True),
        ("x", "paid", False),
        ("x", "a_id.name", False),
        ("x", "identity", False),
    ],
)
def test_what_is_taken_for_an_id(name: str, path: str, is_one: bool) -> None:
    """A column by its name, and by the last name of its path."""
    assert is_id(name, path, "key") is is_one


def test_names_that_sql_and_json_would_misread_stay_names() -> None:
    """Quotes, spaces and words of SQL, in columns, paths and sources."""
    columns = {'say "hi"': '"container-title"[0]', "it's": '"it\'s"', "select": "select", "a b": '"a.b"', "); --": "v"}
    body = '{"container-title":["t"],"it\'s":"i","select":"s","a.b":"d","a":{"b":"no"},"v":"v"}'
    assert read(View("my-posts", "id", columns), body) == ("t", "i", "s", "d", "v")


@pytest.mark.parametrize("path", ["a", "a.b", "a[0].b", "[0]", "a[0][1]", '"a-b".c', "a_1", "_x.Y"])
def test_plain_paths(path: str) -> None:
    """Names, quoted ones too, and places from 0."""
    assert can_follow(path)


@pytest.mark.parametrize(
    "path",
    [
        "a[-1]",
        "a[*].b",
        "a[]",
        "length(a)",
        "a || b",
        "@",
        "a.*",
        '"a\\"b"',
        '"caf\u00e9"',
        '"a\\\\b"',
        "a[?b]",
        "a" * 201,
    ],
)
def test_other_paths_are_for_exports_only(path: str) -> None:
    """A view leaves their columns out, and the others are as they would be."""
    assert not can_follow(path)
    assert read(view(first="v", odd=path, last="v"), '{"v":"x"}') == ("x", "x")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=8,
    )
)
def test_own_text_is_the_text_or_the_json_itself(value: Any) -> None:
    """Of any JSON value: no digit and no letter is another one."""
    for ascii_only in (True, False):
        [cell] = cells(["v[0]"], json.dumps({"v": [value]}, ensure_ascii=ascii_only))
        if value is None or isinstance(value, str):
            assert cell == value
        else:
            assert cell is not None
            assert json.loads(cell) == value


def test_cells_of_no_path_are_none() -> None:
    """And of several there are as many, in order."""
    assert cells([], "{}") == ()
    assert cells(["a", "b", "c.d"], '{"b":true,"a":1.10,"c":{"d":[1, 2]}}') == ("1.10", "true", "[1,2]")
