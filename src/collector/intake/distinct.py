"""How many different texts there are, in memory that does not grow with them."""

import hashlib
import tempfile
from collections.abc import Iterable
from types import TracebackType
from typing import IO

from collector.errors import CollectorError

_BYTES = 16  # of a digest: at ten million texts the chance that two are taken for one is 1 to 10^24
_HELD = 8_000_000  # bytes in memory; what is more goes into a temporary file
_PARTS = 256  # texts of one part are compared with each other


class Distinct:
    """Counts by digests, in parts by their first byte: about 16 bytes of a temporary file a text above 500,000.

    The file has no name and is in the folder for temporary files (TMPDIR).
    """

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(_PARTS)]
        self._blocks: list[list[tuple[int, int]]] = [[] for _ in range(_PARTS)]  # where the file has more of a part
        self._held = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Distinct":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, texts: Iterable[str]) -> None:
        """More texts, in any order; CollectorError where there is no room for them."""
        parts, digest_of = self._parts, hashlib.blake2b
        for text in texts:
            digest = digest_of(text.encode(), digest_size=_BYTES).digest()
            parts[digest[0]] += digest
            self._held += _BYTES
        if self._held > _HELD:
            self._put_aside()

    def count(self) -> int:
        """How many of them are different."""
        return sum(map(self._different, range(_PARTS)))

    def _different(self, part: int) -> int:
        data = bytes(self._parts[part])
        for start, length in self._blocks[part]:
            assert self._file is not None
            self._file.seek(start)
            data += self._file.read(length)
        return len({data[i : i + _BYTES] for i in range(0, len(data), _BYTES)})

    def _put_aside(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="collector-")  # noqa: SIM115 - closed on leaving
            for part, held in enumerate(self._parts):
                self._blocks[part].append((self._file.seek(0, 2), len(held)))
                self._file.write(held)
                held.clear()
            self._file.flush()
        except OSError as error:
            raise CollectorError(
                f"cannot keep a temporary file to find repeats: {error.strerror}; make room there, or let TMPDIR name"
                " another folder"
            ) from error
        self._held = 0
