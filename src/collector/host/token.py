"""The token of the HTTP interface: made once, in a file that the group may read."""

import os
import secrets
from pathlib import Path

from collector.errors import CollectorError
from collector.host import files
from collector.host.secret import Secret, from_file

_BYTES = 32
_SHORTEST = 16  # characters; less is what is left of one
_MODE = 0o640


def kept(path: Path) -> Secret:
    """The token in a file, which is made where it is not there. Only for who holds the state folder."""
    try:
        if not os.path.lexists(path):
            _make(path)
        token = from_file(path)
    except (LookupError, OSError) as error:
        why = getattr(error, "strerror", None) or error.args[0]
        raise CollectorError(f"the token of the HTTP interface cannot be had: {path}: {why}") from error
    text = token.reveal()
    if len(text) < _SHORTEST or not (text.isascii() and text.isprintable()):
        raise CollectorError(f"{path} holds no token: remove it, and the next start makes another one")
    return token


def _make(path: Path) -> None:
    with files.whole(path, mode=_MODE) as part:
        part.add(f"{secrets.token_urlsafe(_BYTES)}\n".encode())
