"""Reading the configuration again while the service runs: taken up whole or refused whole."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog

from collector import config, quantity
from collector.budget.limit import Limit
from collector.clock import Clock
from collector.config import Admin, Config, Service
from collector.errors import ConfigError, Problem
from collector.host import thread
from collector.model import Trouble
from collector.sources import python
from collector.sources.values import Strict

_TOLD_APART = ("path", "root", "default_source", "sources", "secrets", "service", "admin", "modules")

_APART, _READINGS = 0.2, 25  # seconds between two readings of the file; how often it is read at most

T = TypeVar("T")

log = structlog.get_logger()


class Reloaded(msgspec.Struct, frozen=True):
    """What came of reading it again: what changed, in words, or why it is refused."""

    path: str
    changed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()  # keys that are other ones now and stay as they were until a restart
    problems: tuple[Problem, ...] = ()


class Reloader:
    """The actor that reads the configuration again when it is asked to, and hands a good one to `apply`."""

    def __init__(
        self,
        running: Config,
        apply: Callable[[Config], None],
        clock: Clock,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._running, self._apply, self._clock = running, apply, clock
        self._around = around  # each reading, so that somebody may be told
        self._wake = asyncio.Event()
        self._asked: asyncio.Future[Reloaded | None] | None = None
        self._ended = False
        self._trouble: Trouble | None = None

    def ask(self) -> "asyncio.Future[Reloaded | None]":
        """Asks for it; one reading answers all who ask before it begins. None: the service stops."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_future()
            if self._ended:
                self._asked.set_result(None)
        self._wake.set()
        return self._asked

    def troubles(self) -> tuple[Trouble, ...]:
        """What keeps the file from being what the service goes by."""
        return (self._trouble,) if self._trouble else ()

    async def run(self) -> None:
        """Reads again whenever it is asked to, until it is cancelled."""
        asked = None
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                asked, self._asked = self._asked, None
                with self._around():
                    told = await self._read()
                if asked:
                    asked.set_result(told)
        finally:
            self._ended = True
            for waiting in (asked, self._asked):
                if waiting and not waiting.done():
                    waiting.set_result(None)

    async def _read(self) -> Reloaded:
        path = self._running.path
        try:
            found = await self._found(path)
        except ConfigError as error:
            return self._refused(as_imported(self._running, error.problems))
        except Exception as error:  # the service goes on, whatever somebody has made of that file
            log.exception("config_cannot_be_read", path=str(path))
            return self._refused([Problem("file", str(path), f"what can be read ({type(error).__name__}: {error})")])
        changed, restart = changes(self._running, found), only_by_restart(self._running, found)
        gone = removed(self._running, found)
        before = self._running
        self._running = dataclasses.replace(
            found, root=before.root, admin=before.admin, modules={**found.modules, **before.modules}
        )
        self._apply(self._running)
        # What was refused before is told of where only warnings are read.
        (log.warning if self._trouble else log.info)("config_reloaded", changed=list(changed))
        self._trouble = None
        if gone:
            log.warning("limits_removed", limits=list(gone))
        if restart:
            log.warning("restart_needed", keys=list(restart))
            self._trouble = self._told(f"restart needed: {', '.join(restart)}")
        return Reloaded(str(path), changed, restart)

    async def _found(self, path: Path) -> Config:
        """What the file says once nobody writes to it any more; a part of it might read well, without its limits."""
        said = await settled(lambda: thread.run(lambda: _reading(path)), lambda: asyncio.sleep(_APART))
        if said is None:
            expected = "a file that rests, and this one changed all the time; write it beside and rename it"
            raise ConfigError(str(path), [Problem("file", str(path), expected)])
        if isinstance(said, bytes):
            return await thread.run(lambda: config.parse(path, said))
        raise ConfigError(str(path), list(said))

    def _refused(self, problems: list[Problem]) -> Reloaded:
        path = self._running.path
        log.error("config_refused", path=str(path), problems=[dataclasses.asdict(problem) for problem in problems])
        said = "; ".join(map(str, problems))
        self._trouble = self._told(f"refused at the reload, so the one before stays: {said}")
        return Reloaded(str(path), problems=tuple(problems))

    def _told(self, what: str) -> Trouble:
        return Trouble("config", what, self._running.path.name, self._clock.wall())


async def settled(read: Callable[[], Awaitable[T]], pause: Callable[[], Awaitable[None]]) -> T | None:
    """What two readings with a pause between them agree in; None where they never do."""
    before = await read()
    for _ in range(_READINGS):
        await pause()
        now = await read()
        if now == before:
            return now
        before = now
    return None


def _reading(path: Path) -> bytes | tuple[Problem, ...]:
    """What the file holds or why it cannot be read, which may be for a moment only too."""
    try:
        return config.read(path)
    except ConfigError as error:
        return tuple(error.problems)


def changes(old: Config, new: Config) -> tuple[str, ...]:
    """What differs and applies at once, in words; no value of a source, since it may be somebody's secret."""
    told = [
        f"{key} {_spoken(key, getattr(old.service, key))} to {_spoken(key, getattr(new.service, key))}"
        for key in _differing(Service, old.service, new.service)
    ]
    if old.default_source != new.default_source:
        told.append(f"default_source {old.default_source or 'none'} to {new.default_source or 'none'}")
    told += [f"source {name} is gone" for name in old.sources if name not in new.sources]
    for name, spec in new.sources.items():
        if name not in old.sources:
            told.append(f"source {name} is new")
        elif keys := [*_differing(type(spec), old.sources[name], spec), *_other_secrets(old, new, name)]:
            told.append(f"source {name}: {', '.join(keys)}")
    rest = (field.name for field in dataclasses.fields(Config) if field.name not in _TOLD_APART)
    return (*told, *(name for name in rest if getattr(old, name) != getattr(new, name)))


def removed(old: Config, new: Config) -> tuple[str, ...]:
    """Limits and budgets that hold no longer, in words; not those of a source that is gone, which sends nothing."""
    told = []
    for name in (name for name in old.sources if name in new.sources):
        before, after = old.sources[name], new.sources[name]
        told += [f"source {name}: {limit}" for limit in _without(before.limit, after.limit)]
        if before.budget is not None and after.budget is None:
            told.append(f"source {name}: budget {before.budget}")
    for name, budget in old.budgets.items():
        kept = new.budgets[name].limit if name in new.budgets else ()
        told += [f"budget {name}: {limit}" for limit in _without(budget.limit, kept)]
    return tuple(told)


def _without(limits: Iterable[Limit], kept: Iterable[Limit]) -> list[Limit]:
    """Those for which no other counts the same over the same window."""
    windows = {(limit.seconds, limit.unit, limit.at) for limit in kept}
    return [limit for limit in limits if (limit.seconds, limit.unit, limit.at) not in windows]


def only_by_restart(old: Config, new: Config) -> tuple[str, ...]:
    """The keys that differ and cannot change while the service runs: its folder is locked, its listener bound,
    its modules imported."""
    root = ("root",) if old.root != new.root else ()
    called = {name: (spec.call or "").partition(":")[0] for name, spec in new.sources.items()}
    stale = {name for name, stamp in new.modules.items() if old.modules.get(name, stamp) != stamp}
    functions = (f"source.{name}.call" for name, module in called.items() if module in stale)
    return (*root, *(f"admin.{key}" for key in _differing(Admin, old.admin, new.admin)), *functions)


def as_imported(running: Config, problems: Iterable[Problem]) -> list[Problem]:
    """The problems; those of a function may be of its module as it was at the start, and not as it is now."""
    now = python.stamps(running.sources)
    stale = {name for name, stamp in now.items() if running.modules.get(name, stamp) != stamp}
    return [
        dataclasses.replace(problem, expected=f"{problem.expected}, as it was at the start; a restart reads it anew")
        if problem.key.endswith(".call") and problem.value.strip("'").partition(":")[0] in stale
        else problem
        for problem in problems
    ]


def _differing(kind: type[Strict], old: Strict, new: Strict) -> Iterable[str]:
    for key, field in kind.model_fields.items():
        if getattr(old, key) != getattr(new, key):
            yield field.alias or key


def _other_secrets(old: Config, new: Config, source: str) -> list[str]:
    both = sorted(old.sources[source].secrets & new.sources[source].secrets)
    return [f"secret {name}" for name in both if old.secrets[name].reveal() != new.secrets[name].reveal()]


def _spoken(key: str, value: Any) -> str:
    if key == "min_free":
        return quantity.sized(value)
    return quantity.spoken(value) if isinstance(value, float) else "none" if value is None else str(value)
