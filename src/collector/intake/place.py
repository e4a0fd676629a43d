"""Where the file of a batch lies: it is moved into the folder of its batch, and found again after a kill."""

import filecmp
import os
from contextlib import suppress
from pathlib import Path

import structlog

from collector.config import Config
from collector.host.files import sync
from collector.intake import files
from collector.store.batches import Batch

log = structlog.get_logger()


def folder(config: Config, batch: Batch) -> Path:
    """The folder of a batch."""
    return config.batches / batch.folder


def move(config: Config, path: Path, batch: Batch) -> Path:
    """Step two. What stands in a folder of that name was left by another database, and is set aside."""
    target = folder(config, batch)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and any(target.iterdir()):
        log.warning("folder_set_aside", folder=target.name, now=files.set_aside(target).name)
    target.mkdir(exist_ok=True)
    with suppress(OSError):
        sync(target.parent)
    place = target / files.kept_as(batch.file or path.name)
    files.move(path, place)
    files.drop_options(path)
    return place


def found(config: Config, batch: Batch) -> Path | None:
    """Where the file of a batch is after a kill, moved into its folder if it was not."""
    assert batch.identity is not None
    assert batch.file is not None
    watch = config.watch
    folders = [*(watch / name for name in (batch.source, *batch.chain)), watch, config.batches]
    dropped = files.find(batch.identity, folders)
    place = folder(config, batch) / files.kept_as(batch.file)
    if not os.path.lexists(place):
        if dropped is None:
            return None
        for rest in folder(config, batch).glob(".*.part"):
            rest.unlink()
        return move(config, dropped, batch)
    if dropped is not None:
        if not filecmp.cmp(dropped, place, shallow=False):
            return move(config, dropped, batch)
        dropped.unlink()  # the copy over file systems was whole, and the kill came before this
        files.drop_options(dropped)
    return place
