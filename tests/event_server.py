"""A server of event streams on loopback, scripted to the byte: each piece is one segment."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import parse_qsl, urlsplit

OK = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@dataclass
class Asked:
    """One request, and the way back.

    Attributes:
        target: Path and query.
        headers: Names in lower case.
        gone: Set when the client has left.
    """

    target: str
    headers: dict[str, str]
    writer: asyncio.StreamWriter = field(repr=False)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def last_event_id(self) -> str | None:
        return self.headers.get("last-event-id")

    async def raw(self, *pieces: bytes | str) -> None:
        """Write pieces, each in a segment of its own."""
        for piece in pieces:
            self.writer.write(piece.encode() if isinstance(piece, str) else piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def answer(self, status: str, *headers: str, body: str = "") -> None:
        """Refuse, with a status such as ``401 Unauthorized``."""
        lines = (f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", body)
        await self.raw("\r\n".join(lines))

    async def begin(self, *headers: str) -> None:
        """Begin a stream, whose body comes in chunks."""
        lines = (*headers, "Transfer-Encoding: chunked")
        await self.raw(OK + "\r\n".join((*lines, "\r\n")))

    async def send(self, *texts: str | bytes) -> None:
        """Send each in a chunk of its own."""
        for text in texts:
            data = text.encode() if isinstance(text, str) else text
            await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def finish(self) -> None:
        """End the body as HTTP has it."""
        await self.raw(b"0\r\n\r\n")


P = ParamSpec("P")


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test that is a coroutine."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


Serve = Callable[[Asked], Awaitable[None]]


@dataclass
class EventServer:
    """What was asked for, and where.

    Attributes:
        url: Its address.
        asked: The requests so far.
        most: The most streams that were open at the same time.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    open: int = 0
    most: int = 0
    _serve: Serve | None = None
    _meeting: set[asyncio.Task[None]] = field(default_factory=set)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._meet(reader, writer))
        self._meeting.add(task)
        task.add_done_callback(self._meeting.discard)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        first, *lines = head.split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }
        asked = Asked(first.split(" ")[1], headers, writer)
        self.asked.append(asked)
        self.open += 1
        self.most = max(self.most, self.open)

        async def watch() -> None:
            with suppress(ConnectionError):
                await reader.read()
            asked.gone.set()

        assert self._serve is not None
        tasks = [asyncio.ensure_future(watch()), asyncio.ensure_future(self._serve(asked))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with suppress(ConnectionError):
                    task.result()
        finally:
            self.open -= 1
            for task in tasks:
                task.cancel()
            writer.close()

    def end(self) -> None:
        """Leave all clients."""
        for task in self._meeting:
            task.cancel()


@asynccontextmanager
async def event_server(
    serve: Serve, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[EventServer]:
    """A server that calls a coroutine with each request; the link ends when that returns."""
    made = EventServer(_serve=serve)
    server = await asyncio.start_server(made._begin, "127.0.0.1", 0, ssl=tls)
    host, port = server.sockets[0].getsockname()
    made.url = f"http://{host}:{port}/events" if tls is None else f"https://localhost:{port}/events"
    try:
        yield made
    finally:
        server.close()
        made.end()


@contextmanager
def event_server_on_a_thread(serve: Serve) -> Iterator[EventServer]:
    """The same for a test that is no coroutine: on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = event_server(serve)
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(10)
        asyncio.run_coroutine_threadsafe(_settled(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _settled() -> None:
    """Return when nothing else runs on this loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others, timeout=5) if others else None
