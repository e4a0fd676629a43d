"""Celery with RabbitMQ: prefork workers, one for each core up to two; results by django-celery-results where wanted."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from urllib.request import urlopen

import celery.signals  # type: ignore[import-not-found]  # of the peers' own environment
import django

from bench.peers.worked import Here, Task, by_workers, tell

WORKERS = 2
NAME = "bench.peers.with_celery"

app = celery.Celery(NAME, broker=os.environ.get("BENCH_BROKER"))
app.conf.task_default_queue = f"bench{os.environ.get('BENCH_RUN')}"
if os.environ.get("DJANGO_SETTINGS_MODULE"):
    django.setup()
    app.conf.result_backend = "django-db"
else:
    app.conf.task_ignore_result = True


def fetch(url: str) -> str:
    """The body of an answer."""
    with urlopen(url) as answer:
        return str(answer.read().decode())


def nothing(key: int) -> None:
    """No work; its end is noted, since nothing else tells of it."""
    Here.found().note()


def empty(key: int) -> None:
    """No work, and a result."""


TASKS = {
    "http": app.task(fetch, name="fetch"),
    "results": app.task(empty, name="empty"),
    "nothing": app.task(nothing, name="nothing"),
}
celery.signals.worker_ready.connect(lambda **_: Here.found().ready(), weak=False)


def stored(here: Here) -> int:
    """Results that are in the database."""
    path = here.folder / "results.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM django_celery_results_taskresult")
    return int(count)


def main() -> None:
    """Publishes all tasks, and then lets the workers begin."""
    task = Task.read(sys.argv[1:])
    here, wants = Here(task.folder), task.kind != "nothing"
    if wants:
        subprocess.run([sys.executable, "-m", "django", "migrate", "--verbosity", "0"], check=True)
    for number in range(task.jobs):
        TASKS[task.kind].apply_async((f"{task.url}{10**17 + number}" if task.kind == "http" else number,))
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "error"]
    pool = ["--pool", "prefork", "--concurrency", str(WORKERS)]
    command = [sys.executable, "-m", "celery", "-A", NAME, "worker", *pool, *quiet]
    tell(by_workers(command, task, (lambda: stored(here)) if wants else (lambda: here.noted)))


if __name__ == "__main__":
    main()
