"""A ``picows`` connection that pushes its messages; it is the link, too.

What it uses of ``picows``: a ``WSListener``; of its transport ``send``, ``send_ping``,
``send_pong``, ``send_close``, ``disconnect``, ``wait_disconnected``, ``underlying_transport``,
``close_handshake`` and ``is_close_frame_sent``.

Messages out of the frames of ``picows``: assembled, checked, bounded (RFC 6455, section 5).

::

    frame  text         ┐ fin, nothing pending: a message                 the hot path
    frame  text  fin=0  ┘ .................. kept ┐
    frame  ping                                   │ answered, in the middle of it
    frame  continuation  fin=1 .................. ┴ a message
    end of the read                                 flush: the messages, in one list

``picows`` itself refuses masked frames, unknown opcodes, control frames that are fragmented or too
long, lengths that are not the shortest, frames above ``max_size``, and most invalid close frames.
It looks at neither reserved bits, nor the order of fragments, nor what they add up to: that is
done here.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from picows import WSFrame, WSListener, WSMsgType, WSTransport
from reactivex import abc

from rxsocket.errors import ConnectionLost
from rxsocket.transports.base import Fragments, PeerClosed, Signal

NO_STATUS = 1005
_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION
_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class MessageAssembler(WSListener):
    """A listener that turns frames into messages; what to do with them, a subclass says.

    Args:
        max_size: Largest message in bytes, or ``None``.

    Attributes:
        observer: Where messages go, as ``str`` and ``bytes`` that own their memory; they are kept
            while there is none.
    """

    __slots__ = ("_add", "_batch", "_kind", "_max_size", "_parts", "observer", "on_ws_frame")

    def __init__(self, max_size: int | None) -> None:
        self.observer: abc.ObserverBase[Signal] | None = None
        self._batch: list[str | bytes] = []
        self._add: Callable[[str | bytes], None] = self._batch.append
        self._max_size = max_size
        self._kind: WSMsgType | None = None
        self._parts = bytearray()
        self.on_ws_frame = self._hot()  # type: ignore[assignment, method-assign]

    def _hot(self) -> Callable[[WSTransport, WSFrame], None]:
        """What ``picows`` calls with each frame: a function of its own, not a method.

        Making a bound method for each frame would take longer than some of what is checked here. So
        would a second look at an attribute of the frame, which is computed when it is read, and
        calling ``self._add(...)`` in one step: the interpreter has a short way to an attribute in a
        slot, and none to a method that is one.
        """
        text_kind, binary_kind = WSMsgType.TEXT, WSMsgType.BINARY

        def on_ws_frame(_: WSTransport, frame: WSFrame) -> None:
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                self.fail(1002, "reserved bits must be 0")
                return
            kind = frame.msg_type
            if frame.fin and self._kind is None:
                if kind is text_kind:
                    try:
                        text = frame.get_payload_as_utf8_text()
                    except UnicodeDecodeError as error:
                        self._not_utf_8(error)
                        return
                    add = self._add
                    add(text)
                    return
                if kind is binary_kind:
                    add = self._add
                    add(frame.get_payload_as_bytes())
                    return
            self._rare(kind, frame)

        return on_ws_frame

    def _rare(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind in (_TEXT, _BINARY, _CONTINUATION):
            self._fragment(kind, frame)
        elif kind is WSMsgType.PING:
            self.on_ping(frame.get_payload_as_bytes())
        elif kind is WSMsgType.PONG:
            self.on_pong(frame.get_payload_as_bytes())
        else:
            self._close(frame.get_payload_as_bytes())

    def flush(self) -> None:
        observer, batch = self.observer, self._batch
        if batch and observer is not None:
            self._batch = []
            if self._add is not _ignore:
                self._add = self._batch.append
            observer.on_next(batch)

    def refuse(self) -> None:
        """Take no more messages; those that came are handed on."""
        self._add = _ignore
        self.forget()
        self.flush()

    def fail(self, code: int, reason: str) -> None:
        """The peer broke a rule: no more messages are wanted."""
        raise NotImplementedError

    def on_ping(self, payload: bytes) -> None:
        raise NotImplementedError

    def on_pong(self, payload: bytes) -> None:
        raise NotImplementedError

    def on_close(self, code: int, reason: str, payload: bytes) -> None:
        """A close frame came; without a status, the code is 1005."""
        raise NotImplementedError

    def _fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if kind is _CONTINUATION:
            if self._kind is None:
                self.fail(1002, "unexpected continuation frame")
                return
        elif self._kind is not None:
            self.fail(1002, "expected a continuation frame")
            return
        else:
            self._kind = kind
        if self._max_size is not None and len(self._parts) + frame.payload_size > self._max_size:
            self.forget()
            self.fail(1009, f"message is larger than {self._max_size} bytes")
            return
        self._parts += frame.get_payload_as_memoryview()
        if frame.fin:
            kind, parts = self._kind, self._parts
            self.forget()
            self._assembled(kind, parts)

    def _assembled(self, kind: WSMsgType, parts: bytearray) -> None:
        if kind is _BINARY:
            self._add(bytes(parts))
            return
        try:
            text = parts.decode()
        except UnicodeDecodeError as error:
            self._not_utf_8(error)
            return
        self._add(text)

    def forget(self) -> None:
        self._kind = None
        self._parts = bytearray()

    def _not_utf_8(self, error: UnicodeDecodeError) -> None:
        self.fail(1007, f"{error.reason} at position {error.start}")

    def _close(self, payload: bytes) -> None:
        if not payload:
            self.on_close(NO_STATUS, "", payload)
            return
        code = int.from_bytes(payload[:2])
        if code not in _SENDABLE and not 3000 <= code < 5000:
            self.fail(1002, "invalid close code")
            return
        self.on_close(code, payload[2:].decode(), payload)  # picows has checked the text


def _ignore(_: str | bytes) -> None:
    """Nobody wants it."""


class PicowsConnection(MessageAssembler):
    """A listener of ``picows``, and the link of the seam.

    Attributes:
        subprotocol: The subprotocol that the server chose.
        reads: How many times bytes came.
    """

    __slots__ = (
        "_answered",
        "_closing",
        "_ended",
        "_failed",
        "_gone",
        "_loop",
        "_numbers",
        "_pong_payload",
        "_pongs",
        "_transport",
        "_writable",
        "reads",
        "subprotocol",
    )

    def __init__(self, max_size: int | None) -> None:
        super().__init__(max_size)
        self.subprotocol: str | None = None
        self._transport: WSTransport | None = None
        self._ended: PeerClosed | None = None
        self._closing = False
        self._failed = False
        self._loop = asyncio.get_running_loop()
        self._answered = asyncio.Event()
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._numbers = itertools.count(random.getrandbits(62))
        self._pong_payload: bytes | None = None
        self._pongs: dict[bytes, asyncio.Future[float]] = {}
        self.reads = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def start(self, observer: abc.ObserverBase[Signal]) -> None:
        """Announce the link, then what came with the handshake's answer, then what comes."""
        self.check_failed()
        observer.on_next(self)
        self.observer = observer
        self.flush()
        if self._ended is not None:
            self._finish(self._ended)

    def check_failed(self) -> bool:
        """Whether ``picows`` found an error in what came, and takes no more.

        It tells nobody but the peer, and it parses one frame ahead: only between two reads is it
        certain that all that came before the error was handed on.
        """
        transport = self._transport
        if not self._closing and transport is not None and transport.is_close_frame_sent:
            sent = transport.close_handshake.sent
            assert sent is not None
            self._failed = self._closing = True
            self._end(PeerClosed(1006, sent.reason, sent=sent.code.value))
        return self._failed

    def connection_lost(self, error: Exception | None) -> None:
        self.check_failed()
        self._closing = True
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(ConnectionLost("the connection closed before the pong came"))
        self._gone.set()
        self._answered.set()
        self._writable.set()
        self._end(PeerClosed(1006, str(error or ""), self._sent_first(), lost=True))
        if self._transport is not None:
            # Its future holds what picows found wrong, if anything; asyncio reports what nobody
            # asks for. It is done by now, so that this does not wait.
            with suppress(Exception):
                self._transport.wait_disconnected().send(None)

    def _sent_first(self) -> int | None:
        handshake = None if self._transport is None else self._transport.close_handshake
        if handshake is None or handshake.sent is None or handshake.recv_then_sent:
            return None
        return handshake.sent.code.value

    def _end(self, ended: PeerClosed) -> None:
        if self._ended is None:
            self._ended = ended
            self.refuse()
            self._finish(ended)

    def _finish(self, ended: PeerClosed) -> None:
        observer, self.observer = self.observer, None
        if observer is not None:
            observer.on_next(ended)
            observer.on_completed()

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): say why, and take no more."""
        self._end(PeerClosed(1006, reason, sent=code))
        self._start_closing(code, reason)

    def on_ping(self, payload: bytes) -> None:
        """Answer; of pings that came while the peer reads nothing, only the newest.

        That is enough (RFC 6455, section 5.5.3), and bounds the memory.
        """
        if not self._writable.is_set():
            self._pong_payload = payload
        elif self._transport is not None and not self._closing:
            self._transport.send_pong(payload)

    def on_pong(self, payload: bytes) -> None:
        """Settle the ping that it answers, and those before it (RFC 6455, section 5.5.3)."""
        if payload not in self._pongs:
            return
        for sent, pong in self._pongs.items():
            if not pong.done():
                pong.set_result(self._loop.time())
            if sent == payload:
                break

    def on_close(self, code: int, reason: str, payload: bytes) -> None:
        """Answer with the same status, unless this is an answer itself."""
        self._answered.set()
        sent = self._sent_first()
        if self._transport is not None and not self._closing:
            self._closing = True
            self._transport.send(WSMsgType.CLOSE, payload)
        self._end(PeerClosed(code, reason, sent))

    def _start_closing(self, code: int, reason: str) -> None:
        if self._transport is not None and not self._closing:
            self._closing = True
            self._transport.send_close(cast(Any, code), reason)  # any number will do

    def write(self, messages: Sequence[str | bytes]) -> bool:
        transport = self._open("message was written")
        for message in messages:
            transport.send(_kind(message), message)
        return self._writable.is_set()

    async def drain(self) -> None:
        await self._writable.wait()
        if self._gone.is_set():
            raise ConnectionLost("the connection closed before the message was written")

    async def send(self, data: str | bytes | Fragments) -> None:
        if isinstance(data, (str, bytes)):
            if not self.write([data]):
                await self.drain()
            return
        try:
            await self._send_fragments(data)
        except ConnectionLost:
            raise
        except Exception:
            # What was begun cannot be ended (RFC 6455, section 5.4).
            self.fail(1011, "error in fragmented message")
            raise

    async def _send_fragments(self, fragments: Fragments) -> None:
        kind: WSMsgType | None = None
        async for fragment in _each(fragments):
            transport = self._open("message was written")
            first = kind is None
            kind = kind or _kind(fragment)
            transport.send(kind if first else WSMsgType.CONTINUATION, fragment, fin=False)
            await self.drain()
        self._open("message was written").send(WSMsgType.CONTINUATION, b"", fin=True)

    def _open(self, what: str) -> WSTransport:
        """The transport, unless a close frame was sent; ``picows`` would drop what comes then."""
        transport = self._transport
        if transport is None or self._closing or transport.is_close_frame_sent:
            raise ConnectionLost(f"the connection closed before the {what}")
        return transport

    async def ping(self) -> float:
        transport = self._open("pong came")
        payload = next(self._numbers).to_bytes(8)
        pong: asyncio.Future[float] = self._loop.create_future()
        self._pongs[payload] = pong
        start = self._loop.time()
        transport.send_ping(payload)
        try:
            return await pong - start
        finally:
            del self._pongs[payload]

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._start_closing(code, reason)

    async def answered(self) -> None:
        await self._answered.wait()

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def abort(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()
        payload, self._pong_payload = self._pong_payload, None
        if payload is not None:
            self.on_ping(payload)


def _kind(message: str | bytes) -> WSMsgType:
    return WSMsgType.TEXT if isinstance(message, str) else WSMsgType.BINARY


async def _each(fragments: Fragments) -> AsyncIterator[str | bytes]:
    if isinstance(fragments, AsyncIterable):
        async for fragment in fragments:
            yield fragment
    else:
        for fragment in fragments:
            yield fragment
