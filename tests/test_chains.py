"""Chains with real processes and real kills: seeds, their followers, the posts of these, and replies to the seeds."""

import subprocess
from pathlib import Path
from random import Random

import pytest

from collector.rehearsal.fates import Faults
from collector.rehearsal.posts import World
from collector.rehearsal.users import Count, People

from .service import Service, service
from .test_promises import api

CONFIG = """\
root = "state"

[service]
settle = "100ms"
grace = "5s"

[admin]
listen = "127.0.0.1:0"

[secret]
x_bearer = {{ file = "bearer.txt" }}

[source.x_followers]
use = "x/followers"
url = "{url}/2/users/{{id}}/followers"
params = {{ max_results = 30 }}
limit = []

[source.x_follower_posts]
use = "x/follower_posts"
url = "{url}/2/users/{{id}}/tweets"
params = {{ max_results = 10 }}
limit = []

[source.x_replies]
use = "x/replies"
url = "{url}/2/tweets/search/recent"
params = {{ query = "to:{{id}} is:reply", max_results = 10 }}
limit = []
"""
PEOPLE = People(
    followers=Count(0, 150), posts=Count(0, 25), replies=Count(0, 40), deleted=0.05, protected=0.05, suspended=0.02
)
GIVEN = (
    *("--limit=0", "--latency=5-30", "--token-stale=0.02", "--errors=0.01", "--dropped=0.01", "--lost=0.01"),
    *("--followers=0-150", "--posts=0-25", "--replies=0-40"),
    *("--user-deleted=0.05", "--user-protected=0.05", "--user-suspended=0.02"),
)
SEEDS = [str(700_000_000 + 7_919 * number) for number in range(20)]


def configured(run: Service, url: str) -> None:
    run.config.write_text(CONFIG.format(url=url))
    (run.config.parent / "bearer.txt").write_text("b" * 40)


def dropped(run: Service, source: str, keys: list[str]) -> None:
    watch = run.root / "watch" / source
    watch.mkdir(parents=True, exist_ok=True)
    (watch / ".seeds.txt.part").write_text("".join(f"{key}\n" for key in keys))
    (watch / ".seeds.txt.part").rename(watch / "seeds.txt")


def listed(run: Service, source: str) -> set[tuple[str, str]]:
    """Whose items they are, and their own IDs."""
    rows = run.rows(f"SELECT job, key FROM items WHERE source = '{source}'")
    assert len(rows) == len(set(rows))
    return set(rows)


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_chain_of_lists_is_whole_over_kills_and_every_post_is_there_once(tmp_path: Path) -> None:
    """Seeds to followers to their posts, and replies to the seeds, from one file of seeds dropped twice; kill -9 at 8
    random moments, tokens that the API forgets, faults of the wire: the books of each batch balance, and each list is
    there whole and once, by the world that the API serves."""
    random = Random(7)
    with api(tmp_path / "api.jsonl", *GIVEN) as url, service(tmp_path, url) as run:
        configured(run, url)
        dropped(run, "x_follower_posts", SEEDS)
        dropped(run, "x_replies", SEEDS)
        for _ in range(8):
            run.start()
            run.until("ready")
            with pytest.raises(subprocess.TimeoutExpired):
                run.process.wait(random.uniform(0.1, 1.0))
            run.kill()
        in_the_middle = run.books()
        run.start()
        run.until("ready")
        while any(batch["state"] != "finished" for batch in run.status()["batches"]):
            run.until("results_written")
        assert in_the_middle["delayed"], "the kills came when all was done: they showed nothing"
        assert_the_lists_are_whole(run)
        run.terminate()
        assert run.ended() == 0


def assert_the_lists_are_whole(run: Service) -> None:
    world = World(Faults(), PEOPLE)
    rows = run.rows("SELECT source, parent IS NOT NULL, state FROM batches ORDER BY id")
    assert sorted(rows) == [
        ("x_follower_posts", True, "finished"),
        ("x_followers", False, "finished"),
        ("x_replies", False, "finished"),
    ]
    followers = {(seed, follower) for seed in SEEDS for follower in world.users.followers(seed)}
    assert listed(run, "x_followers") == followers
    asked = {follower for _, follower in followers}
    made = run.rows("SELECT key FROM jobs JOIN batches ON id = batch WHERE source = 'x_follower_posts'")
    assert sorted(key for (key,) in made) == sorted(asked)
    assert listed(run, "x_follower_posts") == {(user, post) for user in asked for post in world.users.posts(user)}
    assert listed(run, "x_replies") == {(seed, reply) for seed in SEEDS for reply in world.users.replies(seed)}
    kept = run.rows("SELECT batch, state, sum(jobs) FROM counts WHERE jobs > 0 GROUP BY 1, 2 ORDER BY 1, 2")
    assert kept == run.rows("SELECT batch, state, count(*) FROM jobs GROUP BY 1, 2 ORDER BY 1, 2")
    stored = run.rows("SELECT batch, count(*) FROM items GROUP BY 1 ORDER BY 1")
    assert stored == run.rows("SELECT id, items FROM batches WHERE items > 0 ORDER BY 1")
    assert run.rows("SELECT count(*) FROM jobs WHERE state NOT IN ('found', 'gone')") == [(0,)]
    assert run.rows("SELECT count(*) FROM jobs WHERE state = 'gone' AND coalesce(reason, '') = ''") == [(0,)]
