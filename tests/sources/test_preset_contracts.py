"""Each preset against the published contract of its service: what it sends is allowed, and the answer is understood."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from collector.errors import RequestError
from collector.host.secret import Secret
from collector.sources.answer import Good, read
from collector.sources.http import Client
from collector.sources.presets import shipped
from collector.sources.request import Endpoint, Request
from collector.sources.spec import Spec
from tests.sources import shipped as preset
from tests.sources.contract_ids import LINES, NONE_OF_THEM, TOO_MUCH, many
from tests.sources.contracts import Api, Refused, kept, served
from tests.sources.contracts_social import SOCIAL, TOKEN
from tests.sources.contracts_works import WORKS
from tests.sources.wire import Permit

CONTRACTS = {**SOCIAL, **WORKS}
NAMES = list(shipped())
PACKED = [name for name in NAMES if preset.spec(name).packed]
LISTS = [name for name in NAMES if preset.spec(name).next is not None]


def endpoint(name: str, origin: str | None = None, **changed: Any) -> Endpoint:
    """The preset as it ships, at another origin, with a key replaced here and there."""
    table = shipped()[name].table | {"use": name}
    if origin:
        table["url"] = origin + table["url"].removeprefix(str(URL(preset.spec(name).url.partition("{")[0]).origin()))
        if "auth" in table:
            table["auth"]["url"] = f"{origin}{URL(table['auth']['url']).raw_path}"
    spec = Spec.model_validate(table | changed)
    secrets = {secret: f"the-{secret}" for secret in spec.secrets} | {"contact_email": "who@example.org"}
    return Endpoint(spec, {name: Secret(value) for name, value in secrets.items()})


def api(name: str) -> str:
    return name.partition("/")[0]


@asynccontextmanager
async def asking(name: str) -> AsyncIterator[tuple[Api, Client, Endpoint]]:
    async with served(CONTRACTS[api(name)]) as server, Client() as client:
        yield server, client, endpoint(name, server.origin)


async def reading(client: Client, of: Endpoint, keys: tuple[str, ...], cursor: str | None = None) -> Good:
    found = read(of.spec, keys, await client.ask(of, keys, Permit(), cursor))
    assert isinstance(found, Good), found
    return found


def lines(of: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, line) for name, several in of.items() for line in several]


def built(of: Endpoint, *keys: str) -> Request:
    """With the token that the client would have fetched."""
    request = of.build(keys)
    if of.grant is None:
        return request
    return replace(request, headers={**request.headers, "Authorization": "Bearer t0ken"})


@pytest.mark.parametrize(("name", "line"), lines(LINES))
async def test_an_id_of_any_form_is_asked_for_as_the_contract_says(name: str, line: str) -> None:
    """Alone, and what comes is found under it."""
    key = preset.key(name, line)
    assert key is not None
    async with asking(name) as (server, client, of):
        answer = await reading(client, of, (key,))
    assert server.refusals == []
    assert list(answer.found) == [key]
    assert answer.found[key].items


@pytest.mark.parametrize("name", PACKED)
async def test_a_full_pack_is_what_the_contract_allows_at_most(name: str) -> None:
    """All of it is found, in one call."""
    async with asking(name) as (server, client, of):
        keys = many(name, of.spec.pack)
        assert [preset.key(name, key) for key in keys] == list(keys)
        assert sum(map(of.weight, keys)) <= of.room
        answer = await reading(client, of, keys)
    assert server.refusals == []
    assert (len(answer.found), answer.gone, answer.absent) == (of.spec.pack, {}, ())


@pytest.mark.parametrize("name", LISTS)
async def test_the_pages_of_a_list_are_asked_for_as_the_contract_says(name: str) -> None:
    """The second by the cursor of the first, in the parameter that takes it; then the list ends."""
    key = preset.key(name, LINES[name][0]) or ""
    async with asking(name) as (server, client, of):
        first = await reading(client, of, (key,))
        second = await reading(client, of, (key,), first.next)
    assert server.refusals == []
    assert (len(first.found[key].items), first.next is not None) == (2, True)
    assert (len(second.found[key].items), second.next) == (1, None)


@pytest.mark.parametrize(("name", "line"), lines(NONE_OF_THEM))
def test_what_the_service_would_refuse_is_no_id(name: str, line: str) -> None:
    """It is told with its line, before anything is sent."""
    assert preset.key(name, line) is None
    with pytest.raises((Refused, RequestError)):
        kept(CONTRACTS[api(name)], built(endpoint(name), line))


@pytest.mark.parametrize(("name", "line"), lines(TOO_MUCH))
def test_no_line_is_more_than_one_id(name: str, line: str) -> None:
    """Nor does it reach into the rest of a query."""
    assert preset.key(name, line) is None


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_pattern_takes_the_contract_takes(name: str, data: st.DataObject) -> None:
    """Any ID that may be asked for fits; one that no URL can hold is refused before it is sent."""
    line = data.draw(st.from_regex(re.compile(preset.spec(name).id), fullmatch=True) | st.sampled_from(LINES[name]))
    key = preset.key(name, line)
    if key is None:
        return
    try:
        request = built(endpoint(name), key)
    except RequestError:
        assert key.rpartition("/")[2] in (".", "..") or not key.isprintable()
        return
    kept(CONTRACTS[api(name)], request)


BROKEN = [
    ("x/posts", {}, 101, "ids has 101 members"),
    ("x/posts", {"join": "repeat"}, 2, "ids stands 2 times"),
    ("x/posts", {"params": {"ids": "{ids}", "tweet.fields": "lang"}}, 1, "unknown parameter tweet.fields"),
    ("x/posts", {"params": {"ids": "{ids}", "post.fields": "author_id"}}, 1, "post.fields holds 'author_id'"),
    ("x/posts", {"headers": {}}, 1, "header Authorization"),
    ("x/posts", {"method": "POST"}, 1, "POST in place of GET"),
    ("x/posts", {"url": "https://api.x.com/1.1/tweets"}, 1, "no endpoint /1.1/tweets"),
    ("x/followers", {"params": {"max_results": 1001}}, 1, "max_results holds '1001'"),
    ("x/user_posts", {"params": {"max_results": 4}}, 1, "max_results holds '4'"),
    ("x/replies", {"params": {"query": "to:{id}", "max_results": 9}}, 1, "max_results holds '9'"),
    ("bluesky/posts", {}, 26, "uris has 26 members"),
    ("bluesky/posts", {"join": ","}, 2, "uris holds"),
    ("bluesky/followers", {"params": {"actor": "{id}", "limit": 101}}, 1, "limit holds '101'"),
    ("mastodon/statuses", {}, 21, "id[] has 21 members"),
    ("mastodon/statuses", {"params": {"id": "{ids}"}}, 1, "unknown parameter id"),
    ("mastodon/followers", {"params": {"limit": 81}}, 1, "limit holds '81'"),
    ("reddit/info", {}, 101, "id has 101 members"),
    ("github/users", {"headers": {"Authorization": "Bearer {secret.github_token}"}}, 1, "header Accept"),
    ("youtube/videos", {}, 51, "id has 51 members"),
    ("youtube/videos", {"params": {"id": "{ids}", "key": "k"}}, 1, "missing parameter part"),
    ("youtube/videos", {"params": {"part": "snippet", "id": "{ids}", "key": "k", "maxResults": 50}}, 1, "maxResults"),
    ("openalex/works", {}, 101, "filter holds"),
    ("openalex/works", {"join": ","}, 2, "filter holds"),
    ("openalex/works", {"params": {"filter": "ids.openalex:{ids}"}}, 1, "missing parameter api_key"),
    ("crossref/works", {"each": "{id}"}, 1, "filter holds"),
    ("crossref/works", {"headers": {}}, 1, "header User-Agent"),
    ("semantic_scholar/papers", {}, 501, "ids has 501 members"),
    ("semantic_scholar/papers", {"headers": {"X-API-Key": "k"}}, 1, "header x-api-key"),
    ("semantic_scholar/papers", {"params": {"fields": "title,garbage"}}, 1, "fields holds 'garbage'"),
    ("wikidata/entities", {}, 51, "ids has 51 members"),
    ("wikidata/entities", {"join": ","}, 2, "ids holds"),
    ("wikidata/entities", {"headers": {"User-Agent": "python-requests/2"}}, 1, "header User-Agent"),
    (
        "pubmed/summaries",
        {"form": {"db": "pubmed", "retmode": "json", "id": "{ids}"}},
        1,
        "missing parameter email, tool",
    ),
    ("hackernews/items", {"url": "https://hacker-news.firebaseio.com/v0/item/{id}"}, 1, "id holds"),
]


@pytest.mark.parametrize(("name", "changed", "count", "why"), BROKEN)
def test_the_contracts_refuse_what_breaks_them(name: str, changed: dict[str, Any], count: int, why: str) -> None:
    """Else the tests above would say nothing: too many, a wrong list, wrong names, values, headers and paths."""
    with pytest.raises(Refused, match=re.escape(why)):
        kept(CONTRACTS[api(name)], built(endpoint(name, **changed), *many(name, count)))


def test_a_cursor_that_was_not_given_is_refused() -> None:
    """The lists' second pages are told from any other."""
    with pytest.raises(Refused, match="pagination_token holds"):
        kept(CONTRACTS["x"], endpoint("x/followers").build(("12",), TOKEN[:-1]))


async def test_a_refusal_comes_with_the_status_of_the_service() -> None:
    """And with what was wrong; nothing of the pack is found."""
    async with asking("mastodon/statuses") as (server, client, of):
        answer = await client.ask(of, many("mastodon/statuses", 21), Permit())
    assert (answer.status, server.refusals) == (422, ["id[] has 21 members of at most 20"])
