"""The tasks of feeders and consumers: begun when they are wanted, ended in the order in which work flows."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeAlias, TypeVar

from collector.dispatch.consumer import Consumer
from collector.dispatch.feeder import Feeder

T = TypeVar("T")
Start: TypeAlias = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Crew:
    """Who is at work in dispatch. `begin` is given what starts a task, since only app.py has a TaskGroup."""

    def __init__(self) -> None:
        self._start: Start | None = None
        self._waiting: list[Feeder | Consumer] = []  # for `begin`
        self._feeding: dict[Feeder, asyncio.Task[None]] = {}
        self._carrying: dict[Consumer, asyncio.Task[None]] = {}
        self._landing: list[asyncio.Task[None]] = []  # what a second stop hurries
        self._hurried = False

    def begin(self, start: Start) -> None:
        """Everybody starts work, and whoever joins later does so at once."""
        self._start = start
        waiting, self._waiting = self._waiting, []
        self.join(waiting)

    @property
    def at_work(self) -> bool:
        """Whether they have begun."""
        return self._start is not None

    def join(self, actors: Iterable[Feeder | Consumer]) -> None:
        """More of them. A consumer begins when one of its source that has retired has landed, where there is one in
        the air: no source has more calls in the air than it may."""
        leaving = [(c.source, task) for c, task in self._carrying.items() if c.stopping and c.in_the_air]
        for actor in actors:
            if self._start is None:
                self._waiting.append(actor)
            elif isinstance(actor, Feeder):
                _keep(self._feeding, actor, self._start(actor.run()))
            else:
                before = next((left for left in leaving if left[0] == actor.source), None)
                if before:
                    leaving.remove(before)
                _keep(self._carrying, actor, self._start(_relieve(before and before[1], actor)))

    def retire(self, feeders: Iterable[Feeder], consumers: Iterable[Consumer]) -> None:
        """Feeders end at once, and so does a consumer unless its call is in the air: that one it finishes."""
        for feeder in feeders:
            self._feeding[feeder].cancel()
        for consumer in consumers:
            consumer.stopping = True
            if not consumer.in_the_air:
                self._carrying[consumer].cancel()

    def hurry(self) -> None:
        """A stop does not wait for the calls in the air."""
        self._hurried = True
        for task in self._landing:
            task.cancel()

    async def stop_feeding(self) -> None:
        """Nothing more is read to be asked."""
        await end(self._feeding.values())

    async def land(self, grace: float) -> None:
        """Whoever waits stops at once; calls in the air may finish within the grace, in seconds."""
        for consumer in self._carrying:
            consumer.stopping = True
        self._landing = [task for consumer, task in self._carrying.items() if consumer.in_the_air]
        await end(task for task in self._carrying.values() if task not in self._landing)
        if self._landing:
            _, late = await asyncio.wait(self._landing, timeout=0 if self._hurried else grace)
            await end(late)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels tasks and waits for their end."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    if ending:
        await asyncio.wait(ending)


async def _relieve(before: "asyncio.Task[None] | None", consumer: Consumer) -> None:
    if before:
        await asyncio.wait([before])
    await consumer.run()


def _keep(tasks: "dict[T, asyncio.Task[None]]", actor: T, task: "asyncio.Task[None]") -> None:
    """For as long as it runs."""
    tasks[actor] = task
    task.add_done_callback(lambda _: tasks.pop(actor))
