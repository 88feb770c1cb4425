"""A ``websockets`` connection that pushes its messages.

What it uses of ``websockets``, all of it here: ``connect(create_connection=...)`` with a subclass
of ``ClientConnection`` that overrides ``handshake``, ``process_event``, ``data_received`` and
``connection_lost``; its ``paused`` and ``drain``; of its ``protocol``, ``state``, ``send_text``,
``send_binary``, ``data_to_send``, ``send_close``, ``close_rcvd``, ``close_sent`` and
``close_rcvd_then_sent``.

``process_event`` hands each message to the observer as soon as its last frame is parsed, with no
queue and no task switch. So a connection that is being closed always drains.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from rxsocket.errors import ConnectionLost, HandshakeRefused
from rxsocket.transports.outlet import Outlet
from rxsocket.transports.redirects import Redirect
from rxsocket.transports.seam import Fragments, PeerClosed

__all__ = ["PushingConnection"]


class PushingConnection(ClientConnection):
    """A ``ClientConnection`` that pushes; it is the link, too."""

    _observer: Outlet | None = None
    _opcode: Opcode | None = None
    _ended: PeerClosed | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._early: list[str | bytes] = []
        self._fragments: list[bytes] = []
        self._closing = False
        self._answered = asyncio.Event()

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Turn refusals into errors that hold nothing of the request or the response's body.

        It also keeps ``connect`` from following redirects by itself: it would drop the credential's
        query, or take other headers along to another origin.
        """
        failure: Exception
        try:
            await super().handshake(*args, **kwargs)
            return
        except InvalidStatus as error:
            status, headers = error.response.status_code, error.response.headers
            if 300 <= status < 400 and "Location" in headers:
                failure = Redirect(headers["Location"])
            else:
                failure = HandshakeRefused(status, retry_after=headers.get("Retry-After"))
        raise failure

    def begin(self, observer: Outlet) -> None:
        """Announce the link, then what came with the handshake's answer, then what comes."""
        self._observer = observer
        observer.on_next(_Link(self))
        early, self._early = self._early, []
        for message in early:
            observer.on_next(message)
        if self._ended is not None:
            self._finish(self._ended)

    def process_event(self, event: Any) -> None:
        """Take data frames before the queue of ``websockets`` does; the others are its own."""
        if self.response is None or not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode is Opcode.CLOSE:
            self._answered.set()
            self._end(self._how_closed())
        elif event.opcode in (Opcode.PING, Opcode.PONG):
            super().process_event(event)
        else:
            self._data(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone."""
        super().connection_lost(exc)
        self._answered.set()
        self._end(self._how_closed())

    def _data(self, frame: Frame) -> None:
        if self._ended is not None:
            return  # what follows a failure is dropped, not kept for an observer that will not come
        opcode = frame.opcode if frame.opcode is not Opcode.CONT else self._opcode
        if not frame.fin:
            self._opcode = opcode
            self._fragments.append(bytes(frame.data))
            return
        data = bytes(frame.data)
        if self._fragments:
            data = b"".join((*self._fragments, data))
            self._fragments.clear()
        self._opcode = None
        if opcode is Opcode.BINARY:
            self._push(data)
            return
        try:
            text = codecs.decode(data, "utf-8")
        except UnicodeDecodeError as error:
            self._fail(1007, f"{error.reason} at position {error.start}")
        else:
            self._push(text)

    def _push(self, message: str | bytes) -> None:
        if self._observer is None:
            self._early.append(message)
        else:
            self._observer.on_next(message)

    def _fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): say why, and take no more."""
        self._end(PeerClosed(1006, reason, sent=code))
        self.start_closing(code, reason)

    def start_closing(self, code: int, reason: str) -> None:
        """Send a close frame, once; whoever waits for the rest puts a bound on it."""
        if not self._closing and self.protocol.state is State.OPEN:
            self.protocol.send_close(code, reason)
            self.send_data()
        self._closing = True

    def data_received(self, data: bytes) -> None:
        """Bytes came; when they made the parser fail the connection, no more messages will."""
        super().data_received(data)
        failed = self.protocol.close_sent
        if failed is not None and self._ended is None and not self._closing:
            self._fail(failed.code, failed.reason)

    def _how_closed(self) -> PeerClosed:
        received, sent = self.protocol.close_rcvd, self.protocol.close_sent
        ours = None if sent is None or self.protocol.close_rcvd_then_sent else sent.code
        if received is None:
            reason = sent.reason if sent is not None else self._lost_because()
            return PeerClosed(1006, reason, ours, lost=True)
        return PeerClosed(received.code, received.reason, ours)

    def _lost_because(self) -> str:
        # Before 17.4 websockets called it recv_exc.
        error = getattr(self, "connection_exc", None) or getattr(self, "recv_exc", None)
        return str(error or "")

    def _end(self, ended: PeerClosed) -> None:
        if self._ended is None:
            self._ended = ended
            if self._observer is not None:
                self._finish(ended)

    def _finish(self, ended: PeerClosed) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.on_next(ended)
            observer.on_completed()

    async def answered(self) -> None:
        """Return when the peer sent a close frame, or the connection is gone."""
        await self._answered.wait()


class _Link:
    """The socket's view of a connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: PushingConnection) -> None:
        self._connection = connection

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    def write(self, messages: Sequence[str | bytes]) -> bool:
        connection = self._connection
        protocol = connection.protocol
        if protocol.state is not State.OPEN or connection.transport.is_closing():
            raise ConnectionLost("the connection closed before the message was written")
        for message in messages:
            if isinstance(message, str):
                protocol.send_text(message.encode())
            else:
                protocol.send_binary(message)
        # One system call for all of them, where websockets would make one for each.
        connection.transport.write(b"".join(protocol.data_to_send()))
        return not connection.paused

    async def drain(self) -> None:
        await self._connection.drain()

    async def send(self, data: str | bytes | Fragments) -> None:
        try:
            await self._connection.send(data)
            return
        except ConnectionClosed:
            pass
        raise ConnectionLost("the connection closed before the message was written")

    def pause(self) -> None:
        self._connection.transport.pause_reading()

    def resume(self) -> None:
        self._connection.transport.resume_reading()

    async def ping(self) -> float:
        try:
            return await (await self._connection.ping())
        except ConnectionClosed:
            pass
        raise ConnectionLost("the connection closed before the pong came")

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._connection.start_closing(code, reason)

    async def answered(self) -> None:
        await self._connection.answered()

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()

    def abort(self) -> None:
        self._connection.transport.abort()
