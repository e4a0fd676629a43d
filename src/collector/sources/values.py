"""The kinds of values that a source's keys have, each with what is expected in words."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from yarl import URL

from collector import quantity
from collector.budget.limit import Limit

MOST = 10**9  # of a price, a cost, the objects of an answer: what no API has, and floats can reckon with
PLACE = re.compile(r"\{(id/?|ids|secret\.([A-Za-z0-9_-]+))\}")
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


def searched_for(value: object) -> object:
    """A regular expression that is looked for anywhere in a text."""
    if not isinstance(value, str):
        raise ValueError("a regular expression")
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from error
    return value


def written(read: Callable[[str], object], expected: str) -> BeforeValidator:
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


def _path(text: str) -> str:
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        raise ValueError("a JMESPath expression") from error
    return text


def _currency(text: str) -> str:
    if not re.fullmatch("[A-Z]{3}", text):
        raise ValueError('three capital letters, as in "USD"')
    return text


def _own_url(text: str) -> str:
    if "{" in text:
        raise ValueError("an http or https address without `{…}`")
    return _url(text)


def _function(text: str) -> str:
    module, _, name = text.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError('a Python function, as "package.module:function"')
    return text


Path = Annotated[str, AfterValidator(_path)]
ItemsPath = Annotated[str, AfterValidator(_items_path)]
KeyPath = Annotated[str, AfterValidator(_key_path)]
Url = Annotated[str, AfterValidator(_url)]
OwnUrl = Annotated[str, AfterValidator(_own_url)]
Header = Annotated[str, AfterValidator(_header)]
OneLine = Annotated[str, AfterValidator(_one_line)]
Each = Annotated[str, AfterValidator(_each)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
Function = Annotated[str, AfterValidator(_function)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_one_line)]
Currency = Annotated[str, AfterValidator(_currency)]
Column = Annotated[str | int | None, BeforeValidator(_column)]
TextOrWhole = Annotated[str | int, BeforeValidator(_text_or_whole)]
Rate = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]
Seconds = Annotated[float, written(quantity.seconds, quantity.DURATION)]
Size = Annotated[int, written(quantity.size, quantity.SIZE)]
# TOML has lists only, and a strict model would refuse one for a tuple.
Paths = Annotated[tuple[Path, ...], Field(strict=False)]
_Limit = Annotated[Limit, written(Limit.parse, 'a text, as in "900/15m"')]
Limits = Annotated[tuple[_Limit, ...], Field(strict=False)]


class Strict(BaseModel):
    """Frozen; an unknown key is a problem."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)


@lru_cache(maxsize=1_000)
def is_plain(path: str) -> bool:
    """True for names with dots between them: what can be walked without JMESPath."""
    return path.isascii() and all(name.isidentifier() for name in path.split("."))


def compiled(path: str) -> ParsedResult:
    """A checked path, ready to search; jmespath keeps the compiled ones."""
    return jmespath.compile(path)
