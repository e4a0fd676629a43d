"""The presets of OpenAlex, Crossref, Semantic Scholar, Wikidata and PubMed against answers as they document them."""

import json
from urllib.parse import parse_qsl

import pytest

from collector.sources.answer import Denied, Faulty, Refused, Unreadable
from tests.sources.shipped import answered, asked, columns, endpoint, key, request, sorted_out, waits

PAPER, OTHER = "649def34f8be52c8b66281af98ae884c09aef38b", "f712fab0d58ae6492e3cdfc1933dae103ec12d5d"


def test_openalex_is_asked_by_one_filter() -> None:
    """IDs with `|` between them, as many rows as a pack has, and the key."""
    where, query = asked("openalex/works", "W2741809807", "W1775749144")
    assert where == "https://api.openalex.org/works"
    assert query == [
        ("filter", "ids.openalex:W2741809807|W1775749144"),
        ("per_page", "100"),
        ("api_key", "the-openalex_key"),
    ]


def test_openalex_answers_with_urls() -> None:
    """The pattern's group is what they have in common; a merged one is left out and so absent."""
    work = {"id": "https://openalex.org/W2741809807", "doi": "https://doi.org/10.7717/peerj.4375", "title": "a"}
    work["primary_location"] = {"source": {"display_name": "PeerJ"}}  # type: ignore[assignment]  # a nested object
    body = {"meta": {"count": 1, "per_page": 100, "page": 1}, "results": [work], "group_by": []}
    assert sorted_out("openalex/works", "W2741809807", "W1", body=body) == (
        {"W2741809807": "https://openalex.org/W2741809807"},
        {},
        ("W1",),
    )
    assert columns("openalex/works", work)["journal"] == "PeerJ"
    for line in ("W1", "https://openalex.org/W1", "https://openalex.org/works/W1", "https://api.openalex.org/works/W1"):
        assert key("openalex/works", line) == "W1"
    assert key("openalex/works", "A5023888391") is None


def test_openalex_refusals_and_limits() -> None:
    """A wrong filter is a 400; the day's allowance is a 429 with the seconds to its end."""
    wrong = {"error": "Invalid filter", "message": "Unknown filter field: ids"}
    assert isinstance(answered("openalex/works", "W1", "W2", status=400, body=wrong), Refused)
    assert isinstance(answered("openalex/works", "W1", status=401, body={"error": "Invalid API key"}), Denied)
    assert waits(429, {"X-RateLimit-Limit": "10000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3600"})


def test_crossref_is_asked_by_one_filter_with_rows() -> None:
    """`doi:` before each, as many rows as a pack has, and a mail address in the User-Agent."""
    where, query = asked("crossref/works", "10.1000/a", "10.1016/s0140-6736(05)67889-0")
    assert where == "https://api.crossref.org/works"
    assert query == [("filter", "doi:10.1000/a,doi:10.1016/s0140-6736(05)67889-0"), ("rows", "50")]
    assert "mailto:the-contact_email" in request("crossref/works", "10.1000/a").headers["User-Agent"]


def test_a_doi_ignores_case() -> None:
    """The answer has it in lower case, whatever was asked for."""
    body = {"status": "ok", "message": {"total-results": 1, "items": [{"DOI": "10.1000/abc", "title": ["A"]}]}}
    found, gone, absent = sorted_out("crossref/works", "10.1000/abc", "10.1000/def", body=body)
    assert (found, gone, absent) == ({"10.1000/abc": "10.1000/abc"}, {}, ("10.1000/def",))
    assert columns("crossref/works", body["message"]["items"][0])["title"] == "A"  # type: ignore[index]  # as it is above
    for line in ("10.1000/ABC", "doi:10.1000/Abc", "https://doi.org/10.1000/ABC", "http://dx.doi.org/10.1000/abc"):
        assert key("crossref/works", line) == "10.1000/abc"
    assert key("crossref/works", "10.1000") is None


def test_a_doi_with_a_comma_cannot_be_asked_for() -> None:
    """Beside others it would be read as two, and Crossref refuses it: as a line it is no ID."""
    assert endpoint("crossref/works").alone("10.1000/a,b")
    assert key("crossref/works", "10.1000/a,b") is None
    refused = {"status": "failed", "message-type": "validation-failure", "message": [{"type": "parse-failure"}]}
    assert isinstance(answered("crossref/works", "10.1000/a,b", status=400, body=refused), Refused)


def test_crossrefs_limits() -> None:
    """A 429 is a wait; a 403 is for a person."""
    assert waits(429, {"x-rate-limit-limit": "3", "x-rate-limit-interval": "1s"})
    assert isinstance(answered("crossref/works", "10.1000/a", status=403, body=b"Forbidden"), Denied)


def test_semantic_scholar_takes_a_json_list() -> None:
    """IDs in the body, fields in the query, the key in its header."""
    where, query = asked("semantic_scholar/papers", PAPER, "DOI:10.1000/A,b")
    assert where == "https://api.semanticscholar.org/graph/v1/paper/batch"
    assert [name for name, _ in query] == ["fields"]
    sent = request("semantic_scholar/papers", PAPER, "DOI:10.1000/A,b")
    assert (sent.method, json.loads(sent.body or b"")) == ("POST", {"ids": [PAPER, "DOI:10.1000/A,b"]})
    assert (sent.headers["Content-Type"], sent.headers["x-api-key"]) == ("application/json", "the-semantic_scholar_key")


def test_papers_come_by_position() -> None:
    """A merged paper has another ID, null is unknown, and a list of another length says nothing safe."""
    body = [{"paperId": OTHER, "title": "a", "externalIds": {"DOI": "10.1000/a"}}, None]
    assert sorted_out("semantic_scholar/papers", PAPER, "PMID:1", body=body) == (
        {PAPER: PAPER},
        {"PMID:1": "unknown"},
        (),
    )
    assert columns("semantic_scholar/papers", body[0])["paper_id"] == OTHER
    reading = answered("semantic_scholar/papers", PAPER, "PMID:1", body=body[:1])
    assert isinstance(reading, Unreadable)
    assert reading.reason == "length"
    refused = answered(
        "semantic_scholar/papers", PAPER, status=400, body={"error": "Unrecognized or unsupported fields"}
    )
    assert isinstance(refused, Refused)
    assert isinstance(answered("semantic_scholar/papers", PAPER, status=403, body={"message": "Forbidden"}), Denied)
    assert waits(429, {})


@pytest.mark.parametrize(
    ("line", "id_"),
    [
        (PAPER, PAPER),
        (f"https://www.semanticscholar.org/paper/A-Title-Author/{PAPER}", PAPER),
        (f"https://www.semanticscholar.org/paper/{PAPER}", PAPER),
        ("CorpusId:215416146", "CorpusId:215416146"),
        ("DOI:10.18653/v1/N18-3011", "DOI:10.18653/v1/N18-3011"),
        ("ARXIV:2106.15928", "ARXIV:2106.15928"),
        ("URL:https://arxiv.org/abs/2106.15928v1", "URL:https://arxiv.org/abs/2106.15928v1"),
        ("10.18653/v1/N18-3011", None),
        (PAPER[:-1], None),
    ],
)
def test_a_paper_has_many_names(line: str, id_: str | None) -> None:
    """Its own, or that of another catalogue with its prefix."""
    assert key("semantic_scholar/papers", line) == id_


def test_wikidata_is_asked_one_call_after_the_other() -> None:
    """IDs with `|` between them, JSON, and a limit to the lag; a contact in the User-Agent."""
    where, query = asked("wikidata/entities", "Q42", "P31")
    assert where == "https://www.wikidata.org/w/api.php"
    assert query == [("action", "wbgetentities"), ("ids", "Q42|P31"), ("format", "json"), ("maxlag", "5")]
    assert "mailto:the-contact_email" in request("wikidata/entities", "Q42").headers["User-Agent"]
    assert endpoint("wikidata/entities").spec.parallel == 1


def test_wikidatas_entities_come_under_the_id_asked_for() -> None:
    """A redirected one too; a missing one is marked."""
    there = {"type": "item", "id": "Q42", "labels": {"en": {"language": "en", "value": "Douglas Adams"}}}
    body = {
        "entities": {
            "Q42": there,
            "Q2": {"type": "item", "id": "Q9", "redirects": {}},
            "Q3": {"id": "Q3", "missing": ""},
        },
        "success": 1,
    }
    found, gone, absent = sorted_out("wikidata/entities", "Q42", "Q2", "Q3", body=body)
    assert (found, gone, absent) == ({"Q42": "Q42", "Q2": "Q2"}, {"Q3": "missing"}, ())
    assert columns("wikidata/entities", there)["label"] == "Douglas Adams"
    assert waits(429, {"Retry-After": "5"})
    assert waits(503, {"Retry-After": "5"})
    assert isinstance(answered("wikidata/entities", "Q42", status=403, body=b"Please set a user-agent"), Denied)
    assert isinstance(answered("wikidata/entities", "Q42", "Q2", status=414, body=b"<html>too long</html>"), Refused)


@pytest.mark.parametrize(
    "line",
    [
        "Q42",
        "http://www.wikidata.org/entity/Q42",
        "https://www.wikidata.org/wiki/Q42#P31",
        "https://www.wikidata.org/wiki/Special:EntityData/Q42.json",
    ],
)
def test_an_entity_is_known_by_its_urls(line: str) -> None:
    """An item, a property or a lexeme; Q0 is none."""
    assert key("wikidata/entities", line) == "Q42"
    assert key("wikidata/entities", line.replace("Q42", "Q0")) is None


def test_pubmed_takes_a_form() -> None:
    """What is asked for and who asks stand in the body, nothing in the URL."""
    sent = request("pubmed/summaries", "31452104", "1")
    assert (sent.method, str(sent.url)) == ("POST", "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/esummary.fcgi")
    assert parse_qsl((sent.body or b"").decode()) == [
        ("db", "pubmed"),
        ("retmode", "json"),
        ("id", "31452104,1"),
        ("tool", "collector"),
        ("email", "the-contact_email"),
    ]
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_pubmeds_summaries_are_a_map() -> None:
    """`uids` beside them is none; one that it does not have holds an error."""
    there = {"uid": "31452104", "title": "a", "authors": [{"name": "Lee J"}], "fulljournalname": "b"}
    lost = {"uid": "999999999", "error": "cannot get document summary"}
    header = {"type": "esummary", "version": "0.3"}
    body = {"header": header, "result": {"uids": ["31452104", "999999999"], "31452104": there, "999999999": lost}}
    assert sorted_out("pubmed/summaries", "31452104", "999999999", "5", body=body) == (
        {"31452104": "31452104"},
        {"999999999": "unknown"},
        ("5",),
    )
    assert columns("pubmed/summaries", there)["first_author"] == "Lee J"


def test_pubmeds_limits_and_refusals() -> None:
    """A 429 is a wait, a 400 a refusal, a 502 the server's own trouble."""
    told = {"X-RateLimit-Limit": "3", "X-RateLimit-Remaining": "0", "Retry-After": "2"}
    assert waits(429, told)
    assert isinstance(answered("pubmed/summaries", "1", "2", status=400, body={"error": "API key invalid"}), Refused)
    assert isinstance(answered("pubmed/summaries", "1", "2", status=502, body=b"<html></html>"), Faulty)
    for line in ("PMID: 31452104", "https://pubmed.ncbi.nlm.nih.gov/31452104/", "31452104"):
        assert key("pubmed/summaries", line) == "31452104"
    assert key("pubmed/summaries", "PMC6710301") is None
