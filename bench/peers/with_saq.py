"""SAQ with Redis: one process, 16 jobs at once, each answer a result in Redis."""

import asyncio
import sys
from typing import Any

import aiohttp
import saq  # type: ignore[import-not-found]  # of the peers' own environment

from bench.cost import Cost
from bench.peers.worked import Clock, Task, tell

AT_ONCE = 16


async def worked(task: Task) -> Cost:
    """All jobs are in the queue before the clock starts."""
    queue = saq.Queue.from_url(task.server, name=task.folder.name)
    left, done = task.jobs, asyncio.Event()

    async def counted(_: dict[str, Any]) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    async with aiohttp.ClientSession() as session:

        async def fetch(_: dict[str, Any], *, url: str) -> str:
            async with session.get(url) as answer:
                return await answer.text()

        for number in range(task.jobs):
            await queue.enqueue("fetch", url=f"{task.url}{10**17 + number}")
        worker = saq.Worker(queue, [("fetch", fetch)], concurrency=AT_ONCE, after_process=counted)
        clock = Clock()
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.start())
            await done.wait()
            cost = clock.cost(task.jobs)
            await worker.stop()
    return cost


if __name__ == "__main__":
    tell(asyncio.run(worked(Task.read(sys.argv[1:]))))
