"""huey's queue and its task, in a module that has one name wherever it is loaded."""

from huey import SqliteHuey  # type: ignore[import-not-found]  # of the peers' own environment

from bench.peers.worked import Here

queue = SqliteHuey(filename=str(Here.found().folder / "huey.db"), fsync=False)


def nothing(key: int) -> None:
    """No work; its end is noted."""
    Here.found().note()


enqueue = queue.task(name="nothing")(nothing)
queue.on_startup(name="ready")(lambda: Here.found().ready())
