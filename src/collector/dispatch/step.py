"""The first step of an async function, taken where it is called: one that waits for nothing is then at its end."""

from collections.abc import Coroutine, Generator
from types import CoroutineType, coroutine
from typing import Any, TypeAlias

from collector.sources.python import Function
from collector.sources.work import Work

Step: TypeAlias = tuple[bool, Any]


def first(function: Function, work: Work) -> Step:
    """True and what the function returned, where it waits for nothing; else False and what is to be awaited or
    iterated. Raises what the function raises. To be taken in the task that is to wait."""
    value: Any = function(work)
    if type(value) is not CoroutineType:
        return False, value
    try:
        waits_for = value.send(None)
    except StopIteration as end:
        return True, end.value
    return False, _rest(value, waits_for)


@coroutine
def _rest(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """What is left of a coroutine that waits, for the task in which it was begun."""
    while True:
        try:
            yield waits_for
        except GeneratorExit:
            begun.close()
            raise
        except BaseException as error:
            try:
                waits_for = begun.throw(error)
            except StopIteration as end:
                return end.value
        else:
            return (yield from begun)
