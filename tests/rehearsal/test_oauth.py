"""Access tokens for clients."""

from base64 import b64encode
from typing import Any

import aiohttp
import pytest

from collector.rehearsal.oauth import Client

from .wire import Turned, quiet, serving

WANTED = Client(id="me", secret="p:ss +%", wanted=True, expires_in=60.0)
GRANT = {"grant_type": "client_credentials"}
INSIDE = {**GRANT, "client_id": "me", "client_secret": "p:ss +%"}
BASIC = {"Authorization": f"Basic {b64encode(b'me:p%3Ass+%2B%25').decode()}"}


async def fetched(
    session: aiohttp.ClientSession, form: dict[str, str], headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    async with session.post("/oauth2/token", data=form, headers=headers or {}) as answer:
        return answer.status, await answer.json()


async def status(session: aiohttp.ClientSession, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with session.get("/2/users/12", headers=headers) as answer:
        return answer.status


async def test_a_wanted_token_is_fetched_expires_and_is_revoked() -> None:
    """Without one all is 401; with one it goes until its end, until it is revoked, or until all are."""
    clock = Turned()
    async with serving(quiet(client=WANTED), clock) as (api, session):
        assert [await status(session), await status(session, "other")] == [401, 401]
        told, body = await fetched(session, GRANT, BASIC)
        assert (told, body["token_type"], body["expires_in"]) == (200, "bearer", 60)
        first = body["access_token"]
        assert await status(session, first) == 200
        clock.now = 60.0
        assert await status(session, first) == 401
        second, third = [(await fetched(session, GRANT, BASIC))[1]["access_token"] for _ in range(2)]
        assert api.grants.given == [first, second, third]
        api.grants.revoke(second)
        assert [await status(session, second), await status(session, third)] == [401, 200]
        api.grants.revoke_all()
        assert await status(session, third) == 401
        assert await status(session, (await fetched(session, GRANT, BASIC))[1]["access_token"]) == 200


@pytest.mark.parametrize(
    ("way", "in_header", "in_body"), [("basic", 200, 401), ("body", 401, 200), ("either", 200, 200)]
)
async def test_a_client_says_who_it_is_in_the_declared_way(way: Any, in_header: int, in_body: int) -> None:
    """By Basic, in the body, or by either."""
    async with serving(quiet(client=Client(id="me", secret="p:ss +%", way=way))) as (_, session):
        assert (await fetched(session, GRANT, BASIC))[0] == in_header
        assert (await fetched(session, INSIDE))[0] == in_body


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        (GRANT, 401, "invalid_client"),
        ({**INSIDE, "client_secret": "wrong"}, 401, "invalid_client"),
    ],
)
async def test_a_grant_is_refused_in_the_words_of_the_standard(form: dict[str, str], status: int, error: str) -> None:
    """The error codes of RFC 6749."""
    async with serving(quiet(client=WANTED)) as (api, session):
        told, body = await fetched(session, form)
        assert (told, body["error"]) == (status, error)
        assert not api.grants.given


async def test_a_token_holds_over_a_restart_and_a_clients_tokens_share_their_windows() -> None:
    """A server of the same seed knows it; a fresh token is no fresh window."""
    async with serving(quiet(client=WANTED)) as (_, session):
        token = (await fetched(session, GRANT, BASIC))[1]["access_token"]
    async with serving(quiet(client=WANTED, limits={"/2/users/{id}": 2})) as (api, session):
        other = (await fetched(session, GRANT, BASIC))[1]["access_token"]
        assert [await status(session, key) for key in (token, other, token)] == [200, 200, 429]
        assert {verdict.key for verdict in api.verdicts if verdict.route != "/oauth2/token"} == {"client me"}
