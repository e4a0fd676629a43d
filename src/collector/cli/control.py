"""Asking the running service through its control socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from collector.cli import option
from collector.errors import NOT_YOURS, CollectorError
from collector.host import lock
from collector.host.address import short

if TYPE_CHECKING:
    from collector.config import Config

PATIENCE = 10.0  # seconds for one answer
LONG_PATIENCE = 600.0  # seconds, where it is of work on every row


class NotRunning(CollectorError):
    """No service works in the state folder."""


class _Connection(HTTPConnection):
    """HTTP over an open socket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__("localhost")
        self.sock = sock


def ask(config: Config, path: str) -> bytes:
    """The body of the running service's answer to a GET; NotRunning when there is none, in words for people."""
    status, body = _answer(config, "GET", path)
    if status != 200:
        raise CollectorError(f"{path}: the service answered {status}: {body.decode(errors='replace').strip()}")
    return body


def order(config: Config, path: str, patience: float = PATIENCE) -> tuple[int, Any]:
    """Status and document of the running service's answer to a POST within `patience` seconds; NotRunning as `ask`."""
    status, body = _answer(config, "POST", path, patience)
    try:
        return status, json.loads(body)
    except ValueError as error:
        raise CollectorError(f"{path}: the service answered {status} in words that are no JSON") from error


@contextmanager
def stream(config: Config, path: str) -> Iterator[HTTPResponse]:
    """The running service's answer to a POST, to be read as it comes; NotRunning as `ask`."""
    with _ours(config), _connected(config, PATIENCE) as connection:
        connection.request("POST", path)
        yield connection.getresponse()


def _answer(config: Config, method: str, path: str, patience: float = PATIENCE) -> tuple[int, bytes]:
    with _ours(config), _connected(config, patience) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()


@contextmanager
def _ours(config: Config) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning(_nobody(config)) from error
    except PermissionError as error:
        raise CollectorError(f"{config.control} is not open to this user: {NOT_YOURS}") from error
    except (OSError, HTTPException) as error:
        raise CollectorError(f"no answer from {config.control}: {error or type(error).__name__}") from error


@contextmanager
def _connected(config: Config, patience: float) -> Iterator[_Connection]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, short(config.control) as name:
        sock.settimeout(patience)
        sock.connect(name)
        yield _Connection(sock)


def _nobody(config: Config) -> str:
    if holder := lock.holder(config.root):
        return f"{holder} holds {config.root} but does not answer yet: it starts or stops at this moment"
    said = f"no service is running in {config.root}; `{option.hint('run', config.path)}` starts one"
    if (config.root / "lock").exists():  # it is never removed
        return said
    return f"{said}; if `root` was changed while one ran, stop that one first: it still works in the folder before"
