"""What Prometheus is told."""

from pathlib import Path

import aiohttp
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from collector.admin.listen import listening
from collector.model import Failed, Tally
from tests.admin.house import whole
from tests.admin.test_admin import ANY_PORT
from tests.intake.house import house as housed
from tests.output.given import found, recorded, taken_in


async def test_metrics_say_what_the_books_say(tmp_path: Path) -> None:
    """In both formats, as the parsers of Prometheus' client read them."""
    async with housed(tmp_path) as house:
        house.config.batches.mkdir()
        batch = (await taken_in(house.store, ["1", "2", "3"])).id
        await recorded(house.store, batch, {"1": found("1"), "2": Failed("http-500", "")})
        application = whole(house, {"posts": Tally(answered=4, waited=2, items=1)})
        async with listening(application, ANY_PORT) as address, aiohttp.ClientSession(address) as session:
            async with session.get("/metrics") as answer:
                text = await answer.text()
            async with session.get("/metrics", headers={"Accept": "application/openmetrics-text"}) as answer:
                assert list(openmetrics(await answer.text()))  # type: ignore[no-untyped-call]
    samples = [sample for family in parsed(text) for sample in family.samples]
    values = {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}
    jobs = {state: values["collector_jobs", "posts", state] for state in ("queued", "found", "failed", "gone")}
    assert jobs == {"queued": 1, "found": 1, "failed": 1, "gone": 0}
    assert values["collector_calls_total", "answered", "posts"] == 4
    assert values["collector_source_state", "posts", "running"] == 1
    assert values["collector_disk_free_bytes",] > 0
    assert values["collector_healthy",] == 1
