"""Page tokens, and how they end."""

from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from collector.rehearsal.cursors import Cursors, Lifetime
from collector.rehearsal.posts import NO_FAULTS
from collector.rehearsal.seal import Seal
from collector.rehearsal.users import Count, People

from .wire import Turned, quiet, serving, told

PATH = "/2/users/12/followers"
MANY = People(followers=Count(1_000, 1_000), short=0.0, empty=0.0)


@given(st.binary(max_size=100), st.integers())
def test_a_sealed_text_opens_for_its_own_seal_only(content: bytes, seed: int) -> None:
    """Content comes back whole; another seed, purpose or letter makes it foreign."""
    text = Seal(seed, "page").close(content)
    assert Seal(seed, "page").open(text) == content
    assert Seal(seed, "page").open(("1" if text[0] == "0" else "0") + text[1:]) is None
    assert Seal(seed, "access").open(text) is None
    assert Seal(seed + 1, "page").open(text) is None


@given(st.text(max_size=40))
def test_any_text_may_come_as_a_token(text: str) -> None:
    """What is not ours is refused, whatever it is."""
    assert Cursors(Lifetime(), 0, Turned()).take(text, "followers 12") is None


def test_a_token_is_for_one_list_and_outlives_the_process() -> None:
    """Another server of the same seed takes it; for another list it is foreign."""
    clock = Turned()
    token = Cursors(Lifetime(), 3, clock).give("followers 12", 900, rested=True)
    again = Cursors(Lifetime(), 3, clock)
    place = again.take(token, "followers 12")
    assert place is not None
    assert (place.at, place.rested) == (900, True)
    assert again.take(token, "followers 13") is None
    assert Cursors(Lifetime(), 4, clock).take(token, "followers 12") is None


def test_a_token_ends_by_age_by_use_or_by_order() -> None:
    """After so many seconds, after so many uses, or when all are ended; those given later hold."""
    clock = Turned()
    aged = Cursors(Lifetime(age=30.0), 0, clock)
    used = Cursors(Lifetime(uses=2), 0, clock)
    old, worn = aged.give("a", 1, rested=False), used.give("a", 1, rested=False)
    assert [used.take(worn, "a") is None for _ in range(3)] == [False, False, True]
    clock.now = 29.0
    assert aged.take(old, "a")
    clock.now = 30.0
    assert aged.take(old, "a") is None
    young = aged.give("a", 1, rested=False)
    aged.expire()
    assert aged.take(young, "a") is None
    assert aged.take(aged.give("a", 1, rested=False), "a")


def test_stale_tokens_come_by_their_share_and_again_in_the_same_order() -> None:
    """A quarter of them is refused from the first and for ever; the seed decides which."""
    runs = []
    for seed in (5, 5, 6):
        cursors = Cursors(Lifetime(stale=0.25), seed, Turned())
        tokens = [cursors.give("a", number, rested=False) for number in range(400)]
        refused = [cursors.take(token, "a") is None for token in tokens]
        assert refused == [cursors.take(token, "a") is None for token in tokens]
        runs.append(refused)
    assert runs[0] == runs[1] != runs[2]
    assert 70 <= sum(runs[0]) <= 130


async def first_token(session: aiohttp.ClientSession) -> str:
    _, body = await told(session, PATH)
    token: str = body["meta"]["next_token"]
    return token


async def test_an_expired_token_is_an_invalid_request() -> None:
    """400 that names the parameter and the token, and the list can be begun anew."""
    clock = Turned()
    async with serving(quiet(people=MANY, tokens=Lifetime(age=60.0)), clock) as (_, session):
        token = await first_token(session)
        assert (await told(session, PATH, pagination_token=token))[0] == 200
        clock.now = 60.0
        status, body = await told(session, PATH, pagination_token=token)
        message = f"The `pagination_token` query parameter value [{token}] is not a valid token"
        assert (status, body["errors"]) == (400, [{"parameters": {"pagination_token": [token]}, "message": message}])
        assert (await told(session, PATH, pagination_token=await first_token(session)))[0] == 200


async def test_a_token_goes_on_at_the_next_server() -> None:
    """A server of the same seed on another port takes up the list where the first one left it."""
    async with serving(quiet(people=MANY)) as (_, session):
        token = await first_token(session)
        _, there = await told(session, PATH, pagination_token=token)
    async with serving(quiet(people=MANY)) as (_, session):
        _, here = await told(session, PATH, pagination_token=token)
    assert here["data"] == there["data"]


@pytest.mark.parametrize("path", ["/2/users/13/followers", "/2/users/12/following", "/2/users/12/tweets"])
async def test_a_token_of_another_list_is_refused(path: str) -> None:
    """Another user's, or the same user's for something else."""
    async with serving(quiet(people=MANY)) as (_, session):
        status, body = await told(session, path, pagination_token=await first_token(session))
        assert (status, said(body)) == (400, "invalid-request")


def said(body: Any) -> str:
    word: str = body["type"].rpartition("/")[2]
    return word


async def test_an_answer_lost_on_the_way_has_used_its_token() -> None:
    """The server counted the use and the items, though nobody got them."""
    lossy = structs.replace(NO_FAULTS, lost=1.0)
    async with serving(quiet(people=MANY)) as (_, session):
        token = await first_token(session)
    async with serving(quiet(people=MANY, tokens=Lifetime(uses=1), faults=lossy)) as (api, session):
        with pytest.raises(aiohttp.ClientConnectionError):
            await told(session, PATH, pagination_token=token)
        assert next(iter(api.verdicts)).items == api.usage.items == 100
        assert api.cursors.take(token, "followers 12") is None
