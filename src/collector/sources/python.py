"""The functions of Python sources: found and imported once, from the configuration's folder first."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import msgspec

from collector.errors import Problem
from collector.sources.returned import inert
from collector.sources.spec import Spec

Function: TypeAlias = Callable[[Any], Any]

_MOST_NAMED = 8


class Stamp(msgspec.Struct, frozen=True):
    """Which file a module came from, and as what."""

    file: str
    size: int
    modified: int  # nanoseconds


class Unloadable(Exception):
    """A function that is not there; its text is what is expected instead, with what was found."""


def problems(folder: Path, sources: Mapping[str, Spec]) -> list[Problem]:
    """Functions that cannot be called, for whatever reason; imports their modules."""
    return list(_problems(folder, sources))


def _problems(folder: Path, sources: Mapping[str, Spec]) -> Iterator[Problem]:
    called = {name: spec.call for name, spec in sources.items() if spec.call}
    if called and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    for name, call in called.items():
        try:
            load(call)
        except Unloadable as error:
            yield Problem(f"source.{name}.call", repr(call), str(error))


def stamps(sources: Mapping[str, Spec]) -> dict[str, Stamp]:
    """The files of the modules that are called, as they are now on the disk; nothing is imported."""
    found = {}
    for name in dict.fromkeys(spec.call.partition(":")[0] for spec in sources.values() if spec.call):
        file = getattr(sys.modules.get(name), "__file__", None)
        try:
            entry = Path(file).stat() if file else None
        except OSError:
            entry = None
        if entry:
            found[name] = Stamp(str(file), entry.st_size, entry.st_mtime_ns)
    return found


def load(call: str) -> Function:
    """The function that `"package.module:function"` names; Unloadable says what is wrong with it."""
    name, _, attribute = call.partition(":")
    module = _imported(name)
    function = getattr(module, attribute, None)
    where = inert(getattr(module, "__file__", None) or name)
    if function is None:
        there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        expected = f"a function {attribute} in {where}, which has {', '.join(there[:_MOST_NAMED]) or 'none'}"
        raise Unloadable(expected)
    if not callable(function) or isinstance(function, type):
        raise Unloadable(f"a function, but {attribute} in {where} is a {type(function).__name__}")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise Unloadable(f"a function that takes the work and nothing else: def {attribute}(work)") from error
    except ValueError:  # some that are written in C tell nothing of themselves
        pass
    return function  # type: ignore[no-any-return] # what it returns is looked at when it does


def is_async(function: Function) -> bool:
    """True for what runs on the event loop; all else runs in a thread."""
    forms: list[Any] = [function, inspect.unwrap(function)]
    if not inspect.isroutine(function):
        forms.append(inspect.getattr_static(type(function), "__call__", None))
    return any(inspect.iscoroutinefunction(form) or inspect.isasyncgenfunction(form) for form in forms)


def _imported(name: str) -> ModuleType:
    importlib.invalidate_caches()  # it may have been written a moment ago
    try:
        with redirect_stdout(sys.stderr):  # a command's standard output is for what it answers
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            places = "beside the configuration, or installed with collector"
            raise Unloadable(f"a module {name} {places}; there is no {error.name}") from error
        raise Unloadable(_why(name, error)) from error
    except KeyboardInterrupt:  # Ctrl-C, while a module takes its time
        raise
    except BaseException as error:  # whatever a stranger's module does when it is imported
        raise Unloadable(_why(name, error)) from error


def _why(name: str, error: BaseException) -> str:
    """The module's own error in one line."""
    if isinstance(error, SyntaxError):
        said, place = f"SyntaxError: {error.msg}", (error.filename, error.lineno)
    else:
        said = traceback.format_exception_only(error)[-1].strip()
        frames = traceback.extract_tb(error.__traceback__)
        last = next((one for one in reversed(frames) if not one.filename.startswith("<frozen ")), None)
        place = (last.filename, last.lineno) if last else (name, None)
    return f"a module {name} that can be imported; it ends with {inert(said)} ({inert(str(place[0]))}, line {place[1]})"
