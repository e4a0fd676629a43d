"""Small files that are read for the service: regular ones, of a size that they may have."""

import os
import socket
from pathlib import Path

import pytest

from collector.host.files import regular


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_is_read_whole(tmp_path: Path, size: int) -> None:
    """Up to the largest size that it may have, behind a link too."""
    (tmp_path / "file").write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("file")
    assert regular(tmp_path / "link", 100) == b"x" * size


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """Nobody's disk image is read as a key."""
    (tmp_path / "file").write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="it is larger than 100 bytes"):
        regular(tmp_path / "file", 100)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_link_to_a_pipe(path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)  # it stays open: whoever reads would wait
    path.symlink_to(f"/dev/fd/{read}")


@pytest.mark.parametrize("make", [make_fifo, make_link_to_a_device, make_link_to_a_pipe, Path.mkdir])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: object) -> None:
    """Reading it could wait for ever, for a writer that never comes."""
    assert callable(make)
    make(tmp_path / "odd")
    with pytest.raises(OSError, match="it is no regular file") as caught:
        regular(tmp_path / "odd", 100)
    assert caught.value.strerror == "it is no regular file"


def test_a_socket_is_refused_in_the_words_of_the_system(tmp_path: Path) -> None:
    """It cannot even be opened."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "odd"))
        with pytest.raises(OSError, match="No such device"):
            regular(tmp_path / "odd", 100)
