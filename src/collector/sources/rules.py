"""The tables within a source: what is missing, what comes next, what an answer means, who asks, what it costs."""

from enum import StrEnum
from typing import Annotated, Literal, assert_never

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from collector import quantity
from collector.sources.fault import TABLE
from collector.sources.values import Currency, Name, OneLine, OwnUrl, Path, Rate, Strict, TextOrWhole, searched_for


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


class NextRule(Strict):
    """How the next page is asked for: a path in the body, and the parameter that takes what is there."""

    at: Path = Field(alias="from")
    to: Name
    start: TextOrWhole | None = None  # what the parameter is for the first page


def _form(value: object) -> str | None:
    return "link" if value == "link" else TABLE if isinstance(value, dict | NextRule) else None


Following = Annotated[
    Annotated[Literal["link"], Tag("link")] | Annotated[NextRule, Tag(TABLE)],
    Discriminator(
        _form,
        custom_error_type="next",
        custom_error_message='"link", or a table, as in { from = …, to = … }',
    ),
]


class Do(StrEnum):
    """What becomes of a call whose answer an `on` rule fits."""

    WAIT = "wait"  # the budget waits, and the same call goes again
    STOP = "stop"  # the source stops: waiting cannot cure it
    RETRY = "retry"  # as a 5xx
    SPLIT = "split"  # a pack goes again in halves; of one ID the rule says nothing
    GONE = "gone"  # what was asked for is not there; a pack goes again in halves
    OK = "ok"  # the body is read as that of a 200


class OnRule(Strict):
    """What an answer means by the operator's word: by its status, what is at a path, and what is found in its text."""

    status: Annotated[int, Field(ge=100, le=599)] | None = None
    at: Path | None = None
    match: Annotated[str, BeforeValidator(searched_for)] | None = None
    do: Annotated[Do, Field(strict=False)]

    @model_validator(mode="after")
    def _says_when(self) -> "OnRule":
        if self.status is None and self.at is None and self.match is None:
            raise ValueError("at least one of `status`, `at` and `match`")
        return self


class Auth(Strict):
    """OAuth 2 client credentials (RFC 6749, 4.4): a token is fetched from `url`, kept and renewed."""

    url: OwnUrl
    id: OneLine
    secret: OneLine
    scope: OneLine | None = None


class Price(Strict):
    """What the API charges: for an object, for a call, and for each object at a path beside them."""

    item: Rate = 0.0
    call: Rate = 0.0
    also: dict[Path, Rate] = {}
    currency: Currency = "USD"


class Feed(Strict):
    """Whose items a chain takes its IDs from, and where in an item they are."""

    source: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> "Feed":
        """From `"source.path"`; a source's name holds no dot."""
        source, dot, path = text.partition(".")
        if not (source and dot and path):
            raise ValueError('a source and a path into its items, as "x_followers.id"')
        return cls(source=source, path=path)


Recollect = Literal["missing", "always"] | float  # a number: seconds after which what was found is asked for again


def how_often(value: object) -> object:
    """`"missing"`, `"always"` or `"older than 7d"`, as seconds."""
    expected = '"missing", "always" or "older than 7d"'
    if not isinstance(value, str):
        raise ValueError(expected)
    if value in ("missing", "always"):
        return value
    words = value.removeprefix("older than ")
    if words == value:
        raise ValueError(expected)
    return quantity.seconds(words)


def fresh_since(recollect: Recollect, now: float) -> float | None:
    """The wall time from which on what was found is not asked for again; None: it always is."""
    match recollect:
        case "missing":
            return 0.0
        case "always":
            return None
        case float():
            return max(now - recollect, 0.0)
        case _:
            assert_never(recollect)
