"""X's endpoints, version 2: posts, users, and the lists of both."""

import re
from collections.abc import Callable
from functools import partial

import msgspec

from collector.rehearsal import reply
from collector.rehearsal.cursors import Cursors
from collector.rehearsal.fates import Fate
from collector.rehearsal.numbered import EMPTY, Numbered, between
from collector.rehearsal.pages import Cut, Page, page
from collector.rehearsal.posts import Post, World
from collector.rehearsal.reply import Reply
from collector.rehearsal.route import Ask, Route, one
from collector.rehearsal.users import User, id_of

LONGEST_QUERY = 512
PAGING = "pagination_token"
_EITHER = ("next_token", PAGING)

_REPLIES = re.compile(r"\s*(?:to:@?(\w+)\s+is:reply|is:reply\s+to:@?(\w+))\s*", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,19}")
_OPERATOR = re.compile(r"[\w.-]+(?=:)")


class _List(msgspec.Struct, frozen=True):
    """One of X's paged lists."""

    name: str  # with whose it is
    ids: Numbered
    least: int
    most: int
    usual: int
    build: Callable[[str], Post | User]
    dated: bool  # by `since_id` and `until_id`
    cursors: tuple[str, ...] = (PAGING,)


class X:
    """Answers as X does, from what the world holds."""

    def __init__(self, world: World, cursors: Cursors, missing: int) -> None:
        self._world, self._cursors, self._missing = world, cursors, missing
        people = world.users.people
        self._cut = Cut(people.short, people.empty)

    def routes(self) -> tuple[Route, ...]:
        """All of them, each with windows of its own."""
        users = self._world.users
        return (
            Route("/2/tweets", lambda ask: self._world.many(ask.listed("ids"), _authors(ask)), _ids),
            Route("/2/tweets/{id}", self._post, one),
            Route("/2/tweets/search/recent", self._search, _target, _EITHER),
            Route("/2/users", lambda ask: users.many(ask.listed("ids")), _ids),
            Route("/2/users/by", lambda ask: users.named(ask.listed("usernames")), _names),
            Route("/2/users/by/username/{id}", lambda ask: users.one_named(ask.match["id"], self._missing), one),
            Route("/2/users/{id}", lambda ask: users.one(ask.match["id"], self._missing), one),
            Route("/2/users/{id}/followers", lambda ask: self._crowd("followers", ask), one, (PAGING,)),
            Route("/2/users/{id}/following", lambda ask: self._crowd("following", ask), one, (PAGING,)),
            Route("/2/users/{id}/tweets", self._timeline, one, (PAGING,)),
        )

    def _post(self, ask: Ask) -> Reply:
        return self._world.one(ask.match["id"], _authors(ask), self._missing)

    def _crowd(self, what: str, ask: Ask) -> Reply:
        user, users = ask.match["id"], self._world.users
        if hidden := users.hidden(user, self._missing):
            return hidden
        ids = users.followers(user) if what == "followers" else users.following(user)
        return self._paged(ask, _List(f"{what} {user}", ids, 1, 1_000, 100, users.user, dated=False))

    def _timeline(self, ask: Ask) -> Reply:
        user = ask.match["id"]
        if hidden := self._world.users.hidden(user, self._missing):
            return hidden
        posts = self._world.users.posts(user)
        build = partial(self._world.post_of, user)
        return self._paged(ask, _List(f"tweets {user}", posts, 5, 100, 10, build, dated=True))

    def _search(self, ask: Ask) -> Reply:
        query = ask.query.get("query", "")
        if not 1 <= len(query) <= LONGEST_QUERY:
            return reply.bad_value("query", query, f"is not between 1 and {LONGEST_QUERY} characters long")
        if not (target := _target(ask)):
            return reply.refusal("query", query, f"There were errors processing your request: {_not_known(query)}")
        user = target[0] if _NUMBER.fullmatch(target[0]) else id_of(target[0])
        if broken := reply.spoilt([self._world.users.fate(user)]):
            return broken
        ids = self._world.users.replies(user) if self._world.users.fate(user) is Fate.FOUND else EMPTY
        build = partial(self._world.reply_to, user)
        return self._paged(ask, _List(f"replies {user}", ids, 10, 100, 10, build, dated=True, cursors=_EITHER))

    def _paged(self, ask: Ask, listed: _List) -> Reply:
        size = _number(ask, "max_results", listed.usual)
        if size is None or not listed.least <= size <= listed.most:
            why = f"is not between {listed.least} and {listed.most}"
            return reply.bad_value("max_results", ask.query["max_results"], why)
        place = self._place(ask, listed)
        if isinstance(place, Reply):
            return place
        dated = (_number(ask, "since_id"), _number(ask, "until_id")) if listed.dated else (None, None)
        span = between(listed.ids, *dated)
        return self._reply(ask, listed, page(listed.name, span, place[0], size, self._cut, place[1]))

    def _place(self, ask: Ask, listed: _List) -> tuple[int, bool] | Reply:
        """Where the page begins, and whether the one before it was empty; or why that cannot be told."""
        if "next_token" in ask.query and "next_token" not in listed.cursors:
            known = f"The query parameter [next_token] is not one of [id,max_results,{','.join(listed.cursors)}]"
            return reply.refusal("next_token", ask.query["next_token"], known)
        for name in listed.cursors:
            if token := ask.query.get(name):
                place = self._cursors.take(token, listed.name)
                return (place.at, place.rested) if place else reply.bad_value(name, token, "is not a valid token")
        return 0, False

    def _reply(self, ask: Ask, listed: _List, cut: Page) -> Reply:
        keys = listed.ids[cut.numbers.start : cut.numbers.stop]
        found = [listed.build(key) for key in keys]
        posts = [thing for thing in found if isinstance(thing, Post)]
        meta: dict[str, object] = {"result_count": len(found)}
        if posts:
            meta |= {"newest_id": keys[0], "oldest_id": keys[-1]}
        if cut.next is not None:
            meta["next_token"] = self._cursors.give(listed.name, cut.next, cut.rested)
        body: dict[str, object] = {"data": found} if found else {}
        return reply.good({**body, **self._world.beside(posts, _authors(ask)), "meta": meta}, len(found))


def _ids(ask: Ask) -> tuple[str, ...]:
    return ask.listed("ids")


def _names(ask: Ask) -> tuple[str, ...]:
    return ask.listed("usernames")


def _target(ask: Ask) -> tuple[str, ...]:
    found = _REPLIES.fullmatch(ask.query.get("query", ""))
    return (found[1] or found[2],) if found else ()


def _authors(ask: Ask) -> bool:
    return "author_id" in ask.query.get("expansions", "").split(",")


def _number(ask: Ask, name: str, usual: int | None = None) -> int | None:
    text = ask.query.get(name)
    return usual if text is None else int(text) if _NUMBER.fullmatch(text) else None


def _not_known(query: str) -> str:
    """What X says of an operator that it does not offer, or of a query that is none."""
    for operator in _OPERATOR.finditer(query):
        if operator[0] not in ("to", "is"):
            where = f"(at position {operator.start() + 1})"
            return (
                f"Reference to invalid operator '{operator[0]}'. Operator is not available in current product {where}"
            )
    return "only `to:USER is:reply` is understood here (at position 1)"
