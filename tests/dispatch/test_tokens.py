"""Sources that ask with a token which they fetch themselves."""

import asyncio
from pathlib import Path

from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.oauth import PATH, Client
from collector.rehearsal.posts import NO_FAULTS
from collector.sources.spec import Spec

from .running import dispatching, packed
from .test_declare import IDS, asked, found, landed, stopped

CLIENT = Client(id="me", secret="p:ss +%", way="body", wanted=True)
QUICK = Settings(limit=None, latency=(0.0, 0.002), faults=NO_FAULTS, client=CLIENT)


def source(api: StandIn, secret: str = CLIENT.secret) -> dict[str, Spec]:
    auth = {"url": f"{api.url}{PATH}", "id": CLIENT.id, "secret": secret}
    return {"posts": packed(api.url, pack=5, parallel=8, auth=auth)}


async def test_tokens_that_are_revoked_amid_the_calls_stop_nothing(tmp_path: Path) -> None:
    """Eight calls in the air lose their token at once: one new token, and every ID found."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, source(api)) as running:
        first = await running.add(IDS[:5])
        await running.finished(first)
        api.grants.revoke_all()
        second = await running.add(IDS[5:])
        await running.finished(second)
        assert found(running, second) == len(IDS) - 5
        again = [times - 1 for times in asked(api).values()]
        assert (max(again), sum(again) <= 8 * 5) == (1, True)  # the eight that were refused, once more
        assert len(api.grants.given) == 2


async def test_a_client_that_is_refused_stops_the_source_and_loses_no_id(tmp_path: Path) -> None:
    """The reason names the token endpoint and no secret; with the right secret the same IDs are asked for."""
    async with StandIn(QUICK) as api, dispatching(tmp_path, source(api, "wr0ng-one")) as running:
        batch = await running.add(IDS)
        await stopped(running)
        why = running.dispatcher.sources()["posts"].why or ""
        assert "the token endpoint" in why
        assert "invalid_client" in why
        assert "wr0ng" not in why
        assert not asked(api)
        running.declare(source(api))
        await running.finished(batch)
        await landed(running)
        assert found(running, batch) == len(IDS)


async def test_a_token_endpoint_that_is_away_is_named(tmp_path: Path) -> None:
    """The API itself may be well: who reads the status looks at the right place."""
    async with StandIn(QUICK) as api:
        auth = {"url": "http://127.0.0.1:1/token", "id": CLIENT.id, "secret": CLIENT.secret}
        specs = {"posts": packed(api.url, pack=1, parallel=8, auth=auth)}
        async with dispatching(tmp_path, specs) as running:
            await running.add(IDS)
            async with asyncio.timeout(5):
                while (live := running.dispatcher.sources()["posts"]).state != "down":  # noqa: ASYNC110 - a turn of the loop, no time
                    await asyncio.sleep(0)
            assert "the token endpoint http://127.0.0.1:1/token" in (live.why or "")
