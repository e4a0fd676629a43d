"""What a source declares: the keys of `[source.NAME]`, checked."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from yarl import URL

from collector import quantity
from collector.budget.limit import Limit, Unit
from collector.errors import Problem
from collector.sources.fault import problems_of

MOST = 10**9  # of a price, a cost, the objects of an answer: what no API has, and floats can reckon with
PLACE = re.compile(r"\{(id|ids|secret\.([A-Za-z0-9_-]+))\}")
_ODD = re.compile(r"\{[A-Za-z][\w. -]*\}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_OURS = ("content-length", "transfer-encoding", "host", "connection")


def _url(text: str) -> str:
    try:
        url = URL(PLACE.sub("x", text))
    except ValueError as error:
        raise ValueError("an http or https address") from error
    if url.scheme not in ("http", "https") or not url.host or not text.isprintable() or " " in text:
        raise ValueError("an http or https address")
    if PLACE.search(text.split("/", 3)[2]):
        raise ValueError("no `{…}` in the host: an ID can never choose where a call goes")
    if url.user or url.password or url.fragment:
        raise ValueError("no user, password or fragment; a key goes into headers as {secret.NAME}")
    return text


def _header(name: str) -> str:
    if not _TOKEN.fullmatch(name) or name.lower() in _NOT_OURS:
        raise ValueError(f"the name of a header, and not one that HTTP itself sets ({', '.join(_NOT_OURS)})")
    return name


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("one line of printable characters")
    return text


def _each(text: str) -> str:
    if "{id}" not in text:
        raise ValueError("a text that holds `{id}`")
    return text


def _path(text: str) -> str:
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        raise ValueError("a JMESPath expression") from error
    return text


def _items_path(text: str) -> str:
    return text and _path(text)


def _key_path(text: str) -> str:
    return text if text in ("@key", "@index") else _path(text)


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    if groups > 1:
        raise ValueError("a regular expression with at most one group, which is the ID proper")
    return text


def _written(read: Callable[[str], object], expected: str) -> BeforeValidator:
    """A value that stands in the file as a text, read by `read`."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            raise ValueError(expected)
        return read(value)

    return BeforeValidator(check)


def _text_or_whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("a text or a whole number")
    return value


def _column(value: object) -> object:
    if isinstance(value, bool) or not (isinstance(value, str) or (isinstance(value, int) and value >= 1)):
        raise ValueError("the header of a column, or its number from 1")
    return value


def _currency(text: str) -> str:
    if not re.fullmatch("[A-Z]{3}", text):
        raise ValueError('three capital letters, as in "USD"')
    return text


Path = Annotated[str, AfterValidator(_path)]
TextOrWhole = Annotated[str | int, BeforeValidator(_text_or_whole)]
Rate = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
Seconds = Annotated[float, _written(quantity.seconds, quantity.DURATION)]
Size = Annotated[int, _written(quantity.size, quantity.SIZE)]
# TOML has lists only, and a strict model would refuse one for a tuple.
Paths = Annotated[tuple[Path, ...], Field(strict=False)]
_Limit = Annotated[Limit, _written(Limit.parse, 'a text, as in "900/15m"')]
Limits = Annotated[tuple[_Limit, ...], Field(strict=False)]


class Strict(BaseModel):
    """Frozen; an unknown key is a problem."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


class GoneRule(Strict):
    """Where an answer names what is missing: a list (`at`, `id`, `why`), or a field that marks an item (`flag`)."""

    at: Path | None = None
    id: Path = "id"
    why: Path | None = None
    flag: Path | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "GoneRule":
        if (self.at is None) == (self.flag is None):
            raise ValueError("either `at` (a list of what is missing) or `flag` (a field that marks an item)")
        return self


class Price(Strict):
    """What the API charges: for an object, for a call, and for each object at a path beside them."""

    item: Rate = 0.0
    call: Rate = 0.0
    also: dict[Path, Rate] = {}
    currency: Annotated[str, AfterValidator(_currency)] = "USD"


class Spec(Strict):
    """One declared endpoint. The README's table says what each key means; a test compares the two."""

    url: Annotated[str, AfterValidator(_url)]
    method: Literal["GET", "POST", "PUT"] = "GET"
    params: dict[str, TextOrWhole] = {}
    headers: dict[Annotated[str, AfterValidator(_header)], Annotated[str, AfterValidator(_one_line)]] = {}
    body: Any = Field(default=None, alias="json")
    form: dict[str, TextOrWhole] = {}
    pack: Annotated[int, Field(ge=1, le=10_000)] = 1
    join: Annotated[str, Field(min_length=1)] = ","
    each: Annotated[str, AfterValidator(_each)] = "{id}"
    id: Annotated[str, Field(min_length=1), AfterValidator(_pattern)] = ".+"
    items: Annotated[str, AfterValidator(_items_path)] = ""
    key: Annotated[str, AfterValidator(_key_path)] = "id"
    also: Paths = ()
    gone: GoneRule | None = None
    reasons: dict[str, Annotated[str, Field(min_length=1)]] = {}
    limit: Limits = ()
    window: Literal["auto", "plain"] = "auto"
    budget: str | None = None
    per_call: Annotated[int, Field(ge=1, le=MOST)] | None = None
    cost: Annotated[int, Field(ge=1, le=MOST)] = 1
    price: Price | None = None
    parallel: Annotated[int, Field(ge=1, le=1_000)] = 8
    timeout: Seconds = 30.0
    max_bytes: Size = 32_000_000
    tries: Annotated[int, Field(ge=1, le=100)] = 5
    column: Annotated[str | int | None, BeforeValidator(_column)] = None
    recollect: Literal["missing", "always"] = "missing"

    @cached_property
    def packed(self) -> bool:
        """True where one call may carry several IDs."""
        return "{ids}" in _places(_texts(self.model_dump(by_alias=True)))

    def most(self, unit: Unit) -> int:
        """The most that one call can take of a limit in that unit."""
        match unit:
            case Unit.CALLS:
                return 1
            case Unit.ITEMS:
                return self.per_call or self.pack
            case Unit.UNITS:
                return self.cost

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The names of the secrets that a call needs."""
        return secrets_in(self.model_dump(by_alias=True))

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port: what a breaker watches."""
        return str(URL(PLACE.sub("x", self.url)).origin())

    @cached_property
    def plain_items(self) -> bool:
        """True where `items` is a plain path, so that an item's own bytes can be kept."""
        return not self.items or is_plain(self.items)

    @cached_property
    def match(self) -> Callable[[str], str | None]:
        """The ID proper that a text holds, or None; in lower case where the pattern ignores case."""
        pattern = re.compile(self.id)
        fullmatch, group, fold = pattern.fullmatch, min(pattern.groups, 1), bool(pattern.flags & re.IGNORECASE)

        def match(text: str) -> str | None:
            found = fullmatch(text)
            key = found and found[group]
            return (key.lower() if fold else key) if key else None

        return match


def is_plain(path: str) -> bool:
    """True for names with dots between them: what can be walked without JMESPath."""
    return path.isascii() and all(name.isidentifier() for name in path.split("."))


def compiled(path: str) -> ParsedResult:
    """A checked path, ready to search; jmespath keeps the compiled ones."""
    return jmespath.compile(path)


def read(name: str, table: Mapping[str, Any]) -> tuple[Spec | None, list[Problem]]:
    """The source that a table declares, or every problem of the table at once."""
    where = f"source.{name}"
    problems = _contradictions(where, table)
    try:
        spec = Spec.model_validate(table)
    except ValidationError as error:
        return None, problems_of(error, where) + problems
    return (None if problems else spec), problems


def _contradictions(where: str, table: Mapping[str, Any]) -> list[Problem]:
    """What no single key shows. The table is not checked yet, so anything may stand in it."""
    found = []
    places = _places(_texts(table))
    if "{id}" not in places and "{ids}" not in places:
        expected = "`{id}` (one ID a call) or `{ids}` (packed) somewhere in url, params, json or form"
        found.append(Problem(f"{where}.url", repr(table.get("url", "(not there)")), expected))
    texts = _texts({key: table.get(key) for key in ("url", "params", "headers")})  # a body may hold any braces
    for odd in sorted({odd[0] for text in texts for odd in _ODD.finditer(text)} - places):
        expected = "`{id}`, `{ids}` or `{secret.NAME}`: no other word in braces is known"
        found.append(Problem(where, repr(odd), expected))
    if {"{id}", "{ids}"} <= places:
        found.append(Problem(f"{where}.url", repr(table.get("url")), "`{id}` or `{ids}`, not both"))
    pack = table.get("pack", 1)
    if "{ids}" not in places and isinstance(pack, int) and pack > 1:
        found.append(Problem(f"{where}.pack", repr(pack), "1, or `{ids}` in place of `{id}`"))
    if table.get("json") is not None and table.get("form"):
        found.append(Problem(f"{where}.form", repr(table["form"]), "json or form, not both"))
    if table.get("join") == "repeat" and "{ids}" in _places([str(table.get("url", ""))]):
        found.append(Problem(f"{where}.join", "'repeat'", "`{ids}` as a value in params, not in url"))
    return found


def secrets_in(table: Mapping[str, Any]) -> frozenset[str]:
    """The names of the secrets that a source's table, checked or not, asks for."""
    places = _places(_texts(table))
    return frozenset(place[len("{secret.") : -1] for place in places if place.startswith("{secret."))


def _places(texts: Iterable[str]) -> set[str]:
    return {found[0] for text in texts for found in PLACE.finditer(text)}


def _texts(table: Mapping[str, Any]) -> list[str]:
    """Every text of a source that may hold a place for an ID or a secret."""
    found = []
    waiting = [table.get(key) for key in ("url", "params", "headers", "json", "form")]
    while waiting:
        match waiting.pop():
            case str() as text:
                found.append(text)
            case dict() as inner:
                waiting += [*inner, *inner.values()]
            case list() as array:
                waiting += array
    return found
