"""X's lists over the wire: each item once, whatever the pages are like."""

import pytest

from collector.rehearsal.users import Count, name_of

from .wire import crowded, joined, pages, serving, told

SEED = "12"


@pytest.mark.parametrize("what", ["followers", "following"])
async def test_a_list_of_users_gives_all_of_them_once(what: str) -> None:
    """In the order that the world tells, over short pages and empty ones."""
    settings = crowded(**{what: Count(of={SEED: 2_345})}, short=0.3, empty=0.2)
    async with serving(settings) as (api, session):
        found = await pages(session, f"/2/users/{SEED}/{what}", {"max_results": "100"})
        expected = api.world.users.followers(SEED) if what == "followers" else api.world.users.following(SEED)
        assert joined(found) == list(expected)
        assert {0, 100} < {len(page) for page in found}
        assert api.verdicts.total == len(found)
        assert api.usage.items == 2_345 == sum(verdict.items for verdict in api.verdicts)


async def test_a_list_of_a_million_can_be_entered_at_once() -> None:
    """The most a page holds, and the default; nobody's list is one empty page."""
    settings = crowded(followers=Count(of={SEED: 1_000_000, "13": 0}), short=0.0, empty=0.0)
    async with serving(settings) as (_, session):
        _, most = await told(session, f"/2/users/{SEED}/followers", max_results="1000")
        _, usual = await told(session, f"/2/users/{SEED}/followers")
        assert (len(most["data"]), len(usual["data"])) == (1_000, 100)
        assert (await told(session, "/2/users/13/followers"))[1] == {"meta": {"result_count": 0}}


async def test_a_timeline_gives_each_post_once_by_its_author() -> None:
    """All the posts that the world tells of, newest first; those before and after an ID too."""
    async with serving(crowded(posts=Count(of={SEED: 317}), short=0.3, empty=0.2)) as (api, session):
        path, posts = f"/2/users/{SEED}/tweets", list(api.world.users.posts(SEED))
        assert joined(await pages(session, path, {"max_results": "50"})) == posts
        _, body = await told(session, path, max_results="5", expansions="author_id")
        if body.get("data"):
            assert {post["author_id"] for post in body["data"]} == {SEED}
            assert [user["id"] for user in body["includes"]["users"]] == [SEED]
            assert body["meta"]["newest_id"] == posts[0]
        bounds = {"max_results": "100", "since_id": posts[300], "until_id": posts[20]}
        assert joined(await pages(session, path, bounds)) == posts[21:300]


async def test_the_replies_to_a_user_are_searched_for() -> None:
    """By name and by number, paged by either parameter; each answers a post of the user."""
    async with serving(crowded(replies=Count(of={SEED: 123}), posts=Count(5, 5), short=0.2)) as (api, session):
        expected = list(api.world.users.replies(SEED))
        for user, to in ((SEED, "next_token"), (name_of(SEED), "pagination_token")):
            params = {"query": f"to:{user} is:reply", "max_results": "20"}
            assert joined(await pages(session, "/2/tweets/search/recent", params, to)) == expected
        assert {verdict.ids for verdict in api.verdicts} == {(SEED,), (name_of(SEED),)}
        reply = api.world.reply_to(SEED, expected[0])
        assert reply.in_reply_to_user_id == SEED
        assert reply.referenced_tweets[0]["id"] in api.world.users.posts(SEED)


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("tweets/search/recent", {"query": "from:somebody"}, "Reference to invalid operator 'from'"),
        ("tweets/search/recent", {"query": "cats"}, "There were errors processing your request"),
        ("tweets/search/recent", {}, "is not between 1 and 512 characters"),
        ("tweets/search/recent", {"query": f"to:{'1' * 505} is:reply"}, "is not between 1 and 512 characters"),
        ("tweets/search/recent", {"query": "to:1 is:reply", "max_results": "9"}, "is not between 10 and 100"),
        ("users/12/followers", {"max_results": "1001"}, "is not between 1 and 1000"),
        ("users/12/followers", {"max_results": "many"}, "value [many] is not between"),
        ("users/12/tweets", {"max_results": "4"}, "is not between 5 and 100"),
        ("users/12/followers", {"next_token": "0123456789abcdef"}, "The query parameter [next_token] is not one of"),
        ("users/12/followers", {"pagination_token": "0123456789abcdef"}, "is not a valid token"),
        ("users/x/followers", {}, "value [x] does not match ^[0-9]{1,19}$"),
    ],
)
async def test_what_x_does_not_take_is_an_invalid_request(path: str, params: dict[str, str], message: str) -> None:
    """400 in X's words, with the parameter and its value."""
    async with serving(crowded()) as (_, session):
        status, body = await told(session, f"/2/{path}", **params)
    assert (status, body["title"]) == (400, "Invalid Request")
    assert message in body["errors"][0]["message"]
    assert body["type"].endswith("/invalid-request")


async def test_users_are_looked_up_over_the_wire() -> None:
    """By IDs, by names, and one by either; the log tells who was asked for."""
    async with serving(crowded(suspended=frozenset({"13"}))) as (api, session):
        asked: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
            ("/2/users", {"ids": "12,13"}, ("12", "13")),
            ("/2/users/by", {"usernames": "u_12,u_13"}, ("u_12", "u_13")),
            ("/2/users/12", {}, ("12",)),
            ("/2/users/by/username/u_12", {}, ("u_12",)),
        )
        for path, params, ids in asked:
            status, body = await told(session, path, **params)
            assert status == 200
            found = body["data"] if isinstance(body["data"], list) else [body["data"]]
            assert [user["username"] for user in found] == ["u_12"]
            assert [verdict.ids for verdict in api.verdicts][-1] == ids
        assert len({verdict.route for verdict in api.verdicts}) == 4


async def test_the_log_tells_where_in_a_list_each_request_went_on() -> None:
    """No cursor on the first page, and then the token that the page before gave."""
    async with serving(crowded(followers=Count(of={SEED: 250}), short=0.0, empty=0.0)) as (api, session):
        await pages(session, f"/2/users/{SEED}/followers", {})
        verdicts = list(api.verdicts)
    assert [verdict.route for verdict in verdicts] == ["/2/users/{id}/followers"] * 3
    assert [verdict.ids for verdict in verdicts] == [(SEED,)] * 3
    assert verdicts[0].cursor == ""
    assert len({verdict.cursor for verdict in verdicts}) == 3
    assert all(verdict.cursor in verdict.uri for verdict in verdicts)
