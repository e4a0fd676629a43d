"""The usual answers, and that they mean what they would mean if they were read with care."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from collector.model import Found
from collector.sources import usual
from collector.sources.answer import Good, _sorted, _with_care
from collector.sources.entries import Asked
from collector.sources.spec import Spec
from collector.sources.tree import CannotTell, decoded

KEYS = ("1", "2", "x")
OWN = st.sampled_from(["1", "2", "x", " 1", "X", "9", "", 1, 2, 1.0, True, None, ["1"], {"id": "1"}])
TEXTS = st.sampled_from(["", "plain", "\N{GRINNING FACE}", "\\ufffd", "\ufffd", "\\", "\0"])
OBJECTS = st.fixed_dictionaries(
    {}, optional={"id": OWN, "a": st.fixed_dictionaries({"id": OWN}), "text": TEXTS, "error": st.booleans()}
)
ITEMS = st.one_of(OBJECTS, st.lists(st.one_of(OBJECTS, st.none(), st.just("1")), max_size=4), st.none())
CUT = b'"\\ud83d"'  # half of an emoji


def written(tree: Any, *, spaced: bool, ascii_only: bool, cut: bool) -> bytes:
    body = json.dumps(tree, indent=1 if spaced else None, ensure_ascii=ascii_only).encode()
    return body.replace(b'"plain"', CUT) if cut else body


def outcome(spec: Spec, keys: tuple[str, ...], body: bytes, *, carefully: bool) -> Good | tuple[str, str]:
    tree, mended = decoded(body)
    try:
        if carefully:
            return _with_care(spec, Asked(spec, keys), tree, mended)
        return _sorted(spec, keys, tree, mended)
    except CannotTell as error:
        return error.reason, error.detail


@given(
    ITEMS,
    st.sampled_from(["", "data", "data.list", "data[]"]),
    st.sampled_from(["id", "a.id", "@key", "@index"]),
    st.sampled_from([("1",), KEYS]),
    st.sampled_from([None, {"at": "errors", "id": "id"}, {"flag": "error"}]),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
@example([{"id": "1"}, {"id": "2"}, {"id": 1, "text": "a"}], "data", "id", KEYS, None, [False] * 4)  # one ID twice
def test_a_usual_answer_means_what_it_means_when_it_is_read_with_care(
    items: Any, path: str, key: str, keys: tuple[str, ...], gone: dict[str, str] | None, how: list[bool]
) -> None:
    """Items, their bytes, what is absent, what is counted and what cannot be told are the same."""
    spaced, ascii_only, cut, also = how
    tree = {"": items, "data": {"data": items}, "data[]": {"data": items}, "data.list": {"data": {"list": items}}}[path]
    table = {"url": "https://api.example/{ids}", "pack": 9, "id": "(?i)[ 0-9a-z]+", "items": path, "key": key}
    spec = Spec.model_validate(table | ({"gone": gone} if gone else {}) | ({"also": ["data"]} if also else {}))
    body = written(tree, spaced=spaced, ascii_only=ascii_only, cut=cut)
    assert outcome(spec, keys, body, carefully=False) == outcome(spec, keys, body, carefully=True)


def test_an_answer_of_the_usual_shape_is_read_as_such() -> None:
    """One object for one ID, and a list for several, in any order and with one left out."""
    spec = Spec.model_validate({"url": "https://api.example/{ids}", "pack": 9})
    for keys, tree in ((("1",), {"id": 1}), (KEYS, [{"id": "x"}, {"id": "1"}])):
        found = usual.found(spec, keys, tree, json.dumps(tree).encode())
        assert found is not None
        assert all(isinstance(one, Found) and one.items[0].key == key for key, one in found.items())
