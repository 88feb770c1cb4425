"""A scripted WebSocket server on a free port of this machine, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self, cast

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from rxsocket.testing.clients import Handshake, PeerConnection
from rxsocket.testing.script import Accept, Hang, Payload, Reject, Script, Unreachable
from rxsocket.testing.scripted_server import ScriptedServer


class TrackedConnection(ServerConnection):
    """A connection that the server knows from TCP on, so that it can cut it at any time."""

    tracked: set[TrackedConnection]
    script: Accept
    client_handshake: Handshake
    peer: TcpPeerConnection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.tracked.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.tracked.discard(self)
        if self.peer is not None:
            self.peer.on_connection_lost()


class TcpPeerConnection(PeerConnection):
    """The server's end of an accepted connection, down to TCP."""

    def __init__(self, server: Server, connection: TrackedConnection) -> None:
        super().__init__(server.log, connection.client_handshake)
        self._server = server
        self._connection = connection
        self._closing: asyncio.Task[None] | None = None
        # Its first step comes in the next turn of the loop, when the answer is on its way.
        self._script = self.loop.create_task(self.run_script(connection.script.steps))

    def on_connection_lost(self) -> None:
        self._script.cancel()
        self.closing = True
        close = self._connection.protocol.close_rcvd
        if close is not None:
            self._log.add_close(self.number, close.code, close.reason)
        elif not self.dropped:
            self._log.add_close(self.number, 1006, "")
        self._server.remove_connection(self)

    def _write(self, message: Payload) -> None:
        broadcast([self._connection], message)

    async def _write_and_drain(self, message: Payload) -> bool:
        try:
            await self._connection.send(message)
        except ConnectionClosed:
            return False
        return True

    def _write_close(self, code: int, reason: str) -> None:
        # websockets spells "a close frame without a code" None.
        sent = cast(int, None if code == 1005 else code)
        self._closing = self.loop.create_task(self._connection.close(sent, reason))

    def _cut(self) -> None:
        self._connection.transport.abort()

    def _stop_reading(self) -> None:
        self._connection.transport.pause_reading()


# Not registered and above every level: websockets logs handshakes with their credentials (C28).
SILENT = logging.Logger("rxsocket.testing", logging.CRITICAL + 1)


class Server(ScriptedServer):
    """A server on a thread of its own. Made by :func:`server`."""

    def __init__(
        self,
        scripts: tuple[Script, ...],
        tokens: Iterable[str] | None,
        ssl: ssl_module.SSLContext | None,
        host: str,
        path: str | None,
    ) -> None:
        super().__init__(scripts, tokens)
        self._ssl = ssl
        self._host = host
        self._path = path
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event = asyncio.Event()
        self._tracked: set[TrackedConnection] = set()
        self._port: int | None = None

    @property
    def url(self) -> str:
        """Its address, e.g. ``ws://127.0.0.1:41234/``."""
        if self._path is not None:
            return f"unix:{self._path}:/"
        if self._port is None:
            raise RuntimeError(
                "the server has not started: use it in a with block, or call start()"
            )
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'ws' if self._ssl is None else 'wss'}://{host}:{self._port}/"

    def start(self) -> Self:
        """Listen; return when clients can connect. After a :meth:`stop`, the port is the same."""
        if self._thread is not None:
            raise RuntimeError("the server has started already")
        ready: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._main, args=(ready,), name="rxsocket-test-server", daemon=True
        )
        self._thread.start()
        try:
            self._port = ready.result()
        except BaseException:
            self._thread.join()
            self._thread = None
            raise
        return self

    def stop(self) -> None:
        """Cut every connection, frozen ones included, stop listening, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.stop()
        if error is None:
            self.check()

    async def __aenter__(self) -> Self:
        # It takes about a millisecond: not worth a thread of the executor, which would stay.
        return self.start()

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        self.__exit__(kind, error, trace)

    # --- on the server's thread

    def _main(self, ready: Future[int]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, ready: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        where: Any = {"host": self._host, "port": self._port or 0}
        if self._path is not None:
            where = {"unix": True, "path": self._path}
        listening = await serve(
            self._read_messages,
            **where,
            process_request=self._answer_handshake,
            process_response=self._on_answered,
            select_subprotocol=_subprotocol,
            # Called, never subclassed: any factory will do.
            create_connection=cast("type[ServerConnection]", self._track),
            ssl=self._ssl,
            open_timeout=None,
            ping_interval=None,
            max_size=None,
            max_queue=None,
            logger=SILENT,
        )
        name = next(iter(listening.sockets)).getsockname()
        ready.set_result(0 if self._path is not None else name[1])
        await self._stop.wait()
        with suppress(NotImplementedError):  # on Windows
            for port in listening.sockets:
                self._loop.remove_reader(port)
        # Accepted connections are tracked, to be closed, in the next two turns of the loop; of a
        # port that is closed before, or a loop that ends, asyncio would leave it open.
        for _ in range(2):
            await asyncio.sleep(0)
        listening.close(close_connections=False)
        tracked = list(self._tracked)
        for connection in tracked:
            if connection.peer is not None:
                connection.peer.dropped = True
            connection.transport.abort()
        if tracked:
            closed = [asyncio.ensure_future(connection.wait_closed()) for connection in tracked]
            await asyncio.wait(closed, timeout=0.5)

    def _track(self, *arguments: Any, **options: Any) -> TrackedConnection:
        connection = TrackedConnection(*arguments, **options)
        connection.tracked = self._tracked
        return connection

    async def _answer_handshake(
        self, server_connection: ServerConnection, request: Request
    ) -> Response | None:
        connection = cast(TrackedConnection, server_connection)
        handshake, script = self.accept_dial(request.path, request.headers)
        if handshake is None or isinstance(script, Unreachable):
            connection.transport.abort()
            return None
        if isinstance(script, Hang):
            await connection.wait_closed()
            return None
        if script.pause:
            await asyncio.sleep(script.pause)
        if isinstance(script, Reject):
            self.log.add_line(f"#{handshake.number} refused: {script.status}")
            return _response(script)
        connection.client_handshake, connection.script = handshake, script
        return None

    def _on_answered(
        self, server_connection: ServerConnection, request: Request, response: Response
    ) -> None:
        """Add a client before it knows that it is accepted, so that a push at once reaches it."""
        connection = cast(TrackedConnection, server_connection)
        if response.status_code == 101 and connection.protocol.state is State.CONNECTING:
            connection.peer = TcpPeerConnection(self, connection)
            self.add_connection(connection.peer)

    async def _read_messages(self, connection: ServerConnection) -> None:
        peer = cast(TrackedConnection, connection).peer
        if peer is None:
            raise AssertionError("a client was accepted without an answer")
        try:
            async for message in connection:
                peer.on_message(message)
        except ConnectionClosed:
            pass


def _subprotocol(
    server_connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    connection = cast(TrackedConnection, server_connection)
    chosen = connection.script.subprotocol or connection.client_handshake.fixed_subprotocol
    return None if chosen is None else Subprotocol(chosen)


def _response(script: Reject) -> Response:
    body = script.body.encode()
    headers = Headers([("Connection", "close"), ("Content-Length", str(len(body)))])
    if body:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    headers.update(script.headers)
    try:
        phrase = HTTPStatus(script.status).phrase
    except ValueError:
        phrase = "Scripted"
    return Response(script.status, phrase, headers, body)


def server(
    *scripts: Script,
    tokens: Iterable[str] | None = None,
    ssl: ssl_module.SSLContext | None = None,
    host: str = "127.0.0.1",
    path: str | None = None,
) -> Server:
    """A scripted WebSocket server, real down to TCP, for ``with`` and ``async with``.

    Each handshake takes the next script; when there is none left, it is accepted and stays open.
    The server runs on a thread of its own and sends no pings.

    Args:
        scripts: Scripts of the first handshakes; add more with ``server.script(...)``.
        tokens: Credentials that are accepted, see ``Handshake.credential``; others get a 401.
        ssl: A server-side context, for ``wss://``.
        host: Address of this machine to listen on.
        path: Path of a unix socket to listen on, in place of a port.

    Examples:
        >>> with server(accept().send("hello"), reject(503)) as s:
        ...     socket = Socket(s.url)
        ...     s.wait_for(lambda s: len(s.handshakes) == 2)
    """
    return Server(scripts, tokens, ssl, host, path)
