"""The published contracts of code, videos, works and entities, with answers in the shapes that were recorded."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.sources.contracts import Asked, Contract, Value, ids, number, some_of, text

# GitHub: its OpenAPI (@octokit/openapi 23), "Getting started with the REST API", and what a name may be.

GITHUB_HEADERS = {
    "Authorization": r"Bearer \S+",
    "Accept": r"application/vnd\.github\+json",
    "X-GitHub-Api-Version": "2022-11-28|2026-03-10",
}
OWNER = r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}"
GITHUB = (
    Contract(
        "repos/get",
        "/repos/{owner}/{repo}",
        lambda asked: {"id": 1, "full_name": f"{asked['owner'][0].upper()}/{asked['repo'][0]}"},
        places={"owner": text(OWNER), "repo": text(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,100}")},
        headers=GITHUB_HEADERS,
    ),
    Contract(
        "users/get-by-username",
        "/users/{username}",
        lambda asked: {"id": 1, "login": asked["username"][0].upper()},
        places={"username": text(rf"{OWNER}(?:\[bot\])?")},
        headers=GITHUB_HEADERS,
    ),
)

# YouTube: the discovery document of 2026-11-04; 50 IDs and no paging beside them is the reference's.

YOUTUBE = (
    Contract(
        "youtube.videos.list",
        "/youtube/v3/videos",
        lambda asked: {"kind": "youtube#videoListResponse", "items": [{"id": video} for video in asked["id"]]},
        query={
            "part": some_of(
                "contentDetails fileDetails id liveStreamingDetails localizations paidProductPlacementDetails player"
                " processingDetails recordingDetails snippet statistics status suggestions topicDetails",
                required=True,
            ),
            "id": ids("[A-Za-z0-9_-]{11}", 50),
            "key": text(r"\S+", required=True),
            "hl": text(r"[A-Za-z_-]+"),
            "fields": text(".+"),
        },
    ),
)

# OpenAlex: developers.openalex.org, list works, paging, filtering, authentication.


def openalex_works(asked: Asked) -> dict[str, Any]:
    wanted = re.findall(r"W\d+", asked["filter"][0])
    works = [{"id": f"https://openalex.org/{work}"} for work in wanted][: int(asked.get("per_page", ["25"])[0])]
    return {"meta": {"count": len(wanted)}, "results": works, "group_by": []}


OPENALEX = (
    Contract(
        "developers.openalex.org, list works",
        "/works",
        openalex_works,
        query={
            "filter": text(r"ids\.openalex:W\d{1,12}(?:\|W\d{1,12}){0,99}", required=True),
            "per_page": number(1, 100),
            "api_key": text(r"\S+", required=True),
            **{name: text(".+") for name in ("select", "sort", "cursor", "page")},
        },
    ),
)

# Crossref: its OpenAPI 3.32, and the etiquette: a mail address in the User-Agent or in `mailto`.


def crossref_works(asked: Asked) -> dict[str, Any]:
    dois = [named.removeprefix("doi:") for named in asked["filter"]][: int(asked.get("rows", ["20"])[0])]
    return {"status": "ok", "message-type": "work-list", "message": {"items": [{"DOI": doi.lower()} for doi in dois]}}


CROSSREF = (
    Contract(
        "Crossref's OpenAPI 3.32, /works",
        "/works",
        crossref_works,
        headers={"User-Agent": r"[\w.-]+/[\w.]+ \(.*mailto:[^@\s]+@[^@\s]+\.[a-z]+\)"},
        query={
            "filter": ids(r"doi:10\.[0-9]{4,9}/[^\s,]+", 1000),
            "rows": number(0, 1000),
            "mailto": text(r"[^@\s]+@[^@\s]+"),
            **{name: text(".+") for name in ("select", "sort", "order", "cursor", "offset")},
        },
    ),
)

# Semantic Scholar: the OpenAPI 1.0 of the Academic Graph; the name of the key's header is "case-sensitive".

PAPER_ID = (
    "[0-9a-f]{40}|(?:CorpusId|MAG|PMID|PMCID):[0-9]+|DOI:10[.][0-9]{4,9}/.+|ARXIV:[A-Za-z0-9./-]+|ACL:[A-Za-z0-9.-]+"
    r"|URL:https?://(?:[A-Za-z0-9-]+\.)*(?:semanticscholar|arxiv|aclweb|acm|biorxiv)\.org/.+"
)
SEMANTIC_SCHOLAR = (
    Contract(
        "Academic Graph API 1.0, post_graph_get_papers",
        "/graph/v1/paper/batch",
        lambda asked: [{"paperId": f"{place:040x}", "title": paper} for place, paper in enumerate(asked["ids"])],
        method="POST",
        headers={"x-api-key": r"\S+"},
        query={
            "fields": some_of(
                "paperId corpusId externalIds url title abstract venue publicationVenue year referenceCount"
                " citationCount influentialCitationCount isOpenAccess openAccessPdf fieldsOfStudy s2FieldsOfStudy"
                " publicationTypes publicationDate journal citationStyles authors citations references embedding tldr"
                " textAvailability"
            )
        },
        body={"ids": ids(PAPER_ID, 500, joiner="")},
    ),
)

# Wikidata: api.php?action=help&modules=wbgetentities, Wikibase's patterns of IDs, the Foundation's User-Agent policy.

WIKIDATA = (
    Contract(
        "wbgetentities",
        "/w/api.php",
        lambda asked: {"entities": {name: {"type": "item", "id": name} for name in asked["ids"]}, "success": 1},
        headers={"User-Agent": r"[\w.-]+/[\w.]+ \((?:.*; )?(?:mailto:)?[^@\s]+@[^@\s]+\.[a-z]+\).*"},
        query={
            "action": text("wbgetentities", required=True),
            "ids": Value(
                lambda name: re.fullmatch("[QPL][1-9][0-9]{0,9}", name) and int(name[1:]) <= 2_147_483_647,
                "an entity's ID",
                required=True,
                joiner="|",
                most=50,
            ),
            "format": text("json", required=True),
            "formatversion": text("1|2"),
            "maxlag": number(0, 99),
            "redirects": text("yes|no"),
            "props": text(r"[a-z/|]+"),
            "languages": text(r"[a-z|-]+"),
        },
    ),
)

# NCBI: "The E-utilities In-Depth", NBK25499: `tool` and `email` should be in every request; a POST above about 200 IDs,
# 10,000 at most.


def summaries(asked: Asked) -> dict[str, Any]:
    uids = asked["id"]
    return {
        "header": {"type": "esummary"},
        "result": {"uids": uids} | {uid: {"uid": uid, "title": "a"} for uid in uids},
    }


PUBMED = (
    Contract(
        "NBK25499, ESummary",
        "/entrez/eutils/esummary.fcgi",
        summaries,
        method="POST",
        form={
            "db": text("pubmed", required=True),
            "id": ids("[1-9][0-9]*", 10_000),
            "retmode": text("json", required=True),
            "version": text("2[.]0"),
            "tool": text(r"\S+", required=True),
            "email": text(r"[^@\s]+@[^@\s]+\.[a-z]+", required=True),
            "api_key": text(r"\S+"),
        },
    ),
)

# Hacker News: github.com/HackerNews/API.

HACKERNEWS = (
    Contract(
        "HackerNews/API, items",
        "/v0/item/{id}",
        lambda asked: {"id": int(asked["id"][0].removesuffix(".json")), "type": "story"},
        places={"id": text(r"[0-9]+\.json")},
        query={"print": text("pretty")},
    ),
)

WORKS: Mapping[str, Sequence[Contract]] = {
    "github": GITHUB,
    "youtube": YOUTUBE,
    "openalex": OPENALEX,
    "crossref": CROSSREF,
    "semantic_scholar": SEMANTIC_SCHOLAR,
    "wikidata": WIKIDATA,
    "pubmed": PUBMED,
    "hackernews": HACKERNEWS,
}
