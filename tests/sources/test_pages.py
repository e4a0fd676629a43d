"""Pages: how they are asked for, and what they say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import RequestError
from collector.host.secret import Secret
from collector.model import Extra, Found, Gone, Item
from collector.sources import spec as specs
from collector.sources.answer import Answer, Good, Missing, Reading, Unreadable, read
from collector.sources.request import Endpoint
from collector.sources.spec import Spec

LIST: dict[str, Any] = {
    "url": "https://api.example/users/{id}/followers",
    "items": "data",
    "next": {"from": "meta.next", "to": "cursor"},
}


def endpoint(**keys: Any) -> Endpoint:
    return Endpoint(Spec.model_validate(LIST | keys), {"key": Secret("s3cr&t")})


def target(ready: Endpoint, cursor: str | None) -> str:
    return ready.build(("7",), cursor).url.raw_path_qs


def page(body: object, link: str | None = None, **keys: Any) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Spec.model_validate(LIST | keys), ("7",), Answer(200, {}, raw, 0.1, link))


def good(body: object, link: str | None = None, **keys: Any) -> Good:
    reading = page(body, link, **keys)
    assert isinstance(reading, Good), reading
    assert sorted([*reading.found, *reading.gone, *reading.absent]) == ["7"]
    return reading


def unreadable(body: object, **keys: Any) -> str:
    reading = page(body, **keys)
    assert isinstance(reading, Unreadable), reading
    return reading.reason


def test_the_cursor_is_a_parameter_of_the_query() -> None:
    """Nothing is sent for the first page; later ones carry it, encoded with nothing left safe."""
    ready = endpoint(params={"limit": 80})
    assert target(ready, None) == target(ready, "") == "/users/7/followers?limit=80"
    assert target(ready, "a/b&c=d#é") == "/users/7/followers?limit=80&cursor=a%2Fb%26c%3Dd%23%C3%A9"


def test_a_start_asks_for_the_first_page() -> None:
    """Some lists want a word there."""
    ready = endpoint(next={"from": "meta.next", "to": "cursor", "start": "*"})
    assert target(ready, None) == "/users/7/followers?cursor=%2A"
    assert target(ready, "x") == "/users/7/followers?cursor=x"
    assert target(endpoint(next={"from": "n", "to": "offset", "start": 0}), None) == "/users/7/followers?offset=0"


def test_a_declared_parameter_gives_way_to_the_cursor() -> None:
    """Wherever it is declared, it stands once."""
    url = "https://api.example/{id}?cursor=a&x=1&cursor=b"
    assert target(endpoint(url=url, params={"cursor": "c", "y": 2}), None) == "/7?cursor=a&x=1&cursor=b&cursor=c&y=2"
    assert target(endpoint(url=url, params={"cursor": "c", "y": 2}), "d") == "/7?x=1&y=2&cursor=d"


def test_the_cursor_goes_where_its_key_is_declared_in_a_body() -> None:
    """In a form, or at the top of a JSON body; there a number stays one."""
    form = endpoint(method="POST", url="https://api.example/", form={"cursor": "", "of": "{id}"})
    assert form.build(("7",), "a&b").body == b"of=7&cursor=a%26b"
    body = {"cursor": 0, "of": "{id}", "deep": {"cursor": 1}}
    posted = endpoint(method="POST", url="https://api.example/", json=body)
    request = posted.build(("7",), "9007199254740993")
    assert (request.url.raw_path_qs, json.loads(request.body or b"")) == (
        "/", {"cursor": 9007199254740993, "of": "7", "deep": {"cursor": 1}}
    )  # fmt: skip
    assert json.loads(posted.build(("7",), "c{id}{secret.key}").body or b"")["cursor"] == "c{id}{secret.key}"
    assert json.loads(posted.build(("7",)).body or b"")["cursor"] == 0


def test_a_link_is_asked_with_the_secrets_filled_in_again() -> None:
    """What it left out of them comes back too."""
    ready = endpoint(next="link", url="https://api.example/{id}?key={secret.key}", params={"k2": "{id}{secret.key}"})
    assert target(ready, None) == "/7?key=s3cr%26t&k2=7s3cr%26t"
    assert target(ready, "/x/7?max_id=3") == "/x/7?max_id=3&key=s3cr%26t&k2=7s3cr%26t"
    assert target(ready, "/x?k2={secret.key}&key={secret.key}") == "/x?k2=s3cr%26t&key=s3cr%26t"
    assert (
        str(ready.build(("7",), "//evil.example/").url)
        == "https://api.example//evil.example/?key=s3cr%26t&k2=7s3cr%26t"
    )


def test_a_secret_of_the_token_endpoint_is_never_sent_to_the_api() -> None:
    """Not even by a cursor that somebody wrote into the database."""
    auth = {"url": "https://api.example/token", "id": "me", "secret": "{secret.key}"}
    with pytest.raises(RequestError):
        endpoint(next="link", auth=auth).build(("7",), "/x?k={secret.key}")


def test_a_page_belongs_to_the_id_that_was_asked() -> None:
    """Each item under its own ID, with its own bytes, null left out; the cursor leads on."""
    body = b'{"data": [{"id": 1, "n": 1.10}, null, {"id": "7"}, {"id": 1}], "meta": {"next": "c2"}, "inc": [1]}'
    reading = good(body, also=["inc"])
    assert reading.found == {"7": Found((Item("1", '{"id": 1, "n": 1.10}'), Item("7", '{"id": "7"}')))}
    assert (reading.next, reading.returned, reading.extra) == ("c2", 3, Extra('{"inc":[1]}'))


@pytest.mark.parametrize(
    "body", [{"meta": {"next": "c"}}, {"data": None}, {"data": []}, {}, {"data": [None]}, {"data": [], "errors": [1]}]
)
def test_a_page_without_items_is_found(body: object) -> None:
    """An empty list is no absent ID; errors beside it speak of other things."""
    assert good(body).found == {"7": Found(())}


def test_a_map_is_a_page_too() -> None:
    """With `@key` the map key is each item's own ID."""
    reading = good({"data": {"a": {"n": 1}, "b": None}}, key="@key")
    assert [item.key for item in reading.found["7"].items] == ["a"]


def test_bare_ids_are_a_page_with_themselves_as_keys() -> None:
    """The path `@` is the item itself."""
    reading = good(
        {"ids": [12345678901234567890, "b"], "next": 0}, items="ids", key="@", next={"from": "next", "to": "c"}
    )
    assert reading.found["7"].items == (Item("12345678901234567890", "12345678901234567890"), Item("b", '"b"'))


def test_an_object_is_a_page_of_one() -> None:
    """A list of one may come without its brackets."""
    assert [item.key for item in good({"data": {"id": "x"}}).found["7"].items] == ["x"]


def test_a_list_whose_id_is_named_as_missing_is_gone() -> None:
    """By `gone`, or by a flag of the body; items of a page win, and an item with the flag is none."""
    gone = {"at": "errors", "id": "value", "why": "title"}
    assert good({"errors": [{"value": "7", "title": "Suspended"}]}, gone=gone).gone == {
        "7": Gone("suspended", "Suspended: Suspended")
    }
    assert good({"errors": [{"value": "7"}], "data": [{"id": "1"}]}, gone=gone).found["7"].items
    assert unreadable({"errors": [{"value": "8", "title": "Suspended"}]}, gone=gone) == "error"
    flag = {"flag": "deleted"}
    assert good({"deleted": True}, gone=flag).gone == {"7": Gone("deleted")}
    assert good({"data": [{"id": "1", "deleted": True}, {"id": "2"}]}, gone=flag).found["7"].items == (
        Item("2", '{"id": "2"}'),
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "internal"}, "error"),
        ({"data": [{"name": "x"}]}, "no-key"),
        ({"data": ["x"]}, "no-key"),
        ({"data": [{"id": 5.26e17}]}, "float-key"),
        ({"data": 7}, "shape"),
        ([{"id": 1}], "shape"),
        ("text", "shape"),
        ({"data": [], "meta": {"next": 1.5e20}}, "float-cursor"),
        ({"data": [], "meta": {"next": 0.0}}, "float-cursor"),
        ({"data": [], "meta": {"next": {"page": 2}}}, "cursor"),
        ({"data": [], "meta": {"next": True}}, "cursor"),
        ({"data": [], "meta": {"next": "x" * 20_000}}, "cursor"),
        (b"", "empty"),
        (b"<html>", "not-json"),
    ],
)
def test_a_page_that_cannot_be_trusted_is_unreadable(body: object, reason: str) -> None:
    """Nothing is found by it, and no list ends by it."""
    assert unreadable(body) == reason


def test_an_error_in_place_of_a_whole_page_says_so() -> None:
    """Where `items` is the whole body, an error object is no item."""
    assert unreadable({"error": "Not authorized."}, items="") == "error"


@pytest.mark.parametrize(
    ("value", "cursor"),
    [("abc", "abc"), (9007199254740993, "9007199254740993"), (-1, "-1"), ("00", "00"), (" ", " ")]
    + [(end, None) for end in (None, False, 0, "", "0")],
)
def test_a_cursor_is_a_text_or_a_whole_number(value: object, cursor: str | None) -> None:
    """Nothing, no, zero and empty are the end of the list."""
    assert good({"data": [], "meta": {"next": value}}).next == cursor


def test_a_link_is_the_cursor_of_a_list_that_is_the_body() -> None:
    """Of a source with `next = "link"` the client has read it already."""
    reading = good([{"id": "1"}], "/x?max_id=1", items="", next="link")
    assert (reading.next, reading.returned) == ("/x?max_id=1", 1)
    assert good([], items="", next="link").next is None


def test_an_error_status_of_a_list_means_what_it_always_does() -> None:
    """Only a good answer is a page."""
    answer = Answer(404, {}, b"{}", 0.1)
    assert read(Spec.model_validate(LIST), ("7",), answer) == Missing("http-404", "{}")


def test_places_and_pages_do_not_fit_together() -> None:
    """`@index` speaks of the order of the IDs asked for, and of a page there is one; a secret is never in the file."""
    _, problems = specs.read("s", LIST | {"key": "@index"})
    assert [problem.key for problem in problems] == ["source.s.key"]
    auth = {"url": "https://a.example/", "id": "{id}", "secret": "plain"}
    _, problems = specs.read("s", LIST | {"auth": auth})
    assert [problem.key for problem in problems] == ["source.s.auth.secret", "source.s.auth"]
    assert "plain" not in f"{problems}"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "data", "errors", "meta", "next"]), inner, max_size=4)
    ),
)


@given(
    VALUES,
    st.sampled_from(["", "data", "data[]", "[].data"]),
    st.sampled_from(["id", "@key", "@"]),
    st.sampled_from([None, {"at": "errors"}, {"flag": "data"}]),
    st.sampled_from(["link", {"from": "meta.next", "to": "c"}, {"from": "data[-1].id", "to": "c"}]),
)
def test_every_page_is_read_and_speaks_of_its_id(
    body: object, items: str, key: str, gone: dict[str, str] | None, following: object
) -> None:
    """Whatever an API sends: a fault, or the ID in exactly one place, never absent."""
    reading = page(body, items=items, key=key, gone=gone, next=following)
    if isinstance(reading, Good):
        assert [*reading.found, *reading.gone] == ["7"]
        assert not reading.absent
