"""A list whose pages the Link header leads to, as Mastodon has it."""

from collector.rehearsal import reply
from collector.rehearsal.fates import Fate
from collector.rehearsal.pages import Cut, page
from collector.rehearsal.posts import World
from collector.rehearsal.reply import Reply
from collector.rehearsal.route import Ask, Route, one

USUAL, MOST = 40, 80
_FIRST_RANK, _STEP = 7_000_000, 3  # the number of a follow, which `max_id` speaks of: nobody's ID


class Mastodon:
    """The followers of an account, the same that X's list of that ID has.

    `link` is how the next page is told of: by an `absolute` address of our own, by a `relative` one, or, where it is
    an origin such as `http://other.example`, by an address there.
    """

    def __init__(self, world: World, link: str) -> None:
        self._world, self._link = world, link
        # A page that the Link header leads on from is told by its last follow, so it is never empty.
        self._cut = Cut(short=world.users.people.short)

    def routes(self) -> tuple[Route, ...]:
        """The list."""
        return (Route("/api/v1/accounts/{id}/followers", self._answer, one, ("max_id",)),)

    def _answer(self, ask: Ask) -> Reply:
        account = ask.match["id"]
        fate = self._world.users.fate(account)
        if broken := reply.spoilt([fate]):
            return broken
        if fate in (Fate.DELETED, Fate.SUSPENDED, Fate.BAD):
            return Reply(410 if fate is Fate.SUSPENDED else 404, b'{"error": "Record not found"}')
        ids = self._world.users.followers(account)
        size = ask.limit(USUAL, MOST)
        at = _at(ask.query.get("max_id"), len(ids))
        cut = page(f"accounts {account}", range(len(ids)), at, size, self._cut)
        found = [self._account(key) for key in ids[cut.numbers.start : cut.numbers.stop]]
        ranks = _rank(cut.numbers.start, len(ids)), _rank(cut.numbers.stop - 1, len(ids))
        return reply.good(found, len(found), self._links(ask, size, *ranks) if cut.next else {})

    def _links(self, ask: Ask, size: int, first: int, last: int) -> dict[str, str]:
        base = {"absolute": ask.origin, "relative": ""}.get(self._link, self._link)
        path = f"{base}/api/v1/accounts/{ask.match['id']}/followers?limit={size}"
        return {"Link": f'<{path}&max_id={last}>; rel="next", <{path}&since_id={first}>; rel="prev"'}

    def _account(self, key: str) -> dict[str, object]:
        user = self._world.users.user(key)
        counts = {f"{what}_count": user.public_metrics[f"{what}_count"] for what in ("followers", "following")}
        names = {"username": user.username, "acct": user.username, "display_name": user.name}
        return {"id": key, **names, "locked": user.protected, "created_at": user.created_at, **counts}


def _rank(index: int, count: int) -> int:
    """The number of a follow; the newest, which stands first, has the highest."""
    return _FIRST_RANK + (count - index) * _STEP


def _at(max_id: str | None, count: int) -> int:
    """The place of the first follow whose number is below `max_id`."""
    if max_id is None or not max_id.isdecimal():
        return 0
    above = -(-(int(max_id) - _FIRST_RANK) // _STEP)
    return min(max(count - above + 1, 0), count)
