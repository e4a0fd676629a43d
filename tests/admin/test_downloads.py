"""The results of a batch over HTTP."""

import csv
import io
import json
from pathlib import Path

import aiohttp
import pytest

from collector.errors import StoreBusy
from collector.model import Failed, Gone
from collector.output import table
from collector.sources.spec import Spec
from tests.admin.house import looking
from tests.output.given import found, recorded, taken_in

SPECS = {"posts": Spec(url="https://api.example.org/{id}", columns={"text": "text"})}


async def test_results_are_streamed_while_the_batch_goes_on(tmp_path: Path) -> None:
    """Each is what its file will be, so far; formulas of others do nothing in a spreadsheet; names are safe."""
    async with looking(tmp_path, SPECS) as (store, session):
        batch = (await taken_in(store, [f"{n:04d}" for n in range(1_500)], name='Wahl "ü"\\')).id
        said = {f"{n:04d}": found(f"{n:04d}", '{"x": 1,\n "text": "=1+1"}') for n in range(1_200)}
        await recorded(store, batch, {**said, "1300": Gone("deleted", "=HYPERLINK()"), "1301": Failed("http-500", "")})

        async def got(name: str) -> str:
            async with session.get(f"/batches/1/{name}") as answer:
                assert answer.status == 200
                named = answer.headers["Content-Disposition"]
                assert named.startswith(f'attachment; filename="0001-Wahl_____-{name}"; filename*=UTF-8'), named
                return await answer.text()

        lines = [json.loads(line) for line in (await got("found.jsonl")).splitlines()]
        assert [line["id"] for line in lines] == list(said)
        rows = list(csv.DictReader(io.StringIO(await got("found.csv"))))
        assert len(rows) == 1_200
        assert rows[0]["text"] == "'=1+1"
        assert [row["detail"] for row in csv.DictReader(io.StringIO(await got("gone.csv")))] == ["'=HYPERLINK()"]
        assert [row["state"] for row in csv.DictReader(io.StringIO(await got("failed.csv")))] == ["failed"]
        assert (await got("report.md")) == "report of batch 1"
        async with session.head("/batches/1/found.jsonl") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with session.get("/batches/7/found.jsonl") as answer:
            assert answer.status == 404


async def test_a_download_that_breaks_off_is_not_taken_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection ends without a proper end of the body."""
    async with looking(tmp_path, SPECS) as (store, session):
        batch = (await taken_in(store, ["1"])).id
        await recorded(store, batch, {"1": found("1")})

        def broken(*_: object) -> bytes:
            raise StoreBusy("the disk is away")

        monkeypatch.setattr(table.Table, "lines", broken)
        async with session.get("/batches/1/found.csv") as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
