"""Reading the configuration again while the service runs: taken up whole or refused whole."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable

import msgspec
import structlog

from collector import config, quantity
from collector.clock import Clock
from collector.config import Admin, Config, Service
from collector.errors import ConfigError, Problem
from collector.host import thread
from collector.model import Trouble
from collector.sources.spec import Strict

_TOLD_APART = ("path", "root", "default_source", "sources", "secrets", "service", "admin")

log = structlog.get_logger()


class Reloaded(msgspec.Struct, frozen=True):
    """What came of reading it again: what changed, in words, or why it is refused."""

    path: str
    changed: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()  # keys that are other ones now and stay as they were until a restart
    problems: tuple[Problem, ...] = ()


class Reloader:
    """The actor that reads the configuration again when it is asked to, and hands a good one to `apply`."""

    def __init__(self, running: Config, apply: Callable[[Config], None], clock: Clock) -> None:
        self._running, self._apply, self._clock = running, apply, clock
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
            found = await thread.run(lambda: config.load(path))
        except ConfigError as error:
            return self._refused(error.problems)
        except Exception as error:  # the service goes on, whatever somebody has made of that file
            log.exception("config_cannot_be_read", path=str(path))
            return self._refused([Problem("file", str(path), f"what can be read ({type(error).__name__}: {error})")])
        changed, restart = changes(self._running, found), only_by_restart(self._running, found)
        self._running = dataclasses.replace(found, root=self._running.root, admin=self._running.admin)
        self._apply(self._running)
        log.info("config_reloaded", changed=list(changed))
        self._trouble = None
        if restart:
            log.warning("restart_needed", keys=list(restart))
            self._trouble = self._told(f"restart needed: {', '.join(restart)}")
        return Reloaded(str(path), changed, restart)

    def _refused(self, problems: list[Problem]) -> Reloaded:
        path = self._running.path
        log.error("config_refused", path=str(path), problems=[dataclasses.asdict(problem) for problem in problems])
        said = "; ".join(map(str, problems))
        self._trouble = self._told(f"refused at the reload, so the one before stays: {said}")
        return Reloaded(str(path), problems=tuple(problems))

    def _told(self, what: str) -> Trouble:
        return Trouble("config", what, self._running.path.name, self._clock.wall())


def changes(old: Config, new: Config) -> tuple[str, ...]:
    """What differs and applies at once, in words; no value of a source, since it may be somebody's secret."""
    told = [
        f"{key} {_spoken(getattr(old.service, key))} to {_spoken(getattr(new.service, key))}"
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


def only_by_restart(old: Config, new: Config) -> tuple[str, ...]:
    """The keys that differ and cannot change while the service runs: its folder is locked, its listener bound."""
    root = ("root",) if old.root != new.root else ()
    return (*root, *(f"admin.{key}" for key in _differing(Admin, old.admin, new.admin)))


def _differing(kind: type[Strict], old: Strict, new: Strict) -> Iterable[str]:
    for key, field in kind.model_fields.items():
        if getattr(old, key) != getattr(new, key):
            yield field.alias or key


def _other_secrets(old: Config, new: Config, source: str) -> list[str]:
    both = sorted(old.sources[source].secrets & new.sources[source].secrets)
    return [f"secret {name}" for name in both if old.secrets[name].reveal() != new.secrets[name].reveal()]


def _spoken(value: object) -> str:
    return quantity.spoken(value) if isinstance(value, float) else str(value)
