"""What the stand-in API says of an ID."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.rehearsal.posts import NO_FAULTS, Fate, Faults, Reply, World

FIRST = 1511524316483141632
IDS = tuple(str(FIRST + step * 7919) for step in range(20_000))
NAMED = Faults(
    deleted=frozenset({"1", "11"}),
    protected=frozenset({"2"}),
    suspended=frozenset({"3"}),
    absent=frozenset({"4"}),
    poison=frozenset({"5"}),
    bad=frozenset({"6"}),
    spoilt=frozenset({"9"}),
    other=0.0,
)


def body(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


@given(st.from_regex(r"[0-9]{1,19}", fullmatch=True))
def test_a_post_is_the_same_in_every_world(key: str) -> None:
    """The same ID always gives the same post of about real size, its ID as text."""
    post = World(NO_FAULTS).post(key)
    assert post == World(Faults(other=0.0)).post(key)
    assert post.id == key
    assert 300 <= len(msgspec.json.encode(post)) + 2 * 2 * (19 - len(key)) <= 600


def test_a_post_was_made_when_its_snowflake_says() -> None:
    """The date is that of the ID."""
    made = World(NO_FAULTS).post("1212092628029698048").created_at
    assert made.startswith("2019-12-31T19:26:16.")
    assert made.endswith("Z")


def test_fates_come_by_their_shares() -> None:
    """Each fate is given to its declared share of IDs, to half a percent."""
    faults = Faults(poison=0.02, bad=0.02)
    counts = Counter(map(World(faults).fate, IDS))
    for fate in set(Fate) - {Fate.FOUND}:
        assert counts[fate] / len(IDS) == pytest.approx(getattr(faults, fate), abs=0.005)
    assert counts[Fate.FOUND] / len(IDS) == pytest.approx(0.84, abs=0.01)


@pytest.mark.parametrize(
    ("step", "fate"),
    [(0, Fate.FOUND), (4, Fate.DELETED), (7, Fate.PROTECTED), (93, Fate.SUSPENDED), (144, Fate.ABSENT)],
)
def test_a_fate_is_the_same_in_every_process(step: int, fate: Fate) -> None:
    """No start, seed or machine changes what becomes of an ID."""
    assert World(Faults()).fate(str(FIRST + step)) is fate


def test_shares_of_more_than_all_ids_are_refused() -> None:
    """Faults that cannot be are an error, not a surprise."""
    with pytest.raises(ValueError, match="at most 1"):
        World(Faults(deleted=0.7, absent=0.4))


def test_a_partial_answer_has_data_and_errors() -> None:
    """What is there is in `data`, in the order asked; what is gone is in `errors`, in X's words."""
    answer = World(NAMED).many(("7", "1", "8", "2", "3", "4"))
    assert answer.status == 200
    assert [post["id"] for post in body(answer)["data"]] == ["7", "8"]
    deleted, protected, suspended = body(answer)["errors"]
    assert deleted == {
        "value": "1",
        "detail": "Could not find tweet with ids: [1].",
        "title": "Not Found Error",
        "resource_type": "tweet",
        "parameter": "ids",
        "resource_id": "1",
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    }
    assert (protected["resource_id"], suspended["resource_id"]) == ("2", "3")
    assert {error["type"].rpartition("/")[2] for error in (protected, suspended)} == {"not-authorized-for-resource"}
    assert protected["section"] == "data"


def test_an_absent_id_is_left_out_without_a_word() -> None:
    """Neither in `data` nor in `errors`, in a pack and alone."""
    assert [post["id"] for post in body(World(NAMED).many(("4", "7")))["data"]] == ["7"]
    assert "errors" not in body(World(NAMED).many(("4", "7")))
    assert body(World(NAMED).many(("4",))) == {}
    assert body(World(NAMED).one("4")) == {}


def test_when_all_are_gone_there_is_no_data_key() -> None:
    """200 with `errors` only."""
    assert set(body(World(NAMED).many(("1", "11")))) == {"errors"}


def test_one_post_asked_alone_is_no_list() -> None:
    """A single lookup has an object in `data`, and its errors speak of `id`."""
    assert body(World(NAMED).one("7"))["data"]["id"] == "7"
    assert body(World(NAMED).one("1"))["errors"][0]["parameter"] == "id"
    assert World(NAMED).one("1").status == 200
    assert World(NAMED).one("1", missing=404).status == 404


def test_an_id_given_twice_is_answered_once() -> None:
    """A repeat in a list adds nothing."""
    assert [post["id"] for post in body(World(NAMED).many(("7", "7")))["data"]] == ["7"]


def test_errors_may_speak_of_objects_that_nobody_asked_for() -> None:
    """A found post can bring an error about a post that it replied to."""
    answer = body(World(Faults(deleted=0.0, protected=0.0, suspended=0.0, absent=0.0, other=1.0)).many(IDS[:3]))
    assert len(answer["data"]) == 3
    assert [error["parameter"] for error in answer["errors"]] == ["referenced_tweets.id"] * 3
    replied_to = [post["referenced_tweets"][0]["id"] for post in answer["data"]]
    assert [error["resource_id"] for error in answer["errors"]] == replied_to


def test_authors_come_once_each_when_wanted() -> None:
    """`includes.users` holds exactly the authors of the found posts."""
    answer = body(World(NAMED).many(("7", "8", "1"), authors=True))
    users = [user["id"] for user in answer["includes"]["users"]]
    assert sorted(users) == sorted({post["author_id"] for post in answer["data"]})
    assert "includes" not in body(World(NAMED).many(("7",)))
    assert "includes" not in body(World(NAMED).many(("1",), authors=True))


@pytest.mark.parametrize("key", ["NA", "", "1" * 20, "-1", "١", "1\n"])
def test_an_id_of_the_wrong_form_spoils_the_call(key: str) -> None:
    """400 in X's words, and nothing of the pack comes back."""
    answer = World(NAMED).many(("7", key))
    assert answer.status == 400
    assert set(body(answer)) == {"errors", "title", "detail", "type"}
    error = body(answer)["errors"][0]
    assert error["message"] == f"The `ids` query parameter value [{key}] does not match ^[0-9]{{1,19}}$"
    assert error["parameters"] == {"ids": [f"7,{key}"]}
    assert World(NAMED).one(key).status == 400


def test_a_bad_id_of_the_right_form_spoils_the_call() -> None:
    """400 for the pack and alone."""
    assert World(NAMED).many(("7", "6")).status == 400
    assert World(NAMED).one("6").status == 400


def test_more_than_a_hundred_ids_are_refused() -> None:
    """100 are answered, 101 are a 400."""
    assert World(NO_FAULTS).many(IDS[:100]).status == 200
    assert World(NO_FAULTS).many(IDS[:101]).status == 400


def test_a_poisonous_id_spoils_the_call() -> None:
    """500 for the pack and alone."""
    assert World(NAMED).many(("7", "5")).status == 500
    assert World(NAMED).one("5").status == 500


def test_an_id_can_spoil_a_call_in_a_good_answer() -> None:
    """200 for the pack and alone, with an error that names nobody, and nothing of the pack comes back."""
    for answer in (World(NAMED).many(("7", "9")), World(NAMED).one("9")):
        assert (answer.status, set(body(answer))) == (200, {"errors"})
        assert "resource_id" not in body(answer)["errors"][0]
