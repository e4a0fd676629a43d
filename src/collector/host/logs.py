"""Logs: one line an event, JSON for machines and columns for people, on standard error."""

import logging
import os
import sys
import time
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from collector.clock import stamp
from collector.host.seldom import LEFT_OUT, Seldom

# What others answer to a peer that speaks no HTTP comes with a traceback that says nothing about us.
_MALFORMED = "aiohttp.http_exceptions"
_QUIET = {"aiosqlite": logging.INFO, "asyncio": logging.INFO}  # their debug lines tell of every statement and call


def configure(*, verbose: bool = False, json: bool | None = None, stream: TextIO | None = None) -> None:
    """Every log of the process goes to `stream`, from `info` up or, when verbose, from `debug`.

    `json` None: JSON under systemd and wherever the stream is no terminal. A line of the journal begins with its
    priority. Of lines that say the same, one a second goes.
    """
    stream = stream or sys.stderr
    machine = json if json is not None else "JOURNAL_STREAM" in os.environ or not stream.isatty()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = Seldom(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, _foreign],
            processors=[
                _counted,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(machine, stream),
            ],
        )
    )
    logging.raiseExceptions = False  # a log that cannot be written must not write about that
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


def _timed(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["at"] = stamp(time.time())
    return event


def _without_malformed(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    found = event.get("exc_info")
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException) and type(error).__module__ == _MALFORMED:
        event["exc_info"] = None
        event["error"] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return event


def _counted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """How many lines like this one were left out before it."""
    if left_out := getattr(event["_record"], LEFT_OUT, 0):
        event[LEFT_OUT] = left_out
    return event


def _foreign(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A library's sentence is no constant: it goes beside the event, which names the library."""
    record: logging.LogRecord = event["_record"]
    event["message"], event["event"] = event["event"], record.name
    return event


_INFO = 6
_PRIORITIES = {"critical": 2, "exception": 3, "error": 3, "warning": 4, "info": _INFO, "debug": 7}  # of syslog(3)

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    _timed,
    _without_malformed,
)


def _rendering(machine: bool, stream: TextIO) -> list[Processor]:
    if machine:
        rendering: list[Processor] = [structlog.processors.format_exc_info, _first, structlog.processors.JSONRenderer()]
        return [*rendering, _with_priority] if in_journal(stream) else rendering
    # Never the rich traceback: it shows the values of local names, and one of them may be a secret.
    return [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty() and "NO_COLOR" not in os.environ,
            exception_formatter=structlog.dev.plain_traceback,
            timestamp_key="at",
            pad_event_to=24,
        )
    ]


def in_journal(stream: TextIO) -> bool:
    """Whether what is written here goes to systemd's journal: $JOURNAL_STREAM names the device and the inode of its end
    (systemd.exec(5)), and a redirect to a file does not change the variable."""
    try:
        there = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"


def _with_priority(logger: WrappedLogger, method: str, line: EventDict | str) -> str:
    """`<4>` before a line is its priority for the journal (sd-daemon(3))."""
    return f"<{_PRIORITIES.get(method, _INFO)}>{line}"


def _first(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    ordered: EventDict = {key: event[key] for key in ("at", "level", "event") if key in event}
    ordered.update(event)
    return ordered
