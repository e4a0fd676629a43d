"""What is hard about real APIs: a test, or a small group, for each of the cases that we know."""

import json
from typing import Any
from urllib.parse import unquote

import pytest

from collector.model import Found, Gone
from collector.sources.answer import Answer, Good, Missing, Reading, Refused, Stopped, Unreadable, read, rule
from collector.sources.request import LONGEST_URL, Endpoint
from collector.sources.rules import Do
from collector.sources.spec import Spec
from tests.sources.wire import Permit, wire

POSTS: dict[str, Any] = {
    "url": "https://api.x.example/2/tweets",
    "params": {"ids": "{ids}"},
    "pack": 100,
    "id": r"(?:(?:https?://)?(?:www\.)?x\.example/\w+/status(?:es)?/)?([0-9]{1,19})(?:[/?#].*)?",
    "items": "data",
    "also": ["includes"],
    "gone": {"at": "errors[?parameter=='ids']", "id": "resource_id", "why": "type"},
    "on": [{"status": 429, "at": "type", "match": "usage-capped", "do": "stop"}],
}
PROBLEM = "https://api.x.example/2/problems/"


def reading(table: dict[str, Any], *keys: str, body: object, status: int = 200) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(Spec.model_validate(table), keys, Answer(status, {}, raw, 0.1))


def good(table: dict[str, Any], *keys: str, body: object) -> Good:
    found = reading(table, *keys, body=body)
    assert isinstance(found, Good), found
    return found


# 1. A 200 may be partial, and its errors may speak of other objects than those asked.


def test_hard_case_1_a_200_may_be_partial_and_speak_of_others() -> None:
    """An ID is gone where an error names it as one that was asked for; what else is wrong takes nothing from what is
    there, and an ID without a word is neither found nor gone."""
    errors = [
        {"resource_id": "3", "parameter": "ids", "type": PROBLEM + "resource-not-found"},
        {"resource_id": "4", "parameter": "referenced_tweets.id", "type": PROBLEM + "resource-not-found"},
        {"resource_id": "1", "parameter": "entities.mentions.username", "type": PROBLEM + "resource-not-found"},
        {"resource_id": "99", "parameter": "ids", "type": PROBLEM + "resource-not-found"},
    ]
    body = {"data": [{"id": "1"}, {"id": "2"}, {"id": "77"}], "includes": {"users": [{"id": "5"}]}, "errors": errors}
    partial = good(POSTS, "1", "2", "3", "4", body=body)
    assert ([*partial.found], partial.gone, partial.absent) == (
        ["1", "2"],
        {"3": Gone("resource-not-found", errors[0]["type"])},
        ("4",),
    )
    assert partial.returned == 3


def test_hard_case_1_the_errors_of_a_page_take_nothing_from_it() -> None:
    """A list may hold posts that quote deleted ones, and an empty page with errors is no end by itself."""
    timeline = {"url": "https://api.x.example/{id}", "items": "data", "next": {"from": "meta.next_token", "to": "t"}}
    errors = [{"resource_id": "8", "parameter": "referenced_tweets.id", "type": PROBLEM + "resource-not-found"}]
    page = good(timeline, "7", body={"data": [{"id": "1"}], "errors": errors, "meta": {"next_token": "n"}})
    assert (len(page.found["7"].items), page.next) == (1, "n")
    empty = good(timeline, "7", body={"errors": errors, "meta": {"result_count": 0, "next_token": "n"}})
    assert (empty.found, empty.next) == ({"7": Found(())}, "n")


# 3. One bad ID spoils the pack: check the form first, then split.


def test_hard_case_3_the_form_is_checked_before_anything_is_sent() -> None:
    """A line that is no ID is refused when the file is read."""
    match = Spec.model_validate(POSTS).match
    assert [match(text) for text in ("NA", "5.26e+17", "-1", "12345678901234567890", " 1")] == [None] * 5


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"errors": [{"message": "The `ids` query parameter value [NA] does not match"}]}),
        (422, {"error": "too many"}),
        (200, {"error": {"code": "no-such-entity", "id": "Q0"}}),
    ],
)
def test_hard_case_3_a_pack_that_one_id_spoils_is_refused_as_a_whole(status: int, body: object) -> None:
    """It says nothing of any single ID: none is gone and none is found, so that the pack is asked in halves."""
    assert isinstance(reading(POSTS, "1", "2", body=body, status=status), Refused | Unreadable)


def test_hard_case_3_a_500_of_a_pack_can_be_declared_as_its_own_fault() -> None:
    """Then it is asked in halves while the server is well; of one ID it is the server's trouble again, or gone."""
    spoilt = {"status": 500, "match": "suspended", "do": "split"}
    table = POSTS | {"on": [spoilt, {"status": 500, "match": "suspended", "do": "gone"}]}
    body = {"message": "account suspended"}
    assert reading(table, "1", "2", body=body, status=500) == Refused(500, "http-500", "account suspended")
    assert reading(table, "1", body=body, status=500) == Missing("http-500", "account suspended", sure=True)


# 4. The same thing under another ID.


def test_hard_case_4_an_id_in_the_form_of_a_url_is_the_same_id() -> None:
    """In a file, and in an answer."""
    match = Spec.model_validate(POSTS).match
    forms = [
        "20",
        "https://x.example/jack/status/20",
        "x.example/jack/statuses/20?s=21",
        "http://www.x.example/a/status/20/",
    ]
    assert {match(form) for form in forms} == {"20"}
    works = {"url": "https://api.example/?f={ids}", "pack": 9, "id": r"(?i)(?:https://openalex\.example/)?(W[0-9]+)"}
    answer = good(works, "w1", "w2", body=[{"id": "https://openalex.example/W1"}])
    assert (answer.found["w1"].items[0].key, answer.absent) == ("https://openalex.example/W1", ("w2",))


def test_hard_case_4_a_doi_is_the_same_in_any_case() -> None:
    """Asked in lower case, found in the case of the answer."""
    table = {"url": "https://api.example/?f={ids}", "pack": 9, "items": "items", "key": "DOI", "each": "doi:{id}"}
    table["id"] = r"(?i)(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.\d{4,9}/\S+)"
    match = Spec.model_validate(table).match
    assert match("https://doi.org/10.1000/ABC") == match("DOI:10.1000/abc") == "10.1000/abc"
    answer = good(table, "10.1000/abc", body={"items": [{"DOI": "10.1000/aBc"}]})
    assert answer.found["10.1000/abc"].items[0].key == "10.1000/aBc"


def test_hard_case_4_a_handle_is_answered_by_another_id() -> None:
    """Asked alone, the one object that comes is the answer, under its own ID; in a pack nobody can tell whose it is."""
    table = {"url": "https://api.example/?actor={ids}", "pack": 25, "items": "profiles", "key": "did"}
    body = {"profiles": {"did": "did:plc:abc", "handle": "ada.example"}}
    assert good(table, "ada.example", body=body).found["ada.example"].items[0].key == "did:plc:abc"
    both = good(
        table, "ada.example", "did:plc:xyz", body={"profiles": [{"did": "did:plc:abc"}, {"did": "did:plc:xyz"}]}
    )
    assert ([*both.found], both.absent) == (["did:plc:xyz"], ("ada.example",))


async def test_hard_case_4_a_redirect_leads_to_the_id_that_holds_now() -> None:
    """A renamed or merged object is found for the ID that was asked, and keeps its own."""
    moved = b"HTTP/1.1 301 Moved\r\nLocation: /works/W2\r\nContent-Length: 0\r\n\r\n"
    found = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"id":"W2"}'
    async with wire(lambda number: moved if number == 1 else found) as server:
        async with server.client(url=f"http://127.0.0.1:{server.port}/works/{{id}}", params={}) as client:
            answer = await client.ask(client.endpoint, ("W1",), Permit())
        merged = read(client.endpoint.spec, ("W1",), answer)
    assert server.targets() == ["/works/W1", "/works/W2"]
    assert isinstance(merged, Good)
    assert merged.found["W1"].items[0].key == "W2"


def test_hard_case_4_a_merged_paper_keeps_its_place_in_the_list() -> None:
    """By position an item answers the ID of its place, whatever its own says; a shorter list says nothing safe."""
    table = {"url": "https://api.example/", "method": "POST", "json": {"ids": "{ids}"}, "pack": 500, "key": "@index"}
    answer = good(table, "a", "b", "c", body=[{"paperId": "z"}, None, {"paperId": "c"}])
    assert ([*answer.found], answer.gone) == (["a", "c"], {"b": Gone("null")})
    assert isinstance(reading(table, "a", "b", "c", body=[{"paperId": "z"}, {"paperId": "c"}]), Unreadable)


# 6. A 429 that waiting cannot cure.


def test_hard_case_6_a_usage_cap_stops_and_a_spent_window_waits() -> None:
    """Both come as a 429; the API's word tells them apart, and it is what the operator reads."""
    spec = Spec.model_validate(POSTS)
    capped = {"title": "UsageCapExceeded", "period": "Monthly", "type": PROBLEM + "usage-capped"}
    spent = {"title": "Too Many Requests", "type": "about:blank", "status": 429}
    assert reading(POSTS, "1", "2", body=capped, status=429) == Stopped("usage-capped", "UsageCapExceeded")
    assert [rule(spec, Answer(429, {}, json.dumps(body).encode(), 0.1)) for body in (capped, spent)] == [Do.STOP, None]
    assert rule(spec, Answer(429, {}, b"", 0.1)) is None  # a body may be empty, and then the headers tell


def test_hard_case_6_a_wait_can_come_as_a_200() -> None:
    """The budget waits where the operator says so, instead of the IDs being read as missing."""
    lag = {"error": {"code": "maxlag", "info": "Waiting for a database: 5 seconds lagged"}}
    table = POSTS | {
        "items": "entities",
        "key": "@key",
        "on": [{"at": "error.code", "match": "^(maxlag|ratelimited)$", "do": "wait"}],
    }
    assert rule(Spec.model_validate(table), Answer(200, {}, json.dumps(lag).encode(), 0.1)) is Do.WAIT
    assert not isinstance(reading(table, "Q1", "Q2", body=lag), Good)


# 8. IDs beyond 2^53 as JSON numbers, and floats beside them.


def test_hard_case_8_a_number_beyond_2_53_keeps_all_its_digits() -> None:
    """As an ID that is compared, in the item that is kept, and as a cursor."""
    table = {"url": "https://api.example/?ids={ids}", "pack": 9}
    answer = good(
        table, "9007199254740993", "9007199254740992", body=b'[{"id":9007199254740993,"u":18446744073709551617}]'
    )
    assert answer.found["9007199254740993"].items[0].body == '{"id":9007199254740993,"u":18446744073709551617}'
    assert answer.absent == ("9007199254740992",)
    ids = {
        "url": "https://api.example/{id}",
        "items": "ids",
        "key": "@",
        "next": {"from": "next_cursor", "to": "cursor"},
    }
    page = good(ids, "7", body=b'{"ids":[9007199254740993],"next_cursor":1374004777531007833}')
    assert ([item.key for item in page.found["7"].items], page.next) == (["9007199254740993"], "1374004777531007833")


def test_hard_case_8_a_float_as_a_key_is_a_fault_and_beside_one_it_is_none() -> None:
    """An ID that lost its digits may be somebody else's; `key` says which field is the ID."""
    body = b'[{"id":5.26e+17,"id_str":"526000000000000001"}]'
    table = {"url": "https://api.example/?ids={ids}", "pack": 9}
    lost = reading(table, "526000000000000001", body=body)
    assert isinstance(lost, Unreadable)
    assert lost.reason == "float-key"
    assert [*good(table | {"key": "id_str"}, "526000000000000001", body=body).found] == ["526000000000000001"]
    page = reading(table | {"url": "https://api.example/{id}", "pack": 1, "next": "link"}, "7", body=body)
    assert isinstance(page, Unreadable)
    assert page.reason == "float-key"


# 10. IDs that hold anything, and URLs that would be too long.


async def test_hard_case_10_an_id_may_hold_anything_and_changes_nothing_else() -> None:
    """In a path, and beside others in a list."""
    keys = ("10.1000/a,b", "a|b", "100%", "x#y?z=1&w", "../../x", "naïve ü")
    async with wire(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]") as server:
        async with server.client(url=f"http://127.0.0.1:{server.port}/w/{{id}}/c", params={"q": "{id}"}) as client:
            for key in keys:
                await client.ask(client.endpoint, (key,), Permit())
        async with server.client(params={"f": "{ids}"}, each="doi:{id}", join="|", pack=9) as client:
            await client.ask(client.endpoint, keys, Permit())
    for key, target in zip(keys, server.targets(), strict=False):
        path, _, query = target.partition("?")
        assert [unquote(part) for part in path.split("/")] == ["", "w", key, "c"]
        assert (query.count("&"), unquote(query)) == (0, f"q={key}")
    assert unquote(server.targets()[-1]) == "/v1?f=" + "|".join(f"doi:{key}" for key in keys)


def test_hard_case_10_an_id_that_holds_the_joiner_goes_alone_and_a_url_has_an_end() -> None:
    """Else it would be read as two; and what does not fit into 8,000 characters goes in another call."""
    ready = Endpoint(Spec.model_validate({"url": "https://api.example/", "params": {"f": "{ids}"}, "pack": 500}), {})
    assert [ready.alone(key) for key in ("10.1/a,b", "10.1/ab")] == [True, False]
    key = "10.1000/é" * 5
    fit = ready.room // ready.weight(key)
    assert len(str(ready.build((key,) * fit).url)) <= LONGEST_URL < len(str(ready.build((key,) * (fit + 1)).url))
