"""`collector run` with a ticker beside it in the same loop: `python bench/ticking.py CONFIG LAGS`.

Whenever the loop was late, LAGS gets a line: the wall time, and by how many seconds.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from collector import config
from collector.app import App
from collector.cli.serve import in_loop
from collector.host import logs

EVERY = 0.01  # seconds
WORTH_A_LINE = 0.005


async def tick(lags: int) -> None:
    """Notes by how much each tick is late, unbuffered: the process may be killed at any moment."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        if (late := loop.time() - due) > WORTH_A_LINE:
            os.write(lags, f"{time.time():.3f} {late:.4f}\n".encode())


async def beside(app: App, lags: int) -> None:
    """The service, and the ticker for as long as it runs."""
    async with asyncio.TaskGroup() as group:
        ticker = group.create_task(tick(lags))
        try:
            await app.run()
        finally:
            ticker.cancel()


def main() -> None:
    """Reads the command line."""
    path, lags = (Path(text) for text in sys.argv[1:])
    logs.configure(json=True)
    in_loop(beside(App(config.load(path)), os.open(lags, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)))


if __name__ == "__main__":
    main()
