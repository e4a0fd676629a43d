"""The whole configuration: one TOML file, read once, frozen, with all its problems told at once."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator, model_validator

from collector import quantity
from collector.budget.limit import Unit
from collector.errors import ConfigError, Problem
from collector.host import secret
from collector.host.files import regular
from collector.host.secret import Secret
from collector.sources import chain, identity, presets, python, spec
from collector.sources import declared as declared_by
from collector.sources.fault import problems_of
from collector.sources.notify import Notify
from collector.sources.python import Stamp
from collector.sources.spec import Spec
from collector.sources.values import Limits, Seconds, Strict, written

_TABLES = ("service", "admin", "secret", "source", "budget")
_KEYS = ("root", "default_source", *_TABLES)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST = 10_000_000  # bytes of the file
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ANY = ("0.0.0.0", "[::]")  # noqa: S104 - no names, but every address of this machine
_ADDRESS = re.compile(r"\[[0-9a-f:]+\]|[A-Za-z0-9][A-Za-z0-9.-]*")
_PLACES = '"127.0.0.1:PORT", "[::1]:PORT", "localhost:PORT", "unix:/path" or "off"'
_SHORTEST_TOKEN = 16  # characters


def _listen(text: str) -> str:
    if text == "off" or text.startswith("unix:/"):
        return text
    host, _, port = text.rpartition(":")
    if not _ADDRESS.fullmatch(host) or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(_PLACES)
    return text


def _variable(name: str) -> str:
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("the name of an environment variable: letters, digits and _")
    return name


class Service(Strict):
    """`[service]`: the process."""

    consumers: Annotated[int, Field(ge=1, le=1_000)] = 16
    grace: Seconds = 20.0
    settle: Seconds = 2.0
    min_free: Annotated[int, written(quantity.size_or_none, quantity.SIZE_OR_NONE)] = 1_000_000_000
    notify: Notify | None = None


class SecretPlace(Strict):
    """`[secret] name = { … }`: where a secret is kept."""

    credential: str | None = None
    env: Annotated[str, AfterValidator(_variable)] | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "SecretPlace":
        if sum(place is not None for place in (self.credential, self.env, self.file)) != 1:
            raise ValueError('one of { credential = "NAME" }, { env = "NAME" } or { file = "PATH" }')
        return self

    def fetch(self, folder: Path) -> Secret:
        """The secret; LookupError says what is missing."""
        if self.credential is not None:
            return secret.from_credential(self.credential)
        if self.env is not None:
            return secret.from_environment(self.env)
        return secret.from_file(folder / (self.file or ""))


class Admin(Strict):
    """`[admin]`: the HTTP interface."""

    allow_remote: bool = False
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8090"
    hosts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    token: SecretPlace | None = None

    @field_validator("listen")
    @classmethod
    def _on_purpose(cls, listen: str, beside: ValidationInfo) -> str:
        here = listen.rpartition(":")[0].strip("[]") in ("", *_LOOPBACK) or listen.startswith("unix:")
        if not here and not beside.data.get("allow_remote"):
            raise ValueError(f"{_PLACES}; for another address put `allow_remote = true` beside it")
        return listen

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port, or None when it is a socket file or off."""
        if self.listen == "off" or self.listen.startswith("unix:"):
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class Budget(Strict):
    """`[budget.NAME]`: limits that several sources share, on top of their own."""

    limit: Annotated[Limits, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration without problems."""

    path: Path
    root: Path
    default_source: str | None
    sources: Mapping[str, Spec]
    budgets: Mapping[str, Budget]
    secrets: Mapping[str, Secret] = field(repr=False)
    service: Service
    admin: Admin
    token: Secret | None = field(default=None, repr=False)  # of the HTTP interface, where the service makes none
    modules: Mapping[str, Stamp] = field(default_factory=dict)  # of Python sources, as they were when this was read

    @property
    def watch(self) -> Path:
        """Where ID files are dropped."""
        return self.root / "watch"

    @property
    def batches(self) -> Path:
        """Where each batch has its folder."""
        return self.root / "batches"

    @property
    def rejected(self) -> Path:
        """Where files that could not be read are put."""
        return self.root / "rejected"

    @property
    def database(self) -> Path:
        """Everything that is kept, but for the ledger."""
        return self.root / "collector.db"

    @property
    def ledger(self) -> Path:
        """What was sent, for the limits."""
        return self.root / "budgets.log"

    @property
    def own_hosts(self) -> frozenset[str]:
        """Names by which the HTTP interface is asked, beside the loopback ones."""
        host = self.admin.listen.rpartition(":")[0]
        return frozenset((*self.admin.hosts, *([host] if self.admin.address and host not in _ANY else ())))

    @property
    def token_file(self) -> Path:
        """The token of the HTTP interface that the service makes."""
        return self.root / "token"

    @property
    def control(self) -> Path:
        """The command line's socket."""
        return self.root / "control.sock"


def load(path: Path, *, secrets: bool = True) -> Config:
    """Reads and checks a configuration; ConfigError holds every problem.

    Without `secrets` none is fetched, and no function of a Python source imported: who only looks at the service need
    not have them.
    """
    return parse(path, read(path), secrets=secrets)


def read(path: Path) -> bytes:
    """What the file holds; ConfigError where it cannot be read, or is no regular file."""
    try:
        return regular(path, _MOST)
    except OSError as error:
        raise _unreadable(path, f"a readable file ({error.strerror})") from error


def parse(path: Path, data: bytes, *, secrets: bool = True) -> Config:
    """Checks what the file held; as `load` otherwise."""
    try:
        return _build(path, _table(path, data), fetch=secrets)
    except RecursionError as error:
        raise _unreadable(path, "tables and lists that are not nested so deeply") from error


def _table(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _unreadable(path, "text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, f"TOML: {error}") from error
    except ValueError as error:  # Python's own, of thousands of digits
        raise _unreadable(path, "TOML: numbers that are not so long") from error


def _unreadable(path: Path, expected: str) -> ConfigError:
    return ConfigError(str(path), [Problem("file", str(path), expected)])


def _build(path: Path, table: dict[str, Any], *, fetch: bool) -> Config:
    problems = [Problem(key, repr(table[key]), f"one of {', '.join(_KEYS)}") for key in table if key not in _KEYS]
    tables = {}
    for key in _TABLES:
        tables[key] = table.get(key, {})
        if not isinstance(tables[key], dict):
            problems.append(Problem(key, "***" if key == "secret" else repr(tables[key]), f"a table, [{key}]"))
            tables[key] = {}
    written = tables["source"]
    tables["source"] = {name: presets.merged(source) for name, source in written.items()}
    service = _model(Service, "service", tables["service"], problems)
    admin = _model(Admin, "admin", tables["admin"], problems)
    sources = _sources(tables["source"], problems)
    budgets = _budgets(tables["budget"], tables["source"], problems)
    secrets = _secrets(path.parent, tables["secret"], problems, fetch=fetch)
    token = _token(path.parent, admin, problems) if fetch else None
    problems += python.problems(path.parent, sources) if fetch else []
    problems += chain.problems(sources, tables["source"])
    problems += _undrawable(sources, secrets, budgets, tables["budget"])
    asking = {f"source.{name}": source for name, source in tables["source"].items()}
    asking["service.notify"] = tables["service"].get("notify")
    problems += _missing_secrets(asking, tables["secret"])
    default = table.get("default_source")
    if default is not None and not (isinstance(default, str) and default in tables["source"]):
        names = ", ".join(tables["source"]) or "none is declared"
        problems.append(Problem("default_source", repr(default), f"a declared source ({names})"))
    root = table.get("root", ".")
    if not isinstance(root, str) or not root.isprintable() or not root:
        problems.append(Problem("root", repr(root), "a folder"))
    if problems:
        raise ConfigError(str(path), presets.traced(problems, written))
    assert service is not None
    assert admin is not None
    place, modules = (path.parent / root).resolve(), python.stamps(sources)
    return Config(path, place, default, sources, budgets, secrets, service, admin, token, modules)


def _model(kind: "type[Any]", where: str, table: dict[str, Any], problems: list[Problem]) -> Any:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problems += problems_of(error, where)
        return None


def _sources(tables: dict[str, Any], problems: list[Problem]) -> dict[str, Spec]:
    found = {}
    if not tables:
        problems.append(Problem("source", "(not there)", "at least one [source.NAME]"))
    for name, table in tables.items():
        if not _NAME.fullmatch(name):
            problems.append(
                Problem(f"source.{name}", repr(name), "at most 64 letters, digits, _ and -: it is a folder")
            )
        if not isinstance(table, dict):
            problems.append(Problem(f"source.{name}", repr(table), f"a table, [source.{name}]"))
            continue
        if unknown := presets.unknown(f"source.{name}", table):
            problems.append(unknown)  # alone: what else would be wrong hangs on the preset
            continue
        source, faults = spec.read(name, table)
        problems += faults
        if source:
            found[name] = source
    problems += _same_views(found)
    return found


def _same_views(sources: Mapping[str, Spec]) -> list[Problem]:
    """A source with columns has a view of its name, and SQL does not tell A from a."""
    taken: dict[str, str] = {}
    viewed = [name for name, source in sources.items() if source.columns]
    return [
        Problem(f"source.{name}", repr(name), f"another name: the view of {taken[name.lower()]!r} would be the same")
        for name in viewed
        if taken.setdefault(name.lower(), name) != name
    ]


def _budgets(tables: dict[str, Any], sources: Mapping[str, Any], problems: list[Problem]) -> dict[str, Budget]:
    found = {}
    for name, table in tables.items():
        where = f"budget.{name}"
        if not _NAME.fullmatch(name):
            problems.append(Problem(where, repr(name), "at most 64 letters, digits, _ and -"))
        if name in sources:
            problems.append(Problem(where, repr(name), "another name: a source has this one, and status shows both"))
        if not isinstance(table, dict):
            problems.append(Problem(where, repr(table), f"a table, [{where}]"))
        elif budget := _model(Budget, where, table, problems):
            found[name] = budget
    return found


def _undrawable(
    sources: Mapping[str, Spec],
    secrets: Mapping[str, Secret],
    budgets: Mapping[str, Budget],
    declared: Mapping[str, Any],
) -> list[Problem]:
    """Budgets that are not there, and limits under which not a single call could ever go: its own, and those of
    sources that share its budget."""
    found = []
    limits = identity.limits_of_all(sources, secrets)
    for name, source in sources.items():
        where = f"source.{name}"
        if source.budget is not None and source.budget not in declared:
            names = ", ".join(declared) or "none is declared"
            found.append(Problem(f"{where}.budget", repr(source.budget), f"a declared budget ({names})"))
        shared = budgets.get(source.budget or "")
        drawn = (*limits[name], *(shared.limit if shared else ()))
        if source.next and source.per_call is None and any(limit.unit is Unit.ITEMS for limit in drawn):
            expected = "the most objects that one page may bring, which a limit in items reserves"
            found.append(Problem(f"{where}.per_call", "(not there)", expected))
            continue
        for limit in drawn:
            if (most := source.most(limit.unit)) > limit.count:
                key = "cost" if limit.unit is Unit.UNITS else "per_call" if source.per_call else "pack"
                expected = f"at most {limit.count}, or no call would ever fit into {limit}"
                found.append(Problem(f"{where}.{key}", repr(most), expected))
    return found


def _secrets(folder: Path, tables: dict[str, Any], problems: list[Problem], *, fetch: bool) -> dict[str, Secret]:
    found = {}
    for name, table in tables.items():
        # The table itself is never shown: somebody may have written the secret where its place belongs.
        if not isinstance(table, dict):
            problems.append(Problem(f"secret.{name}", "***", 'its place, as { env = "NAME" } or { file = "PATH" }'))
            continue
        faults: list[Problem] = []
        place = _model(SecretPlace, f"secret.{name}", table, faults)
        problems += [Problem(fault.key, "***", fault.expected) for fault in faults]
        if place is None or not fetch:
            continue
        try:
            value = place.fetch(folder)
        except LookupError as error:
            [(kind, where)] = table.items()
            problems.append(Problem(f"secret.{name}", f'{{ {kind} = "{where}" }}', str(error.args[0])))
            continue
        if not value.reveal().isprintable():
            problems.append(Problem(f"secret.{name}", "***", "one line of printable characters"))
        found[name] = value
    return found


def _token(folder: Path, admin: Admin | None, problems: list[Problem]) -> Secret | None:
    if admin is None or admin.token is None:
        return None
    try:
        token = admin.token.fetch(folder)
    except LookupError as error:
        problems.append(Problem("admin.token", "***", str(error.args[0])))
        return None
    text = token.reveal()
    if len(text) < _SHORTEST_TOKEN or not (text.isascii() and text.isprintable()) or " " in text:
        expected = f"{_SHORTEST_TOKEN} or more letters, digits and signs of ASCII without a space"
        problems.append(Problem("admin.token", "***", expected))
    return token


def _missing_secrets(asking: Mapping[str, Any], declared: Mapping[str, Any]) -> list[Problem]:
    return [
        Problem(where, f"{{secret.{wanted}}}", f'a declared secret: [secret] {wanted} = {{ env = "…" }}')
        for where, table in asking.items()
        if isinstance(table, dict)
        for wanted in sorted(declared_by.secrets(table) - set(declared))
    ]
