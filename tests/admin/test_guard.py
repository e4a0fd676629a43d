"""Who may ask, over the wire."""

import asyncio
import stat
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import config
from collector.admin import guard as admin_guard
from collector.admin.session import Session
from collector.clock import Clock
from collector.errors import CollectorError, ConfigError
from collector.host.secret import Secret
from collector.host.token import kept
from tests.admin.test_admin import BEARER, TOKEN, raw, serving

SOURCE = '[source.a]\nurl = "https://api.example.org/{id}"\n'


async def status(session: aiohttp.ClientSession, path: str, **headers: str) -> int:
    async with session.get(path, headers={key.replace("_", "-"): value for key, value in headers.items()}) as answer:
        return answer.status


async def test_all_but_the_open_paths_wants_the_token() -> None:
    """Without it nobody learns even which paths there are; with it a path that is not there is a 404."""
    async with serving() as session:
        assert await status(session, "/status") == 200
        assert await status(session, "/anything") == 401
        assert await status(session, "/anything", **BEARER) == 404
        assert await status(session, "/anything", Authorization="Bearer wrong") == 401
        assert await status(session, "/anything", Authorization=f"Basic {TOKEN}") == 401


async def test_wrong_tokens_at_once_are_put_off_and_the_right_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever guesses waits, and keeps nobody out."""
    monkeypatch.setattr(admin_guard, "MOST_WRONG", 3)
    async with serving(delay=0.5) as session:
        guesses = [asyncio.create_task(status(session, "/x", Authorization="Bearer guess")) for _ in range(10)]
        for guess in asyncio.as_completed(guesses):
            if await guess == 429:
                break
        assert await status(session, "/x", **BEARER) == 404
        assert not all(guess.done() for guess in guesses)
        assert sorted(await asyncio.gather(*guesses)) == [401] * 3 + [429] * 7


async def test_where_others_may_ask_everything_wants_the_token() -> None:
    """With `allow_remote` the status is nobody else's either."""
    async with serving(remote=True) as session:
        assert [await status(session, path) for path in ("/status", "/healthz", "/metrics")] == [401, 401, 401]
        assert await status(session, "/status", **BEARER) == 200


async def test_a_token_of_any_bytes_is_a_wrong_token() -> None:
    """Bytes that are no ASCII are compared, and are no fault of ours."""
    async with serving() as session:
        for token in (b"caf\xc3\xa9", b"\xff\xfe\x80", b"", b"a" * 8_000):
            sent = (
                b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "
                + token
                + b"\r\n\r\n"
            )
            assert (await raw(session, sent)).split()[1] == b"401"
            cookie = sent.replace(b"Authorization: Bearer ", b"Cookie: collector=")
            assert (await raw(session, cookie)).split()[1] == b"401"


@given(st.text())
def test_no_text_passes_for_token_or_cookie(text: str) -> None:
    """Neither check ever raises."""
    session = Session(Secret(TOKEN), Clock())
    assert session.is_token(text) is (text == TOKEN)
    assert not session.is_good(text)


async def test_a_login_gives_a_cookie_that_holds_no_token_and_a_logout_ends_it() -> None:
    """The cookie is for this site alone and for no script; afterwards it opens nothing."""
    async with serving() as session:
        async with session.post("/login", data={"token": TOKEN}) as answer:
            assert answer.status == 200
            [given] = answer.headers.getall("Set-Cookie")
        assert "HttpOnly" in given
        assert "SameSite=Strict" in given
        assert TOKEN not in given
        [(name, morsel)] = SimpleCookie(given).items()
        cookie = f"{name}={morsel.value}"
        async with aiohttp.ClientSession(session._base_url, cookie_jar=aiohttp.DummyCookieJar()) as other:
            assert await status(other, "/x", Cookie=cookie) == 404
            assert await status(other, "/x", Cookie=cookie[:-1]) == 401
            async with other.post("/logout", headers={"Cookie": cookie}) as answer:
                assert answer.status == 200
            assert await status(other, "/x", Cookie=cookie) == 401


async def test_a_form_of_the_page_leads_back_to_it_and_a_wrong_token_does_not() -> None:
    """A browser is sent on, and whoever sends nonsense is told."""
    async with serving() as session:
        async with session.post(
            "/login", data={"token": TOKEN}, headers={"Accept": "text/html"}, allow_redirects=False
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
        for sent, wanted in ((b"token=no", 401), (b"", 400), (b"\xff=\xfe", 400), (b"token=%ff", 401)):
            async with session.post("/login", data=sent) as answer:
                assert answer.status == wanted
        async with session.post("/login", json={"token": 7}) as answer:
            assert answer.status == 400
        async with session.post("/login", data=b"token=" + b"a" * 100_000) as answer:
            assert answer.status == 413


def test_a_cookie_outlives_a_restart_and_not_its_token() -> None:
    """What is kept of it is nothing."""
    cookie = Session(Secret(TOKEN), Clock()).made()
    assert Session(Secret(TOKEN), Clock()).is_good(cookie)
    assert not Session(Secret("another-token-of-it"), Clock()).is_good(cookie)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_page_of_another_site_or_port_is_refused(site: str) -> None:
    """A browser says where a request comes from; only a link that somebody follows may lead here."""
    async with serving() as session:
        assert await status(session, "/status", Sec_Fetch_Site=site) == 403
        link = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        assert await status(session, "/status", **link) == 200
        assert await status(session, "/status", Sec_Fetch_Site="same-origin") == 200
        sent = {key.replace("_", "-"): value for key, value in link.items()} | BEARER
        async with session.post("/pause", headers=sent) as answer:
            assert answer.status == 403


async def test_every_answer_says_what_a_browser_may_do_with_it() -> None:
    """No inline script, no frame, no guess at a type."""
    async with serving() as session:
        for path in ("/status", "/nothing"):
            async with session.get(path) as answer:
                assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["X-Frame-Options"] == "DENY"


def test_the_token_is_made_once_for_owner_and_group(tmp_path: Path) -> None:
    """256 bits, mode 0640 whatever the umask; a file that holds none is told, and not written over."""
    made = kept(tmp_path / "token").reveal()
    assert len(made) == 43
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o640
    assert kept(tmp_path / "token").reveal() == made
    (tmp_path / "token").write_text("x")
    with pytest.raises(CollectorError, match="remove it, and the next start"):
        kept(tmp_path / "token")


def test_another_address_wants_a_word_and_a_token_may_come_from_elsewhere(tmp_path: Path) -> None:
    """`allow_remote` opens it, and a token that is too short is never shown."""
    path = tmp_path / "collector.toml"
    path.write_text('[admin]\nlisten = "192.0.2.7:8090"\n' + SOURCE)
    with pytest.raises(ConfigError, match=r"admin\.listen = .*allow_remote = true"):
        config.load(path)
    (tmp_path / "secret.txt").write_text("abc")
    path.write_text(
        '[admin]\nlisten = "192.0.2.7:8090"\nallow_remote = true\ntoken = { file = "secret.txt" }\n' + SOURCE
    )
    with pytest.raises(ConfigError, match=r"admin\.token = \*\*\*: expected 16 or more"):
        config.load(path)
    (tmp_path / "secret.txt").write_text("abcdefghijklmnopqrst")
    loaded = config.load(path)
    assert loaded.token is not None
    assert loaded.token.reveal() == "abcdefghijklmnopqrst"
    assert loaded.own_hosts == {"192.0.2.7"}
