"""The configuration read again while the service runs, and a stopped source that goes on: real processes, signals."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from collector import config
from collector.budget.limit import Limit
from collector.clock import unstamp
from collector.config import Config
from collector.rehearsal.api import Settings, StandIn
from collector.rehearsal.posts import NO_FAULTS
from collector.reload import Reloaded, Reloader, changes, only_by_restart, removed, settled

from .budget import virtual
from .service import CONFIG, Service, service

IDS = [str(1_500_000_000_000_000_000 + n) for n in range(2_000)]
QUICK = Settings(limit=None, latency=(0.0, 0.002), faults=NO_FAULTS)
USERS = '[source.users]\nurl = "{url}/2/tweets/{{id}}"\nitems = "data"\n'


def reconfigure(run: Service, url: str, more: str, grace: str = "5s", **replaced: str) -> None:
    """Puts another configuration in the place of the one that runs, whole."""
    text = CONFIG.format(url=url, more=more, grace=grace)
    for old, new in replaced.items():
        text = text.replace(f"{old} = ", f"{old} = {new} #")
    beside = run.config.with_suffix(".new")
    beside.write_text(text)
    beside.rename(run.config)


def hang_up(run: Service) -> None:
    run.process.send_signal(signal.SIGHUP)


async def until(run: Service, event: str) -> dict[str, Any]:
    return await asyncio.to_thread(run.until, event)


async def status(run: Service) -> dict[str, Any]:
    return await asyncio.to_thread(run.status)


def told(status: dict[str, Any]) -> str:
    """All troubles as one text."""
    return "\n".join(f"{trouble['where']}: {trouble['what']}" for trouble in status["troubles"])


def command(run: Service, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command of the shell, with the configuration of the service."""
    line = [sys.executable, "-m", "collector", *words, "--config", str(run.config)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


async def ordered(run: Service, *words: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(command, run, *words)


async def started(run: Service) -> str:
    """Started and ready; where it answers."""
    run.start()
    return str((await until(run, "ready"))["admin"])


async def test_limits_raised_and_lowered_in_mid_window_grant_nothing_twice(tmp_path: Path) -> None:
    """No request is refused, and from the moment a lower limit holds no window that ends then has more than it."""
    api_settings = Settings(limit=40, window=1.0, policy="sliding", headers=False, latency=(0.0, 0.0), faults=NO_FAULTS)
    more = 'pack = 1\nlimit = ["{}/1s"]'
    async with StandIn(api_settings) as api:
        with service(tmp_path, api.url, more=more.format(20)) as run:
            await started(run)
            run.drop("ids.txt", IDS[:150])
            await api.verdicts.reached(15)
            reconfigure(run, api.url, more.format(40))
            hang_up(run)
            assert (await until(run, "config_reloaded"))["changed"] == ["source posts: limit"]
            await api.verdicts.reached(50)
            reconfigure(run, api.url, more.format(16))
            hang_up(run)
            lowered = unstamp((await until(run, "config_reloaded"))["at"]) + 0.05
            await api.verdicts.reached(75)
            assert api.verdicts.statuses == {200: api.verdicts.total}
            times = [verdict.t for verdict in api.verdicts]
            later = [sum(end - 1 < t <= end for t in times) for end in times if end > lowered]
            assert len(later) >= 15
            assert max(later) <= 16


async def test_a_source_that_asks_elsewhere_now_goes_on_there(tmp_path: Path) -> None:
    """Calls in the air are read from the old API, all others are sent to the new one; no ID is asked for twice."""
    async with StandIn(QUICK) as old, StandIn(QUICK) as new:
        with service(tmp_path, old.url, more="pack = 10") as run:
            old.answering.clear()
            await started(run)
            run.drop("ids.txt", IDS)
            await old.verdicts.reached(8)
            reconfigure(run, new.url, "pack = 20")
            hang_up(run)
            assert (await until(run, "config_reloaded"))["changed"] == ["source posts: url, pack"]
            old.answering.set()
            await until(run, "results_written")
            assert run.books() == {"found": len(IDS)}
            assert (old.verdicts.total, new.verdicts.total) == (8, 96)


async def test_views_follow_the_declared_columns(tmp_path: Path) -> None:
    """They are there when the service is ready, and a reload makes and drops them while it works."""
    async with StandIn(QUICK) as api:
        with service(tmp_path, api.url, more='columns = { text = "text" }') as run:
            run.drop("ids.txt", IDS[:50])
            await started(run)
            await until(run, "results_written")
            [(views, texts)] = run.rows("SELECT count(DISTINCT job), count(text) FROM v_posts")
            assert (views, texts) == (50, 50)
            more = 'columns = { author = "author_id", at = "created_at" }\n' + USERS.format(url=api.url)
            reconfigure(run, api.url, more + 'columns = { "the text" = "text" }')
            hang_up(run)
            told = await until(run, "views_declared")
            assert (told["made"], told["dropped"]) == (["v_posts", "v_users"], [])
            [(author,)] = run.rows("SELECT DISTINCT typeof(author) FROM v_posts")
            assert author == "text"
            reconfigure(run, api.url, "")
            hang_up(run)
            assert (await until(run, "views_declared"))["dropped"] == ["v_posts", "v_users"]
            assert run.rows("SELECT name FROM sqlite_schema WHERE type = 'view'") == []


async def test_sources_come_and_go(tmp_path: Path) -> None:
    """A new one takes what is dropped for it; one that is gone is asked no more, and what it owes is told until it is
    back."""
    async with StandIn(QUICK) as api:
        with service(tmp_path, api.url, more="pack = 100") as run:
            await started(run)
            reconfigure(run, api.url, "pack = 100\n" + USERS.format(url=api.url))
            hang_up(run)
            assert (await until(run, "config_reloaded"))["changed"] == ["source users is new"]
            api.answering.clear()
            await asyncio.to_thread((await folder_there(run, "users") / "u.txt").write_text, "\n".join(IDS[:50]) + "\n")
            await until(run, "batch_opened")
            await api.verdicts.reached(8)
            reconfigure(run, api.url, "pack = 100")
            hang_up(run)
            assert (await until(run, "config_reloaded"))["changed"] == ["source users is gone"]
            api.answering.set()
            run.drop("ids.txt", IDS)
            await until(run, "results_written")
            assert run.books() == {"found": len(IDS) + 8, "queued": 42}
            said = await status(run)
            assert "no [source.users]: declare it again, then `collector reload`" in told(said)
            assert list(said["sources"]) == ["posts"]
            reconfigure(run, api.url, "pack = 100\n" + USERS.format(url=api.url))
            assert (await ordered(run, "reload")).stdout.endswith(": source users is new\n")
            await until(run, "results_written")
            assert run.books() == {"found": len(IDS) + 50}


async def folder_there(run: Service, source: str) -> Path:
    """The watch folder of a source, which the service makes; each turn asks the service something."""
    folder = run.root / "watch" / source
    while not folder.exists():
        await status(run)
    return folder


async def test_a_bad_configuration_is_refused_whole(tmp_path: Path) -> None:
    """Every problem is logged, status tells it until a good one comes, and not even its good parts apply."""
    async with StandIn(QUICK) as api:
        with service(tmp_path, api.url, more="pack = 100") as run:
            await started(run)
            reconfigure(run, api.url, "pack = 0\nlimit = [5]\n" + USERS.format(url=api.url))
            hang_up(run)
            problems = (await until(run, "config_refused"))["problems"]
            assert [problem["key"] for problem in problems] == ["source.posts.pack", "source.posts.limit.0"]
            assert all(problem["value"] and problem["expected"] for problem in problems)
            said = await asyncio.to_thread(asked, run)
            assert "refused at the reload, so the one before stays: source.posts.pack = 0: expected" in told(said)
            assert list(said["sources"]) == ["posts"]
            run.drop("ids.txt", IDS)
            await until(run, "results_written")
            reconfigure(run, api.url, "pack = 100")
            hang_up(run)
            assert (await until(run, "config_reloaded"))["changed"] == []
            assert "refused" not in told(await status(run))


def asked(run: Service) -> dict[str, Any]:
    """The status, asked with another configuration than the one that is refused."""
    path = run.config.with_name("other.toml")
    path.write_text(CONFIG.format(url="http://127.0.0.1:1", more="", grace="5s"))
    line = [sys.executable, "-m", "collector", "status", "--json", "--config", str(path)]
    said: dict[str, Any] = json.loads(subprocess.check_output(line, text=True))
    return said


async def test_what_cannot_change_while_it_runs_is_told(tmp_path: Path) -> None:
    """Another root or listener stays as it was until a restart, and log and status say so; the rest applies."""
    async with StandIn(QUICK) as api:
        with service(tmp_path, api.url, more="pack = 100") as run:
            await started(run)
            reconfigure(run, api.url, "pack = 50", grace="3s", root='"elsewhere"', listen='"off"')
            hang_up(run)
            assert (await until(run, "config_reloaded"))["changed"] == ["grace 5 s to 3 s", "source posts: pack"]
            assert (await until(run, "restart_needed"))["keys"] == ["root", "admin.listen"]
            assert "restart needed: root, admin.listen" in told(await asyncio.to_thread(asked, run))
            reconfigure(run, api.url, "pack = 50")
            assert (await ordered(run, "reload")).stdout.endswith(": grace 3 s to 5 s\n")
            assert "restart" not in told(await status(run))


async def test_a_storm_of_reloads_while_calls_flow_keeps_the_books(tmp_path: Path) -> None:
    """Each ID is answered once; and a stop in the middle of reloading is clean."""
    async with StandIn(Settings(limit=None, latency=(0.002, 0.01), faults=NO_FAULTS)) as api:
        with service(tmp_path, api.url, more="pack = 10") as run:
            await started(run)
            run.drop("ids.txt", IDS)
            for turn in range(60):
                await api.verdicts.reached(min(2 * turn, 150))
                reconfigure(run, api.url, f"pack = {5 + turn % 3}\nparallel = {8 - turn % 5}")
                hang_up(run)
            await until(run, "results_written")
            assert run.books() == {"found": len(IDS)}
            assert set(Counter(key for verdict in api.verdicts for key in verdict.ids).values()) == {1}
            assert run.log.read_text().count('"config_reloaded"') <= 60
            reconfigure(run, api.url, "pack = 9")
            hang_up(run)
            run.terminate()
            assert await asyncio.to_thread(run.ended) == 0


async def test_a_source_with_a_dead_key_goes_on_after_the_good_one(tmp_path: Path) -> None:
    """The stop is seen in log, status and health, with what to do; a reload with the key mended ends it, and nothing is
    lost."""
    (tmp_path / "key.txt").write_text("dead")
    more = 'pack = 50\nheaders = { Authorization = "Bearer {secret.key}" }\n[secret]\nkey = { file = "key.txt" }'
    async with StandIn(Settings(limit=None, latency=(0.0, 0.002), faults=NO_FAULTS, bearer="good")) as api:
        with service(tmp_path, api.url, more=more) as run:
            admin = await started(run)
            run.drop("ids.txt", IDS)
            why = (await until(run, "source_stopped"))["why"]
            assert "mend the secret, then `collector reload`" in why
            assert (await status(run))["sources"]["posts"] == {"state": "stopped", "why": why}
            async with aiohttp.ClientSession(admin) as session:
                async with session.get("/healthz") as answer:
                    assert (answer.status, why in (await answer.json())["why"]) == (503, True)
                for path in ("/resume", "/sources/posts/resume", "/reload"):
                    async with session.post(path) as answer:
                        assert answer.status == 401
            (tmp_path / "key.txt").write_text("good")
            assert (await ordered(run, "reload")).stdout.endswith(": source posts: secret key\n")
            await assert_it_collects(run, api)


async def assert_it_collects(run: Service, api: StandIn) -> None:
    """The refused IDs are due a few seconds later than the others; until then they are owed."""
    await api.verdicts.reached(40)  # as many packs as there are, the refused ones among them
    run.terminate()
    assert await asyncio.to_thread(run.ended) == 0
    books = run.books()
    assert (books["found"] >= 1_000, books["found"] + books["queued"] + books["delayed"]) == (True, len(IDS))


async def test_a_source_without_credit_is_resumed_by_command(tmp_path: Path) -> None:
    """`resume` says what it did in one line; who is not stopped and who is not there is told in words."""
    async with StandIn(QUICK) as api:
        api.credits_depleted = True
        with service(tmp_path, api.url, more="pack = 50") as run:
            await started(run)
            assert (await ordered(run, "resume", "--source", "posts")).stdout == "nothing to resume: posts is running\n"
            run.drop("ids.txt", IDS)
            assert "`collector resume --source posts`" in (await until(run, "source_stopped"))["why"]
            unknown = await ordered(run, "resume", "--source", "nobody")
            assert (unknown.returncode, unknown.stderr) == (2, "no source 'nobody'; declared: posts\n")
            nameless = await ordered(run, "resume", "--source", "")
            assert (nameless.returncode, nameless.stderr) == (2, "no source ''; declared: posts\n")
            api.credits_depleted = False
            resumed = await ordered(run, "resume", "--all", "--json")
            assert json.loads(resumed.stdout) == {"resumed": ["posts"], "not_stopped": {}}
            await assert_it_collects(run, api)


def test_a_file_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    """A half of it would be a good configuration without its limit; it is never taken up."""
    text = '[source.a]\nurl = "https://api/{id}"\nlimit = ["%s"]\n'
    running, taken_up = loaded(tmp_path, text % "9/1m"), list[Config]()

    async def reloaded() -> Reloaded | None:
        reloader = Reloader(running, taken_up.append, virtual.VirtualClock())
        work = asyncio.create_task(reloader.run())
        running.path.write_text(text[: text.index("limit")])
        asked = reloader.ask()
        await asyncio.sleep(0.1)
        running.path.write_text(text % "8/1m")
        told = await asked
        work.cancel()
        return told

    told = virtual.run(reloaded(), patience=0.2)
    assert told
    assert told.changed == ("source a: limit",)
    assert [one.sources["a"].limit for one in taken_up] == [(Limit(8, 60.0),)]


async def test_limits_that_are_gone_are_warned_of(tmp_path: Path) -> None:
    """Whoever did not mean it reads what holds no longer."""
    async with StandIn(QUICK) as api:
        more = 'pack = 50\nlimit = ["9/1m"]\nbudget = "money"\n[budget.money]\nlimit = ["5000 items/30d"]'
        with service(tmp_path, api.url, more=more) as run:
            await started(run)
            reconfigure(run, api.url, "pack = 50")
            hang_up(run)
            told = await until(run, "limits_removed")
            assert told["level"] == "warning"
            assert told["limits"] == [
                *("source posts: 9 calls in 1 min", "source posts: budget money", "budget money: 5000 items in 30 d")
            ]


def readings(*said: bytes) -> tuple[Callable[[], Awaitable[bytes]], Callable[[], Awaitable[None]], list[str]]:
    """A file that is another one at each reading, the last for ever, and what was done with it."""
    done: list[str] = []

    async def read() -> bytes:
        done.append("read")
        return said[min(done.count("read"), len(said)) - 1]

    async def pause() -> None:
        done.append("pause")

    return read, pause, done


@pytest.mark.parametrize(
    ("said", "pauses"),
    [((b"whole",), 1), ((b"", b"ha", b"half", b"whole"), 4), ((b"half", b"whole", b"half", b"half"), 3)],
)
async def test_what_is_read_twice_alike_is_whole(said: tuple[bytes, ...], pauses: int) -> None:
    """Between any two readings there is a pause."""
    read, pause, done = readings(*said)
    assert await settled(read, pause) == said[-1]
    assert done == ["read", *["pause", "read"] * pauses]


async def test_a_file_that_never_rests_is_given_up() -> None:
    """Nobody waits for it for ever."""
    read, pause, done = readings(*(str(number).encode() for number in range(1_000)))
    assert await settled(read, pause) is None
    assert 10 <= done.count("pause") <= 50


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        ('limit = ["9/1m", "90/1d"]', 'limit = ["8/1m", "90/1d", "1/1s"]', ()),
        ('limit = ["9/1m", "90/1d"]', 'limit = ["90/1d"]', ("source a: 9 calls in 1 min",)),
        ('limit = ["9/1m"]', 'limit = ["9 items/1m"]', ("source a: 9 calls in 1 min",)),
        ('limit = ["9/1d at 00:00 UTC"]', 'limit = ["9/1d"]', ("source a: 9 calls in 1 d at 00:00 UTC",)),
        ('budget = "b"\n[budget.b]\nlimit = ["9/1d"]', 'budget = "b"\n[budget.b]\nlimit = ["8/1d"]', ()),
        ("[budget.b]\nlimit = ['9/1d', '8/1h']", "[budget.b]\nlimit = ['8/1h']", ("budget b: 9 calls in 1 d",)),
        (
            'budget = "b"\n[budget.b]\nlimit = ["9/1d"]',
            'budget = "c"\n[budget.c]\nlimit = ["9/1d"]',
            ("budget b: 9 calls in 1 d",),
        ),
    ],
)
def test_which_limits_are_gone(tmp_path: Path, before: str, after: str, gone: tuple[str, ...]) -> None:
    """A window that counts the same over the same time is the same limit, whatever its count is now."""
    source = '[source.a]\nurl = "https://api/{id}"\n'
    assert removed(loaded(tmp_path, source + before), loaded(tmp_path, source + after)) == gone


def test_with_a_source_its_limits_go_unsaid(tmp_path: Path) -> None:
    """It sends nothing any more."""
    one, two = (f'[source.{name}]\nurl = "https://api/{{id}}"\nlimit = ["9/1m"]\n' for name in "ab")
    assert removed(loaded(tmp_path, one), loaded(tmp_path, two)) == ()


def loaded(folder: Path, text: str) -> Config:
    path = folder / "collector.toml"
    path.write_text(text)
    return config.load(path)


SOURCE = '[source.a]\nurl = "https://api/{id}"\nheaders = { X = "{secret.k}" }\n'


@pytest.mark.parametrize(
    ("before", "after", "said", "restart"),
    [
        (SOURCE, SOURCE, (), ()),
        (f"[service]\nconsumers = 4\n{SOURCE}", SOURCE, ("consumers 4 to 16",), ()),
        (SOURCE, f'[service]\nsettle = "500ms"\n{SOURCE}', ("settle 2 s to 500 ms",), ()),
        (SOURCE, f'default_source = "a"\n{SOURCE}', ("default_source none to a",), ()),
        (SOURCE, f"{SOURCE}json = [1]\n", ("source a: json",), ()),
        (SOURCE, SOURCE.replace(".a]", ".b]"), ("source a is gone", "source b is new"), ()),
        (SOURCE, f'root = "x"\n[admin]\nhosts = ["h"]\n{SOURCE}', (), ("root", "admin.hosts")),
    ],
)
def test_what_changed_is_told_in_words(
    tmp_path: Path, before: str, after: str, said: tuple[str, ...], restart: tuple[str, ...]
) -> None:
    """By its keys, and no value of a source: it may be somebody's secret."""
    (tmp_path / "k").write_text("s3cret")
    key = '[secret]\nk = { file = "k" }\n'
    old, new = loaded(tmp_path, before + key), loaded(tmp_path, after + key)
    assert changes(old, new) == said
    assert only_by_restart(old, new) == restart


def test_a_secret_that_changed_is_told_by_its_name(tmp_path: Path) -> None:
    """The source that uses it changed; its value stands nowhere."""
    key = '[secret]\nk = { file = "k" }\n'
    (tmp_path / "k").write_text("s3cret")
    old = loaded(tmp_path, SOURCE + key)
    (tmp_path / "k").write_text("an0ther")
    assert changes(old, loaded(tmp_path, SOURCE + key)) == ("source a: secret k",)
