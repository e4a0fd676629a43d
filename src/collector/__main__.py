"""The `collector` command, and `python -m collector`."""

import os
import signal
import sys


def main() -> None:
    """The command line; `run` minds its signals before the rest of it is loaded, which takes longest."""
    if sys.argv[1:2] == ["run"]:
        # It asks for a reload, and what starts reads its configuration anyway; unheeded it would end the process.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # Until the app hears it itself: what loads holds nothing yet, and a stop is a success.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from collector.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
