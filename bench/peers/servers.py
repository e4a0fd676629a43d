"""The servers that peers need, each a process of its own in a folder that goes with it, on loopback and free ports."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from socket import create_connection, create_server

from bench.peers.environment import Absent

PATIENCE = 60.0  # seconds until one listens
LOOK_EVERY = 0.05  # seconds
LOOPBACK = "127.0.0.1"
POSTGRES = "postgres"  # who runs it, since it does not run as root
RABBIT_HOME = "/usr/lib/rabbitmq/bin"  # Debian's wrapper on the path wants to be root or rabbitmq


@contextmanager
def rabbitmq() -> Iterator[str]:
    """Its AMQP address; a node, a cookie and a port mapper of its own, so that none that runs here is touched."""
    program = found("rabbitmq-server", RABBIT_HOME)
    port, nodes, mapper = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "HOME": folder,
            "ERL_EPMD_PORT": str(mapper),
            "RABBITMQ_NODENAME": f"bench{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(nodes),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/none",
        }
        names = [found("epmd"), "-address", LOOPBACK, "-port", str(mapper)]
        with _running(names, mapper, {}, folder), _running([program], port, own, folder):
            yield f"amqp://guest:guest@{LOOPBACK}:{port}//"


@contextmanager
def redis() -> Iterator[str]:
    """Its address; it appends what it is told to a file and syncs that once a second."""
    program, port = found("redis-server"), free_port()
    with tempfile.TemporaryDirectory() as folder:
        words = ["--port", str(port), "--bind", LOOPBACK, "--dir", folder, "--save", "", "--appendonly", "yes"]
        with _running([program, *words], port, {}, folder):
            yield f"redis://{LOOPBACK}:{port}"


@contextmanager
def postgresql() -> Iterator[str]:
    """Its address; durable, as it is installed."""
    places = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    create, program, port = found("initdb", *places), found("postgres", *places), free_port()
    user = POSTGRES if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        if user:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        words = ["--pgdata", data, "--auth", "trust", "--username", POSTGRES]
        done = subprocess.run([create, *words], cwd=folder, user=user, capture_output=True, text=True)
        if done.returncode:
            raise Absent(f"initdb: {done.stderr.strip().splitlines()[-1]}")
        words = ["-D", data, "-p", str(port), "-h", LOOPBACK, "-k", folder]
        with _running([program, *words], port, {}, folder, user):
            yield f"postgresql://{POSTGRES}@{LOOPBACK}:{port}/{POSTGRES}"


SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "rabbitmq-server": rabbitmq,
    "redis-server": redis,
    "postgresql": postgresql,
}


def found(program: str, *places: str) -> str:
    """Where it is: in these folders first, then on the path."""
    way = os.pathsep.join([*places, os.environ.get("PATH", os.defpath), "/usr/sbin"])
    path = shutil.which(program, path=way)
    if path is None:
        raise Absent(f"{program} is not installed")
    return path


def free_port() -> int:
    """One that nobody listens at now."""
    with create_server((LOOPBACK, 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def _running(
    command: Sequence[str], port: int, own: dict[str, str], folder: str, user: str | None = None
) -> Iterator[None]:
    """From when it listens; ended with all that it started."""
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdout=told, stderr=told, start_new_session=True, user=user
        ) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    told.seek(0)
                    last = (told.read().decode(errors="replace").strip().splitlines() or ["it told nothing"])[-1]
                    raise Absent(f"{Path(command[0]).name} did not start: {last}")
                time.sleep(LOOK_EVERY)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _listens(port: int) -> bool:
    with suppress(OSError), create_connection((LOOPBACK, port), timeout=1.0):
        return True
    return False
