"""Secrets: values that never show."""

import os
from pathlib import Path

from collector.host.files import regular

_MOST = 65_536  # bytes


class Secret:
    """A value whose text and repr are `***`; `reveal()` is called where it goes on the wire and nowhere else."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


def from_credential(name: str) -> Secret:
    """A systemd credential (`LoadCredential=`); LookupError says what is missing."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder or not (Path(folder) / name).exists():
        raise LookupError(
            "a systemd credential, and systemd has loaded none of that name:"
            f" LoadCredential={name}:/etc/collector/{name} under [Service]"
            " in `systemctl edit collector`; a shell has none at all"
        )
    return from_file(Path(folder) / name)


def from_environment(name: str) -> Secret:
    """An environment variable; LookupError says what is missing."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise LookupError(f"the environment variable {name} to be set and not empty")
    return Secret(value)


def from_file(path: Path) -> Secret:
    """A file's text without the white space around it; LookupError says what is missing."""
    try:
        value = regular(path, _MOST).decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LookupError(f"a readable text file {path} ({getattr(error, 'strerror', None) or error})") from error
    if not value:
        raise LookupError(f"a file that is not empty: {path}")
    return Secret(value)
