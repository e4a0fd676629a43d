"""What the limit headers of an answer say, in every family met so far."""

import calendar
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_tz
from functools import lru_cache

import msgspec

from collector import quantity

_FIELD = re.compile(r"((?:x-)?rate-?limit-)(limit|remaining|reset|used|interval|policy)")
_LISTS = ("ratelimit", "ratelimit-policy")
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
_PARAMETER = re.compile(r"([a-z]+)\s*=\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)")


class Said(msgspec.Struct, frozen=True):
    """What an answer says of its limit; None where it says nothing that can be used."""

    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None  # seconds to go, above zero, with a margin for rounding
    window: float | None = None  # seconds
    retry_after: float | None = None  # seconds to go; zero or less for a moment that is past
    reset_at: float | None = None  # the same reset as epoch seconds of the server's clock, where it names a moment
    date: float | None = None  # epoch seconds of the server's clock when it answered


NOTHING = Said()


def read(headers: Mapping[str, str], wall: float) -> Said:
    """What the headers say; where several limits are named, that with the least left.

    Moments are measured against the answer's own `Date`, since the server's clock may be seconds off ours; `wall`, our
    clock, is used only when there is no `Date`. Never raises.
    """
    if not headers:
        return NOTHING
    names = "\n".join(headers).lower()
    if "limit" not in names and "retry-after" not in names:  # one look, for most servers say nothing more
        return Said(date=_moment(headers.get("Date") or headers.get("date") or ""))
    fields = _fields(headers)
    told = _moment(fields.get("date", ""))
    date = wall if told is None else told
    sayings = [*_structured(fields, date), *_families(fields, date)]
    best = min(sayings, key=_least, default=Said())
    return msgspec.structs.replace(best, retry_after=_retry_after(fields.get("retry-after", ""), date), date=told)


def _fields(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that may say something, in lower case: of each the first, of a list all of it."""
    fields: dict[str, str] = {}
    for given, value in headers.items():
        name = given.lower()
        if name in _LISTS and name in fields:
            fields[name] += "," + value
        elif "limit" in name or name in ("date", "retry-after"):
            fields.setdefault(name, value.strip())
    return fields


def _least(said: Said) -> float:
    return float("inf") if said.remaining is None else said.remaining


def _families(fields: Mapping[str, str], date: float) -> Iterator[Said]:
    """One saying for each prefix: x-rate-limit-, x-ratelimit-, ratelimit-, …"""
    families: dict[str, dict[str, str]] = {}
    for name, value in fields.items():
        if found := _FIELD.fullmatch(name):
            families.setdefault(found[1], {})[found[2]] = value
    for family in families.values():
        limit, remaining = _count(family.get("limit", "")), _count(family.get("remaining", ""))
        used = _count(family.get("used", ""))
        if remaining is None and limit is not None and used is not None:
            remaining = max(0, limit - used)
        window = _window(family)
        reset, reset_at = _to_go(family.get("reset", ""), date)
        yield Said(limit, remaining, reset, window, reset_at=reset_at)


def _window(family: Mapping[str, str]) -> float | None:
    for text in (family.get("policy", ""), family.get("limit", "")):
        if "w" in text and (seconds := dict(_PARAMETER.findall(text)).get("w")):
            return float(seconds) or None
    interval = family.get("interval")
    if not interval:
        return None
    try:
        return quantity.seconds(interval + "s" if _NUMBER.fullmatch(interval) else interval.lower())
    except ValueError:
        return None


def _structured(fields: Mapping[str, str], date: float) -> Iterator[Said]:
    """The IETF drafts: `limit=9, remaining=5, reset=3` and `"name";r=5;t=3` with its policy `"name";q=9;w=60`."""
    text = fields.get("ratelimit", "").lower()
    if not text:
        return
    whole = dict(_PARAMETER.findall(text))
    if "remaining" in whole:
        limit, remaining = _count(whole.get("limit", "")), _count(whole["remaining"])
        yield Said(limit, remaining, _to_go(whole.get("reset", ""), date)[0], _seconds(whole.get("w")))
        return
    policies = dict(_named(fields.get("ratelimit-policy", "").lower()))
    for name, item in _named(text):
        if "r" in item:
            policy = policies.get(name, {})
            limit, remaining = _count(policy.get("q", "")), _count(item["r"])
            yield Said(limit, remaining, _to_go(item.get("t", ""), date)[0], _seconds(policy.get("w")))


def _named(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for item in text.split(","):
        name, _, rest = item.partition(";")
        yield name.strip().strip('"'), dict(_PARAMETER.findall(rest))


def _seconds(text: str | None) -> float | None:
    return float(text) or None if text else None


def _count(text: str) -> int | None:
    """The number that the text begins with, rounded down: `999.0`, `100;w=60`, `100, 100;w=60`."""
    found = _NUMBER.match(text)
    return int(float(found[0])) if found else None


def _to_go(text: str, date: float) -> tuple[float | None, float | None]:
    """The seconds until a reset, and its moment where one is named.

    A whole second is the server's rounding, so one more is added to it.
    """
    named = True
    if _NUMBER.fullmatch(text):
        reset = float(text) / 1000 if float(text) > 1e12 else float(text)
        named = reset > 1e9
    else:
        moment = _moment(text)
        if moment is None:
            return None, None
        reset = moment
    rounding = 1.0 if reset == int(reset) else 0.05
    left = reset + rounding - date if named else reset + rounding
    return (left, reset + rounding if named else None) if left > 0 else (None, None)


def _retry_after(text: str, date: float) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text) - date if float(text) > 1e9 else float(text)
    moment = _moment(text)
    return None if moment is None else moment - date


@lru_cache(maxsize=64)  # what is answered within one second has one Date
def _moment(text: str) -> float | None:
    """The epoch seconds of an HTTP or ISO 8601 date; a date without a zone, or with `-0000`, is in UTC."""
    try:
        if text[:4].isdecimal():
            at = datetime.fromisoformat(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        parts = parsedate_tz(text)
        return None if parts is None else float(calendar.timegm((*parts[:6], 0, 0, 0)) - (parts[9] or 0))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
