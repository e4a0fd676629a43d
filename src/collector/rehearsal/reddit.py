"""Reddit's lookup of many things, which cuts a pack short without a word."""

from collector.rehearsal import reply
from collector.rehearsal.fates import Fate, bits
from collector.rehearsal.posts import World
from collector.rehearsal.reply import Reply
from collector.rehearsal.route import Ask, Route

USUAL, MOST = 25, 100
_SHOWN = (Fate.FOUND, Fate.DELETED)


class Reddit:
    """`/api/info?id=t3_a,t1_b`: without `limit` the first 25 of what is there, and nothing tells that there is more."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> tuple[Route, ...]:
        """The lookup."""
        return (Route("/api/info", self._answer, lambda ask: ask.listed("id"), ("after",)),)

    def _answer(self, ask: Ask) -> Reply:
        fates = {key: self._world.fate_of_any(key) for key in ask.listed("id") if key}
        if Fate.BAD in fates.values():
            return Reply(400, b'{"message": "Bad Request", "error": 400}')
        if broken := reply.spoilt(fates.values()):
            return broken
        there = [key for key, fate in fates.items() if fate in _SHOWN]
        after = ask.query.get("after", "")
        rest = there[there.index(after) + 1 :] if after in there else there
        limit = ask.limit(USUAL, MOST)
        things = [_thing(key, fates[key]) for key in rest[:limit]]
        more = "limit" in ask.query and len(rest) > limit
        data = {"after": rest[limit - 1] if more else None, "dist": len(things), "children": things, "before": None}
        return reply.good({"kind": "Listing", "data": data}, len(things))


def _thing(key: str, fate: Fate) -> dict[str, object]:
    """A deleted one stays, without its author and its text."""
    chance, kind = bits(key), key.partition("_")[0]
    deleted = fate is Fate.DELETED
    author = "[deleted]" if deleted else f"u{chance % 10**9}"
    text = "[deleted]" if deleted else f"Words {chance >> 64 & 0xFFFF}"
    about = {"author": author, "score": chance >> 32 & 0xFFF, "created_utc": 1_500_000_000.0 + (chance & 0xFFFFFFF)}
    data = {"name": key, "id": key.partition("_")[2], ("body" if kind == "t1" else "selftext"): text, **about}
    return {"kind": kind, "data": data}
