"""What the stand-in API says of users."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rehearsal.fates import Fate
from collector.rehearsal.posts import NO_FAULTS, World
from collector.rehearsal.reply import Reply
from collector.rehearsal.users import NEWEST, Count, People, Users, id_of, name_of

NAMED = People(
    deleted=frozenset({"1"}),
    protected=frozenset({"2"}),
    suspended=frozenset({"3"}),
    absent=frozenset({"4"}),
    poison=frozenset({"5"}),
    bad=frozenset({"6"}),
    spoilt=frozenset({"8"}),
    followers=Count(0, 300, {"7": 12, "0": 0}),
    posts=Count(0, 50, {"7": 5_000}),
    replies=Count(3, 3),
)


def body(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


@given(st.integers(0, 10**19 - 1))
def test_a_name_leads_back_to_its_user(number: int) -> None:
    """Every ID has a name of X's form, in any case, and of each name one ID is known."""
    name = name_of(str(number))
    assert id_of(name.upper()) == str(number)
    assert 1 <= len(name) <= 15


@given(st.from_regex(r"[A-Za-z0-9_]{1,15}", fullmatch=True))
def test_any_name_is_somebodys(name: str) -> None:
    """A name that is not one of ours leads to some user, always the same."""
    assert id_of(name) == id_of(name.swapcase())
    assert Users(People()).fate(id_of(name)) is Fate.FOUND


def test_a_pack_of_users_is_answered_as_their_fates_say() -> None:
    """A protected user's profile is there; a suspended one is told in other words than a deleted one."""
    answer = Users(NAMED).many(("7", "1", "2", "3", "4"))
    assert answer.items == 2
    assert [(user["id"], user["protected"]) for user in body(answer)["data"]] == [("7", False), ("2", True)]
    deleted, suspended = body(answer)["errors"]
    assert deleted == {
        "value": "1",
        "detail": "Could not find user with ids: [1].",
        "title": "Not Found Error",
        "resource_type": "user",
        "parameter": "ids",
        "resource_id": "1",
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }
    assert (suspended["title"], suspended["detail"]) == ("Forbidden", "User has been suspended: [3].")


def test_users_are_found_by_name() -> None:
    """The same users, and errors that speak of names."""
    answer = body(Users(NAMED).named(("u_7", "U_1")))
    assert [user["id"] for user in answer["data"]] == ["7"]
    assert (answer["errors"][0]["parameter"], answer["errors"][0]["resource_id"]) == ("usernames", "U_1")
    assert body(Users(NAMED).one_named("u_7"))["data"] == answer["data"][0]
    assert Users(NAMED).named(("u_7", "a b")).status == 400
    assert Users(NAMED).one_named("a-b").status == 400


@pytest.mark.parametrize(("key", "status"), [("5", 500), ("6", 400), ("NA", 400), ("8", 200)])
def test_one_user_can_spoil_a_pack(key: str, status: int) -> None:
    """500, 400, or a 200 that holds an error and names nobody; by ID, by name, alone and for its lists."""
    users = Users(NAMED)
    answers = [users.many(("7", key)), users.one(key), users.hidden(key)]
    answers += [users.named(("u_7", f"u_{key}"))] if key.isdigit() else []
    for answer in answers:
        assert answer is not None
        assert (answer.status, answer.items) == (status, 0)
        assert "data" not in body(answer)
    assert key not in answers[-1].body.decode() if status == 200 and answers[-1] else True


def test_lists_of_hidden_users_are_refused_in_words_of_id() -> None:
    """Deleted, protected, suspended: `errors` with the parameter `id`, as a 200 or a 404; absent: nothing."""
    users = Users(NAMED)
    for key, word in (("1", "resource-not-found"), ("2", "not-authorized-for-resource"), ("3", "resource-not-found")):
        answer = users.hidden(key)
        assert answer is not None
        assert answer.status == 200
        error = body(answer)["errors"][0]
        assert (error["parameter"], error["resource_id"]) == ("id", key)
        assert error["type"].endswith(word)
        missing = users.hidden(key, missing=404)
        assert missing is not None
        assert missing.status == 404
    assert body(users.hidden("4") or Reply(0, b"0")) == {}
    assert users.hidden("7") is None


def test_what_a_user_has_is_declared() -> None:
    """By ID, or between two numbers; posts as far back as X's list goes; a hidden user's lists hold nothing."""
    world = World(NO_FAULTS, NAMED)
    assert (len(world.users.followers("7")), len(world.users.followers("0"))) == (12, 0)
    assert len(world.users.posts("7")) == NEWEST
    assert len(world.users.replies("9")) == 3
    assert 0 <= len(world.users.following("9")) <= 100
    for hidden in "1234568":
        assert not world.users.followers(hidden)
        assert not world.users.posts(hidden)
    metrics = world.users.user("7").public_metrics
    assert (metrics["followers_count"], metrics["tweet_count"]) == (12, 5_000)


def test_users_and_posts_of_one_number_have_fates_of_their_own() -> None:
    """What becomes of a post says nothing of the user with the same number."""
    world = World(NO_FAULTS, People(deleted=1.0))
    assert (world.fate("7"), world.users.fate("7")) == (Fate.FOUND, Fate.DELETED)


def test_too_many_users_are_refused() -> None:
    """100 are answered, 101 are a 400, by ID and by name."""
    keys = tuple(str(number) for number in range(100, 201))
    users = Users(People())
    assert [users.many(keys[:100]).status, users.many(keys).status] == [200, 400]
    assert users.named(tuple(map(name_of, keys))).status == 400
