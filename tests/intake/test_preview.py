"""A file read as if it were taken in."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.errors import UnreadableFile
from collector.intake import files, receipt
from collector.intake.preview import Preview, preview
from collector.output import estimate
from collector.sources.plan import plan
from tests.intake.house import house, lines, numbers
from tests.intake.reading import IDS, post

ROUNDED = lines([str(int(float(key))) for key in numbers(1_000)]).encode()


def previewed(
    path: Path,
    match: Callable[[str], str | None] = post,
    column: str | int | None = None,
    collected: frozenset[str] = frozenset(),
) -> Preview:
    """The preview of a file of which some IDs are collected already."""
    return preview(path, match, column, lambda keys: collected.intersection(keys), lambda _: None)


@pytest.mark.parametrize(
    "content",
    [
        lines([*numbers(25_000), *numbers(11_000), "n/a", "1.77465E+18", ""]).encode(),
        b"tweet_id,text\n" + b"".join(b'%s,"a, b\nc"\n' % key.encode() for key in [*IDS, IDS[3]]),
        gzip.compress(lines([*IDS, "what?"]).encode(), mtime=0),
        "".join(f'{{"id": {key}}}\n' for key in IDS).encode(),
        ROUNDED,
    ],
    ids=["repeats", "table", "gzip", "json lines", "rounded"],
)
async def test_it_says_what_taking_in_then_does(tmp_path: Path, content: bytes) -> None:
    """Layout, lines, IDs, repeats, refused lines and warnings are those of the batch that the file becomes."""
    async with house(tmp_path) as home:
        path = home.drop("ids", content)
        said = previewed(path, home.config.sources["posts"].match)
        batch = await home.loader.take(path, "posts")
        assert batch is not None
        assert (said.layout, said.lines, said.ids) == (batch.layout, batch.lines, home.ids(batch))
        assert (said.refused, said.warnings) == (batch.refused, batch.warnings)
        receipt = (home.folder(batch) / "receipt.txt").read_text()
        assert f"repeats        {said.repeats:,}\n" in receipt
        assert ("ROUNDED" in "".join(said.warnings)) == (content == ROUNDED)
        assert all(f"line {one.line:,}: {one.text}" in receipt for one in said.first)


async def test_the_estimate_of_the_receipt_is_that_of_the_plan(tmp_path: Path) -> None:
    """IDs that are too long for the pack of a hundred included."""
    ids = [f"10.1234/{'x' * 390}{number:03}" for number in range(100)]
    async with house(tmp_path) as home:
        path = home.drop("ids.txt", lines(ids))
        said = previewed(path, home.config.sources["users"].match)
        terms = estimate.terms(home.config, "users", said.sample)
        batch = await home.loader.take(path, "users")
        assert batch is not None
        told = estimate.estimate(plan(said.ids, terms), terms)
        assert told[0] == "6 requests of about 19 IDs, since more of these do not fit; no limit is declared"
        kept = (home.folder(batch) / "receipt.txt").read_text()
        assert receipt.row("estimate", *told).split() == kept[kept.index("estimate") : kept.index("SHA-256")].split()


def test_nothing_is_written_or_moved(tmp_path: Path) -> None:
    """Refused lines are counted, and no refused.csv appears beside the file."""
    path = tmp_path / "ids.txt"
    path.write_text(lines([*IDS, *(f"bad {number}" for number in range(9))]))
    before = path.stat()
    said = previewed(path)
    assert (said.refused, len(said.first)) == (9, 5)
    assert list(tmp_path.iterdir()) == [path]
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_what_is_collected_counts_once(tmp_path: Path) -> None:
    """An ID that stands in several parts of the file is one, whether it is collected or not."""
    ids = numbers(12_000)
    path = tmp_path / "ids.txt"
    path.write_text(lines([*ids, *ids]))
    said = previewed(path, collected=frozenset(ids[:100]))
    assert (said.ids, said.repeats, said.collected) == (12_000, 12_000, 100)


def test_the_sample_is_of_all_parts_and_not_large(tmp_path: Path) -> None:
    """By it the length of the IDs is judged."""
    path = tmp_path / "ids.txt"
    path.write_text(lines(numbers(30_000)))
    sample = previewed(path).sample
    assert set(sample) < set(numbers(30_000))
    assert len(sample) == 150
    assert sample[-1] > numbers(30_000)[19_999]


def test_what_would_be_rejected_is_told(tmp_path: Path) -> None:
    """With the reason that NAME.why.txt would have; what is no regular file too."""
    path = tmp_path / "ids.txt"
    path.write_bytes(b"%PDF-1.7")
    with pytest.raises(UnreadableFile, match="a PDF"):
        previewed(path)
    with pytest.raises(files.Left):
        previewed(tmp_path)
