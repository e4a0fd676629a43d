"""What the stand-in API knows: which posts exist, what became of the others, and the bodies that say so.

Everything here is a pure function of an ID and the declared shares, so a test can compute what it must get.
"""

import re
from enum import StrEnum
from hashlib import blake2b
from typing import TypeAlias

import msgspec

from collector.clock import stamp

Share: TypeAlias = float | frozenset[str]

PATTERN = "^[0-9]{1,19}$"
MOST_IDS = 100

_FORM = re.compile(r"[0-9]{1,19}")
_PROBLEM = "https://api.twitter.com/2/problems/"
EPOCH_MS = 1288834974657  # the zero of snowflake IDs, 2010-11-04
_TEXTS = {
    "en": "the city river bridge was closed again today after heavy rain and people walked home slowly",
    "es": "la ciudad hoy río puente cerrado otra vez lluvia gente camina casa mañana tren espera estación cielo claro",
    "ja": "今日 は 雨 が 降って 川 の 橋 また 閉鎖 人々 歩いて 家 へ 帰る 電車 駅 前 朝 空 晴れ 山 上",
}
_WORDS = {lang: text.split() for lang, text in _TEXTS.items()}
_COUNTED = ("retweet", "reply", "like", "quote", "bookmark", "impression")
_LANGS = ("en", "en", "es", "ja")


class Fate(StrEnum):
    """What the API says of an ID, each time it is asked."""

    FOUND = "found"
    DELETED = "deleted"  # named in `errors` as resource-not-found
    PROTECTED = "protected"  # named in `errors` as not-authorized-for-resource
    SUSPENDED = "suspended"  # the same words as for a protected author, as X has them
    ABSENT = "absent"  # left out of the answer without a word
    POISON = "poison"  # spoils every call that carries it: 500
    BAD = "bad"  # refuses every call that carries it: 400


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, and how often.

    The first six say what becomes of an ID: a share of all IDs, taken by their hash, or the very IDs. `other` is the
    share of found posts whose answer also holds an error about an object that nobody asked for. The rest are shares of
    the requests, drawn in order of arrival.
    """

    deleted: Share = 0.06
    protected: Share = 0.03
    suspended: Share = 0.02
    absent: Share = 0.01
    poison: Share = 0.0
    bad: Share = 0.0
    other: float = 0.05

    errors: float = 0.0  # 500, 502, 503 or 504, counted
    dropped: float = 0.0  # the connection is closed before the request is counted
    lost: float = 0.0  # the connection is closed after it
    truncated: float = 0.0  # a 200 whose gzip body ends in the middle
    garbled: float = 0.0  # a 200 that is not JSON


NO_FAULTS = Faults(deleted=0.0, protected=0.0, suspended=0.0, absent=0.0, other=0.0)


class Reply(msgspec.Struct, frozen=True):
    """A status and a JSON body."""

    status: int
    body: bytes


class Post(msgspec.Struct, frozen=True, omit_defaults=True):
    """A post with all its fields, whatever fields were asked for."""

    id: str
    edit_history_tweet_ids: tuple[str]
    author_id: str
    conversation_id: str
    created_at: str
    lang: str
    public_metrics: dict[str, int]
    text: str
    referenced_tweets: tuple[dict[str, str], ...] = ()


class World:
    """All posts there are, under the given shares."""

    def __init__(self, faults: Faults) -> None:
        self._named: dict[str, Fate] = {}
        self._ends: list[tuple[float, Fate]] = []
        end = 0.0
        for fate in Fate:
            share: Share = getattr(faults, fate, 0.0)
            if isinstance(share, frozenset):
                self._named |= dict.fromkeys(share, fate)
            else:
                end += share
                self._ends.append((end, fate))
        if end > 1 + 1e-9:
            raise ValueError(f"shares of the IDs of at most 1 together, not {end:g}")
        self._other = faults.other

    def fate(self, key: str) -> Fate:
        """What becomes of an ID; the same in every process."""
        if not _FORM.fullmatch(key):
            return Fate.BAD
        if named := self._named.get(key):
            return named
        point = _bits(f"fate {key}") / 2**256
        return next((fate for end, fate in self._ends if point < end), Fate.FOUND)

    def many(self, keys: tuple[str, ...], authors: bool = False) -> Reply:
        """The answer to a lookup of a list; `authors` adds `includes.users`."""
        if not 1 <= len(keys) <= MOST_IDS:
            count = (
                f"The number of values in the `ids` query parameter list [{len(keys)}] is not between 1 and {MOST_IDS}"
            )
            return _refusal("ids", ",".join(keys), count)
        fates = {key: self.fate(key) for key in keys}
        return _spoilt("ids", fates) or self._answer("ids", fates, authors)

    def one(self, key: str, authors: bool = False, missing: int = 200) -> Reply:
        """The answer to a lookup of one; `missing` is the status when it is not there."""
        fates = {key: self.fate(key)}
        return _spoilt("id", fates) or self._answer("id", fates, authors, missing)

    def _answer(self, parameter: str, fates: dict[str, Fate], authors: bool, missing: int = 200) -> Reply:
        found: list[Post] = []
        errors: list[dict[str, str]] = []
        for key, fate in fates.items():
            if fate is Fate.FOUND:
                found.append(post := self.post(key))
                errors += [_not_found("referenced_tweets.id", other["id"]) for other in post.referenced_tweets]
            elif fate is not Fate.ABSENT:
                errors.append(_not_found(parameter, key) if fate is Fate.DELETED else _not_authorized(parameter, key))
        users = {post.author_id: _user(post.author_id) for post in found} if authors else {}
        body: dict[str, object] = {"data": found if parameter == "ids" else found[0]} if found else {}
        if users:
            body["includes"] = {"users": list(users.values())}
        if errors:
            body["errors"] = errors
        return Reply(200 if found or parameter == "ids" else missing, msgspec.json.encode(body))

    def post(self, key: str) -> Post:
        """The post of an ID, as if it were found."""
        bits = _bits(key)
        lang = _LANGS[bits & 3]
        words = _WORDS[lang]
        text = " ".join(words[(bits >> shift) % len(words)] for shift in range(80, 80 + 5 * (8 + (bits >> 2 & 7)), 5))
        likes = (bits >> 8 & 0xFFF) >> (bits >> 20 & 7)
        author = str(700_000_000 + (bits >> 24 & 0xFFFF) * 7_919)
        metrics = (likes >> 2, likes >> 4, likes, likes >> 6, likes >> 5, likes * 41 + 7)
        replied_to = {"type": "replied_to", "id": str(max(1, int(key) - 1 - (bits >> 40 & 0xFFFFF)))}
        return Post(
            id=key,
            edit_history_tweet_ids=(key,),
            author_id=author,
            conversation_id=key,
            created_at=made_at(key),
            lang=lang,
            public_metrics={f"{name}_count": count for name, count in zip(_COUNTED, metrics, strict=True)},
            text=f"{text} https://t.co/{bits & 0xFFFFFFFFFF:010x}",
            referenced_tweets=(replied_to,) if (bits >> 60 & 0xFFFF) / 2**16 < self._other else (),
        )


def made_at(key: str) -> str:
    """When the post of an ID was made."""
    return stamp(((int(key) >> 22) + EPOCH_MS) / 1000)


def problem(status: int, title: str, detail: str | None = None, kind: str = "about:blank") -> Reply:
    """An answer that tells of a fault of the whole call."""
    body = {"title": title, "type": kind, "status": status, "detail": detail or title}
    return Reply(status, msgspec.json.encode(body))


def credits_depleted() -> Reply:
    """The account has no money left: waiting does not help."""
    return problem(
        402,
        "CreditsDepleted",
        "Your enrolled account does not have any credits to fulfill this request.",
        _PROBLEM + "credits",
    )


def forbidden() -> Reply:
    """The plan lacks the endpoint: waiting does not help."""
    body = {
        "title": "Client Forbidden",
        "detail": "You must use keys and tokens from a developer App that is attached to a Project.",
        "reason": "client-not-enrolled",
        "required_enrollment": "Appropriate Level of API Access",
        "type": _PROBLEM + "client-forbidden",
    }
    return Reply(403, msgspec.json.encode(body))


def _spoilt(parameter: str, fates: dict[str, Fate]) -> Reply | None:
    for key, fate in fates.items():
        if fate is Fate.BAD:
            why = "is not a valid post ID" if _FORM.fullmatch(key) else f"does not match {PATTERN}"
            return _refusal(parameter, ",".join(fates), f"The `{parameter}` query parameter value [{key}] {why}")
    return problem(500, "Internal Server Error") if Fate.POISON in fates.values() else None


def _refusal(parameter: str, value: str, message: str) -> Reply:
    body = {
        "errors": [{"parameters": {parameter: [value]}, "message": message}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": _PROBLEM + "invalid-request",
    }
    return Reply(400, msgspec.json.encode(body))


def _not_found(parameter: str, key: str) -> dict[str, str]:
    detail = f"Could not find tweet with {parameter}: [{key}]."
    return _error(parameter, key, detail, "Not Found Error", "resource-not-found")


def _not_authorized(parameter: str, key: str) -> dict[str, str]:
    detail = f"Sorry, you are not authorized to see the Tweet with {parameter}: [{key}]."
    error = _error(parameter, key, detail, "Authorization Error", "not-authorized-for-resource")
    return {**error, "section": "data"}


def _error(parameter: str, key: str, detail: str, title: str, kind: str) -> dict[str, str]:
    about = {"resource_type": "tweet", "parameter": parameter, "resource_id": key, "type": _PROBLEM + kind}
    return {"value": key, "detail": detail, "title": title, **about}


def _user(key: str) -> dict[str, str]:
    born = EPOCH_MS / 1000 + (_bits(key) & 0xFFFFFFF)
    return {"id": key, "name": f"Somebody {key[-4:]}", "username": f"u_{key}", "created_at": stamp(born)}


def _bits(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=32).digest())
