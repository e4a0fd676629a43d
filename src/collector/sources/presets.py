"""The sources that ship with collector: their names, their texts, and a source's table on top of one."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from collector.errors import Problem
from collector.sources import declared

_FOLDER = Path(__file__).with_name("presets")
_HEADING = re.compile(r"^\[([a-z_]+)\]\n", re.MULTILINE)
_NEAR = 3  # names that are told where one is not known


@dataclass(frozen=True, slots=True)
class Preset:
    """One table of one file: `[posts]` in x.toml is `x/posts`."""

    name: str
    about: str  # one line: what it is for
    facts: str  # what holds for all of the API, as comments
    comment: str  # what holds for this table alone, as comments
    body: str  # its keys, without a heading

    @property
    def source(self) -> str:
        """What a source of this preset is called unless somebody chooses otherwise."""
        return self.name.replace("/", "_")

    @property
    def toml(self) -> str:
        """Ready to copy into a configuration, with its comments."""
        return f"{self.facts}#\n{self.comment}[source.{self.source}]\n{self.body}"

    @property
    def table(self) -> dict[str, Any]:
        """Its keys; whoever asks may change them."""
        return deepcopy(_parsed(self.body))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the secrets that it wants."""
        return tuple(sorted(declared.secrets(self.table)))


@cache
def shipped() -> Mapping[str, Preset]:
    """Every preset by its name, file after file, each in the order in which it stands there."""
    found = (preset for path in sorted(_FOLDER.glob("*.toml")) for preset in _presets(path))
    return MappingProxyType({preset.name: preset for preset in found})


def near(name: str) -> list[str]:
    """The presets whose names are most like this one; of an API's name alone, all that it has."""
    wanted, names = name.strip().lower(), list(shipped())
    if of_the_api := [known for known in names if known.startswith(f"{wanted}/")]:
        return of_the_api
    written = wanted if "/" in wanted else wanted.replace("_", "/", 1)
    return difflib.get_close_matches(written, names, n=_NEAR, cutoff=0.5)


def merged(table: Any) -> Any:
    """A source's table on top of the preset that it uses, each key as a whole; as it is where it uses none."""
    preset = _used(table)
    return preset.table | table if preset else table


def unknown(where: str, table: Any) -> Problem | None:
    """What is wrong with a `use` that names no preset."""
    name = table.get("use") if isinstance(table, dict) else None
    if not isinstance(name, str) or name in shipped():
        return None
    alike = near(name)
    meant = f"a preset, as {' or '.join(alike)}" if alike else "a preset"
    return Problem(f"{where}.use", repr(name), f"{meant}; `collector sources` shows all")


def traced(problems: Iterable[Problem], sources: Mapping[str, Any]) -> list[Problem]:
    """The same problems, each with the preset that its key comes from, where it does; `sources` are the tables as
    somebody wrote them."""
    return [_traced(problem, sources) for problem in problems]


def _traced(problem: Problem, sources: Mapping[str, Any]) -> Problem:
    kind, _, rest = problem.key.partition(".")
    name, _, key = rest.partition(".")
    table = sources.get(name) if kind == "source" else None
    preset = _used(table)
    if preset is None or not isinstance(table, dict):
        return problem
    inherited = {key: value for key, value in preset.table.items() if key not in table}
    own = key.partition(".")[0]
    # A problem of a table as a whole shows a place for an ID or a secret, which stands somewhere in it.
    theirs = own in inherited if own else problem.value.strip("'") in declared.places(inherited)
    if not theirs:
        return problem
    return Problem(problem.key, problem.value, f"{problem.expected} (it comes from the preset {preset.name})")


def _used(table: Any) -> Preset | None:
    name = table.get("use") if isinstance(table, dict) else None
    return shipped().get(name) if isinstance(name, str) else None


def _presets(path: Path) -> Iterable[Preset]:
    facts, *pieces = _HEADING.split(path.read_text(encoding="utf-8"))
    facts, comment = _comment_cut(facts)
    for name, text in zip(pieces[::2], pieces[1::2], strict=True):
        body, following = _comment_cut(text)
        about = comment.splitlines()[0].removeprefix("# ")
        yield Preset(f"{path.stem}/{name}", about, facts.strip("\n") + "\n", comment, body.strip("\n") + "\n")
        comment = following


def _comment_cut(text: str) -> tuple[str, str]:
    """A text, and the comment at its end, which belongs to the heading that follows."""
    lines = text.splitlines(keepends=True)
    first = len(lines)
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return "".join(lines[:first]), "".join(lines[first:])


@cache
def _parsed(body: str) -> dict[str, Any]:
    return tomllib.loads(body)
