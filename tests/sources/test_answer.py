"""What answers mean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model import Found, Gone, Item
from collector.sources.answer import Answer, Denied, Faulty, Good, Missing, Reading, Refused, Unreadable, read
from collector.sources.spec import Spec
from collector.sources.words import words_of

X = {
    "url": "https://api.x.com/2/tweets",
    "params": {"ids": "{ids}"},
    "pack": 100,
    "id": r"(?:https?://x\.com/\w+/status/)?([0-9]{1,19})",
    "items": "data",
    "also": ["includes", "meta.n"],
    "gone": {"at": "errors[?parameter=='ids']", "id": "resource_id", "why": "type"},
    "reasons": {"resource-not-found": "deleted"},
}
PROBLEM = "https://api.twitter.com/2/problems/"


def spec(**keys: Any) -> Spec:
    return Spec.model_validate({"url": "https://api.example/{id}", **keys})


def packed(**keys: Any) -> Spec:
    return spec(url="https://api.example/?ids={ids}", pack=100, **keys)


def asked(source: Spec, *keys: str, body: object, status: int = 200) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(source, keys, Answer(status, {}, raw, 0.1))


def good(source: Spec, *keys: str, body: object) -> Good:
    reading = asked(source, *keys, body=body)
    assert isinstance(reading, Good), reading
    assert sorted([*reading.found, *reading.gone, *reading.absent]) == sorted(keys)
    return reading


def unreadable(source: Spec, *keys: str, body: object) -> str:
    reading = asked(source, *keys, body=body)
    assert isinstance(reading, Unreadable), reading
    return reading.reason


def keys_of(reading: Good) -> tuple[set[str], set[str], set[str]]:
    return set(reading.found), set(reading.gone), set(reading.absent)


def test_a_partial_200_sorts_found_gone_and_absent() -> None:
    """Items are found, named errors are gone with the API's word, and the rest is absent."""
    body = {
        "data": [{"id": "2", "text": "b"}, {"id": "1", "text": "a"}],
        "errors": [
            {
                "resource_id": "3",
                "parameter": "ids",
                "title": "Not Found Error",
                "type": PROBLEM + "resource-not-found",
            },
            {"resource_id": "4", "parameter": "ids", "type": PROBLEM + "not-authorized-for-resource"},
            {"resource_id": "5", "parameter": "referenced_tweets.id", "type": PROBLEM + "resource-not-found"},
        ],
    }
    reading = good(spec(**X), "1", "2", "3", "4", "5", body=body)
    assert keys_of(reading) == ({"1", "2"}, {"3", "4"}, {"5"})
    assert reading.gone["3"] == Gone("deleted", f"{PROBLEM}resource-not-found: Not Found Error")
    assert reading.gone["4"].reason == "not-authorized-for-resource"


def test_found_wins_over_an_error_for_the_same_id() -> None:
    """An error entry about an ID whose item is there speaks of a part of it."""
    body = {"data": [{"id": "1"}], "errors": [{"resource_id": "1", "parameter": "ids", "type": "x"}]}
    assert keys_of(good(spec(**X), "1", body=body)) == ({"1"}, set(), set())


def test_all_gone_comes_without_data() -> None:
    """A 200 with errors and no items at all is understood when the errors name the IDs."""
    body = {"errors": [{"resource_id": key, "parameter": "ids", "type": PROBLEM + "x"} for key in "12"]}
    assert keys_of(good(spec(**X), "1", "2", body=body)) == (set(), {"1", "2"}, set())


def test_an_error_in_a_200_is_no_word_about_any_id() -> None:
    """`{"error": …}` without items says that the call failed, not that the IDs are gone."""
    lag = {"error": {"code": "maxlag", "info": "Waiting for a database"}}
    assert unreadable(packed(items="entities", key="@key"), "Q1", "Q2", body=lag) == "error"
    assert unreadable(spec(), "1", body={"error": "internal"}) == "error"


def test_items_keep_their_own_bytes() -> None:
    """Numbers and spaces of an item are not touched where `items` is a plain path."""
    body = b'{"data": {"list":[ {"id" : 12345678901234567890123, "n": 1.10, "big": 5.26e+17} , {"id":"b"}]}}'
    reading = good(packed(items="data.list"), "12345678901234567890123", "b", body=body)
    item = Item("12345678901234567890123", '{"id" : 12345678901234567890123, "n": 1.10, "big": 5.26e+17}')
    assert reading.found["12345678901234567890123"] == Found((item,))
    assert reading.found["b"].items[0].body == '{"id":"b"}'


def test_items_of_an_expression_are_encoded_again_and_marked() -> None:
    """Where `items` is no plain path, the bytes are ours and the item says so."""
    body = {"data": {"children": [{"data": {"name": "t3_a"}}]}}
    reading = good(packed(items="data.children[].data", key="name"), "t3_a", body=body)
    assert reading.found["t3_a"].items == (Item("t3_a", '{"name":"t3_a"}', reencoded=True),)


def test_an_id_is_compared_in_its_proper_form() -> None:
    """A URL form or another case in the answer is still the ID that was asked for."""
    works = packed(items="results", id=r"(?i)(?:https://openalex\.org/)?(W[0-9]+)")
    reading = good(works, "w1", "w2", body={"results": [{"id": "https://openalex.org/W1"}]})
    assert keys_of(reading) == ({"w1"}, set(), {"w2"})
    assert reading.found["w1"].items[0].key == "https://openalex.org/W1"


def test_a_map_finds_items_by_the_id_asked_for() -> None:
    """`@key`: the map key names the item, null is gone, and foreign entries do not count."""
    body = {"entities": {"Q1": {"id": "Q9"}, "Q2": None, "uids": ["Q1"]}}
    reading = good(packed(items="entities", key="@key"), "Q1", "Q2", "Q3", body=body)
    assert keys_of(reading) == ({"Q1"}, {"Q2"}, {"Q3"})
    assert (reading.found["Q1"].items[0], reading.gone["Q2"]) == (Item("Q1", '{"id": "Q9"}'), Gone("null"))


def test_a_flag_marks_an_entry_as_missing() -> None:
    """The field is there, even empty: the entry is gone, for the flag's name or the word that `why` leads to."""
    body = {"Q1": {"missing": ""}, "Q2": {"missing": False}, "Q3": {}}
    reading = good(packed(key="@key", gone={"flag": "missing"}), "Q1", "Q2", "Q3", body=body)
    assert (set(reading.found), reading.gone) == ({"Q2", "Q3"}, {"Q1": Gone("missing")})
    summaries = packed(items="result", key="@key", gone={"flag": "error", "why": "error"})
    reading = good(summaries, "1", body={"result": {"1": {"uid": "1", "error": "cannot get document summary"}}})
    assert reading.gone["1"] == Gone("cannot-get-document-summary", "cannot get document summary")


def test_a_list_by_position_is_refused_when_its_length_differs() -> None:
    """`@index`: a null in its place is gone; a list of another length says nothing safe."""
    papers = packed(key="@index")
    reading = good(papers, "a", "b", body=[{"paperId": "other"}, None])
    assert (reading.found["a"].items[0].key, reading.gone) == ("a", {"b": Gone("null")})
    assert unreadable(papers, "a", "b", body=[{}]) == "length"
    assert unreadable(papers, "a", "b", body={}) == "shape"


def test_one_object_for_one_id_is_its_item() -> None:
    """Also under another ID, as after a merge, and when the object names no ID at all."""
    assert good(spec(), "W1", body={"id": "W2"}).found["W1"].items[0].key == "W2"
    assert good(spec(), "ada", body={"login": "ada"}).found["ada"].items[0].key == "ada"


def test_a_list_for_one_id_holds_it_or_not() -> None:
    """In a list only items with the asked ID count."""
    assert keys_of(good(spec(), "1", body=[{"id": 2}, {"id": 1}, 7, None])) == ({"1"}, set(), set())
    assert keys_of(good(spec(), "1", body=[{"id": 2}])) == (set(), set(), {"1"})


def test_a_repeated_item_is_kept_once() -> None:
    """The same ID twice in one answer is one item."""
    assert len(good(packed(), "1", body=[{"id": 1}, {"id": 1}]).found["1"].items) == 1


def test_null_for_one_id_is_gone() -> None:
    """A body or a plain path that is null in answer to one ID says that it is not there."""
    assert good(spec(), "8863", body=None).gone == {"8863": Gone("null")}
    assert good(spec(items="data"), "1", body={"data": None}).gone == {"1": Gone("null")}
    assert good(spec(items="data"), "1", body={}).absent == ("1",)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<html><title>Sign in</title>", "not-json"),
        (b'\xef\xbb\xbf[{"id": 1}]', "not-json"),
        (b'[{"id": 1, "n": NaN}]', "not-json"),
        (b'[{"id": 1, "n": 1e999}]', "not-json"),
        (b'[{"id": 1}', "not-json"),
        (b'[{"id": "\xff"}]', "not-json"),
        (b"[" * 100_000, "not-json"),
        (b'[{"id": 5.26e+17, "id_str": "526000000000000001"}]', "float-key"),
        (b"7", "shape"),
        (b"null", "shape"),
    ],
)
def test_a_200_that_cannot_be_trusted_is_unreadable(body: bytes, reason: str) -> None:
    """Neither found nor gone may come from an answer that is broken or lost an ID's digits."""
    assert unreadable(packed(), "1", "2", body=body) == reason


def test_an_object_with_half_a_surrogate_pair_is_kept_and_marked() -> None:
    """A text that was cut within an emoji loses that half, not the object; whole pairs and other objects stay as they
    are."""
    cut = rb'[{"id":"1","t":"cut \ud83d"},{"id":"2","t":"\ud83d\ude00 \\ud83d \n"}]'
    found = good(packed(), "1", "2", body=cut).found
    assert found["1"].items == (Item("1", r'{"id":"1","t":"cut \ufffd"}', reencoded=True),)
    assert found["2"].items == (Item("2", r'{"id":"2","t":"\ud83d\ude00 \\ud83d \n"}'),)


def test_a_right_text_beside_a_broken_number_is_enough() -> None:
    """`key` says which field is the ID; another that lost its digits does not matter."""
    body = b'[{"id": 5.26e+17, "id_str": "526000000000000001"}]'
    assert keys_of(good(packed(key="id_str"), "526000000000000001", body=body))[0] == {"526000000000000001"}


def test_a_path_that_breaks_on_an_answer_is_unreadable() -> None:
    """An expression may meet a type that it cannot work on."""
    assert unreadable(packed(items="length(a)"), "1", body={"a": 1}) == "path"


def test_what_also_names_is_kept_once_an_answer() -> None:
    """Paths that lead to something are kept in their own bytes; without any, nothing is."""
    reading = good(spec(**X), "1", body=b'{"data":[{"id":"1"}],"includes":{"users":[{"f":1.10}]},"meta":{}}')
    assert reading.extra is not None
    assert reading.extra.body == '{"includes":{"users":[{"f":1.10}]}}'
    assert good(spec(**X), "1", body={"data": []}).extra is None


def test_a_list_of_bare_ids_can_name_what_is_missing() -> None:
    """The rows of `gone.at` may be the IDs themselves."""
    body = {"data": [], "not_found": ["1", 2]}
    reading = good(packed(items="data", gone={"at": "not_found"}), "1", "2", "3", body=body)
    assert (reading.gone, reading.absent) == ({"1": Gone("gone"), "2": Gone("gone")}, ("3",))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, Missing("http-404", "No such thing")),
        (410, Missing("http-410", "No such thing")),
        (400, Refused(400, "http-400", "No such thing")),
        (422, Refused(422, "http-422", "No such thing")),
        (401, Denied(401, "http-401", "No such thing")),
        (402, Denied(402, "http-402", "No such thing")),
        (403, Denied(403, "http-403", "No such thing")),
        (408, Faulty("http-408", "No such thing")),
        (503, Faulty("http-503", "No such thing")),
        (302, Unreadable("redirect", "No such thing")),
        (405, Unreadable("http-405", "No such thing")),
        (451, Unreadable("http-451", "No such thing")),
    ],
)
def test_an_error_status_says_what_kind_of_failure_it_is(status: int, expected: Reading) -> None:
    """The status decides, and the detail is in the API's own words."""
    assert asked(spec(), "1", status=status, body={"message": "No such thing"}) == expected


def test_a_failed_call_for_one_id_takes_the_word_of_the_gone_rule() -> None:
    """A 404 whose body names the ID, or names none, says why in the API's own word."""
    row = {"resource_id": "1", "parameter": "ids", "detail": "Could not find", "type": PROBLEM + "resource-not-found"}
    missing = asked(spec(**X), "1", status=404, body={"errors": [row]})
    assert missing == Missing("deleted", f"{PROBLEM}resource-not-found: Could not find")
    code = spec(gone={"at": "errors", "why": "code"}, reasons={"144": "deleted", "http-404": "no-page"})
    assert asked(code, "1", status=404, body={"errors": [{"code": 144}]}) == Missing("deleted", "144")
    assert asked(code, "1", status=404, body=b"") == Missing("no-page", "")
    assert asked(code, "1", "2", status=404, body={"errors": [{"code": 144}]}) == Missing(
        "no-page", '{"errors": [{"code": 144}]}'
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"title":"Unauthorized","detail":"Unauthorized","status":401}', "Unauthorized"),
        (b'{"title":"Invalid","errors":[{"message":"ids [NA]"}]}', "Invalid: ids [NA]"),
        (b'{"error":{"code":5,"message":"a\\nb\\u0000c"}}', "a b c"),
        (b'{"code":5}', '{"code":5}'),
        (b"<!DOCTYPE html><html><head><title> 502\nBad  Gateway</title>", "502 Bad Gateway"),
        (b"<html><body>oops", "an HTML page"),
        (b"plain \x1b[31m" + b"x" * 400, "plain [31m" + "x" * 290),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_words_of_a_body_are_short_and_clean(body: bytes, words: str) -> None:
    """A detail is one line of at most 300 characters without control characters."""
    assert words_of(body) == words


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from("123"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "data", "errors", "1", "a"]), inner, max_size=4)
    ),
)


@given(
    VALUES,
    st.sampled_from(["", "data", "data[]", "data.a"]),
    st.sampled_from(["id", "@key", "@index", "a.id"]),
    st.sampled_from([None, {"at": "errors"}, {"flag": "a"}]),
    st.sampled_from([("1",), ("1", "2", "3")]),
    st.sampled_from([200, 404, 400, 403, 500, 302]),
)
def test_every_answer_is_read_and_accounts_for_every_id(
    body: object, items: str, key: str, gone: dict[str, str] | None, keys: tuple[str, ...], status: int
) -> None:
    """Whatever an API sends, reading it ends in a Reading, and each ID of a good one is in exactly one place."""
    reading = asked(packed(items=items, key=key, gone=gone, also=["a", "data[0]"]), *keys, status=status, body=body)
    if isinstance(reading, Good):
        assert sorted([*reading.found, *reading.gone, *reading.absent]) == sorted(keys)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_answer(body: bytes) -> None:
    """No body, however broken, is more than a reading."""
    asked(packed(), "1", "2", body=body)
    asked(spec(), "1", status=404, body=body)
