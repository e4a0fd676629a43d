"""The lists and lookups of other APIs."""

import re
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from collector.rehearsal.fates import Faults
from collector.rehearsal.merged import paper_id, work_key
from collector.rehearsal.posts import NO_FAULTS
from collector.rehearsal.users import Count, People

from .wire import crowded, quiet, serving, told

THINGS = [f"t3_{number:x}" for number in range(1_000, 1_100)]


def faults(**shares: Any) -> Faults:
    return msgspec.structs.replace(NO_FAULTS, **shares)


def names(body: Any) -> list[str]:
    return [child["data"]["name"] for child in body["data"]["children"]]


async def test_a_pack_without_a_limit_comes_back_short_without_a_word() -> None:
    """25 of 100 and no cursor; with the limit all 100; with less, a cursor that leads on."""
    async with serving(quiet()) as (api, session):
        _, silent = await told(session, "/api/info", id=",".join(THINGS))
        assert (names(silent), silent["data"]["after"]) == (THINGS[:25], None)
        _, whole = await told(session, "/api/info", id=",".join(THINGS), limit="100")
        assert (names(whole), whole["data"]["after"]) == (THINGS, None)
        found: list[str] = []
        more: dict[str, str] = {}
        while not found or more["after"]:
            _, body = await told(session, "/api/info", id=",".join(THINGS), limit="40", **more)
            found += names(body)
            more = {"after": body["data"]["after"]}
        assert found == THINGS
        assert [verdict.cursor for verdict in api.verdicts][-2:] == [THINGS[39], THINGS[79]]


async def test_a_deleted_thing_stays_without_its_author() -> None:
    """`[deleted]` in its place; an absent one is left out."""
    gone = faults(deleted=frozenset({THINGS[0]}), absent=frozenset({THINGS[1]}))
    async with serving(quiet(faults=gone)) as (_, session):
        _, body = await told(session, "/api/info", id=",".join(THINGS[:3]))
        assert names(body) == [THINGS[0], THINGS[2]]
        assert [child["data"]["author"] == "[deleted]" for child in body["data"]["children"]] == [True, False]


async def linked(session: aiohttp.ClientSession, path: str) -> tuple[list[str], str]:
    """The IDs of a page, and where its Link header leads."""
    async with session.get(path) as answer:
        assert answer.status == 200
        more = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("Link", ""))
        return [item["id"] for item in await answer.json()], more[1] if more else ""


@pytest.mark.parametrize("link", ["absolute", "relative"])
async def test_a_link_header_leads_through_a_list(link: str) -> None:
    """Every follower once, the last page without a link, by addresses of either kind."""
    people = People(followers=Count(1_000, 1_000), short=0.3)
    async with serving(quiet(people=people, link=link)) as (api, session):
        found, path = [], "/api/v1/accounts/12/followers?limit=80"
        while path:
            ids, path = await linked(session, path)
            assert 1 <= len(ids) <= 80
            assert path.startswith({"absolute": f"{api.url}/", "relative": "/"}[link]) or not path
            found += ids
        assert found == list(api.world.users.followers("12"))
        assert list(api.verdicts)[-1].cursor


async def test_a_link_header_may_lead_to_another_host() -> None:
    """The declared origin stands in it, and nothing else is different."""
    async with serving(quiet(people=People(followers=Count(100, 100)), link="http://other.example")) as (_, session):
        _, path = await linked(session, "/api/v1/accounts/12/followers")
        parts = urlsplit(path)
        assert (parts.netloc, parts.path) == ("other.example", "/api/v1/accounts/12/followers")


async def test_an_account_that_is_not_there_is_not_found() -> None:
    """404, and 410 for a suspended one; more than 80 of a page are 80."""
    settings = crowded(deleted=frozenset({"1"}), suspended=frozenset({"2"}), followers=Count(99, 99), short=0.0)
    async with serving(settings) as (_, session):
        assert [(await told(session, f"/api/v1/accounts/{key}/followers"))[0] for key in "12"] == [404, 410]
        assert len((await told(session, "/api/v1/accounts/3/followers", limit="500"))[1]) == 80


async def test_a_merged_work_is_a_redirect_to_another_on_the_same_origin() -> None:
    """Alone it is a 301 that leads to the work it is now; in a list it is left out."""
    moved = quiet(merged=frozenset({"W17", "ada/tool"}))
    async with serving(moved) as (api, session):
        async with session.get("/works/W17", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, f"{api.url}/works/W10")
        assert (await told(session, "/works/W17"))[1]["id"] == "https://openalex.org/W10"
        _, body = await told(session, "/works", filter="ids.openalex:W16|W17|w18")
        assert [work["id"] for work in body["results"]] == [f"https://openalex.org/{key}" for key in ("W16", "W18")]
        async with session.get("/repos/ada/tool", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, f"{api.url}/repos/ada/tool-next")
        assert (await told(session, "/repos/ada/tool"))[1]["full_name"] == "ada/tool-next"
        assert (await told(session, "/repos/ada/other"))[1]["full_name"] == "ada/other"


async def test_mergers_come_by_their_share_and_lead_no_further() -> None:
    """About half of those that may; what one leads to leads to itself."""
    async with serving(quiet(merged=0.5)) as (api, _):
        works = [f"W{number}" for number in range(1_001, 2_001)]
        now = [api.mergers.work(key) for key in works]
        assert 350 <= sum(key != work for key, work in zip(works, now, strict=True)) <= 550
        assert [api.mergers.work(key) for key in now] == now


async def test_a_doi_is_answered_in_small_letters() -> None:
    """As a URL, alone and in a list, with odd letters in it; 25 of more where no number is asked for."""
    dois = ["10.1000/ABC,D", "10.1002/(SICI)1097<1::AID>2"]
    async with serving(quiet()) as (api, session):
        _, body = await told(session, "/works", filter=f"doi:{'|'.join(dois)}", per_page="100")
        assert [work["doi"] for work in body["results"]] == [f"https://doi.org/{doi.lower()}" for doi in dois]
        assert [verdict.ids for verdict in api.verdicts] == [tuple(dois)]
        async with session.get("/works/doi:10.1000%2FABC") as answer:
            assert (await answer.json())["doi"] == "https://doi.org/10.1000/abc"
        _, many = await told(session, "/works", filter="doi:" + "|".join(f"10.1/{number}" for number in range(100)))
        assert (len(many["results"]), many["meta"]["count"]) == (25, 100)
        assert (await told(session, "/works", filter="title:x"))[0] == 400
    assert work_key("https://openalex.org/w5") == "W5"


async def posted(session: aiohttp.ClientSession, body: object) -> tuple[int, Any]:
    async with session.post("/graph/v1/paper/batch", json=body) as answer:
        return answer.status, await answer.json()


async def test_papers_are_answered_by_position() -> None:
    """A null in place, a merged paper under another ID, an ID of another kind under the paper's own."""
    plain, merged, gone = ("a" * 39 + digit for digit in "789")
    settings = quiet(merged=frozenset({merged}), faults=faults(deleted=frozenset({gone})))
    async with serving(settings) as (api, session):
        asked = [plain, gone, merged, "DOI:10.1/X", plain]
        status, body = await posted(session, {"ids": asked})
        assert status == 200
        found = [paper and paper["paperId"] for paper in body]
        assert found == [plain, None, "a" * 39 + "0", api.mergers.paper(paper_id("DOI:10.1/X")), plain]
        assert found[3] == paper_id("doi:10.1/x")
        assert next(iter(api.verdicts)).ids == tuple(asked)
        odd: tuple[object, ...] = ({"ids": []}, {"ids": [plain] * 501}, [1], {"ids": 5})
        assert [(await posted(session, body))[0] for body in odd] == [400] * 4


@pytest.mark.parametrize(
    "path",
    [
        "/2/tweets?ids=7,11",
        "/2/tweets/11",
        "/api/info?id=7,11",
        "/works/11",
        "/works?filter=ids.openalex:7|11",
        "/repos/11/x",
    ],
)
async def test_one_id_can_spoil_an_answer_anywhere(path: str) -> None:
    """500, 400, or a 200 that holds an error and none of what was asked for."""
    named = frozenset({"11", "11/x"})
    for fate, expected in (("poison", 500), ("bad", 400), ("spoilt", 200)):
        async with serving(quiet(faults=faults(**{fate: named}))) as (_, session):
            status, body = await told(session, path)
            assert status == expected
            assert fate != "spoilt" or body == {"errors": [{"message": "Internal error", "code": 131}]}


async def test_each_endpoint_has_its_own_window_and_may_have_its_own_limit() -> None:
    """One that is spent stands in no other's way; the limits tell of it in their headers."""
    limits = {"/2/users/{id}/followers": 2, "/api/info": None}
    async with serving(quiet(limit=1, limits=limits)) as (_, session):
        paths = ["/2/users/12/followers"] * 3 + ["/2/users/13", "/2/users/13"] + ["/api/info?id=t3_a"] * 3
        assert [(await told(session, path))[0] for path in paths] == [200, 200, 429, 200, 429, 200, 200, 200]
        async with session.get("/2/users/12/followers") as answer:
            assert answer.headers["x-rate-limit-limit"] == "2"
