"""The functions of Python sources: how they are found, and what it means what they return and raise."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import collector
from collector import Gone, Invalid, RetryLater, StopSource, config, model
from collector.errors import ConfigError, RequestError
from collector.reload import as_imported, only_by_restart
from collector.sources import python
from collector.sources.answer import Good, Later, Stopped, Unreadable
from collector.sources.identity import identity, sharing
from collector.sources.returned import LONGEST_TRACEBACK, Ended, Returned, Unfit, gathered, told
from collector.sources.spec import Spec

SPEC = Spec.model_validate({"call": "annotate:create"})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A configuration's folder; what was imported from it is forgotten."""
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def written(folder: Path, code: str, call: str = "annotate:create", module: str = "annotate") -> Path:
    """A configuration with one function, and its module beside it."""
    (folder / f"{module}.py").write_text(code)
    path = folder / "collector.toml"
    path.write_text(f'[source.made]\ncall = "{call}"\n')
    return path


def problem(path: Path) -> str:
    with pytest.raises(ConfigError) as found:
        config.load(path)
    [one] = found.value.problems
    assert one.key == "source.made.call"
    return one.expected


@dataclass
class Point:
    """What a function may put into its objects."""

    x: float


def items(value: object, spec: Spec = SPEC, asked: str = "7") -> dict[str, str]:
    """Keys and bodies of what a function returned."""
    reading = gathered(Returned(spec, asked), value, lambda: False).reading
    assert isinstance(reading, Good)
    assert reading.returned == len(reading.found[asked].items)
    return {item.key: item.body for item in reading.found[asked].items}


def fault(value: object, spec: Spec = SPEC) -> str:
    with pytest.raises(Unfit) as found:
        gathered(Returned(spec, "7"), value, lambda: False)
    return f"{found.value.reason}: {found.value.detail}"


def raised(error: BaseException) -> Ended:
    """What an exception says, raised where a function raises it."""
    try:
        raise error
    except BaseException as caught:
        return told("7", caught)


@pytest.mark.parametrize("end", ["print('imported')", "print('imported'); raise type('Odd', (BaseException,), {})"])
def test_a_module_says_nothing_on_standard_output(folder: Path, end: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There a command answers; and whatever ends an import is a problem of the configuration."""
    path = written(folder, f"def create(work): ...\n{end}\n")
    if "raise" in end:
        assert "it ends with" in problem(path)
    else:
        config.load(path)
    assert capsys.readouterr() == ("", "imported\n")


def test_a_function_is_imported_from_the_folder_of_the_configuration(folder: Path) -> None:
    """It is found beside the file, with what its module imports from there."""
    (folder / "ours.py").write_text("WORD = 'mine'")
    found = config.load(written(folder, "import ours\ndef create(work): return {'word': ours.WORD}"))
    assert python.load(found.sources["made"].call or "")(None) == {"word": "mine"}
    assert sys.path.count(str(folder)) == 1
    config.load(found.path)
    assert sys.path.count(str(folder)) == 1


def test_who_only_looks_imports_nothing(folder: Path) -> None:
    """`status`, `add` and `plan` read the configuration without a stranger's code."""
    path = written(folder, "raise SystemExit('imported')")
    assert config.load(path, secrets=False).sources["made"].call == "annotate:create"
    assert "annotate" not in sys.modules


@pytest.mark.parametrize(
    ("code", "call", "said"),
    [
        ("", "nowhere:create", "a module nowhere beside the configuration, or installed with collector; there is no"),
        ("import nowhere", "annotate:create", "ends with ModuleNotFoundError: No module named 'nowhere'"),
        ("def create(:", "annotate:create", "ends with SyntaxError: "),
        ("x = 1\ny = z", "annotate:create", "ends with NameError: name 'z' is not defined"),
        ("raise SystemExit('no')", "annotate:create", "ends with SystemExit: no"),
        ("def make(work): ...", "annotate:create", "which has make"),
        ("create = []", "annotate:create", "a function, but create"),
        ("class create: ...", "annotate:create", "a function, but create"),
        ("def create(): ...", "annotate:create", "takes the work and nothing else"),
        ("def create(work, more): ...", "annotate:create", "takes the work and nothing else"),
    ],
)
def test_what_is_wrong_with_a_function_is_a_problem_in_one_line(folder: Path, code: str, call: str, said: str) -> None:
    """With the module's own error and where it is, and never a traceback."""
    expected = problem(written(folder, code, call))
    assert said in expected
    assert "\n" not in expected
    assert "Traceback" not in expected


def test_a_module_that_is_mended_is_imported_at_the_next_look(folder: Path) -> None:
    """A reload after a mended import takes it up."""
    path = written(folder, "import nowhere")
    problem(path)
    written(folder, "def create(work): return None  # mended")
    assert config.load(path).sources["made"].call


def test_a_changed_module_wants_a_restart(folder: Path) -> None:
    """It stays as it was imported, and a reload says so for its sources."""
    path = written(folder, "def create(work): return None")
    before = config.load(path)
    assert only_by_restart(before, config.load(path)) == ()
    written(folder, "def create(work): return None  # another one now")
    assert only_by_restart(before, config.load(path)) == ("source.made.call",)


def test_a_function_that_was_written_since_the_start_wants_a_restart(folder: Path) -> None:
    """It stands in the file, so what is missing is told as what it is."""
    running = config.load(written(folder, "def create(work): return None"))
    with pytest.raises(ConfigError) as found:
        config.load(written(folder, "def other(work): return None", call="annotate:other"))
    [said] = as_imported(running, found.value.problems)
    assert said.expected.endswith("which has create, as it was at the start; a restart reads it anew")


def test_sources_of_one_function_share_a_budget() -> None:
    """The function is what is limited, whatever the sources are called."""
    other = Spec.model_validate({"call": "annotate:other"})
    assert sharing({"one": SPEC, "two": SPEC, "three": other}, {}) == [("one", "two"), ("three",)]
    url = Spec.model_validate({"url": "https://a.org/{id}"})
    assert identity(url, {}, b"") not in (identity(SPEC, {}, b""), identity(other, {}, b""))


def test_importing_collector_loads_nothing_of_the_service() -> None:
    """What a function needs is found when it is asked for."""
    assert collector.Work.__module__ == "collector.sources.work"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = collector.Nothing


def test_one_dict_is_one_item_under_its_own_id_or_the_one_asked_for() -> None:
    """A text or a whole number is an ID; none at all is the ID asked for."""
    assert items({"id": "x", "n": 1}) == {"x": '{"id":"x","n":1}'}
    assert items({"id": 2**60}) == {str(2**60): '{"id":1152921504606846976}'}
    assert items({"n": 1}) == {"7": '{"n":1}'}
    assert items({"id": None}) == {"7": '{"id":null}'}


def test_a_list_is_as_many_items_and_none_is_found_without_any() -> None:
    """A generator too; those without an ID have their position."""
    assert items([{"id": "a"}, {"n": 1}]) == {"a": '{"id":"a"}', "1": '{"n":1}'}
    assert items({"n": n} for n in range(3)).keys() == {"0", "1", "2"}
    assert items(None) == {}
    assert items([]) == {}


def test_the_key_is_where_the_source_says() -> None:
    """A path into the item, or its position whatever it holds."""
    nested = Spec.model_validate({"call": "a:b", "key": "user.name"})
    assert items([{"user": {"name": "ada"}}], nested).keys() == {"ada"}
    indexed = Spec.model_validate({"call": "a:b", "key": "@index"})
    assert items([{"id": "x"}, {"id": "x"}], indexed).keys() == {"0", "1"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "not-an-object: the function returned a str: return a dict, a list of dicts or None"),
        (7, "not-an-object: the function returned a int"),
        ([{"id": 1}, "x"], "not-an-object: item 1 is a str"),
        ({"id": 1.5}, "float-key: item 0 has 1.5 at id"),
        ({"id": True}, "float-key: item 0 has True at id"),
        ({"id": ["x"]}, "no-key: item 0 has a list at id"),
        ([{"id": "x"}, {"id": "x"}], "same-key: two items have the key 'x'"),
        ({"n": {"deep": [None, float("nan")]}}, "not-json: item 0 holds nan"),
        ({"n": [Point(float("nan"))]}, "not-json: item 0 holds nan"),
        ({"n": float("-inf")}, "not-json: item 0 holds -inf"),
        ({"n": object()}, "not-json: item 0 is no JSON"),
        ({"n": "\ud800"}, "not-json: item 0 is no JSON"),
        ({(1, 2): "x"}, "not-json: item 0 is no JSON"),
    ],
)
def test_what_cannot_be_kept_says_what_is_wrong_with_it(value: object, said: str) -> None:
    """In the words that the failed try is kept with."""
    assert fault(value).startswith(said)


def test_dates_and_nulls_are_kept() -> None:
    """A time is written as JSON has it; a null is no NaN."""
    assert items({"at": datetime(2026, 1, 2, tzinfo=UTC), "n": None}) == {"7": '{"at":"2026-01-02T00:00:00Z","n":null}'}


def test_each_exception_says_what_it_is_for() -> None:
    """Gone and invalid settle an ID, the others put it off; the reason is a short code, the words are kept."""
    gone = raised(Gone("deleted", "by its owner")).reading
    assert gone == Good({}, {"7": model.Gone("deleted", "by its owner")}, ())
    words = raised(Gone("No such user!")).reading
    assert words == Good({}, {"7": model.Gone("no-such-user", "No such user!")}, ())
    assert raised(Invalid("malformed")).reading == Good({}, {"7": model.Invalid("malformed")}, ())
    assert raised(RetryLater("15m")).reading == Later(900.0, "retry-later")
    assert raised(RetryLater(0)).reading == Later(1.0, "retry-later")
    assert raised(RetryLater(1e12)).reading == Later(30 * 86_400.0, "retry-later")
    stopped = raised(StopSource("the database is away")).reading
    assert stopped == Stopped("the-database-is-away", "the database is away")
    assert raised(RequestError("timeout", "no answer")).reading == Unreadable("timeout", "timeout: no answer")


@pytest.mark.parametrize("after", [-1, float("nan"), "soon"])
def test_a_time_that_is_none_is_refused_where_it_is_written(after: Any) -> None:
    """As an ordinary fault of the function."""
    with pytest.raises(ValueError):
        RetryLater(after)


def test_another_exception_is_a_failed_try_with_its_traceback() -> None:
    """Its type is the reason, its last line the detail; of a long traceback the end is kept."""
    ended = raised(ValueError("no row\nof that name"))
    assert ended.reading == Unreadable("valueerror", "ValueError: no row of that name")
    assert ended.traceback.endswith("ValueError: no row\nof that name\n")
    long = raised(RuntimeError("x" * 50_000 + "\ud800")).traceback
    assert len(long) <= LONGEST_TRACEBACK
    long.encode()


@given(st.text(max_size=100), st.text(max_size=100))
def test_whatever_a_function_says_can_be_stored(reason: str, detail: str) -> None:
    """A reason is a short code that is never empty; nothing holds a control character or half a letter."""
    for error in (Gone(reason, detail), Invalid(reason, detail), StopSource(reason), Exception(reason)):
        reading = raised(error).reading
        said = reading.gone["7"] if isinstance(reading, Good) else reading
        assert 0 < len(said.reason) <= 40
        assert said.reason.isascii()
        assert said.detail.isprintable()
        said.detail.encode()


@given(st.dictionaries(st.text(), st.integers() | st.floats() | st.text() | st.none() | st.booleans(), max_size=5))
def test_any_dict_is_kept_or_refused(value: dict[str, Any]) -> None:
    """Nothing else comes out of it, and what is kept has no number that JSON does not have."""
    try:
        kept = items(value)
    except AssertionError:
        raise
    except Unfit:
        return
    assert len(kept) == 1
    assert not any(isinstance(v, float) and v != v for v in value.values())
