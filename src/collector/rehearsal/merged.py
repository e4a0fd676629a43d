"""Things that answer under another ID than the one asked for: merged works and papers, renamed repositories, and DOIs,
which come back in small letters."""

import re
from collections.abc import Iterable

import msgspec

from collector.rehearsal import reply
from collector.rehearsal.fates import Fate, Share, bits, point
from collector.rehearsal.posts import World
from collector.rehearsal.reply import Reply
from collector.rehearsal.route import Ask, Route

USUAL_WORKS, MOST_WORKS, MOST_PAPERS = 25, 100, 500
PAPER_BATCH = "/graph/v1/paper/batch"

_RENAMED = "-next"
_WORK = re.compile(r"(?:https://openalex\.org/)?(W[0-9]+)", re.IGNORECASE)
_DOI = re.compile(r"(?:doi:|https://doi\.org/)?(10\..+)", re.IGNORECASE)
_FILTER = re.compile(r"(doi|ids\.openalex|openalex):(.+)")
_PAPER = re.compile(r"[0-9a-f]{40}")


class Mergers:
    """Which IDs lead to another one: a share of them, or the very ones. What they lead to leads no further."""

    def __init__(self, share: Share) -> None:
        self._share = share

    def work(self, key: str) -> str:
        """The work that a number such as W1234 is now: the one that ends with 0. A DOI leads nowhere else."""
        return f"{key[:-1]}0" if self._leads_on(key, key.endswith("0") or not key.startswith("W")) else key

    def paper(self, key: str) -> str:
        """The paper that an ID of 40 digits is now, likewise."""
        return f"{key[:-1]}0" if self._leads_on(key, key.endswith("0")) else key

    def repository(self, name: str) -> str:
        """What `owner/name` is called now."""
        return f"{name}{_RENAMED}" if self._leads_on(name, name.endswith(_RENAMED)) else name

    def _leads_on(self, key: str, last: bool) -> bool:
        moved = key in self._share if isinstance(self._share, frozenset) else point(f"merged {key}") < self._share
        return moved and not last


class Merged:
    """OpenAlex's works, Semantic Scholar's papers and GitHub's repositories, as far as their IDs go."""

    def __init__(self, world: World, mergers: Mergers) -> None:
        self._world, self._mergers = world, mergers

    def routes(self) -> tuple[Route, ...]:
        """All of them."""
        return (
            Route("/works/{id}", self._work, lambda ask: (ask.match["id"],)),
            Route("/works", self._works, lambda ask: _filtered(ask)[1]),
            Route(PAPER_BATCH, self._papers, _paper_ids, method="POST"),
            Route("/graph/paper/batch", self._papers, _paper_ids, method="POST"),
            Route("/repos/{owner}/{name}", self._repository, lambda ask: (_repository_name(ask),)),
        )

    def _work(self, ask: Ask) -> Reply:
        key = work_key(ask.match["id"])
        if broken := self._broken([key]):
            return broken
        if self._world.fate_of_any(key) is not Fate.FOUND:
            return Reply(404, b'{"error": "Not Found", "message": "The requested entity was not found."}')
        return _moved(ask, f"/works/{now}") if (now := self._mergers.work(key)) != key else reply.good(_work(key), 1)

    def _works(self, ask: Ask) -> Reply:
        kind, written = _filtered(ask)
        size = ask.query.get("per_page", ask.query.get("per-page", str(USUAL_WORKS)))
        if not kind or len(written) > MOST_WORKS or not size.isdecimal() or not 1 <= int(size) <= MOST_WORKS:
            why = f"a filter of 1 to {MOST_WORKS} values of doi or ids.openalex, and per_page from 1 to {MOST_WORKS}"
            return Reply(400, msgspec.json.encode({"error": "Invalid query parameters error.", "message": why}))
        keys = dict.fromkeys(map(work_key, written))
        if broken := self._broken(keys):
            return broken
        there = [key for key in keys if self._world.fate_of_any(key) is Fate.FOUND and self._mergers.work(key) == key]
        found = [_work(key) for key in there[: int(size)]]
        meta = {"count": len(there), "page": 1, "per_page": int(size)}
        return reply.good({"meta": meta, "results": found, "group_by": []}, len(found))

    def _papers(self, ask: Ask) -> Reply:
        keys = _paper_ids(ask)
        if not 1 <= len(keys) <= MOST_PAPERS:
            why = f"1 to {MOST_PAPERS} paper ids, as a list at `ids`"
            return Reply(400, msgspec.json.encode({"error": f"Expected {why}"}))
        if broken := self._broken(keys):
            return broken
        found = [self._paper(key) if self._world.fate_of_any(key) is Fate.FOUND else None for key in keys]
        return reply.good(found, len(found) - found.count(None))

    def _paper(self, key: str) -> dict[str, object]:
        own = self._mergers.paper(paper_id(key))
        chance = bits(own)
        outer = {"CorpusId": chance >> 32 & 0xFFFFFFF, "DOI": f"10.5555/{own[:12]}"}
        return {"paperId": own, "externalIds": outer, "title": f"On {own[:6]}", "year": 1990 + chance % 35}

    def _repository(self, ask: Ask) -> Reply:
        key = _repository_name(ask)
        if broken := self._broken([key]):
            return broken
        if self._world.fate_of_any(key) is not Fate.FOUND:
            return Reply(404, b'{"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}')
        now = self._mergers.repository(key)
        if now != key:
            return _moved(ask, f"/repos/{now}")
        owner, _, name = key.partition("/")
        numbers = {"id": bits(key) % 10**9, "stargazers_count": bits(key) >> 64 & 0xFFF}
        return reply.good({**numbers, "full_name": key, "name": name, "owner": {"login": owner}}, 1)

    def _broken(self, keys: Iterable[str]) -> Reply | None:
        fates = [self._world.fate_of_any(key) for key in keys]
        if Fate.BAD in fates:
            return Reply(400, b'{"error": "Bad Request", "message": "An ID is not valid."}')
        return reply.spoilt(fates)


def work_key(written: str) -> str:
    """The ID that becomes of a work's ID as it is written: W in capitals, a DOI bare and in small letters."""
    if found := _WORK.fullmatch(written):
        return found[1].upper()
    return found[1].lower() if (found := _DOI.fullmatch(written)) else written


def paper_id(written: str) -> str:
    """The ID of 40 digits of a paper that is asked for by it or, as `DOI:…` or `CorpusId:…`, by another."""
    return written if _PAPER.fullmatch(written) else f"{bits(written.lower()):064x}"[:40]


def _work(key: str) -> dict[str, object]:
    by_doi = key.startswith("10.")
    number = f"W{bits(key) % 10**10}" if by_doi else key
    doi = f"https://doi.org/{key if by_doi else f'10.5555/{key.lower()}'}"
    own = f"https://openalex.org/{number}"
    about = {"display_name": f"On {number}", "publication_year": 1990 + bits(key) % 35}
    return {"id": own, "doi": doi, "ids": {"openalex": own, "doi": doi}, **about}


def _moved(ask: Ask, path: str) -> Reply:
    where = f"{ask.origin}{path}"
    return Reply(301, msgspec.json.encode({"message": "Moved Permanently", "url": where}), 0, {"Location": where})


def _filtered(ask: Ask) -> tuple[str, tuple[str, ...]]:
    found = _FILTER.fullmatch(ask.query.get("filter", ""))
    return (found[1], tuple(found[2].split("|"))) if found else ("", ())


def _paper_ids(ask: Ask) -> tuple[str, ...]:
    try:
        return tuple(msgspec.json.decode(ask.body, type=_Papers).ids)
    except msgspec.MsgspecError:
        return ()


class _Papers(msgspec.Struct):
    ids: list[str]


def _repository_name(ask: Ask) -> str:
    return f"{ask.match['owner']}/{ask.match['name']}"
