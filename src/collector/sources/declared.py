"""What a source's table says before it is checked: places for IDs and secrets, and keys that do not fit together."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from collector.errors import Problem
from collector.sources.values import PLACE
from collector.store.views import FIXED, MOST_COLUMNS

_ODD = re.compile(r"\{[A-Za-z][\w. -]*\}")
_OF_HTTP = (
    *("method", "params", "headers", "json", "form", "auth", "pack", "join", "each", "items", "also", "gone"),
    *("reasons", "on", "next", "max_pages", "max_bytes"),
)


def places(table: Mapping[str, Any]) -> set[str]:
    """Every `{id}`, `{ids}` and `{secret.NAME}` that stands in a table."""
    return _places(_texts(table))


def secrets(table: Mapping[str, Any]) -> frozenset[str]:
    """The names of the secrets that a table asks for."""
    return frozenset(place[len("{secret.") : -1] for place in places(table) if place.startswith("{secret."))


def contradictions(where: str, table: Mapping[str, Any]) -> list[Problem]:
    """What no single key shows; anything may stand in the table."""
    columns = _of_columns(where, table)
    if table.get("call") is not None:
        return [*_of_a_function(where, table), *columns]
    found = [*_of_places(where, table), *_of_a_body(where, table), *_of_pages(where, table), *_of_auth(where, table)]
    return found + columns


def _of_a_function(where: str, table: Mapping[str, Any]) -> list[Problem]:
    found = []
    if table.get("url"):
        found.append(Problem(f"{where}.call", repr(table["call"]), "url or call, not both"))
    if table.get("key") == "@key":
        found.append(Problem(f"{where}.key", "'@key'", "a path to an item's own ID, or `@index`: no map is returned"))
    alien = [key for key in _OF_HTTP if key in table]
    expected = "not there: a Python source has no such key"
    return found + [Problem(f"{where}.{key}", repr(table[key]), expected) for key in alien]


def _of_places(where: str, table: Mapping[str, Any]) -> list[Problem]:
    found = []
    there = places(table)
    if not table.get("url"):
        expected = "an http or https address; or `use`, a preset, or `call`, a Python function"
        found.append(Problem(f"{where}.url", "(not there)", expected))
    elif not there & {"{id}", "{id/}", "{ids}"}:
        expected = "`{id}` (one ID a call) or `{ids}` (packed) somewhere in url, params, json or form"
        found.append(Problem(f"{where}.url", repr(table["url"]), expected))
    texts = _texts({key: table.get(key) for key in ("url", "params", "headers")})  # a body may hold any braces
    for odd in sorted({odd[0] for text in texts for odd in _ODD.finditer(text)} - there):
        expected = "`{id}`, `{ids}` or `{secret.NAME}`: no other word in braces is known"
        found.append(Problem(where, repr(odd), expected))
    if len(there & {"{id}", "{id/}", "{ids}"}) > 1:
        found.append(Problem(f"{where}.url", repr(table.get("url")), "one of `{id}`, `{ids}` and `{id/}` only"))
    elsewhere = {key: value for key, value in table.items() if key != "url"}
    if "{id/}" in places(elsewhere) or "{id/}" in str(table.get("url")).partition("?")[2]:
        expected = "`{id}`: `{id/}`, which keeps the `/` of an ID, stands in the path of the url only"
        found.append(Problem(where, "'{id/}'", expected))
    pack = table.get("pack", 1)
    if "{ids}" not in there and isinstance(pack, int) and pack > 1:
        found.append(Problem(f"{where}.pack", repr(pack), "1, or `{ids}` in place of `{id}`"))
    return found


def _of_a_body(where: str, table: Mapping[str, Any]) -> list[Problem]:
    found = []
    if table.get("json") is not None and table.get("form"):
        found.append(Problem(f"{where}.form", repr(table["form"]), "json or form, not both"))
    if table.get("join") == "repeat" and "{ids}" in _places([str(table.get("url", ""))]):
        found.append(Problem(f"{where}.join", "'repeat'", "`{ids}` as a value in params, not in url"))
    return found


def _of_pages(where: str, table: Mapping[str, Any]) -> list[Problem]:
    found = []
    following = table.get("next")
    if following is not None and "{ids}" in places(table):
        found.append(Problem(f"{where}.next", repr(following), "`{id}`, one ID a call: a pack has no pages"))
    if following is not None and table.get("key") == "@index":
        expected = "a path to an item's own ID, or `@key`: a place in a page says nothing of an ID"
        found.append(Problem(f"{where}.key", repr(table["key"]), expected))
    if following is None and table.get("max_pages") is not None:
        expected = "`next` beside it, which says how a page leads to the next one"
        found.append(Problem(f"{where}.max_pages", repr(table["max_pages"]), expected))
    return found


def _of_auth(where: str, table: Mapping[str, Any]) -> list[Problem]:
    auth, headers = table.get("auth"), table.get("headers")
    found = []
    if isinstance(auth, dict) and isinstance(auth.get("secret"), str) and not secrets({"auth": auth["secret"]}):
        found.append(
            Problem(f"{where}.auth.secret", "***", "`{secret.NAME}`: a secret never stands in the configuration")
        )
    if {"{id}", "{ids}"} & places({"auth": auth}):
        found.append(Problem(f"{where}.auth", "{ id = …, secret = … }", "no `{id}` or `{ids}`: these are the API's"))
    names = headers if isinstance(headers, dict) and table.get("auth") is not None else {}
    expected = "auth or a header Authorization, not both"
    both = [name for name in names if name.lower() == "authorization"]
    return found + [Problem(f"{where}.headers.{name}", "***", expected) for name in both]


def _of_columns(where: str, table: Mapping[str, Any]) -> list[Problem]:
    """A view has each name once, and SQL does not tell A from a."""
    columns, found = table.get("columns"), []
    if not isinstance(columns, dict):
        return []
    if len(columns) > MOST_COLUMNS:
        found.append(Problem(f"{where}.columns", f"{len(columns)} columns", f"at most {MOST_COLUMNS}"))
    taken = {name: f"another name: {name} is what every view begins with" for name in FIXED}
    for name in columns:
        if expected := taken.get(name.casefold()):
            found.append(Problem(f"{where}.columns.{name}", repr(columns[name]), expected))
        taken.setdefault(name.casefold(), f"another name: {name!r} is the same to SQL, in any case of letters")
    return found


def _places(texts: Iterable[str]) -> set[str]:
    return {found[0] for text in texts for found in PLACE.finditer(text)}


def _texts(table: Mapping[str, Any]) -> list[str]:
    """Every text of a source that may hold a place for an ID or a secret."""
    found = []
    waiting = [table.get(key) for key in ("url", "params", "headers", "json", "form", "auth")]
    while waiting:
        match waiting.pop():
            case str() as text:
                found.append(text)
            case dict() as inner:
                waiting += [*inner, *inner.values()]
            case list() as array:
                waiting += array
    return found
