"""A raw HTTP server on loopback that keeps what it was sent, and a client that asks it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from collector.errors import NoPermit
from collector.host.secret import Secret
from collector.sources.answer import Answer
from collector.sources.http import Client
from collector.sources.request import Endpoint
from collector.sources.spec import Spec

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"id":1}'


class Permit:
    """Counts what is spent, and has none left after `most`."""

    def __init__(self, most: int = 100) -> None:
        self.most, self.spent = most, 0

    def spend(self) -> None:
        if self.spent == self.most:
            raise NoPermit("no permit left")
        self.spent += 1

    def unsent(self) -> None:
        self.spent -= 1


class Asker(Client):
    """A client with the one source that a test asks."""

    by_session = False  # how all of them ask

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(by_session=self.by_session)
        self.endpoint = endpoint


@dataclass
class Wire:
    """A raw HTTP server: it answers with the bytes that `reply` gives and keeps what it was sent."""

    reply: Callable[[int], bytes | None]  # the how-manieth request; None closes the connection without a word
    close_after: bool = False
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    open: dict[asyncio.Task[Any] | None, asyncio.StreamWriter] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open[asyncio.current_task()] = writer
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head.decode("latin-1"))
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                self.bodies.append(await reader.readexactly(int(length[0].split(b":")[1])) if length else b"")
                answer = self.reply(len(self.heads))
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if self.close_after:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            del self.open[asyncio.current_task()]

    async def hang_up(self) -> None:
        for writer in self.open.values():
            writer.close()
        if tasks := [task for task in self.open if task]:
            await asyncio.wait(tasks)

    def targets(self) -> list[str]:
        return [head.split(" ", 2)[1] for head in self.heads]

    def client(self, **keys: Any) -> "Asker":
        table = {"url": f"http://127.0.0.1:{self.port}/v1", "params": {"id": "{id}"}, "timeout": "5s", **keys}
        return Asker(Endpoint(Spec.model_validate(table), {"key": Secret("s3cret-key")}))


@asynccontextmanager
async def wire(reply: Callable[[int], bytes | None] | bytes, *, close_after: bool = False) -> AsyncIterator[Wire]:
    state = Wire(reply if callable(reply) else lambda _: reply, close_after)
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    async with server:
        yield state
        await state.hang_up()


async def ask(client: Asker, *keys: str, permit: Permit | None = None) -> Answer:
    async with client:
        return await client.ask(client.endpoint, keys or ("1",), permit or Permit())
