"""An API that nobody here has heard of, by the TOML that the README shows for it."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from .service import service

README = (Path(__file__).parents[1] / "README.md").read_text()
KEY = "0123456789abcdef"
ISBNS = [f"{978_000_000_0000 + number}" for number in range(120)]
WITHDRAWN = set(ISBNS[::17])


def author(isbn: str) -> int:
    return int(isbn) % 9


def works(number: int) -> list[str]:
    return [f"{979_000_000_0000 + 100 * number + work}" for work in range(11 * number % 40)]


class Library:
    """The library as its documentation has it, with a page of ten works."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.tired = 2  # requests that are answered with "slow down"

    async def books(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        isbns = request.query["isbn"].split("|")
        assert list(request.query) == ["isbn"]
        assert len(isbns) <= 50
        self.asked.update(isbns)
        there = [
            {"isbn": isbn, "title": f"Title, {isbn}", "author": {"id": author(isbn)}}
            for isbn in isbns
            if isbn not in WITHDRAWN
        ]
        missing = [{"isbn": isbn, "because": "withdrawn"} for isbn in isbns if isbn in WITHDRAWN]
        return web.json_response({"books": there, "missing": missing})

    async def works(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        every, page = works(int(request.match_info["id"])), int(request.query.get("page", "0"))
        self.asked[f"{request.match_info['id']}/{page}"] += 1
        body: dict[str, Any] = {"works": [{"isbn": isbn} for isbn in every[10 * page : 10 * page + 10]]}
        if every[10 * page + 10 :]:
            body["next"] = str(page + 1)
        return web.json_response(body)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("X-Key") != KEY:
            return web.json_response({"error": "who are you?"}, status=401)
        if self.tired:
            self.tired -= 1
            return web.json_response({"error": "slow down"}, status=403)
        return None


@asynccontextmanager
async def serving(library: Library) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.get("/v1/books", library.books), web.get("/v1/authors/{id}/works", library.works)])
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


async def test_an_api_never_seen_before_takes_a_toml_table_and_no_code(tmp_path: Path) -> None:
    """The README's own table, pointed at such a library: books, those that are gone, and the works of their authors
    page by page, each once."""
    library = Library()
    async with serving(library) as url:
        toml = README.split("## An API of your own", 1)[1].split("```toml\n", 1)[1].split("```", 1)[0]
        settings = '[service]\nsettle = "100ms"\n[admin]\nlisten = "off"\n'
        config = toml.replace("https://library.example.org", url) + settings
        (tmp_path / "library_key.txt").write_text(KEY)
        watch = tmp_path / "library" / "watch" / "works"
        watch.mkdir(parents=True)
        (watch / "shelf.txt").write_text("".join(f"ISBN {isbn}\n" for isbn in ISBNS))
        with service(tmp_path, url) as run:
            run.config.write_text(config)
            run.start()
            for _ in range(2):
                await asyncio.to_thread(run.until, "results_written")
    authors = {str(author(isbn)) for isbn in ISBNS if isbn not in WITHDRAWN}
    expected = {(key, isbn) for key in authors for isbn in works(int(key))}
    with closing(sqlite3.connect(tmp_path / "library" / "collector.db")) as db:
        by_source = "SELECT source || ' ' || j.state, count(*) FROM jobs AS j JOIN batches ON id = batch GROUP BY 1"
        states = dict(db.execute(by_source))
        assert states == {
            "books found": len(ISBNS) - len(WITHDRAWN),
            "books gone": len(WITHDRAWN),
            "works found": len(authors),
        }
        assert db.execute("SELECT DISTINCT reason FROM jobs WHERE state = 'gone'").fetchall() == [("withdrawn",)]
        assert set(db.execute("SELECT job, key FROM items WHERE source = 'works'")) == expected
        there = {(f"Title, {isbn}", str(author(isbn))) for isbn in ISBNS if isbn not in WITHDRAWN}
        assert set(db.execute("SELECT title, author FROM v_books")) == there
    assert set(library.asked.values()) == {1}
