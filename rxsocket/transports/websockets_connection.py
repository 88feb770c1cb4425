"""A ``websockets`` connection that pushes its messages.

::

    chunk of bytes ─ data_received ─ FrameReader ── messages ────────────── observer.on_next([...])
                                        '──── the rest ─ websockets ─ process_event ─ ^

``data_received`` gives each chunk to a :class:`FrameReader`, which takes the
plain messages out; ``process_event`` takes what the parser of ``websockets`` made of the rest. The
observer is called with a list of messages, those of one read, with no queue and no task switch. So
a connection that is being closed always drains.

What this stands on, all of it here:

- A subclass of ``ClientConnection`` that overrides ``handshake``, ``process_event``,
  ``data_received``, ``eof_received``, ``connection_made``, ``connection_lost``, ``send_data`` and
  ``resume_writing``; its ``request``, ``response``, ``response_rcvd``, ``paused`` and ``drain``;
  and of its ``protocol``: ``state``, ``send_text``, ``send_binary``, ``data_to_send``, ``writes``,
  ``send_close``, ``fail``, ``close_rcvd``, ``close_sent``, ``close_rcvd_then_sent`` and
  ``max_message_size`` (``max_size`` in older versions).
- For the frame reader only, which is left out if they are not there (see
  :func:`can_read_frames`): that bytes come through ``data_received``, and ``parser_exc`` of the
  protocol.
- ``max_size`` of asyncio's transport, if it is there: how many bytes it reads at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from reactivex import abc
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from rxsocket.errors import ConnectionLost, HandshakeInvalid
from rxsocket.transports.answers import AnswerReader, invalid_answer, unanswered
from rxsocket.transports.base import Fragments, PeerClosed, Signal
from rxsocket.transports.frame_reader import FrameReader

READ_SIZE = 120 * 2**10
"""Bytes to read at once. Above 128 KiB a C library maps and unmaps pages for each read."""

NOT_UNDERSTOOD = (
    "what it chose of compression or subprotocols was not offered or is not understood; "
    "compression=None offers none"
)
"""What is wrong with such an answer, and what helps."""

LARGEST_CONTROL = 125
"""Bytes of the payload of a control frame (RFC 6455, section 5.5)."""

_PONG = b"\x8a"
"""First byte of a pong, as ``websockets`` writes it."""


def can_read_frames(connection: ClientConnection) -> bool:
    """Whether messages can be cut out in front of the parser of this connection.

    Not when a future ``websockets`` gets its bytes in another way or does not say when its parser
    has stopped, and not while frames are logged: the log of ``websockets`` shows all of them.
    """
    return (
        not isinstance(connection, asyncio.BufferedProtocol)
        and hasattr(connection.protocol, "parser_exc")
        and not connection.debug
    )


class WebSocketsConnection(ClientConnection):
    """A ``ClientConnection`` that pushes; it is the link, too."""

    # The instance has a dict already, which is small while its keys are few.
    __slots__ = (
        "_answer_reader",
        "_answered",
        "_closing",
        "_early",
        "_ended",
        "_fragments",
        "_frame_reader",
        "_limit",
        "_observer",
        "_opcode",
        "_pong",
        "_refusal",
        "_waiter",
        "reads",
    )

    def __init__(
        self,
        *args: Any,
        limit: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._limit = limit
        self._observer: abc.ObserverBase[Signal] | None = None
        self._opcode: Opcode | None = None
        self._ended: PeerClosed | None = None
        self._frame_reader: FrameReader | None = None
        self._answer_reader: AnswerReader | None = AnswerReader()
        self._refusal: Exception | None = None
        self._pong = b""
        self._early: list[str | bytes] | None = None
        self._fragments: bytearray | None = None
        self._closing = False
        self._answered = False
        self._waiter: asyncio.Event | None = None
        self.reads = 0

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Turn refusals into errors that hold nothing of the request."""
        try:
            await super().handshake(*args, **kwargs)
        except Exception:
            if self._refusal is None:
                raise
        if self._refusal is not None:
            raise self._refusal
        # Nobody asks for headers any more, which are a good part of the objects of a connection;
        # those of the request hold the credential.
        self.request = None
        if self.response is not None:
            self.response.headers.clear()

    def start(self, observer: abc.ObserverBase[Signal]) -> None:
        """Announce the link, then what came with the handshake's answer, then what comes."""
        self._observer = observer
        observer.on_next(_WebSocketsLink(self))
        early, self._early = self._early, None
        if early:
            observer.on_next(early)
        if self._ended is not None:
            self._finish(self._ended)

    def process_event(self, event: Any) -> None:
        """Take data frames before the queue of ``websockets`` does; the others are its own."""
        if self.response is None or not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode is Opcode.CLOSE:
            self._answer()
            self._end(self._how_closed())
        elif event.opcode in (Opcode.PING, Opcode.PONG):
            super().process_event(event)
        else:
            self._data(event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        reader: Any = transport
        if hasattr(reader, "max_size"):
            reader.max_size = READ_SIZE

    def data_received(self, data: bytes) -> None:
        self.reads += 1
        if self._frame_reader is not None:
            self._frame_reader.feed(data)
        elif self.protocol.state is State.CONNECTING:
            self._read_answer(data)
        else:
            self._parse(data)

    def eof_received(self) -> None:
        if self._frame_reader is not None:
            self._frame_reader.give_up()  # the parser complains of a frame that is not whole
        self._refuse(unanswered())
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._refuse(exc if isinstance(exc, OSError) else unanswered())
        if self._refusal is not None:
            return  # nobody waits, and the parser may have broken off
        super().connection_lost(exc)
        self._answer()
        self._end(self._how_closed())

    def send_data(self) -> None:
        """Write what is to be sent; of pongs that the peer does not read, keep the newest only.

        That is enough of an answer (RFC 6455, section 5.5.3), and bounds the memory.
        """
        if self.paused:
            frames: list[bytes] = []
            for frame in self.protocol.data_to_send():
                if frame[:1] == _PONG:
                    self._pong = frame
                else:
                    frames.append(frame)
            self.protocol.writes[:0] = frames
        super().send_data()

    def resume_writing(self) -> None:
        super().resume_writing()
        pong, self._pong = self._pong, b""
        if pong and self.protocol.state is State.OPEN:
            self.transport.write(pong)

    def _read_answer(self, data: bytes) -> None:
        """Read the answer to the handshake; ``websockets`` gets a 101 only, to check it."""
        if self._answer_reader is None:
            return  # refused already
        try:
            answer = self._answer_reader.feed(data)
        except HandshakeInvalid as error:
            self._refuse(error)
            return
        if answer is None:
            return
        if answer.status != 101:
            self._refuse(answer.refusal())
            return
        try:
            self._parse(answer.upgrade())
        except ValueError:  # of zlib, about a window of 8 bits; in older versions
            self._refuse(invalid_answer(NOT_UNDERSTOOD))
            return
        self._answer_reader = None
        if self.protocol.state is State.OPEN and can_read_frames(self):
            self._frame_reader = FrameReader(self, self._limit)
        if answer.rest:
            self.data_received(answer.rest)

    def _refuse(self, error: Exception) -> None:
        """End the handshake with an error, unless it ended already."""
        if self._answer_reader is not None and not self.response_rcvd.done():
            self._refusal = error
            self.response_rcvd.set_result(None)
        self._answer_reader = None

    def leave_to_parser(self, data: bytes, *, between: bool = False) -> bool:
        """Leave bytes to the parser of ``websockets``; return whether it goes on after them.

        It counts a control frame ``between`` the fragments of a message as a part of it.
        """
        protocol: Any = self.protocol
        if between and self._limit is not None:
            name = "max_message_size" if hasattr(protocol, "max_message_size") else "max_size"
            setattr(protocol, name, self._limit + LARGEST_CONTROL)
            self._parse(data)
            setattr(protocol, name, self._limit)
        else:
            self._parse(data)
        return self._ended is None and self.protocol.parser_exc is None

    def _parse(self, data: bytes) -> None:
        super().data_received(data)
        failed = self.protocol.close_sent
        if failed is not None and self._ended is None and not self._closing:
            self._closing = True
            closed = self.protocol.close_rcvd
            if closed is not None:  # between the fragments of a message
                self._answer()
                self._end(PeerClosed(int(closed.code), closed.reason))
            else:
                self._end(PeerClosed(1006, failed.reason, sent=int(failed.code)))

    def _data(self, frame: Frame) -> None:
        if self._ended is not None:
            return  # the parser had made it before the failure
        opcode = frame.opcode if frame.opcode is not Opcode.CONT else self._opcode
        if self._fragments is not None:
            self._fragments += frame.data
        elif not frame.fin:
            self._fragments = bytearray(frame.data)
        self._opcode = opcode
        if not frame.fin:
            return
        data, self._fragments = bytes(self._fragments or frame.data), None
        if opcode is Opcode.BINARY:
            self.push([data])
            return
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            self.fail(1007, f"{error.reason} at position {error.start}")
        else:
            self.push([text])

    def push(self, messages: list[str | bytes]) -> None:
        """Pass messages on, or keep them until somebody is there."""
        if self._observer is None:
            self._early = [*(self._early or ()), *messages]
        else:
            self._observer.on_next(messages)

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): say why, and take no more."""
        self._closing = True
        self.protocol.fail(code, reason)
        self.send_data()
        sent = self.protocol.close_sent  # an earlier one, if we were closing
        self._end(PeerClosed(1006, reason, sent=code if sent is None else int(sent.code)))

    def start_closing(self, code: int, reason: str) -> None:
        """Send a close frame, once; whoever waits for the rest puts a bound on it."""
        if not self._closing and self.protocol.state is State.OPEN:
            self.protocol.send_close(code, reason)
            self.send_data()
        self._closing = True

    def _how_closed(self) -> PeerClosed:
        received, sent = self.protocol.close_rcvd, self.protocol.close_sent
        ours = None if sent is None or self.protocol.close_rcvd_then_sent else int(sent.code)
        if received is None:
            reason = sent.reason if sent is not None else self._lost_because()
            return PeerClosed(1006, reason, ours, lost=True)
        return PeerClosed(int(received.code), received.reason, ours)

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
        if not self._answered:
            self._waiter = self._waiter or asyncio.Event()
            await self._waiter.wait()

    def _answer(self) -> None:
        self._answered = True
        if self._waiter is not None:
            self._waiter.set()


class _WebSocketsLink:
    """The socket's view of a connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: WebSocketsConnection) -> None:
        self._connection = connection

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    @property
    def reads(self) -> int:
        return self._connection.reads

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
