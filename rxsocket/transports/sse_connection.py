"""One connection of an event stream: the answer, its body, and the link (C50).

::

    bytes ── AnswerReader ── 200, text/event-stream ── httptools ── EventStreamParser ── messages
                └── refused, redirected, no more events    chunks       events
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

import httptools
from reactivex import abc

from rxsocket.errors import ConnectionLost, HandshakeInvalid, NoMoreEvents, NotAnEventStream
from rxsocket.transports.answers import Answer, AnswerReader, invalid_answer, unanswered
from rxsocket.transports.base import Fragments, Options, PeerClosed, Signal, StreamNotice
from rxsocket.transports.event_stream import EventStreamParser

READ_SIZE = 120 * 2**10
"""Bytes to read at once. Above 128 KiB a C library maps and unmaps pages for each read."""

PROBES = 3
"""Questions of the system to a silent peer before the link counts as lost."""

_FRAMING = ("transfer-encoding", "content-length")


class SseConnection(asyncio.Protocol):
    """A protocol that pushes what comes; it is the link, too.

    Args:
        options: What the socket was told.
        last_event_id: The id of the event to go on after.

    Attributes:
        reads: How many times bytes came.
        subprotocol: There is none.
    """

    subprotocol = None

    def __init__(self, options: Options, last_event_id: str = "") -> None:
        self.reads = 0
        self._options = options
        self._events = EventStreamParser(options.max_size, last_event_id)
        self._place = last_event_id
        self._transport: asyncio.Transport | None = None
        self._answer_reader: AnswerReader | None = AnswerReader()
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._http: Any = None
        self._body: list[bytes] = []
        self._is_framed = self._is_whole = self._is_paused = False
        self._observer: abc.ObserverBase[Signal] | None = None

    # --- the handshake

    async def handshake(self, head: bytes) -> Callable[[abc.ObserverBase[Signal]], None]:
        """Send the request, and wait for the headers of its answer.

        Returns:
            What makes it emit the link, then whatever comes.

        Raises:
            OSError: If the link is lost.
            Redirect: If it is one.
            HandshakeError: If it is no event stream.
        """
        assert self._transport is not None
        self._transport.write(head)
        answer = await self._answer
        if answer.status == 204:
            raise NoMoreEvents
        if answer.status == 426:
            raise NotAnEventStream("the server wants another protocol here (HTTP 426)")
        if answer.status != 200:
            raise answer.refusal()
        kind = (answer.header("content-type") or "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            what = f"its content type is {kind!r}" if kind else "it has no content type"
            raise NotAnEventStream(
                f"the answer is no event stream: {what}, not 'text/event-stream'"
            )
        if answer.header("content-encoding") not in (None, "identity"):
            raise NotAnEventStream(
                "the answer is packed (Content-Encoding), which was not asked for"
            )
        self._http = httptools.HttpResponseParser(self)
        lines = [f"{name}: {value}" for name, value in answer.headers if name in _FRAMING]
        self._is_framed = bool(lines)
        try:
            self._http.feed_data("\r\n".join(("HTTP/1.1 200 OK", *lines, "\r\n")).encode("latin-1"))
        except httptools.HttpParserError:
            raise invalid_answer("how long its body is") from None
        rest = answer.rest

        def start(observer: abc.ObserverBase[Signal]) -> None:
            self._observer = observer
            observer.on_next(cast(Signal, self))
            if rest or self._is_whole:
                self.data_received(rest)
            if not self._is_paused:
                self._resume()

        return start

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        reader: Any = transport
        if hasattr(reader, "max_size"):
            reader.max_size = READ_SIZE
        tcp = transport.get_extra_info("socket")
        if tcp is not None and self._options.tcp_keepalive is not None:
            keep_alive(tcp, *self._options.tcp_keepalive)

    def _read_answer(self, data: bytes) -> None:
        if self._answer_reader is None or self._answer.done():
            return
        try:
            answer = self._answer_reader.feed(data)
        except HandshakeInvalid as error:
            self._answer_reader = None
            self._answer.set_exception(error)
            return
        if answer is not None:
            self._answer_reader = None
            if self._transport is not None:
                self._transport.pause_reading()  # until somebody is there
            self._answer.set_result(answer)

    # --- what comes

    def data_received(self, data: bytes) -> None:
        if self._http is None:
            self._read_answer(data)
            return
        if self._observer is None:
            return
        self.reads += 1
        wrong = ""
        try:
            self._http.feed_data(data)
        except httptools.HttpParserError:
            wrong = "" if self._is_whole else "the body of the answer is not valid HTTP"
        body, self._body = self._body, []
        self._read_events(body[0] if len(body) == 1 else b"".join(body))
        if self._events.failure:
            self._end(PeerClosed(1006, self._events.failure, sent=1009))
        elif wrong:
            self._end(PeerClosed(1006, wrong, sent=1002))
        elif self._is_whole:
            self._end(PeerClosed(1005))

    def on_body(self, body: bytes) -> None:
        """A piece of the body; called by ``httptools``."""
        if not self._is_whole:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The body is whole; called by ``httptools``."""
        self._is_whole = True

    def _read_events(self, body: bytes) -> None:
        observer, events = self._observer, self._events
        if observer is None or not body:
            return
        messages = events.feed(body)
        if messages:
            self._place = getattr(messages[-1], "id", "") or self._place
            observer.on_next(cast(Signal, messages))
        place = None if self._place == events.last_event_id else events.last_event_id
        if not messages or events.retry is not None or place is not None:
            wait = None if events.retry is None else events.retry / 1000
            events.retry, self._place = None, events.last_event_id
            observer.on_next(StreamNotice(wait, place))

    def eof_received(self) -> None:
        if self._http is not None and not self._is_framed:
            self._end(PeerClosed(1005))  # that is how such a body ends

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc if isinstance(exc, OSError) else unanswered())
        if not self._gone.done():
            self._gone.set_result(None)
        reason = str(exc) if exc is not None else "it broke off before the answer was whole"
        self._end(PeerClosed(1006, reason, lost=True))

    def _end(self, ended: PeerClosed) -> None:
        observer, self._observer = self._observer, None
        self.abort()
        if observer is not None:
            observer.on_next(ended)
            observer.on_completed()

    # --- the link

    def write(self, messages: Sequence[str | bytes]) -> bool:
        self._refuse()

    async def drain(self) -> None:
        pass

    async def send(self, data: str | bytes | Fragments) -> None:
        self._refuse()

    async def ping(self) -> float:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ConnectionLost("nothing can be sent over an event stream")

    def pause(self) -> None:
        self._is_paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        self._is_paused = False
        self._resume()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.abort()

    async def answered(self) -> None:
        pass

    async def wait_closed(self) -> None:
        await asyncio.shield(self._gone)

    def abort(self) -> None:
        if not self._answer.cancel() and not self._answer.cancelled():
            self._answer.exception()  # nobody else may have asked
        if self._transport is not None:
            self._transport.abort()


def keep_alive(tcp: Any, interval: float, patience: float | None) -> None:
    """Let the system find out that a silent peer is gone, as nobody else can.

    Args:
        tcp: The socket.
        interval: Seconds of silence after which it asks.
        patience: Seconds that the peer has to answer; ``None`` for as many as the system gives it.
    """
    if tcp.family not in (socket.AF_INET, socket.AF_INET6):
        return
    wanted = {"TCP_KEEPIDLE": interval, "TCP_KEEPALIVE": interval}
    if patience is not None:
        wanted |= {"TCP_KEEPINTVL": patience / PROBES, "TCP_KEEPCNT": PROBES}
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in wanted.items():
        option = getattr(socket, name, None)
        if option is not None:
            tcp.setsockopt(socket.IPPROTO_TCP, option, max(1, round(value)))
