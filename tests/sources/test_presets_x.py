"""X's presets against requests and answers as its documents and recorded answers have them."""

from typing import Any

import pytest

from collector.sources.answer import Denied, Missing, Refused
from tests.sources.shipped import answered, asked, columns, key, request, sorted_out, waits

PROBLEM = "https://api.x.com/2/problems/"
FIELDS = ("post.fields", "created_at,conversation_id,lang,public_metrics")
OF_AUTHORS = (("expansions", "author_id"), ("user.fields", "username,created_at"))
OF_USERS = ("user.fields", "created_at,description,location,protected,public_metrics,verified")


def post(number: str) -> dict[str, Any]:
    return {
        "id": number,
        "text": "hello",
        "author_id": "2244994945",
        "created_at": "2026-01-05T10:00:00.000Z",
        "conversation_id": number,
        "lang": "en",
        "edit_history_post_ids": [number],
        "public_metrics": {"like_count": 7, "reply_count": 2, "quote_count": 1, "bookmark_count": 0},
    }


def error(value: str, parameter: str, kind: str, **more: str) -> dict[str, str]:
    about = {"value": value, "resource_id": value, "parameter": parameter, "resource_type": "tweet"}
    return about | {"title": "Not Found Error", "detail": f"Could not find [{value}].", "type": PROBLEM + kind} | more


def test_posts_are_asked_by_a_comma_list() -> None:
    """The parameters by their names, and none beside them; the token in its header."""
    where, query = asked("x/posts", "1500000000000000000", "20")
    assert where == "https://api.x.com/2/tweets"
    assert query == [("ids", "1500000000000000000,20"), FIELDS, *OF_AUTHORS]
    sent = request("x/posts", "20")
    assert (sent.method, sent.headers["Authorization"], sent.body) == ("GET", "Bearer the-x_bearer", None)


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        ("1500000000000000000", "1500000000000000000"),
        ("https://twitter.com/jack/status/20", "20"),
        ("x.com/jack/status/20?s=46&t=abc", "20"),
        ("https://mobile.twitter.com/jack/statuses/20/photo/1", "20"),
        ("https://twitter.com/#!/jack/status/20", "20"),
        ("https://x.com/i/web/status/20", "20"),
        ("12345678901234567890", None),
        ("1.5e+18", None),
        ("20?x", None),
        ("https://example.org/jack/status/20", None),
        ("https://notx.com/jack/status/20", None),
    ],
)
def test_the_id_of_a_post_stands_in_many_urls(line: str, id_: str | None) -> None:
    """1 to 19 digits, alone or in the URL of a post at X."""
    assert key("x/posts", line) == id_ == key("x/post", line)


def test_a_partial_answer_of_posts_is_sorted() -> None:
    """Found, deleted, protected, withheld and absent; errors of other objects say nothing of those asked for."""
    body = {
        "data": [post("1"), post("2")],
        "includes": {"users": [{"id": "2244994945", "username": "XDevelopers", "name": "X"}]},
        "errors": [
            error("3", "ids", "resource-not-found"),
            error("4", "ids", "not-authorized-for-resource", section="data", title="Authorization Error"),
            error("5", "ids", "disallowed-resource"),
            error("2", "referenced_posts.id", "resource-not-found"),
            error("6", "entities.mentions.username", "resource-not-found"),
        ],
    }
    found, gone, absent = sorted_out("x/posts", "1", "2", "3", "4", "5", "6", body=body)
    assert found == {"1": "1", "2": "2"}
    assert gone == {"3": "deleted", "4": "protected", "5": "withheld"}
    assert absent == ("6",)


def test_an_error_without_a_resource_id_is_known_by_its_value() -> None:
    """And a pack of which all is gone has no `data` at all, at the old host of `type`."""
    told = error("1", "ids", "resource-not-found", type="https://api.twitter.com/2/problems/resource-not-found")
    del told["resource_id"]
    assert sorted_out("x/posts", "1", body={"errors": [told]}) == ({}, {"1": "deleted"}, ())


def test_the_columns_of_a_post() -> None:
    """Counts under short names."""
    assert columns("x/posts", post("1")) == {
        "created_at": "2026-01-05T10:00:00.000Z",
        "author_id": "2244994945",
        "conversation_id": "1",
        "lang": "en",
        "text": "hello",
        "likes": 7,
        "replies": 2,
        "quotes": 1,
    }


def test_a_single_post_is_found_or_gone_in_either_way() -> None:
    """200 with an error of the parameter `id`, and 404; the ID stands in the path."""
    assert asked("x/post", "20") == ("https://api.x.com/2/tweets/20", [FIELDS, *OF_AUTHORS])
    assert sorted_out("x/post", "20", body={"data": post("20")}) == ({"20": "20"}, {}, ())
    gone = {"errors": [error("20", "id", "resource-not-found")]}
    assert sorted_out("x/post", "20", body=gone) == ({}, {"20": "deleted"}, ())
    missing = answered("x/post", "20", status=404, body=gone)
    assert isinstance(missing, Missing)
    assert missing.reason == "deleted"


def test_users_are_asked_by_number_and_by_name() -> None:
    """The two lookups and their parameters."""
    assert asked("x/users", "12", "13") == ("https://api.x.com/2/users", [("ids", "12,13"), OF_USERS])
    assert asked("x/usernames", "jack", "x") == ("https://api.x.com/2/users/by", [("usernames", "jack,x"), OF_USERS])


@pytest.mark.parametrize(("name", "parameter", "ids"), [("x/users", "ids", "123"), ("x/usernames", "usernames", "abc")])
def test_a_suspended_user_is_told_from_a_deleted_one(name: str, parameter: str, ids: str) -> None:
    """The type is the same, and the detail tells."""
    there, deleted, suspended = tuple(ids)
    detail = f"User has been suspended: [{suspended}]."
    body = {
        "data": [{"id": there, "username": there.upper(), "name": "A"}],
        "errors": [
            error(deleted, parameter, "resource-not-found"),
            error(suspended, parameter, "resource-not-found", title="Forbidden", detail=detail),
        ],
    }
    found, gone, absent = sorted_out(name, *ids, body=body)
    assert (list(found), gone, absent) == ([there], {deleted: "deleted", suspended: "suspended"}, ())


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        ("XDevelopers", "xdevelopers"),
        ("@jack", "jack"),
        ("https://twitter.com/jack", "jack"),
        ("x.com/@Jack?lang=en", "jack"),
        ("https://x.com/jack/status/20", "jack"),
        ("a_name_of_16_char", None),
        ("jack/x", None),
        ("https://x.com/i/user/12", None),
        ("https://x.com/home", None),
        ("https://x.com/homeless", "homeless"),
        ("jack,jill", None),
    ],
)
def test_a_username_is_known_as_people_write_it(line: str, id_: str | None) -> None:
    """At most 15 letters, digits and underlines, whatever their case."""
    assert key("x/usernames", line) == id_


@pytest.mark.parametrize(
    ("name", "path", "most", "fields"),
    [
        ("x/followers", "/2/users/12/followers", "1000", ("user.fields", "created_at,protected,public_metrics")),
        ("x/following", "/2/users/12/following", "1000", ("user.fields", "created_at,protected,public_metrics")),
        ("x/user_posts", "/2/users/12/tweets", "100", FIELDS),
    ],
)
def test_lists_begin_with_the_largest_page(name: str, path: str, most: str, fields: tuple[str, str]) -> None:
    """The user in the path, `max_results` at its most, and no token in the first call."""
    assert asked(name, "12") == (f"https://api.x.com{path}", [("max_results", most), fields])


def test_the_posts_of_followers_leave_out_retweets() -> None:
    """As those of a user, with `exclude`."""
    where, query = asked("x/follower_posts", "12")
    assert where == "https://api.x.com/2/users/12/tweets"
    assert query == [("max_results", "100"), ("exclude", "retweets"), FIELDS]


def test_replies_are_a_search_that_an_id_cannot_change() -> None:
    """A name or a number stands in the query; anything else is no ID."""
    where, query = asked("x/replies", "jack")
    assert where == "https://api.x.com/2/tweets/search/recent"
    assert query == [("query", "to:jack is:reply"), ("max_results", "100"), FIELDS, *OF_AUTHORS]
    assert key("x/replies", "1234567890123456789") == "1234567890123456789"
    assert key("x/replies", "jack OR from:jill") is None


@pytest.mark.parametrize("name", ["x/posts", "x/post", "x/users", "x/usernames", "x/followers", "x/replies"])
def test_a_refusal_speaks_of_the_call_and_a_limit_of_the_window(name: str) -> None:
    """400 is a refusal, 401 and 403 are for a person, a plain 429 is a wait."""
    invalid = {"title": "Invalid Request", "type": PROBLEM + "invalid-request", "errors": [{"message": "no"}]}
    assert isinstance(answered(name, "12", status=400, body=invalid), Refused)
    wrong_key = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
    assert isinstance(answered(name, "12", status=401, body=wrong_key), Denied)
    no_plan = {"title": "Client Forbidden", "reason": "client-not-enrolled", "type": PROBLEM + "client-forbidden"}
    assert isinstance(answered(name, "12", status=403, body=no_plan), Denied)
    told = {"x-rate-limit-limit": "300", "x-rate-limit-remaining": "0", "x-rate-limit-reset": "1700000600"}
    assert waits(429, told)
    assert not waits(200, told)
