"""The command line of the stand-in API; what it does not say is as the settings have it."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from collector import quantity
from collector.rehearsal.cursors import Lifetime
from collector.rehearsal.fates import Faults
from collector.rehearsal.oauth import Client
from collector.rehearsal.settings import Settings
from collector.rehearsal.usage import Caps
from collector.rehearsal.users import Count, People

_COUNTED = ("followers", "following", "posts", "replies")
_FATES = ("deleted", "protected", "suspended", "absent", "poison", "bad", "spoilt")
_Given: TypeAlias = dict[str, Any]


def settings(arguments: Sequence[str] | None = None) -> tuple[Settings, int]:
    """What the command line says, and the port."""
    parser = argparse.ArgumentParser(
        prog="python -m collector.rehearsal.api",
        description="A stand-in API on loopback.",
        argument_default=argparse.SUPPRESS,
    )
    for declare in (_windows, _world, _lists, _credentials):
        declare(parser.add_argument)
    given = vars(parser.parse_args(arguments))
    port = given.pop("port")
    parts: _Given = {
        "faults": Faults(**_taken(given, Faults, "")),
        "people": _people(given),
        "tokens": Lifetime(**_taken(given, Lifetime, "token_")),
        "caps": Caps(**_taken(given, Caps, "cap_")),
        "client": Client(**_taken(given, Client, "client_")),
    }
    if "limits" in given:
        given["limits"] = dict(given["limits"])
    return Settings(**given, **parts), port


def _windows(add: Callable[..., object]) -> None:
    add("--port", type=int, default=0)
    add("--limit", type=_limit, help="requests a window, for each credential and endpoint; 0: no windows")
    help_of = "the same for one endpoint, named as in the log: '/2/users/{id}/tweets=100'"
    add("--limit-of", type=_limit_of, action="append", dest="limits", metavar="ROUTE=N", help=help_of)
    add("--window", type=quantity.seconds, metavar="DURATION")
    add("--policy", choices=("fixed", "sliding"))
    add("--no-headers", action="store_false", dest="headers")
    add("--retry-after", action="store_true")
    add("--latency", type=_latency, metavar="MS-MS")
    add("--seed", type=int)
    add("--log", type=Path, metavar="FILE")


def _world(add: Callable[..., object]) -> None:
    for name in Faults.__struct_fields__:
        add(f"--{name}", type=float, metavar="SHARE")
    for name in _FATES:
        add(f"--user-{name}", type=float, metavar="SHARE", help="of the users" if name == _FATES[0] else None)
    add("--missing", type=int, choices=(200, 404), help="the status of a single lookup that finds nothing")
    add("--merged", type=float, metavar="SHARE", help="of the works, papers and repositories")


def _lists(add: Callable[..., object]) -> None:
    for name in _COUNTED:
        add(f"--{name}", type=_count, metavar="LOW-HIGH", help=f"{name} that a user has")
        add(f"--{name}-of", type=_count_of, action="append", metavar="USER=N", help="the same of one user")
    add("--shared", type=float, metavar="SHARE", help="of a list of users: those from the pool of all lists")
    add("--pool", type=int, metavar="USERS")
    add("--short", type=float, metavar="SHARE", help="of the pages: shorter than was asked for")
    add("--empty", type=float, metavar="SHARE", help="of the pages: without an item")
    add("--token-age", type=quantity.seconds, metavar="DURATION", help="after which a page token is refused")
    add("--token-uses", type=int, metavar="N", help="after which a page token is refused")
    add("--token-stale", type=float, metavar="SHARE", help="of the page tokens: refused from the first")
    add("--link", metavar="absolute|relative|ORIGIN", help="where a Link header leads")


def _credentials(add: Callable[..., object]) -> None:
    add("--bearer", metavar="TOKEN", help="the only token that is known")
    add("--client-id", metavar="ID", help="who may fetch tokens")
    add("--client-secret", metavar="SECRET")
    add("--client-way", choices=("basic", "body", "either"), help="how it may say who it is")
    add("--expires-in", type=quantity.seconds, metavar="DURATION", dest="client_expires_in")
    add("--want-token", action="store_true", dest="client_wanted", help="every endpoint asks for such a token")
    add("--cap-items", type=int, metavar="N", help="items in all, then 429 UsageCapExceeded")
    add("--cap-calls", type=int, metavar="N", help="calls in a day, then 429 with Retry-After")
    add("--cap-period", type=quantity.seconds, metavar="DURATION", help="what a day is")


def _people(given: _Given) -> People:
    for name in _COUNTED:
        count, of = given.pop(name, getattr(People(), name)), given.pop(f"{name}_of", ())
        given[name] = msgspec.structs.replace(count, of=dict(of))
    fates = {name: given.pop(f"user_{name}") for name in _FATES if f"user_{name}" in given}
    return People(**_taken(given, People, ""), **fates)


def _taken(given: _Given, kind: type[msgspec.Struct], prefix: str) -> _Given:
    """What of the command line belongs to one part of the settings."""
    return {name: given.pop(f"{prefix}{name}") for name in kind.__struct_fields__ if f"{prefix}{name}" in given}


def _limit(text: str) -> int | None:
    return int(text) or None


def _limit_of(text: str) -> tuple[str, int | None]:
    route, number = _pair(text)
    return route, _limit(number)


def _latency(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low) / 1000, float(high or low) / 1000


def _count(text: str) -> Count:
    low, _, high = text.partition("-")
    return Count(int(low), int(high or low))


def _count_of(text: str) -> tuple[str, int]:
    user, number = _pair(text)
    return user, int(number)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"NAME=VALUE, not {text!r}")
    return name, value
