"""What an answer means by the operator's word."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sources.answer import (
    Answer,
    Denied,
    Faulty,
    Good,
    Missing,
    Reading,
    Refused,
    Stopped,
    Unreadable,
    read,
    rule,
)
from collector.sources.rules import Do
from collector.sources.spec import Spec


def spec(*on: dict[str, Any], **keys: Any) -> Spec:
    return Spec.model_validate({"url": "https://api.example/?ids={ids}", "pack": 9, "on": on, **keys})


def answer(body: object, status: int = 200) -> Answer:
    return Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode(), 0.1)


def asked(
    on: dict[str, Any], body: object, status: int = 200, keys: tuple[str, ...] = ("1", "2"), **more: Any
) -> Reading:
    return read(spec(on, **more), keys, answer(body, status))


LAG = {"error": {"code": "maxlag", "info": "Waiting"}}


@pytest.mark.parametrize(
    ("on", "fits"),
    [
        ({"status": 200}, True),
        ({"status": 429}, False),
        ({"at": "error.code"}, True),
        ({"at": "error.none"}, False),
        ({"at": "error.code", "match": "^max"}, True),
        ({"at": "error.code", "match": "^lag"}, False),
        ({"at": "error", "match": '"info":"Wait'}, True),
        ({"match": "Waiting"}, True),
        ({"match": "waiting"}, False),
        ({"status": 200, "at": "error.code", "match": "lag$"}, True),
        ({"status": 503, "at": "error.code"}, False),
        ({"at": "length(error.code)"}, True),
        ({"at": "sum(error.code)"}, False),
    ],
)
def test_a_rule_fits_where_all_that_it_says_is_so(on: dict[str, Any], fits: bool) -> None:
    """Status, something at a path, and a text found there, or anywhere."""
    assert rule(spec(on | {"do": "wait"}), answer(LAG)) == (Do.WAIT if fits else None)


def test_the_first_rule_that_fits_wins() -> None:
    """Their order is the operator's."""
    rules: list[dict[str, Any]] = [
        {"status": 404, "do": "gone"},
        {"match": "b", "do": "stop"},
        {"status": 200, "do": "wait"},
    ]
    assert rule(spec(*rules), answer({"a": 1})) is Do.WAIT
    assert rule(spec(*rules), answer({"b": 1})) is Do.STOP
    assert rule(spec(), answer({"b": 1})) is None


@pytest.mark.parametrize("body", [b"", b"<html>busy", b'{"a": ', b"\xff", b"[" * 100_000, b"null"])
def test_a_body_that_is_no_json_fits_no_path(body: bytes) -> None:
    """Nor does it raise; its text can still be searched."""
    assert rule(spec({"at": "a", "do": "stop"}, {"at": "@", "do": "stop"}), answer(body)) is None
    assert rule(spec({"match": "busy", "do": "wait"}), answer(body)) is (Do.WAIT if b"busy" in body else None)


def test_what_a_rule_does() -> None:
    """Each of the six, with the API's word and its own texts."""
    at = {"at": "error.code"}
    said = "maxlag", '{"error": {"code": "maxlag", "info": "Waiting"}}'
    assert asked(at | {"do": "retry"}, LAG) == Faulty(*said)
    assert asked(at | {"do": "wait"}, LAG) == Faulty(*said)
    assert asked(at | {"do": "split"}, LAG) == Refused(200, *said)
    assert asked(at | {"do": "stop"}, LAG) == Stopped(*said)
    gone = asked(at | {"do": "gone"}, LAG, keys=("1",), reasons={"maxlag": "behind"})
    assert gone == Missing("behind", said[1], sure=True)


def test_what_is_ok_is_read_as_a_200() -> None:
    """Also where it is empty or of another shape: then as such a 200."""
    good = asked({"status": 404, "do": "ok"}, [{"id": "1"}, {"id": "2"}], 404)
    assert isinstance(good, Good)
    assert [*good.found] == ["1", "2"]
    assert asked({"status": 404, "do": "ok"}, b"", 404) == Unreadable("empty", "an answer without a body")


def test_a_split_says_nothing_of_one_id() -> None:
    """There the next rules hold, and then the plain meaning."""
    split = {"status": 500, "do": "split"}
    assert asked(split, {}, 500) == Refused(500, "http-500", "{}")
    assert asked(split, {}, 500, keys=("1",)) == Faulty("http-500", "{}")
    both = spec(split, {"status": 500, "do": "gone"})
    assert read(both, ("1",), answer({}, 500)) == Missing("http-500", "{}", sure=True)
    assert (rule(both, answer({}, 500), ("1",)), rule(both, answer({}, 500), ("1", "2"))) == (Do.GONE, Do.SPLIT)


def test_what_no_rule_fits_means_what_it_always_did() -> None:
    """A rule adds, and takes nothing away."""
    on = {"status": 403, "match": "cap", "do": "stop"}
    assert asked(on, {"detail": "no"}, 403) == Denied(403, "http-403", "no")
    assert asked(on, {"detail": "usage cap"}, 403) == Stopped("http-403", "usage cap")


def test_a_gone_rule_knows_the_word_of_one_id_better() -> None:
    """As for a 404: `gone` says where an answer gives its reason."""
    on = {"status": 403, "do": "gone"}
    reading = asked(
        on, {"errors": [{"code": 64}]}, 403, ("1",), gone={"at": "errors", "why": "code"}, reasons={"64": "suspended"}
    )
    assert reading == Missing("suspended", "64", sure=True)


@given(
    st.binary(max_size=40) | st.sampled_from([b'{"a": "x"}', b'{"a": [1.5, null]}', rb'{"a": "\ud800"}']),
    st.sampled_from(["a", "a[0]", "sum(a)", "@"]),
    st.sampled_from([None, "x", "^$", "1"]),
    st.sampled_from([*Do]),
    st.integers(100, 599),
)
def test_any_answer_can_be_held_against_any_rule(body: bytes, at: str, match: str | None, do: Do, status: int) -> None:
    """It ends in a reading, whatever the rule and the body are."""
    on = {"at": at, "match": match, "do": do}
    assert read(spec(on), ("1",), answer(body, status)) is not None
    assert rule(spec(on), answer(body, status)) in (None, do)
