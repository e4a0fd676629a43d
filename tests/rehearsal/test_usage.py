"""Caps on items and on a day's calls."""

from collector.rehearsal.usage import Caps
from collector.rehearsal.users import Count, People

from .wire import Turned, quiet, serving, told

FEW = People(followers=Count(250, 250), short=0.0, empty=0.0)


async def test_a_usage_cap_counts_the_items_of_all_and_tells_of_an_unused_window() -> None:
    """After so many items no key gets more, and the headers say that 39,999 calls are left."""
    async with serving(quiet(people=FEW, caps=Caps(items=150), limit=5), Turned()) as (api, session):
        for key in ("Bearer A", "Bearer B"):
            async with session.get("/2/users/12/followers", headers={"Authorization": key}) as answer:
                assert answer.status == 200
        for path in ("/2/users/12/followers", "/2/tweets?ids=1"):
            async with session.get(path, headers={"Authorization": "Bearer C"}) as answer:
                body = await answer.json()
                assert (answer.status, body["title"], body["period"]) == (429, "UsageCapExceeded", "Monthly")
                assert body["type"].endswith("/usage-capped")
                assert answer.headers["x-rate-limit-remaining"] == "39999"
                assert answer.headers["x-rate-limit-reset"] == "1800000901"
                assert "Retry-After" not in answer.headers
        assert [verdict.counted for verdict in api.verdicts] == [True, True, False, False]
        api.usage.caps = Caps()
        assert (await told(session, "/2/users/12/followers"))[0] == 200


async def test_a_quota_of_the_day_tells_when_it_ends() -> None:
    """Retry-After counts down to the end of the period, and then there is a new one; refused calls use none of it."""
    clock = Turned()  # 0.25 s into a period of 10 s
    async with serving(quiet(people=FEW, caps=Caps(calls=2, period=10.0), limit=1), clock) as (api, session):
        seen = []
        for clock.now, path in ((0.0, "13"), (1.0, "13"), (2.0, "14/tweets"), (3.0, "13"), (9.0, "13"), (9.75, "15")):
            async with session.get(f"/2/users/{path}") as answer:
                seen.append((answer.status, answer.headers.get("Retry-After")))
        assert seen == [(200, None), (429, None), (200, None), (429, "7"), (429, "1"), (429, None)]
        assert api.verdicts.statuses == {200: 2, 429: 4}
        clock.now = 901.0
        assert (await told(session, "/2/users/13"))[0] == 200
