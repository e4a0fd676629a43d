"""pgqueuer with PostgreSQL: one process, jobs taken 100 at a time."""

import asyncio
import sys

import asyncpg  # type: ignore[import-not-found]  # of the peers' own environment
import pgqueuer  # type: ignore[import-not-found]
from pgqueuer.types import QueueExecutionMode  # type: ignore[import-not-found]

from bench.cost import Cost
from bench.peers.worked import Clock, Task, tell

AT_A_TIME = 100


async def worked(task: Task) -> Cost:
    """All jobs are in the queue before the clock starts."""
    driver = pgqueuer.AsyncpgDriver(await asyncpg.connect(task.server))
    queries, ended = pgqueuer.Queries(driver), 0
    manager = pgqueuer.QueueManager(queries)
    await queries.uninstall()
    await queries.install()

    async def nothing(job: pgqueuer.Job) -> None:
        nonlocal ended
        ended += 1

    manager.entrypoint("nothing")(nothing)
    await queries.enqueue(["nothing"] * task.jobs, [b""] * task.jobs, [0] * task.jobs)
    clock = Clock()
    await manager.run(batch_size=AT_A_TIME, mode=QueueExecutionMode.drain)
    assert ended == task.jobs
    return clock.cost(task.jobs)


if __name__ == "__main__":
    tell(asyncio.run(worked(Task.read(sys.argv[1:]))))
