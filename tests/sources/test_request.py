"""How IDs become a request."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import RequestError
from collector.host.secret import Secret
from collector.sources.mask import Mask
from collector.sources.request import LONGEST_URL, Endpoint, redirected
from collector.sources.spec import Spec

TOKEN = Secret("s3cr&t /?#")
HOSTILE = [
    "a/../../b",
    "?a=b",
    "#top",
    "%2e%2e",
    "/",
    "&x=1",
    "a\r\nHost: evil",
    "@evil.example",
    "\\..\\",
    "é,|;=+ ",
    "..a",
]


def endpoint(**keys: Any) -> Endpoint:
    return Endpoint(Spec.model_validate({"url": "https://api.example/v1", **keys}), {"key": TOKEN})


def test_one_id_stands_percent_encoded_in_path_and_query() -> None:
    """An ID fills its place in the url, and what the operator wrote there stays as it is."""
    request = endpoint(url="https://api.example:8443/v1/p@x/{id}/posts?since=2020:01&of={id}").build(("a/b c",))
    assert str(request.url) == "https://api.example:8443/v1/p@x/a%2Fb%20c/posts?since=2020:01&of=a%2Fb%20c"
    assert (request.method, request.body) == ("GET", None)


def test_packed_ids_are_joined_and_encoded_once() -> None:
    """The list is one parameter value; the joiner is encoded with it."""
    request = endpoint(params={"ids": "{ids}", "post.fields": "a,b", "n": 5}, pack=9).build(("1", "2"))
    assert request.url.raw_query_string == "ids=1%2C2&post.fields=a%2Cb&n=5"


def test_a_list_can_repeat_its_parameter() -> None:
    """`join = "repeat"` writes the parameter once for each ID."""
    request = endpoint(params={"id[]": "{ids}", "limit": 2}, pack=9, join="repeat").build(("1", "a&b"))
    assert request.url.raw_query_string == "id%5B%5D=1&id%5B%5D=a%26b&limit=2"


def test_each_says_how_one_id_is_written_in_the_list() -> None:
    """Every ID of a list is put in its form before the list is joined."""
    request = endpoint(params={"filter": "{ids}"}, pack=9, each="doi:{id}").build(("10.1/a", "10.1/{id}"))
    assert dict(request.url.query) == {"filter": "doi:10.1/a,doi:10.1/{id}"}


def test_json_takes_a_list_where_the_value_is_ids_alone() -> None:
    """The exact value becomes a list, inside a longer text it is the joined text, and secrets are filled in."""
    body = {"ids": "{ids}", "text": "of {ids}!", "deep": [{"key": "{secret.key}", "n": 1}]}
    request = endpoint(method="POST", json=body, pack=9).build(("1", '"2'))
    assert json.loads(request.body or b"") == {
        "ids": ["1", '"2'],
        "text": 'of 1,"2!',
        "deep": [{"key": "s3cr&t /?#", "n": 1}],
    }
    assert request.headers["Content-Type"] == "application/json"


def test_a_form_is_encoded_like_a_query() -> None:
    """A form keeps its parameters apart whatever an ID holds."""
    request = endpoint(method="POST", form={"id": "{ids}", "db": "pubmed"}, pack=9).build(("1", "2&x=1"))
    assert request.body == b"id=1%2C2%26x%3D1&db=pubmed"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_secret_goes_on_the_wire_and_nowhere_else() -> None:
    """Secrets are filled in everywhere, encoded where they must be, and no repr shows them."""
    ready = endpoint(params={"key": "{secret.key}", "id": "{id}"}, headers={"authorization": "Bearer {secret.key}"})
    request = ready.build(("{secret.key}",))
    assert dict(request.url.query) == {"key": "s3cr&t /?#", "id": "{secret.key}"}
    assert request.headers["authorization"] == "Bearer s3cr&t /?#"
    assert "s3cr" not in f"{request} {request!r} {ready!r}"


def test_the_source_may_set_its_own_user_agent() -> None:
    """A declared header replaces ours, whatever its case."""
    headers = endpoint(params={"id": "{id}"}, headers={"user-agent": "me (mailto:a@b.example)"}).build(("1",)).headers
    assert [text for name, text in headers.items() if name.lower() == "user-agent"] == ["me (mailto:a@b.example)"]
    assert headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("keys", "bad"),
    [
        ({"url": "https://api.example/a/{id}/b"}, ".."),
        ({"url": "https://api.example/a/{id}"}, "."),
        ({"url": "https://api.example/a/.{id}"}, "."),
        ({"url": "https://api.example/a/{ids}", "pack": 2}, ".."),
        ({"params": {"id": "{id}"}}, "\ud800"),
        ({"params": {"id": "{id}"}}, ""),
        ({"params": {"a": "b"}, "headers": {"X-Id": "{id}"}}, "a\r\nX-Evil: 1"),
        ({"headers": {"X-Id": "{id}"}}, "\ud800"),
        ({"method": "POST", "json": {"a": "{id}"}}, "\ud800"),
    ],
)
def test_an_id_that_cannot_be_asked_for_is_malformed(keys: dict[str, Any], bad: str) -> None:
    """What encoding cannot make harmless is refused before anything is sent."""
    with pytest.raises(RequestError) as caught:
        endpoint(**keys).build((bad,))
    assert caught.value.reason == "malformed"


def test_dots_inside_a_segment_or_a_query_are_only_text() -> None:
    """Only a whole segment of dots is refused."""
    assert endpoint(url="https://api.example/{id}.json").build(("..",)).url.raw_path == "/...json"
    assert endpoint(params={"id": "{id}"}).build(("..",)).url.raw_query_string == "id=.."


@given(st.text(min_size=1) | st.sampled_from(HOSTILE))
def test_an_id_changes_nothing_but_its_own_place(key: str) -> None:
    """Host, path segments and parameters stay what they were, and the ID can be read back whole."""
    ready = endpoint(url="https://api.example/v1/{id}/posts?a=1", params={"p": "x{id}y", "q": "2"})
    try:
        url = urlsplit(str(ready.build((key,)).url))
    except RequestError:
        assert key in (".", "..") or any("\ud800" <= sign <= "\udfff" for sign in key)
        return
    assert (url.scheme, url.netloc, url.fragment) == ("https", "api.example", "")
    assert [unquote(segment) for segment in url.path.split("/")] == ["", "v1", key, "posts"]
    assert parse_qsl(url.query) == [("a", "1"), ("p", f"x{key}y"), ("q", "2")]


SHAPES: list[dict[str, Any]] = [
    {"params": {"ids": "{ids}", "fields": "a,b"}},
    {"params": {"id[]": "x{ids}"}, "join": "repeat"},
    {"url": "https://api.example/{ids}/of?ids={ids}", "each": "doi:{id}", "join": "|"},
    {"method": "POST", "json": {"ids": "{ids}"}},
]


@given(st.sampled_from(SHAPES), st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=50))
def test_a_url_is_no_longer_than_its_weights_say(shape: dict[str, Any], keys: list[str]) -> None:
    """While the weights of a call's IDs fit in the room, its URL is at most 8,000 characters long."""
    ready = endpoint(pack=100, **shape)
    try:
        length = len(str(ready.build(tuple(keys)).url))
    except RequestError:
        return
    weights = sum(map(ready.weight, keys))
    assert length <= LONGEST_URL - ready.room + weights
    assert length + 40 * len(shape) > LONGEST_URL - ready.room + weights - ready.weight(keys[0])


def test_ids_of_a_body_weigh_nothing() -> None:
    """What goes into a body leaves the URL as long as it was."""
    assert endpoint(method="POST", json={"ids": "{ids}"}, pack=9).weight("x" * 9_000) == 0


def test_an_id_that_holds_the_joiner_goes_alone() -> None:
    """Beside others it would be read as two IDs; a repeated parameter has no such trouble."""
    assert endpoint(params={"ids": "{ids}"}, pack=9).alone("a,b")
    assert not endpoint(params={"ids": "{ids}"}, pack=9).alone("ab")
    assert not endpoint(params={"ids": "{ids}"}, pack=9, join="repeat").alone("a,b")
    assert not endpoint(params={"id": "{id}"}).alone("a,b")


@pytest.mark.parametrize(
    ("status", "location", "url"),
    [
        (301, "/v2/1?a=%2Cb", "https://api.example/v2/1?a=%2Cb"),
        (308, "https://api.example:443/x", "https://api.example/x"),
        (302, "https://me:pw@api.example/x y#z", "https://api.example/x%20y"),
    ],
)
def test_a_redirect_on_the_same_origin_keeps_headers_and_body(status: int, location: str, url: str) -> None:
    """The next request is the same one at another address, without what an address must not bring along."""
    first = endpoint(method="PUT", json={"id": "{id}"}).build(("1",))
    following = redirected(first, status, location)
    assert str(following.url.with_port(None)) == url
    assert (following.method, following.headers, following.body) == ("PUT", first.headers, first.body)


@pytest.mark.parametrize("status", [301, 303])
def test_a_redirected_post_becomes_a_get(status: int) -> None:
    """As every client does it; the body and its type stay behind."""
    following = redirected(endpoint(method="POST", json={"id": "{id}"}).build(("1",)), status, "/done")
    assert (following.method, following.body, "Content-Type" in following.headers) == ("GET", None, False)


@pytest.mark.parametrize(
    "location",
    [
        "//evil.example/",
        "http://api.example/",
        "https://api.example:8443/",
        "https://api.example@evil.example/",
        "javascript:alert(1)",
        "https://[",
        "https://a\udc80.example/",
    ],
)
def test_a_redirect_elsewhere_is_refused(location: str) -> None:
    """Another host, port or scheme is another origin, and an address that cannot be read is none."""
    with pytest.raises(RequestError) as caught:
        redirected(endpoint(params={"id": "{id}"}).build(("1",)), 302, location)
    assert caught.value.reason == "redirect"


def test_a_body_that_echoes_a_secret_is_masked() -> None:
    """Neither the secret nor its encoded form stays in words that are kept."""
    ready = endpoint(params={"id": "{id}", "key": "{secret.key}"})
    echo = f"no {TOKEN.reveal()} at /v1?key={quote(TOKEN.reveal(), safe='')}"
    assert ready.masked(echo.encode()) == b"no *** at /v1?key=***"


@pytest.mark.parametrize("told", [json.dumps, msgspec.json.encode])
def test_a_secret_is_masked_within_json_too(told: Callable[[object], str | bytes]) -> None:
    """Where a quote and what is no ASCII stand as escapes, or as they are."""
    secret = 'pä"ss-word'
    body = told({"key": f"your key {secret}"})
    masked = Mask([secret]).masked(body.encode() if isinstance(body, str) else body)
    assert json.loads(masked) == {"key": "your key ***"}


@pytest.mark.parametrize("echo", [r"a\/b+c\\d", r"a\u002Fb\u002bc\u005cd", "a%2fb%2Bc%5cd", r"a/b\u002Bc\d"])
def test_a_secret_is_masked_however_its_signs_are_escaped(echo: str) -> None:
    """Some escape `/` or `+` within JSON, and percent-encode in lower case."""
    assert Mask([r"a/b+c\d"]).masked(f"key {echo}!".encode()) == b"key ***!"
