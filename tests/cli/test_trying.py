"""`try`."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from click.testing import Result

from collector.host import lock
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import Fate, Faults
from tests.cli.conftest import Run

Handle: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]

TOKEN = "k3y/with+odd=signs"
CONFIG = """
[secret]
token = {{ file = "token" }}
short = {{ file = "short" }}

[source.posts]
url = "{url}/2/tweets"
headers = {{ Authorization = "Bearer {{secret.token}}" }}
params = {{ ids = "{{ids}}", key = "{{secret.token}}", k = "{{secret.short}}", expansions = "author_id" }}
pack = 3
id = "(?:x:)?([0-9]+)"
items = "data"
also = ["includes"]
gone = {{ at = "errors[?parameter=='ids']", id = "resource_id", why = "type" }}
columns = {{ text = "text", author = "author_id", langs = "[lang, id]" }}

[source.post]
url = "{url}/post/{{id}}"

[source.body]
url = "{url}/body"
method = "POST"
headers = {{ X-Key = "{{secret.token}}" }}
json = {{ ids = "{{ids}}", key = "{{secret.token}}" }}
pack = 100

[source.pages]
url = "{url}/pages/{{id}}"
items = "data"
next = {{ from = "next", to = "cursor" }}

[source.oauth]
url = "{url}/oauth/{{id}}"
auth = {{ url = "{url}/token", id = "us", secret = "{{secret.token}}" }}

[source.words]
on = [{{ at = "quota", do = "wait" }}, {{ at = "code", match = "^closed$", do = "stop" }}]
url = "{url}/words"
params = {{ ids = "{{ids}}" }}
pack = 100

[source.python]
call = "json:loads"
"""


@pytest.fixture
def home(folder: Path) -> Path:
    (folder / "token").write_text(TOKEN)
    (folder / "short").write_text("s")
    return folder


@asynccontextmanager
async def serving(home: Path, handle: Handle) -> AsyncIterator[None]:
    """A server of which the configuration speaks; it answers every path."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        [(_, port)] = runner.addresses
        (home / "collector.toml").write_text(CONFIG.format(url=f"http://127.0.0.1:{port}"))
        yield
    finally:
        await runner.cleanup()


async def tried(run: Run, *words: str) -> Result:
    return await asyncio.to_thread(run, "try", *words)


def says(body: str, status: int = 200, **headers: str) -> Handle:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(text=body, status=status, content_type="application/json", headers=headers)

    return handle


async def test_it_shows_the_request_the_answer_and_what_each_id_became(home: Path, run: Run) -> None:
    """In one call, in plain words; nothing is stored."""
    async with StandIn(Settings(latency=(0.0, 0.0), bearer=TOKEN, faults=Faults(other=0.0))) as api:
        ids = {api.fate(str(number)): str(number) for number in range(10, 1_000)}
        found, deleted, absent = (ids[fate] for fate in (Fate.FOUND, Fate.DELETED, Fate.ABSENT))
        (home / "collector.toml").write_text(CONFIG.format(url=api.url))
        before = sorted(home.iterdir())
        told = await tried(run, "posts", f"x:{found}", deleted, absent, "no\x1b[2J")
        assert api.verdicts.total == 1
    assert told.exit_code == 0, told.output
    for line in (
        f"GET {api.url}/2/tweets?ids={found}%2C{deleted}%2C{absent}&key=***&k=***&expansions=author_id",
        "  Authorization: Bearer ***",
        "  x-rate-limit-remaining: 899",
        f"{found}: found",
        "    author = ",
        '    langs = ["',
        f"{deleted}: gone (",
        "Could not find",
        f"{absent}: absent (not a word about it: asked once more, then gone)",
        "no\\x1b[2J: refused (it does not match the id pattern, (?:x:)?([0-9]+))",
        "kept beside them: includes",
        "1 request counted at the API; nothing was stored",
    ):
        assert line in told.output
    assert "200 OK in " in told.output
    assert "a service is running" not in told.output
    assert sorted(home.iterdir()) == before


async def test_no_secret_is_shown_wherever_it_is_said(home: Path, run: Run) -> None:
    """In the URL, a header, a body, and in an answer that repeats them in any writing."""

    async def echo(request: web.Request) -> web.Response:
        said = {"data": [{"id": "1", "text": f"{TOKEN} {request.raw_path}"}], "echo": str(dict(request.headers))}
        body = json.dumps(said).replace("/", "\\/") + " " + (await request.text() if request.can_read_body else "")
        return web.Response(text=body.strip(), headers={"Location": request.raw_path, "Link": f"<?{TOKEN}>"})

    async with serving(home, echo):
        for source in ("posts", "body"):
            for more in ([], ["--json"]):
                said = (await tried(run, source, "1", *more)).output
                assert "***" in said
                for form in (TOKEN, "k3y%2Fwith", "k3y\\/with", "odd"):
                    assert form not in said
                assert "&k=***" in said or source == "body"


async def test_a_token_is_not_shown_either(home: Path, run: Run) -> None:
    """Nor where the API repeats it; and a client that is refused is told."""
    token = "t0ken/fetched+just=now"
    refused = False

    async def handle(request: web.Request) -> web.Response:
        if request.path != "/token":
            return web.json_response({"id": "7", "said": request.headers["Authorization"]})
        return web.json_response(
            {"error": "no"} if refused else {"access_token": token}, status=400 if refused else 200
        )

    async with serving(home, handle):
        told = await tried(run, "oauth", "7")
        refused = True
        failed = await tried(run, "oauth", "7")
    assert token not in told.output
    assert "  Authorization: Bearer ***\n" in told.output
    assert '"said": "Bearer ***"' in told.output
    assert "7: found" in told.output
    assert failed.exit_code == 1
    assert "no answer, auth-refused: the token endpoint " in failed.output
    assert "the source stops, and waits for `collector resume`" in failed.output
    assert "nothing was sent; nothing was stored" in failed.output


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"quota":1}', "7: put off (the API says to wait"),
        ('{"code":"closed"}', "7: put off (closed: "),
    ],
)
async def test_rules_of_the_source_hold(home: Path, run: Run, body: str, said: str) -> None:
    """As they would in the service."""
    async with serving(home, says(body, 400)):
        told = await tried(run, "words", "7")
    assert (told.exit_code, said in told.output) == (1, True), told.output


async def test_a_body_is_shown_with_its_own_digits_and_no_more_than_its_beginning(home: Path, run: Run) -> None:
    """On lines, inert, and what is left out is counted."""
    many = ",".join(f'"{n:05d}"' for n in range(5_000))
    async with serving(home, says(f'{{"id":9223372036854775808,"n":1.10,"e":"\\u001b[2J","many":[{many}]}}')):
        told = await tried(run, "post", "9223372036854775808")
    assert '    "id": 9223372036854775808,\n    "n": 1.10,\n' in told.output
    assert '"00040"' in told.output
    assert '"00100"' not in told.output
    assert " characters more\n" in told.output
    assert "9223372036854775808: found\n  9223372036854775808\n" in told.output
    assert "\x1b" not in told.output


async def test_columns_are_shown_as_text(home: Path, run: Run) -> None:
    """What is not there is said to be so."""
    async with serving(home, says('{"data":[{"id":7,"author_id":9007199254740993,"lang":"de"}]}')):
        told = await tried(run, "posts", "7")
    assert '    text = nothing there\n    author = 9007199254740993\n    langs = ["de",7]\n' in told.output


async def test_a_list_shows_its_first_items_and_where_it_goes_on(home: Path, run: Run) -> None:
    """As the next call would ask."""
    items = [{"id": str(n)} for n in range(8)]
    async with serving(home, says(json.dumps({"data": items, "next": "c2"}))):
        facts = json.loads((await tried(run, "pages", "7", "--json")).stdout)
        told = await tried(run, "pages", "7")
    [one] = facts["ids"]
    assert ([item["key"] for item in one["items"]], one["more"]) == ([*"01234"], 3)
    assert (facts["next"], facts["returned"]) == ("c2", 8)
    assert "  … 3 items more\nnext page: c2\n" in told.output


@pytest.mark.parametrize(
    ("words", "status", "headers", "said", "code"),
    [
        (["post", "7"], 404, {}, "7: gone (http-404", 0),
        (["words", "7", "8"], 404, {}, "7: asked in halves (http-404", 1),
        (["post", "7"], 422, {}, "7: invalid (http-422: spoken; the API refused it)", 1),
        (["post", "7"], 401, {}, "7: put off (http-401: spoken; this may not be asked", 1),
        (["post", "7"], 503, {}, "7: put off (http-503: spoken; no fault of the ID", 1),
        (["post", "7"], 429, {}, "7: put off (the API says to wait", 1),
        (["post", "7"], 503, {"Retry-After": "60"}, "  Retry-After: 60", 1),
        (["post", "7"], 302, {"Location": "http://elsewhere.example/"}, "no answer, redirect: to another origin", 1),
    ],
)
async def test_every_kind_of_answer_is_told_in_plain_words(
    home: Path, run: Run, words: list[str], status: int, headers: dict[str, str], said: str, code: int
) -> None:
    """With what the service would do; exit 0 where it was one that settles the IDs."""
    async with serving(home, says('{"message":"spoken"}', status, **headers)):
        told = await tried(run, *words)
    assert (told.exit_code, said in told.output) == (code, True), told.output


async def test_an_answer_that_cannot_be_understood_is_told(home: Path, run: Run) -> None:
    """The first thing that is wrong in a new declaration."""
    async with serving(home, says("<html>no</html>")):
        told = await tried(run, "post", "7")
    assert told.exit_code == 1
    assert "7: put off (not-json" in told.output
    assert "look at items and key" in told.output


def test_without_an_answer_that_is_told(home: Path, run: Run) -> None:
    """And what would have been sent."""
    (home / "collector.toml").write_text(CONFIG.format(url="http://127.0.0.1:1"))
    told = run("try", "post", "7")
    assert told.exit_code == 1
    assert told.output.startswith("GET http://127.0.0.1:1/post/7\n")
    assert "no answer, connection: cannot connect to 127.0.0.1:1" in told.output
    assert "nothing was sent; nothing was stored\n" in told.output
    assert json.loads(run("try", "post", "7", "--json").stdout)["error"]["reason"] == "connection"


async def test_beside_a_running_service_it_says_so(home: Path, run: Run) -> None:
    """Both draw from what the API counts."""
    with lock.hold(home):
        async with serving(home, says('{"id":"7"}')):
            told = await tried(run, "post", "7")
            facts: dict[str, Any] = json.loads((await tried(run, "post", "7", "--json")).stdout)
    assert "a service is running and draws from the same limit (process " in told.output
    assert facts["service"].startswith("process ")
    assert facts["ids"] == [
        {"id": "7", "became": "found", "why": "", "items": [{"key": "7", "columns": {}}], "more": 0}
    ]
    assert facts["ok"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope", "1"], "no source 'nope' in "),
        (["python", "1"], "python is a Python source (call = 'json:loads'), and try makes HTTP calls"),
        (["posts", "1", "2", "3", "4"], "one call of posts takes at most 3 IDs, and 4 were given"),
        (["post", "1", "2"], "post asks for one ID a call, and 2 were given: give one"),
        (["posts", "a"], "nothing to ask: no ID given matches the id pattern of posts"),
        (["words", "a,b", "c"], "'a,b' holds ',', which stands between IDs, so it goes alone: give one"),
        (["words", *[f"{n}{'x' * 1_500}" for n in range(9)]], "5 of the 9 IDs fit into one call of words"),
        (["post", ".."], "cannot be asked for: an ID that would be a `.` or `..` of the path"),
        (["post"], "Missing argument 'ID...'"),
    ],
)
def test_what_cannot_be_tried_is_wrong_usage(home: Path, run: Run, words: list[str], said: str) -> None:
    """Exit 2, and nothing is sent."""
    (home / "collector.toml").write_text(CONFIG.format(url="http://127.0.0.1:1"))
    told = run("try", *words)
    assert (told.exit_code, said in told.output) == (2, True), told.output
