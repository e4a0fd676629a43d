"""The presets' pages, rules and tokens: what follows a page, and what an answer means by an `on` rule."""

import json
from typing import Any

import pytest

from collector.sources.answer import Answer, Faulty, Good, Missing, Reading, Refused, Stopped, read, rule
from collector.sources.rules import Do
from tests.sources.shipped import answered, endpoint, spec

PROBLEM = "https://api.x.com/2/problems/"
TOKEN = "7140dibdnow9c7btw3w29grvxfcgvpb9n9coehpk7xz5i"
X_LISTS = ["x/followers", "x/following", "x/user_posts", "x/follower_posts", "x/replies"]
X_ALL = ["x/posts", "x/post", "x/users", "x/usernames", *X_LISTS]
ACCOUNT = "did:plc:z72i7hdynmk6r22z27h6tvur"


def page(name: str, key: str, body: object, link: str | None = None) -> Good:
    reading = read(spec(name), (key,), Answer(200, {}, json.dumps(body).encode(), 0.1, link))
    assert isinstance(reading, Good), reading
    return reading


def items(reading: Good, key: str) -> list[str]:
    return [item.key for item in reading.found[key].items]


def ruled(name: str, status: int, body: object) -> Do | None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return rule(spec(name), Answer(status, {}, raw, 0.1))


def query(name: str, key: str, cursor: str | None) -> dict[str, str]:
    return dict(endpoint(name).build((key,), cursor).url.query)


def reason(reading: Reading) -> str:
    assert isinstance(reading, Missing | Stopped), reading
    return reading.reason


@pytest.mark.parametrize("name", X_LISTS)
def test_a_list_of_x_goes_on_while_there_is_a_token(name: str) -> None:
    """Items under their own IDs; an empty page with a token is not the end, and one without is."""
    first = page(name, "12", {"data": [{"id": "7"}, {"id": "8"}], "meta": {"result_count": 2, "next_token": TOKEN}})
    assert (items(first, "12"), first.next, first.returned) == (["7", "8"], TOKEN, 2)
    empty = page(name, "12", {"meta": {"result_count": 0, "next_token": TOKEN}})
    assert (items(empty, "12"), empty.next) == ([], TOKEN)
    last = page(name, "12", {"data": [{"id": "9"}], "meta": {"result_count": 1}})
    assert (items(last, "12"), last.next) == (["9"], None)


@pytest.mark.parametrize("name", X_LISTS)
def test_the_token_of_x_goes_into_the_parameter_of_its_endpoint(name: str) -> None:
    """`next_token` for the search, `pagination_token` for the lists of a user; beside it all stays as it was."""
    parameter = "next_token" if name == "x/replies" else "pagination_token"
    assert query(name, "12", TOKEN) == query(name, "12", None) | {parameter: TOKEN}
    assert parameter not in query(name, "12", None)


@pytest.mark.parametrize("name", ["x/followers", "x/following", "x/user_posts", "x/follower_posts"])
@pytest.mark.parametrize(
    ("told", "known_as"),
    [
        (
            {"title": "Not Found Error", "detail": "Could not find user with id: [12].", "type": "resource-not-found"},
            "deleted",
        ),
        ({"title": "Forbidden", "detail": "User has been suspended: [12].", "type": "resource-not-found"}, "suspended"),
        ({"title": "Authorization Error", "type": "not-authorized-for-resource", "section": "data"}, "protected"),
    ],
)
def test_a_list_of_somebody_who_is_not_there_is_gone(name: str, told: dict[str, str], known_as: str) -> None:
    """200 with an error of the parameter `id`."""
    about = {"value": "12", "resource_id": "12", "parameter": "id", "resource_type": "user"}
    reading = page(name, "12", {"errors": [about | told | {"type": PROBLEM + told["type"]}]})
    assert (reading.found, reading.gone["12"].reason, reading.next) == ({}, known_as, None)


@pytest.mark.parametrize("name", X_ALL)
def test_what_waiting_cannot_cure_stops_a_source_of_x(name: str) -> None:
    """The month's cap and spent credits; a plain 429 is a wait that needs no rule."""
    capped = {"title": "UsageCapExceeded", "period": "Monthly", "scope": "Product", "type": f"{PROBLEM}usage-capped"}
    assert ruled(name, 429, capped) is Do.STOP
    assert isinstance(answered(name, "12", status=429, body=capped), Stopped)
    assert isinstance(answered(name, "12", status=402, body={"title": "CreditsDepleted"}), Stopped)
    assert ruled(name, 429, {"title": "Too Many Requests", "type": "about:blank", "status": 429}) is None
    assert ruled(name, 429, b"") is None


@pytest.mark.parametrize(
    ("name", "body", "own"),
    [
        ("bluesky/followers", {"subject": {}, "followers": [{"did": ACCOUNT, "handle": "bsky.app"}]}, ACCOUNT),
        ("bluesky/author_feed", {"feed": [{"post": {"uri": f"at://{ACCOUNT}/app.bsky.feed.post/3l6a"}}]}, None),
    ],
)
def test_a_list_of_bluesky_goes_on_while_there_is_a_cursor(name: str, body: dict[str, Any], own: str | None) -> None:
    """The cursor stands beside the items, and goes back under its own name."""
    reading = page(name, "bsky.app", body | {"cursor": "3l6a::bafy/x?y"})
    assert items(reading, "bsky.app") == [own or f"at://{ACCOUNT}/app.bsky.feed.post/3l6a"]
    assert reading.next == "3l6a::bafy/x?y"
    assert query(name, "bsky.app", reading.next) == {"actor": "bsky.app", "limit": "100", "cursor": "3l6a::bafy/x?y"}
    assert page(name, "bsky.app", body).next is None


@pytest.mark.parametrize("name", ["bluesky/followers", "bluesky/author_feed"])
@pytest.mark.parametrize(
    ("body", "known_as"),
    [
        ({"error": "InvalidRequest", "message": "Actor not found: nobody.example"}, "not-found"),
        ({"error": "InvalidRequest", "message": "Profile not found"}, "not-found"),
        ({"error": "AccountTakedown", "message": "Account has been suspended"}, "suspended"),
        ({"error": "AccountDeactivated", "message": "Account is deactivated"}, "deactivated"),
    ],
)
def test_an_account_that_bluesky_does_not_have_is_gone(name: str, body: dict[str, str], known_as: str) -> None:
    """It says so with a 400; another 400 is a refusal."""
    assert reason(answered(name, "nobody.example", status=400, body=body)) == known_as
    wrong = {"error": "InvalidRequest", "message": "Error: Params must have the property actor"}
    assert isinstance(answered(name, "nobody.example", status=400, body=wrong), Refused)


def test_one_bad_uri_makes_bluesky_fail_for_the_pack() -> None:
    """It is the server's own trouble, and while others are answered such a pack is asked in halves."""
    broken = {"error": "InternalServerError", "message": "Internal Server Error"}
    keys = [f"at://{ACCOUNT}/app.bsky.feed.post/{record}" for record in "ab"]
    assert isinstance(answered("bluesky/posts", *keys, status=500, body=broken), Faulty)
    assert isinstance(answered("bluesky/posts", *keys, status=502, body=b""), Faulty)


def test_mastodon_leads_to_the_next_page_by_a_header() -> None:
    """The Link header's target is the cursor, and is asked for as it is."""
    link = "/api/v1/accounts/1/followers?limit=80&max_id=7486869"
    reading = page("mastodon/followers", "1", [{"id": "5", "acct": "a"}, {"id": "6", "acct": "b@c.d"}], link)
    assert (items(reading, "1"), reading.next) == (["5", "6"], link)
    assert str(endpoint("mastodon/followers").build(("1",), link).url) == f"https://mastodon.social{link}"
    hidden = page("mastodon/followers", "1", [])
    assert (items(hidden, "1"), hidden.next) == ([], None)


@pytest.mark.parametrize("name", ["github/repos", "github/users"])
def test_githubs_secondary_limit_is_known_by_its_words(name: str) -> None:
    """It comes as a 403 with calls left; another 403 is for a person."""
    told = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    assert ruled(name, 403, told) is Do.WAIT
    assert ruled(name, 403, {"message": "Resource not accessible by personal access token"}) is None


@pytest.mark.parametrize(("status", "why"), [(451, "dmca"), (403, "tos")])
def test_a_repository_that_was_taken_down_is_gone(status: int, why: str) -> None:
    """With GitHub's own reason."""
    block = {"reason": why, "created_at": "2026-01-05T10:00:00Z", "html_url": "https://github.com/github/dmca"}
    body = {"message": "Repository access blocked", "block": block}
    assert reason(answered("github/repos", "a/b", status=status, body=body)) == why


def test_youtubes_quota_is_waited_for_and_a_wrong_key_stops() -> None:
    """Both come with statuses that mean something else elsewhere."""

    def error(code: int, why: str, message: str) -> dict[str, Any]:
        return {"error": {"code": code, "message": message, "errors": [{"reason": why, "domain": "youtube.quota"}]}}

    for why in ("quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"):
        assert ruled("youtube/videos", 403, error(403, why, "The request cannot be completed")) is Do.WAIT
    assert ruled("youtube/videos", 403, error(403, "forbidden", "Forbidden")) is None
    wrong = error(400, "badRequest", "API key not valid. Please pass a valid API key.")
    assert isinstance(answered("youtube/videos", "dQw4w9WgXcQ", status=400, body=wrong), Stopped)
    other = error(400, "invalidParameter", "Invalid value")
    assert isinstance(answered("youtube/videos", "dQw4w9WgXcQ", status=400, body=other), Refused)


def test_openalex_says_too_fast_with_a_403() -> None:
    """A wait, and no stop."""
    assert ruled("openalex/works", 403, {"error": "Forbidden", "message": "Rate limit exceeded; slow down"}) is Do.WAIT


def test_a_pack_of_which_semantic_scholar_knows_none_is_gone() -> None:
    """It says so with a 400; another 400 is a refusal of the call."""
    reading = answered("semantic_scholar/papers", "PMID:1", status=400, body={"error": "No valid paper ids given"})
    assert reason(reading) == "unknown"
    assert ruled("semantic_scholar/papers", 400, {"error": "Unrecognized or unsupported fields: [x]"}) is None


def test_wikidata_says_wait_with_a_200() -> None:
    """A lag and a limit of the software; an ID that it cannot read is gone when it is asked alone."""
    for code in ("maxlag", "ratelimited"):
        assert (
            ruled("wikidata/entities", 200, {"error": {"code": code, "info": "Waiting: 6 seconds lagged."}}) is Do.WAIT
        )
    assert ruled("wikidata/entities", 200, {"entities": {"Q42": {"id": "Q42"}}, "success": 1}) is None
    unread = {"error": {"code": "no-such-entity", "info": "Could not find an entity with the ID", "id": "Q9999999999"}}
    reading = answered("wikidata/entities", "Q9999999999", status=200, body=unread)
    assert isinstance(reading, Missing)
    assert reading.sure


def test_reddits_token_is_fetched_with_the_apps_id_and_secret() -> None:
    """OAuth 2 at www.reddit.com; no header Authorization of our own."""
    source = spec("reddit/info")
    assert source.auth is not None
    assert source.auth.url == "https://www.reddit.com/api/v1/access_token"
    assert (source.auth.id, source.auth.secret) == ("{secret.reddit_id}", "{secret.reddit_secret}")
    assert "authorization" not in {name.lower() for name in source.headers}
