"""The presets of Bluesky, Mastodon, Reddit, YouTube, GitHub and Hacker News against answers as they document them."""

from typing import Any

import pytest

from collector.sources.answer import Denied, Good, Missing, Refused, Unreadable
from tests.sources.shipped import answered, asked, columns, key, request, sorted_out, waits

DID = "did:plc:z72i7hdynmk6r22z27h6tvur"


def uri(record: str) -> str:
    return f"at://{DID}/app.bsky.feed.post/{record}"


def bluesky_post(record: str) -> dict[str, Any]:
    return {
        "uri": uri(record),
        "cid": "bafyreie",
        "author": {"did": DID, "handle": "bsky.app"},
        "record": {"$type": "app.bsky.feed.post", "text": "hi", "createdAt": "2026-01-05T10:00:00.000Z"},
        "likeCount": 3,
        "indexedAt": "2026-01-05T10:00:01.000Z",
    }


def test_bluesky_posts_repeat_their_parameter() -> None:
    """`uris` once for each, percent-encoded; what is left out is absent."""
    where, query = asked("bluesky/posts", uri("3l6a"), uri("3l6b"))
    assert where == "https://public.api.bsky.app/xrpc/app.bsky.feed.getPosts"
    assert query == [("uris", uri("3l6a")), ("uris", uri("3l6b"))]
    assert "at%3A%2F%2Fdid%3Aplc" in request("bluesky/posts", uri("3l6a")).url.raw_query_string
    body = {"posts": [bluesky_post("3l6b")]}
    assert sorted_out("bluesky/posts", uri("3l6a"), uri("3l6b"), body=body) == (
        {uri("3l6b"): uri("3l6b")},
        {},
        (uri("3l6a"),),
    )
    assert columns("bluesky/posts", bluesky_post("3l6b"))["text"] == "hi"


def test_a_bluesky_post_is_known_by_did_alone() -> None:
    """A handle in it, or a URL of the app, could not be matched with the answer, and is refused before it is asked."""
    assert key("bluesky/posts", uri("3l6oveex3ii2l")) == uri("3l6oveex3ii2l")
    assert key("bluesky/posts", "at://did:web:example.org/app.bsky.feed.post/3l6a") is not None
    assert key("bluesky/posts", "at://bsky.app/app.bsky.feed.post/3l6a") is None
    assert key("bluesky/posts", "https://bsky.app/profile/bsky.app/post/3l6a") is None


def test_bluesky_profiles_come_by_did() -> None:
    """Repeated too; the URL of a profile holds its DID."""
    assert asked("bluesky/profiles", DID, "did:web:a.org") == (
        "https://public.api.bsky.app/xrpc/app.bsky.actor.getProfiles",
        [("actors", DID), ("actors", "did:web:a.org")],
    )
    body = {"profiles": [{"did": DID, "handle": "bsky.app", "displayName": "Bluesky", "followersCount": 5}]}
    assert sorted_out("bluesky/profiles", DID, "did:web:a.org", body=body) == ({DID: DID}, {}, ("did:web:a.org",))
    assert key("bluesky/profiles", f"https://bsky.app/profile/{DID}") == DID
    assert key("bluesky/profiles", "bsky.app") is None


@pytest.mark.parametrize(
    ("name", "method"),
    [("bluesky/followers", "app.bsky.graph.getFollowers"), ("bluesky/author_feed", "app.bsky.feed.getAuthorFeed")],
)
def test_bluesky_lists_begin_with_the_largest_page(name: str, method: str) -> None:
    """An account by DID or handle; no cursor in the first call."""
    assert asked(name, "bsky.app") == (
        f"https://public.api.bsky.app/xrpc/{method}",
        [("actor", "bsky.app"), ("limit", "100")],
    )
    assert [key(name, line) for line in (DID, "@bsky.app", f"https://bsky.app/profile/{DID}")] == [DID, "bsky.app", DID]
    assert key(name, "nodots") is None


def test_bluesky_refusals_and_limits() -> None:
    """A 400 refuses the call; the headers are those of a budget of 3,000."""
    bad = {"error": "InvalidRequest", "message": "Error: uris must be an at-uri"}
    assert isinstance(answered("bluesky/posts", uri("a"), uri("b"), status=400, body=bad), Refused)
    told = {"RateLimit-Limit": "3000", "RateLimit-Remaining": "0", "RateLimit-Reset": "1700000100"}
    assert waits(429, told | {"RateLimit-Policy": "3000;w=300"})


def test_mastodon_statuses_repeat_a_parameter_with_brackets() -> None:
    """The body is the list; what is left out is absent, and more than the server takes is refused."""
    where, query = asked("mastodon/statuses", "109349", "109350")
    assert where == "https://mastodon.social/api/v1/statuses"
    assert query == [("id[]", "109349"), ("id[]", "109350")]
    status = {
        "id": "109350",
        "created_at": "2026-01-05T10:00:00.000Z",
        "content": "<p>a</p>",
        "account": {"acct": "a@b.c"},
    }
    assert sorted_out("mastodon/statuses", "109349", "109350", body=[status]) == (
        {"109350": "109350"},
        {},
        ("109349",),
    )
    assert columns("mastodon/statuses", status)["author"] == "a@b.c"
    refused = answered("mastodon/statuses", "1", "2", status=422, body={"error": "Too many IDs"})
    assert isinstance(refused, Refused)
    assert isinstance(answered("mastodon/statuses", "1", status=401, body={"error": "The access token"}), Denied)
    told = {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2023-11-14T22:15:00.000Z"}
    assert waits(429, told)


def test_a_mastodon_id_is_bare() -> None:
    """A URL may be of another server, where the number is another status."""
    assert key("mastodon/statuses", "109349000000000001") == "109349000000000001"
    assert key("mastodon/statuses", "https://mastodon.social/@Gargron/109349") is None


def test_mastodon_followers_begin_with_the_largest_page() -> None:
    """The account in the path; one that is not there is a 404."""
    assert asked("mastodon/followers", "1") == (
        "https://mastodon.social/api/v1/accounts/1/followers",
        [("limit", "80")],
    )
    missing = answered("mastodon/followers", "1", status=404, body={"error": "Record not found"})
    assert isinstance(missing, Missing)
    assert missing.detail == "Record not found"


def test_reddit_is_told_how_many_are_wanted() -> None:
    """Full names in a comma list, with `limit`, since 25 come back without it."""
    where, query = asked("reddit/info", "t3_abc", "t1_def")
    assert (where, query) == ("https://oauth.reddit.com/api/info", [("id", "t3_abc,t1_def"), ("limit", "100")])
    assert request("reddit/info", "t3_abc").headers["User-Agent"] == "linux:collector:v0.1 (by /u/the-reddit_user)"
    assert [key("reddit/info", line) for line in ("t5_2qh33", "t2_1w72", "T3_ABC")] == ["t5_2qh33", None, None]


def test_reddits_listing_is_sorted_by_full_name() -> None:
    """A deleted one is there with its text gone; what is left out is absent."""
    kept = {"kind": "t3", "data": {"name": "t3_abc", "title": "a", "author": "[deleted]", "selftext": "[deleted]"}}
    body = {"kind": "Listing", "data": {"after": None, "dist": 1, "children": [kept]}}
    assert sorted_out("reddit/info", "t3_abc", "t1_def", body=body) == ({"t3_abc": "t3_abc"}, {}, ("t1_def",))
    assert columns("reddit/info", kept)["author"] == "[deleted]"


def test_reddits_limits_and_refusals_have_no_body() -> None:
    """0 bytes beside a 429; a 403 with calls left is for a person."""
    told = {"X-Ratelimit-Used": "1000", "X-Ratelimit-Remaining": "0.0", "X-Ratelimit-Reset": "37"}
    assert waits(429, told)
    assert isinstance(answered("reddit/info", "t3_abc", status=403, body=b""), Denied)
    assert not waits(403, told | {"X-Ratelimit-Remaining": "999.0"})
    assert isinstance(answered("reddit/info", "t3_abc", body=b""), Unreadable)


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        ("dQw4w9WgXcQ", "dQw4w9WgXcQ"),
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=43s", "dQw4w9WgXcQ"),
        ("https://www.youtube.com/watch?list=PL1&v=dQw4w9WgXcQ", "dQw4w9WgXcQ"),
        ("youtu.be/dQw4w9WgXcQ?si=abc", "dQw4w9WgXcQ"),
        ("https://m.youtube.com/shorts/dQw4w9WgXcQ", "dQw4w9WgXcQ"),
        ("https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ", "dQw4w9WgXcQ"),
        ("dQw4w9WgXc", None),
        ("dQw4w9WgXcQ1", None),
        ("https://www.youtube.com/playlist?list=PL1", None),
    ],
)
def test_a_video_is_known_by_its_urls(line: str, id_: str | None) -> None:
    """Eleven characters whose case matters."""
    assert key("youtube/videos", line) == id_


def test_videos_are_asked_by_a_comma_list() -> None:
    """With `part` and the key; what is left out is absent."""
    where, query = asked("youtube/videos", "dQw4w9WgXcQ", "9bZkp7q19f0")
    assert where == "https://www.googleapis.com/youtube/v3/videos"
    assert query == [
        ("part", "snippet,contentDetails,statistics,status"),
        ("id", "dQw4w9WgXcQ,9bZkp7q19f0"),
        ("key", "the-youtube_key"),
    ]
    video = {"kind": "youtube#video", "id": "dQw4w9WgXcQ", "snippet": {"title": "a"}, "statistics": {"viewCount": "5"}}
    body = {"kind": "youtube#videoListResponse", "items": [video], "pageInfo": {"totalResults": 1}}
    assert sorted_out("youtube/videos", "dQw4w9WgXcQ", "9bZkp7q19f0", body=body) == (
        {"dQw4w9WgXcQ": "dQw4w9WgXcQ"},
        {},
        ("9bZkp7q19f0",),
    )
    assert columns("youtube/videos", video)["views"] == "5"
    assert waits(429, {})


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        ("octocat/Hello-World", "octocat/hello-world"),
        ("https://github.com/octocat/Hello-World", "octocat/hello-world"),
        ("https://github.com/octocat/Hello-World/tree/main/src", "octocat/hello-world"),
        ("git@github.com:octocat/Hello-World.git", "octocat/hello-world"),
        ("https://github.com/octocat/octocat.github.io", "octocat/octocat.github.io"),
        ("octocat", None),
        ("a/b/c", None),
        ("https://github.com/orgs/github", None),
    ],
)
def test_a_repository_is_known_as_people_write_it(line: str, id_: str | None) -> None:
    """Owner and name, whatever their case."""
    assert key("github/repos", line) == id_


@pytest.mark.parametrize(
    ("name", "id_", "body"),
    [
        ("github/repos", "octocat/hello-world", {"id": 1296269, "full_name": "octocat/Hello-World", "fork": False}),
        ("github/repos", "old/name", {"id": 1296269, "full_name": "new/Name", "fork": False}),
        ("github/users", "octocat", {"id": 583231, "login": "octocat", "type": "User"}),
    ],
)
def test_githubs_one_object_is_the_item(name: str, id_: str, body: dict[str, Any]) -> None:
    """Under its own name, a renamed one too; 404 is gone, 401 is for a person, a spent window is a wait."""
    reading = answered(name, id_, body=body)
    assert isinstance(reading, Good)
    [item] = reading.found[id_].items
    assert item.key == (body.get("full_name") or body["login"])
    not_found = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}
    assert isinstance(answered(name, id_, status=404, body=not_found), Missing)
    assert isinstance(answered(name, id_, status=401, body={"message": "Bad credentials"}), Denied)
    assert waits(403, {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1700000600"})
    assert not waits(403, {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4986"})


def test_github_is_asked_with_a_token() -> None:
    """For users the name is the last part of the path, for repositories owner and name are the last two."""
    assert str(request("github/repos", "octocat/hello-world").url) == "https://api.github.com/repos/octocat/hello-world"
    sent = request("github/users", "octocat")
    assert str(sent.url) == "https://api.github.com/users/octocat"
    assert sent.headers["Authorization"] == "Bearer the-github_token"
    assert sent.headers["Accept"] == "application/vnd.github+json"
    assert sent.headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert [key("github/users", line) for line in ("@Octocat", "dependabot[bot]", "https://github.com/octocat/")] == [
        "octocat",
        "dependabot[bot]",
        "octocat",
    ]
    assert key("github/users", "octocat/Hello-World") is None


def test_hacker_news_says_null_for_what_is_not_there() -> None:
    """One item a call; a deleted one is marked."""
    assert asked("hackernews/items", "8863") == ("https://hacker-news.firebaseio.com/v0/item/8863.json", [])
    story = {"by": "dhouston", "descendants": 71, "id": 8863, "score": 111, "title": "a", "type": "story"}
    assert sorted_out("hackernews/items", "8863", body=story) == ({"8863": "8863"}, {}, ())
    assert sorted_out("hackernews/items", "8863", body=None) == ({}, {"8863": "unknown"}, ())
    deleted = {"deleted": True, "id": 8863, "time": 1, "type": "comment"}
    assert sorted_out("hackernews/items", "8863", body=deleted) == ({}, {"8863": "deleted"}, ())
    assert key("hackernews/items", "https://news.ycombinator.com/item?id=8863") == "8863"
    assert isinstance(answered("hackernews/items", "8863", status=401, body={"error": "Permission denied"}), Denied)
    assert waits(429, {})
