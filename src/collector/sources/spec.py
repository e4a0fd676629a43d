"""What a source declares: the keys of `[source.NAME]`, checked."""

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from yarl import URL

from collector.budget.limit import Unit
from collector.errors import Problem
from collector.sources import declared
from collector.sources.fault import problems_of
from collector.sources.rules import Auth, Feed, Following, GoneRule, OnRule, Price, Recollect, how_often
from collector.sources.values import (
    MOST,
    PLACE,
    Column,
    Each,
    Function,
    Header,
    ItemsPath,
    KeyPath,
    Limits,
    Name,
    OneLine,
    Path,
    Paths,
    Pattern,
    Seconds,
    Size,
    Strict,
    TextOrWhole,
    Url,
    is_plain,
    written,
)


class Spec(Strict):
    """One declared endpoint. The README's table says what each key means; a test compares the two."""

    use: str | None = None
    url: Url = ""
    call: Function | None = None
    method: Literal["GET", "POST", "PUT"] = "GET"
    params: dict[str, TextOrWhole] = {}
    headers: dict[Header, OneLine] = {}
    body: Any = Field(default=None, alias="json")
    form: dict[str, TextOrWhole] = {}
    auth: Auth | None = None
    pack: Annotated[int, Field(ge=1, le=10_000)] = 1
    join: Annotated[str, Field(min_length=1)] = ","
    each: Each = "{id}"
    id: Pattern = ".+"
    items: ItemsPath = ""
    key: KeyPath = "id"
    also: Paths = ()
    gone: GoneRule | None = None
    reasons: dict[str, Annotated[str, Field(min_length=1)]] = {}
    on: Annotated[tuple[OnRule, ...], Field(strict=False)] = ()
    next: Following | None = None
    max_pages: Annotated[int, Field(ge=1, le=MOST)] | None = None
    feed: Annotated[Feed | None, written(Feed.parse, 'a text, as in "x_followers.id"')] = Field(
        default=None, alias="from"
    )
    max_children: Annotated[int, Field(ge=1, le=MOST)] = 100_000
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
    column: Column = None
    recollect: Annotated[Recollect, BeforeValidator(how_often)] = "missing"
    columns: dict[Name, Path] = {}
    options: dict[str, Any] = {}

    @cached_property
    def packed(self) -> bool:
        """True where one call may carry several IDs."""
        return "{ids}" in declared.places(self.model_dump(by_alias=True))

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
        return declared.secrets(self.model_dump(by_alias=True))

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port, which a breaker watches; of a Python source its function."""
        return self.call or str(URL(PLACE.sub("x", self.url)).origin())

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


def read(name: str, table: Mapping[str, Any]) -> tuple[Spec | None, list[Problem]]:
    """The source that a table declares, or every problem of the table at once; what is wrong by itself is not told
    once more for what it contradicts."""
    where = f"source.{name}"
    problems = declared.contradictions(where, table)
    try:
        spec = Spec.model_validate(table)
    except ValidationError as error:
        faults = problems_of(error, where)
        told = {fault.key for fault in faults}
        return None, faults + [problem for problem in problems if problem.key not in told]
    return (None if problems else spec), problems
