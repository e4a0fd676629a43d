"""The published contracts of X, Bluesky, Mastodon and Reddit, with answers in the shapes that were recorded."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.sources.contracts import Asked, Contract, Value, ids, number, some_of, text

TOKEN = "7140dibdnow9c7btw3w29grvxfcgvpb9n9coehpk7xz5i"  # as long as X's are
TIME = text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

# X: github.com/xdevplatform/docs, openapi.json, 2.168.

X_ID, X_NAME = "[0-9]{1,19}", "[A-Za-z0-9_]{1,15}"
X_AUTH = {"Authorization": r"Bearer \S+"}
POST_FIELDS = some_of(
    "article article_title attachments card_uri community_id context_annotations conversation_id created_at"
    " display_text_range edit_controls entities geo id lang matched_media_notes media_metadata non_public_metrics"
    " note_post note_request_suggestions organic_metrics paid_partnership possibly_sensitive promoted_metrics"
    " public_metrics reply_settings scopes source suggested_source_links suggested_source_links_with_counts"
    " text withheld"
)
POST_EXPANSIONS = some_of(
    "article.cover_media article.media_entities attachments.media_keys attachments.media_source_tweet"
    " attachments.poll_ids author_id edit_history_post_ids entities.mentions.username geo.place_id in_reply_to_user_id"
    " referenced_posts username"
)
USER_FIELDS = some_of(
    "confirmed_email connection_status created_at description entities id is_identity_verified location name parody"
    " profile_banner_url profile_image_url protected public_metrics receives_your_dm subscriber_count subscribes_to_you"
    " subscription subscription_type url username verified verified_followers_count verified_type withheld"
)
MEDIA_FIELDS = some_of(
    "alt_text duration_ms height media_key non_public_metrics organic_metrics preview_image_url promoted_metrics"
    " public_metrics type url variants width"
)
OF_POSTS = {
    "post.fields": POST_FIELDS,
    "expansions": POST_EXPANSIONS,
    "user.fields": USER_FIELDS,
    "media.fields": MEDIA_FIELDS,
    "poll.fields": some_of("duration_minutes end_datetime id options voting_status"),
    "place.fields": some_of("contained_within country country_code full_name geo id name place_type"),
}
OF_USERS = {
    "user.fields": USER_FIELDS,
    "expansions": some_of("affiliation most_recent_post_id pinned_post_id"),
    "post.fields": POST_FIELDS,
}
SINCE = {"start_time": TIME, "end_time": TIME, "since_id": text(X_ID), "until_id": text(X_ID)}


def post(number: str) -> dict[str, Any]:
    return {"id": number, "text": "hello", "author_id": "12", "edit_history_post_ids": [number]}


def user(number: str, name: str = "Somebody") -> dict[str, Any]:
    return {"id": number, "name": "Somebody", "username": name}


def looked_up(found: Sequence[Mapping[str, Any]], asked: Asked) -> dict[str, Any]:
    """With the authors beside the posts, where they are wanted."""
    return {"data": found} | ({"includes": {"users": [user("12")]}} if "expansions" in asked else {})


def paged(first: Sequence[Any], second: Sequence[Any], asked: Asked, parameter: str) -> dict[str, Any]:
    data = second if parameter in asked else first
    following = {} if parameter in asked else {"next_token": TOKEN}
    return looked_up(data, asked) | {"meta": {"result_count": len(data)} | following}


def x(path: str, answer: Any, query: Mapping[str, Value], **places: Value) -> Contract:
    return Contract("X's OpenAPI 2.168", path, answer, places=places, headers=X_AUTH, query=query)


def x_list(
    path: str, kind: Any, low: int, high: int, token: str, query: Mapping[str, Value], **places: Value
) -> Contract:
    """Two pages; its token is the one that it gave."""
    pages = {"max_results": number(low, high), token: text(TOKEN)}
    return x(
        path, lambda asked: paged([kind("1"), kind("2")], [kind("3")], asked, token), pages | dict(query), **places
    )


X = (
    x(
        "/2/tweets",
        lambda asked: looked_up([post(number) for number in asked["ids"]], asked),
        {"ids": ids(X_ID, 100)} | OF_POSTS,
    ),
    x_list(
        "/2/tweets/search/recent",
        post,
        10,
        100,
        "next_token",
        {"query": text(".{1,4096}", required=True), "sort_order": text("recency|relevancy")} | SINCE | OF_POSTS,
    ),
    x("/2/tweets/{id}", lambda asked: {"data": post(asked["id"][0])}, OF_POSTS, id=text(X_ID)),
    x(
        "/2/users",
        lambda asked: {"data": [user(number) for number in asked["ids"]]},
        {"ids": ids(X_ID, 100)} | OF_USERS,
    ),
    x(
        "/2/users/by",
        lambda asked: {"data": [user("1", name.upper()) for name in asked["usernames"]]},
        {"usernames": ids(X_NAME, 100)} | OF_USERS,
    ),
    x_list("/2/users/{id}/followers", user, 1, 1000, "pagination_token", OF_USERS, id=text(X_ID)),
    x_list("/2/users/{id}/following", user, 1, 1000, "pagination_token", OF_USERS, id=text(X_ID)),
    x_list(
        "/2/users/{id}/tweets",
        post,
        5,
        100,
        "pagination_token",
        {"exclude": some_of("replies retweets")} | SINCE | OF_POSTS,
        id=text(X_ID),
    ),
)

# Bluesky: the lexicons in @atproto/api 0.19, the formats of @atproto/syntax 0.5.

LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
HANDLE = rf"(?=.{{1,253}}\Z)(?:{LABEL}\.)+[a-zA-Z](?:[a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?"
DID = r"(?=.{1,2048}\Z)did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]"
AT_URI = r"at://(?=[^/]{1,2048}/)did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]/app\.bsky\.feed\.post/(?!\.\.?\Z)[a-zA-Z0-9_~.:-]{1,512}"
ACTOR = text(f"(?:{DID})|(?:{HANDLE})", required=True)
BLUESKY_PAGES = {"limit": number(1, 100), "cursor": text("3l6a::bafy/x y")}


def bluesky(method: str, answer: Any, query: Mapping[str, Value]) -> Contract:
    return Contract("the lexicon", f"/xrpc/{method}", answer, query=query)


def bluesky_page(name: str, items: Sequence[Any], asked: Asked) -> dict[str, Any]:
    page = {name: items[2:] if "cursor" in asked else items[:2]}
    return page if "cursor" in asked else page | {"cursor": "3l6a::bafy/x y"}


BLUESKY = (
    bluesky(
        "app.bsky.feed.getPosts",
        lambda asked: {"posts": [{"uri": uri, "cid": "bafy", "record": {"text": "a"}} for uri in asked["uris"]]},
        {"uris": ids(AT_URI, 25, joiner="")},
    ),
    bluesky(
        "app.bsky.actor.getProfiles",
        lambda asked: {"profiles": [{"did": did, "handle": "a.example"} for did in asked["actors"]]},
        {"actors": ids(f"(?:{DID})|(?:{HANDLE})", 25, joiner="")},
    ),
    bluesky(
        "app.bsky.graph.getFollowers",
        lambda asked: {"subject": {}} | bluesky_page("followers", [{"did": f"did:plc:{n}"} for n in "123"], asked),
        {"actor": ACTOR} | BLUESKY_PAGES,
    ),
    bluesky(
        "app.bsky.feed.getAuthorFeed",
        lambda asked: bluesky_page(
            "feed", [{"post": {"uri": f"at://did:plc:a/app.bsky.feed.post/{n}"}} for n in "123"], asked
        ),
        {"actor": ACTOR, "filter": text(r"posts_\w+"), "includePins": text("true|false")} | BLUESKY_PAGES,
    ),
)

# Mastodon: docs.joinmastodon.org, methods/statuses and methods/accounts; 422 for more IDs than 20 is its source's.

MASTODON = (
    Contract(
        "docs.joinmastodon.org, View multiple statuses",
        "/api/v1/statuses",
        lambda asked: [{"id": number, "content": "<p>a</p>"} for number in asked["id[]"]],
        query={"id[]": ids("[0-9]+", 20, joiner="")},
        status=422,
    ),
    Contract(
        "docs.joinmastodon.org, Get account's followers",
        "/api/v1/accounts/{id}/followers",
        lambda asked: [{"id": number, "acct": "a"} for number in ("3" if "max_id" in asked else "12")],
        places={"id": text("[0-9]+")},
        query={"limit": number(1, 80), **{name: text("[0-9]+") for name in ("max_id", "since_id", "min_id")}},
        link=lambda asked: (
            None if "max_id" in asked else f"/api/v1/accounts/{asked['id'][0]}/followers?limit=80&max_id=77"
        ),
    ),
)

# Reddit: reddit.com/dev/api and the rules for API clients; `limit` is no part of the document, see the preset.

REDDIT_AGENT = {"User-Agent": r"[\w.-]+:[\w.-]+:v[\w.-]+ \(by /u/[A-Za-z0-9_-]{3,20}\)"}
REDDIT = (
    Contract(
        "OAuth2, application only",
        "/api/v1/access_token",
        lambda _: {"access_token": "t0ken", "token_type": "bearer", "expires_in": 86_400, "scope": "*"},
        method="POST",
        headers={"Authorization": r"Basic [A-Za-z0-9+/=]+"},
        form={"grant_type": text("client_credentials", required=True), "scope": text(r"[\w ]+")},
    ),
    Contract(
        "reddit.com/dev/api, GET_api_info",
        "/api/info",
        lambda asked: {
            "kind": "Listing",
            "data": {"children": [{"kind": name[:2], "data": {"name": name}} for name in asked["id"]], "after": None},
        },
        headers=REDDIT_AGENT | {"Authorization": "Bearer t0ken"},
        query={"id": ids("t[135]_[0-9a-z]{1,13}", 100), "limit": number(1, 100), "raw_json": text("1")},
    ),
)

SOCIAL: Mapping[str, Sequence[Contract]] = {"x": X, "bluesky": BLUESKY, "mastodon": MASTODON, "reddit": REDDIT}
