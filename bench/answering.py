"""A server that knows one answer: nginx where it is installed, else one of our own that takes a core of its own too.

`/items/ID` is one object of 2.5 kB; `/packs/ID,ID,…` is 100 objects for 100 IDs that differ in their last two digits.
"""

import asyncio
import multiprocessing
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from socket import create_server
from typing import NamedTuple, cast

from collector.cli.serve import in_loop

PACK = 100
PATIENCE = 5.0  # seconds until nginx listens
LOOK_EVERY = 0.02  # seconds

_WORDS = "The quick brown fox jumps over the lazy dog and tells nobody of it. "
_METRICS = '"public_metrics":{"retweet_count":12,"reply_count":3,"like_count":144,"quote_count":0}'
_URLS = ",".join(f'{{"start":{n},"end":{n + 23},"url":"https://t.co/abcdefgh{n:02}"}}' for n in range(12))
_ENTITIES = f'"entities":{{"urls":[{_URLS}]}}'
LONG = f'"text":"{_WORDS * 20}","lang":"en",{_METRICS},{_ENTITIES}'
SHORT = f'"text":"{_WORDS * 3}","lang":"en",{_METRICS}'
_NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    large_client_header_buffers 8 32k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/json;
    server {{
        listen 127.0.0.1:{port};
        set $long '{long}';
        set $short '{short}';
        location ~ ^/items/(?<id>[^/]+)$ {{ return 200 '{{"id":"$id",$long}}'; }}
        location ~ ^/packs/(?<id>[0-9]+)[0-9][0-9](,|$) {{ return 200 '{{"data":[{many}]}}'; }}
    }}
}}
"""


class Server(NamedTuple):
    """What answers, and where."""

    name: str
    url: str


@contextmanager
def answering(folder: Path) -> Iterator[Server]:
    """The server, for as long as it is wanted."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    with _nginx(nginx, folder) if nginx else _own() as server:
        yield server


@contextmanager
def _nginx(program: str, folder: Path) -> Iterator[Server]:
    with create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    many = ",".join(f'{{"id":"${{id}}{number:02}",$short}}' for number in range(PACK))
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, long=LONG, short=SHORT, many=many))
    with subprocess.Popen([program, "-p", str(folder), "-c", str(config)]) as process:
        try:
            _until_it_listens(port)
            yield Server("nginx", f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/items/1")
            if connection.getresponse().status == 200:
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
        finally:
            connection.close()
        time.sleep(LOOK_EVERY)


@contextmanager
def _own() -> Iterator[Server]:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=_serve, args=(sender,), daemon=True)
    process.start()
    try:
        yield Server("a server of its own, since nginx is not installed", f"http://127.0.0.1:{receiver.recv()}")
    finally:
        process.terminate()
        process.join()


class _Answering(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Nobody sends a second request before the first is answered, and none is longer than a packet."""
        _, kind, keys = data.split(b" ", 2)[1].decode().split("/")
        if kind == "items":
            body = f'{{"id":"{keys}",{LONG}}}'
        else:
            items = ",".join(f'{{"id":"{key}",{SHORT}}}' for key in keys.split(","))
            body = f'{{"data":[{items}]}}'
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write((head % len(body) + body).encode())


def _serve(told: "Connection[int, None]") -> None:
    async def listen() -> None:
        server = await asyncio.get_running_loop().create_server(_Answering, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    in_loop(listen())
