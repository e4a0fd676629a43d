"""Link headers (RFC 8288), and the cursor that is kept of them."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from collector.errors import RequestError
from collector.sources import links, pages

BASE = URL("https://api.example/v1/a/followers?limit=80")


def following(*headers: str) -> str | None:
    found = links.following(BASE, headers)
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        (['<https://api.example/v1/x?max_id=7>; rel="next"'], "https://api.example/v1/x?max_id=7"),
        (["<https://api.example/v1/x?a=1,2;3>;rel=next"], "https://api.example/v1/x?a=1,2;3"),
        (['</first>; rel="first", </second> ; title="a, <b>; \\"c\\"" ; rel="next"'], "https://api.example/second"),
        (['<?page=2>; rel="last next"'], "https://api.example/v1/a/followers?page=2"),
        (["<b?c=%2C>; REL=NEXT; rel=prev"], "https://api.example/v1/a/b?c=%2C"),
        (['<//api.example:443/x>; rel="next"'], "https://api.example/x"),
        (['</a>; rel="prev"', '</b>; rel="next"'], "https://api.example/b"),
        (['</a>; rel="next"; anchor="/other", </b>; rel="next"'], "https://api.example/b"),
        (['</a>; rel="next", </b>; rel="next"'], "https://api.example/a"),
        (['</é b>; rel="next"'], "https://api.example/%C3%A9%20b"),
        (["junk, <unclosed, </a>;;; rel=next;"], "https://api.example/a"),
        (['</a>; rel="next', "</b>; rel=next"], "https://api.example/b"),
        (['</a>; rel="nextish", </b>; rel=prev; title="next"'], None),
        (["</a>; rev=next, </b>"], None),
        (["", " , ;", "<", "<>"], None),
        ([], None),
    ],
)
def test_the_next_page_is_where_the_first_link_of_that_relation_leads(headers: list[str], target: str | None) -> None:
    """Several links in a header, several headers, quoted or not, several relations in one, addresses of any kind."""
    assert following(*headers) == target


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "http://api.example/",
        "https://api.example:8443/",
        "https://[",
        "a:b",
    ],
)
def test_a_link_elsewhere_is_refused(target: str) -> None:
    """Another host, port or scheme is another origin; nothing is sent there."""
    with pytest.raises(RequestError) as caught:
        following(f'<{target}>; rel="next"')
    assert caught.value.reason == "redirect"


@given(st.text(st.sampled_from('<>;,="\\ relnxt/?&%\n'), max_size=200) | st.text(max_size=50))
def test_any_text_is_a_link_header(text: str) -> None:
    """Whatever stands there: a link on the same origin, none, or a refusal."""
    found = None
    with suppress(RequestError):
        found = links.following(BASE, [text, text])
    assert found is None or found.origin() == BASE.origin()


@pytest.mark.timeout(5)
@pytest.mark.parametrize("junk", ["<a,", '<a>;r="', "<a>;", ";", " ,", '<a>;r="\\', "<a> "])
def test_a_long_broken_header_is_read_in_no_time(junk: str) -> None:
    """As many bytes as a header may have do not hold the service up."""
    assert following(junk * (32_768 // len(junk))) is None


def test_a_link_is_kept_without_the_secrets_in_it() -> None:
    """As they are, percent-encoded in either case, or half so; each becomes its place."""
    secrets = {"key": "a/b c", "other": "a/b"}
    url = URL("https://api.example/x?k=a%2fb+c&l=a/b%20c&m=%61/b&n=%2Fb&o={secret.key}", encoded=True)
    kept = "/x?k={secret.key}&l={secret.key}&m={secret.other}&n=%2Fb&o=%7Bsecret.key%7D"
    assert pages.kept(url, secrets, ()) == kept
    assert pages.asked(kept, secrets) == ("/x", "k=a%2Fb%20c&l=a%2Fb%20c&m=a%2Fb&n=%2Fb&o=%7Bsecret.key%7D")


def test_a_secret_that_looks_encoded_is_known_without_another_encoding() -> None:
    """Some keys hold `%2F` as such, and a server may repeat them so."""
    url = URL("https://api.example/x?k=AAA%2Fbbb&l=AAA%252Fbbb", encoded=True)
    assert pages.kept(url, {"key": "AAA%2Fbbb"}, ()) == "/x?k={secret.key}&l={secret.key}"


def test_a_token_in_a_link_is_left_out() -> None:
    """It goes in a header anyway, and it must not be kept."""
    url = URL("https://api.example/x/t0ken-1?access_token=t0ken%2D1&after=7", encoded=True)
    assert pages.kept(url, {}, ["t0ken-1"]) == "/x/***?after=7"


SECRETS = st.dictionaries(st.sampled_from(["a", "b"]), st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))
QUERIES = st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=6), st.integers(0, 2)), max_size=4)


@given(SECRETS, QUERIES)
@example({"a": "2", "b": "%"}, [("%2", 1), ("{secret.a}", 2)])
def test_what_is_kept_of_a_link_leads_to_the_same_page(secrets: dict[str, str], parts: list[tuple[str, int]]) -> None:
    """Whatever the secrets and the link are: the parameters come back as they were, and no secret was kept whole."""
    values = [*secrets.values()]
    query = {
        f"p{n}": text + (values[which % len(values)] if values and which else "")
        for n, (text, which) in enumerate(parts)
    }
    url = URL("https://api.example/x").with_query(query)
    kept = pages.kept(url, secrets, ())
    path, back = pages.asked(kept, secrets)
    assert (path, dict(URL(f"https://api.example/x?{back}", encoded=True).query)) == ("/x", query)
    bare = kept.replace("{secret.a}", "\0").replace("{secret.b}", "\0")
    assert not [value for value in values if len(value) > 3 and value.isalnum() and value.isascii() and value in bare]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "https://evil.example/",
        "@evil.example/",
        ".evil.example/",
        "/a b",
        "/a\r\nX: 1",
        "/a#b",
        "/é",
        "/{secret.other}",
        "/{x}",
    ],
)
def test_a_cursor_that_is_no_link_is_not_asked_for(cursor: str) -> None:
    """Only a path and a query are asked for, and only with secrets that go to this API."""
    with pytest.raises(RequestError) as caught:
        pages.asked(cursor, {"key": "k"})
    assert caught.value.reason == "cursor"


def test_a_link_without_end_is_not_kept() -> None:
    """It would be no cursor but a store of theirs in our database."""
    with pytest.raises(RequestError):
        pages.kept(URL("https://api.example/" + "x" * pages.LONGEST), {}, ())
