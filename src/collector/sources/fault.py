"""What is wrong with a declared value, in words for whoever wrote it."""

import re
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from collector.errors import Problem

# Keys that users of a later version have in their files.
_LATER = ("allow_remote",)
TABLE = "[table]"  # the tag of a form among others that a value may have
_NOT_WRITTEN = ("[key]", TABLE)  # of a key as pydantic names it
_PASSWORD = re.compile(r"//[^/@]+@")
_TABLE, _LIST, _WHOLE, _NUMBER = "a table, as in { key = … }", 'a list, as in ["…"]', "a whole number", "a number"
_LONGEST = 300  # characters of a value that are shown
_EXPECTED = {  # by pydantic's name of the fault
    "model_type": _TABLE,
    "dict_type": _TABLE,
    "tuple_type": _LIST,
    "string_type": "a text",
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "finite_number": "a finite number",
    "string_too_short": "a text that is not empty",
    "too_short": "a list that is not empty",
    "missing": "a value",
}
_BOUND: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than_equal": lambda told: f"at least {told['ge']:.0f}",
    "less_than_equal": lambda told: f"at most {told['le']:.0f}",
}


def problems_of(error: ValidationError, where: str) -> list[Problem]:
    """What pydantic found, as key, value and what is expected."""
    return [_problem(fault, where) for fault in error.errors(include_url=False)]


def _problem(fault: ErrorDetails, where: str) -> Problem:
    key = ".".join([where, *(str(part) for part in fault["loc"] if part not in _NOT_WRITTEN)]).strip(".")
    shown = "(not there)" if fault["type"] == "missing" else repr(fault["input"])
    shown = _PASSWORD.sub("//***@", shown) if key.endswith(".url") else shown
    return Problem(key, f"{shown[:_LONGEST]}…" if len(shown) > _LONGEST else shown, _expected(fault))


def _expected(fault: ErrorDetails) -> str:
    kind = fault["type"]
    if kind == "extra_forbidden":
        later = fault["loc"][-1] in _LATER
        return "no such key in this version" if later else "no such key; is it spelled right?"
    if bound := _BOUND.get(kind):
        return bound(fault["ctx"])
    return _EXPECTED.get(kind) or fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
