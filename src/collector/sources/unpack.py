"""Compressed bodies, unpacked as they come and never further than allowed."""

import zlib

from collector.errors import RequestError

ACCEPTED = "gzip, deflate"  # what a request says that its answer may be packed in
_MOST_MEMBERS = 16  # of one gzip body; a body of empty members would keep the loop busy for nothing


class Unpacker:
    """Decompresses a body as it comes and never holds more than `most` bytes of it."""

    def __init__(self, encoding: str, most: int) -> None:
        self.body = bytearray()
        self._encoding = encoding.strip().lower().removeprefix("x-")
        self._most = most
        self._members = 0
        self._inflate: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> None:
        """Takes a piece as it came. RequestError `connection` where it cannot be unpacked, `too-large` above `most`."""
        if self._encoding in ("", "identity"):
            self._take(chunk)
            return
        try:
            self._unpack(chunk)
        except zlib.error as error:
            raise RequestError("connection", "the body cannot be decompressed") from error

    def finish(self) -> None:
        """RequestError `connection` where the body ends too soon."""
        if self._inflate is not None and not self._inflate.eof:
            raise RequestError("connection", "the compressed body was cut in the middle")

    def _unpack(self, chunk: bytes) -> None:
        while chunk:
            if self._inflate is None or self._inflate.eof:
                chunk = chunk.lstrip(b"\0") if self._members else chunk  # some servers pad
                if not chunk:
                    return
                self._inflate = self._next_member(chunk)
            # One byte above the cap is enough to know; the rest stays packed.
            self._take(self._inflate.decompress(chunk, self._most - len(self.body) + 1))
            chunk = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail

    def _next_member(self, chunk: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise RequestError("too-large", f"a compressed body of more than {_MOST_MEMBERS} parts")
        match self._encoding:
            case "gzip":
                return zlib.decompressobj(31)
            case "deflate":  # meant with a zlib header, and often sent without
                return zlib.decompressobj(15 if chunk[0] & 0x0F == 8 else -15)
        raise RequestError("connection", f"a body in an encoding that was not asked for: {self._encoding[:40]!r}")

    def _take(self, piece: bytes) -> None:
        self.body += piece
        if len(self.body) > self._most:
            raise RequestError("too-large", f"an answer of more than {self._most} bytes")
