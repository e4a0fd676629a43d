"""The socket that systemd would have: a real one."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Listener:
    """What was sent, datagram by datagram."""

    def __init__(self, bound: socket.socket, name: str) -> None:
        self._socket, self.name = bound, name

    def next(self, timeout: float = 8.0) -> str:
        """The next one; TimeoutError when none comes."""
        self._socket.settimeout(timeout)
        return self._socket.recv(65_536).decode()

    def until(self, start: str) -> list[str]:
        """All up to the first that begins so, with it."""
        got = [self.next()]
        while not got[-1].startswith(start):
            got.append(self.next())
        return got

    def waiting(self) -> list[str]:
        """All that have come by now."""
        got = []
        self._socket.setblocking(False)
        try:
            while True:
                got.append(self._socket.recv(65_536).decode())
        except BlockingIOError:
            return got


@contextmanager
def listening(folder: Path, name: str | None = None) -> Iterator[Listener]:
    """A socket in the folder, or under an abstract name, as `@name`."""
    name = name or str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name.replace("@", "\0") if name.startswith("@") else name)
        yield Listener(bound, name)
