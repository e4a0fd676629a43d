"""The users that the stand-in API knows, how many follow whom, and the lists of them."""

import re

import msgspec

from collector.clock import stamp
from collector.rehearsal import reply
from collector.rehearsal.fates import Fate, Fates, Share, bits
from collector.rehearsal.numbered import EMPTY, EPOCH_MS, Numbered, crowd, stream
from collector.rehearsal.reply import Reply

NEWEST = 3_200  # posts of a user that a list goes back to
NAME_PATTERN = "^[A-Za-z0-9_]{1,15}$"
MOST_IDS = 100

_FORM = re.compile(r"[0-9]{1,19}")
_NAME_FORM = re.compile(r"[A-Za-z0-9_]{1,15}")
_POSTS_APART, _REPLIES_APART = 6 * 3_600_000, 60_000  # ms, on average
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONGEST_PLAIN = 13  # digits of an ID that stand in a name as they are


class Count(msgspec.Struct, frozen=True):
    """How many of something a user has: from `low` to `high` by its hash, or as `of` declares it for an ID."""

    low: int = 0
    high: int = 0
    of: dict[str, int] = {}

    def number(self, what: str, user: str) -> int:
        """How many a user has."""
        declared = self.of.get(user)
        return self.low + bits(f"{what} {user}") % (self.high - self.low + 1) if declared is None else declared


class People(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the users (shares of all IDs, or the very IDs), and how much there is of theirs."""

    deleted: Share = 0.0
    protected: Share = 0.0  # the profile is there, the lists are not
    suspended: Share = 0.0
    absent: Share = 0.0
    poison: Share = 0.0
    bad: Share = 0.0
    spoilt: Share = 0.0

    followers: Count = Count(0, 300)
    following: Count = Count(0, 100)
    posts: Count = Count(0, 50)
    replies: Count = Count(0, 30)  # that others wrote to the user
    shared: float = 0.3  # of a list of users: those from the pool, which all lists draw from
    pool: int = 10_000

    short: float = 0.05  # of the pages of a list: shorter than was asked for, though more follow
    empty: float = 0.02  # without an item, though more may follow


class User(msgspec.Struct, frozen=True):
    """A user with all fields, whatever fields were asked for."""

    id: str
    name: str
    username: str
    created_at: str
    protected: bool
    public_metrics: dict[str, int]


class Users:
    """All users there are, under the given settings."""

    def __init__(self, people: People) -> None:
        self.people = people
        self._fates = Fates(people, kind="user ")

    def fate(self, key: str) -> Fate:
        """What becomes of a user's ID; the same in every process."""
        return self._fates.of(key) if _FORM.fullmatch(key) else Fate.BAD

    def user(self, key: str) -> User:
        """The user of an ID, as if it were found."""
        people = self.people
        lists = {"followers": people.followers, "following": people.following, "tweet": people.posts}
        return User(
            id=key,
            name=f"Somebody {key[-4:]}",
            username=name_of(key),
            created_at=stamp(EPOCH_MS / 1000 + (bits(key) & 0xFFFFFFF)),
            protected=self.fate(key) is Fate.PROTECTED,
            public_metrics={f"{what}_count": count.number(what, key) for what, count in lists.items()},
        )

    def followers(self, key: str) -> Numbered:
        """Who follows a user, as the list gives them; nobody where there is no list to see."""
        return self._crowd("followers", key, self.people.followers)

    def following(self, key: str) -> Numbered:
        """Whom a user follows."""
        return self._crowd("following", key, self.people.following)

    def posts(self, key: str) -> Numbered:
        """The IDs of a user's posts, newest first, as far as the list goes back."""
        return self._stream("tweet", key, min(self.people.posts.number("tweet", key), NEWEST), _POSTS_APART)

    def replies(self, key: str) -> Numbered:
        """The IDs of the replies to a user, newest first."""
        return self._stream("replies", key, self.people.replies.number("replies", key), _REPLIES_APART)

    def _crowd(self, what: str, key: str, count: Count) -> Numbered:
        if self.fate(key) is not Fate.FOUND:
            return EMPTY
        return crowd(f"{what} {key}", count.number(what, key), self.people.shared, self.people.pool)

    def _stream(self, what: str, key: str, count: int, apart: int) -> Numbered:
        return stream(f"{what} {key}", count, apart) if self.fate(key) is Fate.FOUND else EMPTY

    def many(self, keys: tuple[str, ...]) -> Reply:
        """The answer to a lookup of a list of IDs."""
        return self._lookup("ids", {key: key for key in keys}, keys)

    def named(self, names: tuple[str, ...]) -> Reply:
        """The answer to a lookup of a list of names, without regard to case."""
        for name in names:
            if not _NAME_FORM.fullmatch(name):
                return reply.bad_value("usernames", name, f"does not match {NAME_PATTERN}", ",".join(names))
        return self._lookup("usernames", {name: id_of(name) for name in names}, names)

    def one(self, key: str, missing: int = 200) -> Reply:
        """The answer to a lookup of one ID."""
        return self.refused("id", {key: key}) or self._answer("id", {key: key}, missing)

    def one_named(self, name: str, missing: int = 200) -> Reply:
        """The answer to a lookup of one name."""
        if not _NAME_FORM.fullmatch(name):
            return reply.bad_value("username", name, f"does not match {NAME_PATTERN}")
        asked = {name: id_of(name)}
        return self.refused("username", asked) or self._answer("username", asked, missing)

    def hidden(self, key: str, missing: int = 200) -> Reply | None:
        """The answer to a request for something of a user which cannot be had, or None where it can."""
        if refused := self.refused("id", {key: key}):
            return refused
        errors = self._error("id", key, self.fate(key), profile=False)
        if self.fate(key) is Fate.FOUND:
            return None
        body = reply.good({"errors": [errors]} if errors else {})
        return Reply(missing, body.body) if errors else body

    def refused(self, parameter: str, asked: dict[str, str]) -> Reply | None:
        """The answer to a call that one of its IDs spoils, or None."""
        fates = {written: self.fate(key) for written, key in asked.items()}
        for written, fate in fates.items():
            if fate is Fate.BAD:
                well_formed = _FORM.fullmatch(asked[written])
                why = "is not a valid user ID" if well_formed else f"does not match {reply.PATTERN}"
                return reply.bad_value(parameter, written, why, ",".join(asked))
        return reply.spoilt(fates.values())

    def _lookup(self, parameter: str, asked: dict[str, str], given: tuple[str, ...]) -> Reply:
        if not 1 <= len(given) <= MOST_IDS:
            return reply.too_many(parameter, given, MOST_IDS)
        return self.refused(parameter, asked) or self._answer(parameter, asked)

    def _answer(self, parameter: str, asked: dict[str, str], missing: int = 200) -> Reply:
        found, errors = [], []
        for written, key in asked.items():
            fate = self.fate(key)
            if fate in (Fate.FOUND, Fate.PROTECTED):
                found.append(self.user(key))
            elif error := self._error(parameter, written, fate, profile=True):
                errors.append(error)
        several = parameter.endswith("s")
        body: dict[str, object] = {"data": found if several else found[0]} if found else {}
        if errors:
            body["errors"] = errors
        return Reply(200 if found or several else missing, msgspec.json.encode(body), len(found))

    def _error(self, parameter: str, written: str, fate: Fate, profile: bool) -> dict[str, str] | None:
        match fate:
            case Fate.DELETED:
                return reply.not_found(parameter, written, "user")
            case Fate.SUSPENDED:
                return reply.suspended(parameter, written)
            case Fate.PROTECTED if not profile:
                return reply.not_authorized(parameter, written, "user")
        return None


def name_of(key: str) -> str:
    """The name of a user: at most 15 characters, so a long ID is written with letters."""
    if len(key) <= _LONGEST_PLAIN:
        return f"u_{key}"
    number, text = int(key), ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return f"x_{text or 0}"


def id_of(name: str) -> str:
    """The ID of the user of a name; a name that is not one of ours is that of some user, too."""
    kind, _, rest = name.lower().partition("_")
    if kind == "u" and _FORM.fullmatch(rest) and len(rest) <= _LONGEST_PLAIN:
        return rest
    if kind == "x" and rest.isalnum() and len(str(int(rest, 36))) > _LONGEST_PLAIN:
        return str(int(rest, 36))
    return str(bits(name.lower()) % 10**12)
