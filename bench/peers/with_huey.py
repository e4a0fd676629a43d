"""huey with SQLite, which does not wait for the disk: two threads of one process."""

import sys

from bench.peers.huey_tasks import enqueue
from bench.peers.worked import Here, Task, by_workers, tell

WORKERS = 2


def main() -> None:
    """Puts all tasks into the queue, and then lets the workers begin."""
    task = Task.read(sys.argv[1:])
    for number in range(task.jobs):
        enqueue(number)
    consumer = ["-m", "huey.bin.huey_consumer", "bench.peers.huey_tasks.queue"]
    options = ["--workers", str(WORKERS), "--worker-type", "thread", "--delay", "0.001", "--quiet"]
    tell(by_workers([sys.executable, *consumer, *options], task, lambda: Here(task.folder).noted))


if __name__ == "__main__":
    main()
