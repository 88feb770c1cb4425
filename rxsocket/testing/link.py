"""A connection of the fake server, both ends of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Sequence
from functools import partial
from typing import Any

from reactivex import abc

from rxsocket.errors import ConnectionLost
from rxsocket.testing.book import Book
from rxsocket.testing.handshake import Handshake
from rxsocket.testing.script import Payload
from rxsocket.testing.visit import Visit
from rxsocket.transports.seam import Fragments, PeerClosed, Signal

__all__ = ["FakeLink", "FakeVisit"]


class FakeVisit(Visit):
    """The server's end."""

    link: FakeLink

    def __init__(self, book: Book, handshake: Handshake) -> None:
        super().__init__(book, handshake)
        self._book = book
        self.player = asyncio.current_task()

    def _deliver(self, message: Payload) -> None:
        self.link.receive(message)

    async def _send(self, message: Payload) -> bool:
        self.link.receive(message)
        await self.link.room()
        return True

    def _close(self, code: int, reason: str) -> None:
        self.link.told_to_close(code, reason)

    def _drop(self) -> None:
        self.link.cut()
        self.ended()

    def _freeze(self) -> None:
        """Nothing to do: what comes is looked at only when not frozen."""

    def close_came(self, code: int, reason: str) -> None:
        """The client's close frame is here: an answer to ours, or to be answered at once."""
        if self.frozen or self.dropped:
            return
        self.closing = True
        self._book.left(self, code, reason)
        self.link.end(PeerClosed(code, reason, sent=code))
        self.ended()

    def cut(self) -> None:
        """The client is gone without a close frame."""
        self.closing = True
        self._book.left(self, 1006, "")
        self.ended()

    def ended(self) -> None:
        """Nothing is left of the connection."""
        self._book.gone(self)
        if self.player is not None:
            self.player.cancel()


class FakeLink:
    """The client's end: a ``Link`` of the seam.

    The way to the server takes the latency and the way back takes none, so that whatever is asked
    is answered after the latency.
    """

    def __init__(
        self,
        visit: FakeVisit,
        observer: abc.ObserverBase[Signal],
        subprotocol: str | None,
        latency: float,
    ) -> None:
        self._visit = visit
        self._observer: abc.ObserverBase[Signal] | None = observer
        self._loop = asyncio.get_running_loop()
        self._subprotocol = subprotocol
        self._latency = latency
        self._on_the_way: deque[Callable[[], None]] = deque()
        self._pongs: set[asyncio.Future[None]] = set()
        self._closing = False
        self._gone = asyncio.Event()
        self._paused = False
        self._reading: asyncio.Future[None] | None = None
        self._unread: deque[Callable[[], None]] = deque()

    def __repr__(self) -> str:
        return f"<fake link {self._visit.number}>"

    # --- the seam

    @property
    def subprotocol(self) -> str | None:
        """What the script accepted with."""
        return self._subprotocol

    def write(self, messages: Sequence[Payload]) -> bool:
        """Let messages arrive at the server after the latency; there is always room for more."""
        self._check_open()
        for message in messages:
            self._travel(partial(self._visit.heard, message))
        return True

    async def drain(self) -> None:
        """There is always room."""

    async def send(self, data: Payload | Fragments) -> None:
        """Let a message arrive at the server after the latency; fragments arrive as one."""
        if not isinstance(data, (str, bytes)):
            data = await self._whole(data)
        self.write([data])

    async def _whole(self, fragments: Fragments) -> Payload:
        parts: list[Any] = []
        try:
            if isinstance(fragments, AsyncIterable):
                async for part in fragments:
                    parts.append(part)
            else:
                parts.extend(fragments)
            whole: Payload = type(parts[0])().join(parts)
        except Exception:
            self._closing = True  # what was begun cannot be ended (RFC 6455, section 5.4)
            self._loop.call_soon(self._broken)
            raise
        return whole

    def _broken(self) -> None:
        if not self._gone.is_set():
            reason = "error in fragmented message"
            self.end(PeerClosed(1006, reason, sent=1011, lost=True))
            self._visit.cut()

    async def ping(self) -> float:
        """Wait for a pong, for ever if the server is frozen."""
        self._check_open()
        start = self._loop.time()
        pong: asyncio.Future[None] = self._loop.create_future()
        self._pongs.add(pong)
        self._travel(lambda: self._pong(pong))
        try:
            await pong
        finally:
            self._pongs.discard(pong)
        return self._loop.time() - start

    def pause(self) -> None:
        """Read no more: what the server does is noticed when reading goes on."""
        self._paused = True

    def resume(self) -> None:
        """Read on, in the next turn of the loop."""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._read_on)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame."""
        if not self._closing:
            self._closing = self._visit.closing = True
            self._travel(lambda: self._visit.close_came(code, reason))

    async def answered(self) -> None:
        """Wait for the answer to it, for ever if the server is frozen."""
        await self._gone.wait()

    async def wait_closed(self) -> None:
        """Wait until the close was answered, or the connection was cut."""
        await self._gone.wait()

    def abort(self) -> None:
        """Cut the connection."""
        if not self._gone.is_set():
            self.end(PeerClosed(1006, lost=True))
            self._visit.cut()

    # --- from the observer and the server

    def detach(self) -> None:
        """The observer left: it is told nothing more."""
        self._observer = None

    def receive(self, signal: Signal) -> None:
        """Pass something on to the observer."""
        self._read(lambda: self._emit(signal))

    async def room(self) -> None:
        """Wait until the client reads on; let other things come in between in any case."""
        await asyncio.sleep(0)
        while self._paused:
            if self._reading is None:
                self._reading = self._loop.create_future()
            await self._reading

    def told_to_close(self, code: int, reason: str) -> None:
        """The server's close frame came: the last thing the observer hears; answer it."""
        self._read(lambda: self._answer(code, reason))

    def cut(self) -> None:
        """The server cut the connection."""
        self._read(lambda: self.end(PeerClosed(1006, lost=True)))

    def _answer(self, code: int, reason: str) -> None:
        if self._gone.is_set():
            return
        crossing, self._closing = self._closing, True
        self._finish(PeerClosed(code, reason))
        if not crossing:
            self._travel(lambda: self._visit.close_came(code, reason))

    def end(self, signal: PeerClosed) -> None:
        """Nothing more comes."""
        self._closing = True
        self._gone.set()
        self._on_the_way.clear()
        for pong in self._pongs:
            if not pong.done():
                pong.set_exception(ConnectionLost("the connection ended before the pong came"))
        self._finish(signal)

    def _read(self, what: Callable[[], None]) -> None:
        """Something is there to be read, now or when reading goes on."""
        if self._paused or self._unread:
            self._unread.append(what)
        else:
            what()

    def _read_on(self) -> None:
        while self._unread and not self._paused:
            self._unread.popleft()()
        if self._reading is not None and not self._paused:
            self._reading.set_result(None)
            self._reading = None

    def _emit(self, signal: Signal) -> None:
        if self._observer is not None:
            self._observer.on_next(signal)

    def _finish(self, signal: PeerClosed) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.on_next(signal)
            observer.on_completed()

    def _pong(self, pong: asyncio.Future[None]) -> None:
        if not self._visit.frozen:
            self._read(lambda: None if pong.done() else pong.set_result(None))

    def _travel(self, arrival: Callable[[], None]) -> None:
        """Let something arrive at the server after the latency, in order."""
        self._on_the_way.append(arrival)
        if self._latency:
            self._loop.call_later(self._latency, self._arrive)
        else:
            self._loop.call_soon(self._arrive)

    def _arrive(self) -> None:
        if self._on_the_way:
            self._on_the_way.popleft()()

    def _check_open(self) -> None:
        if self._closing:
            raise ConnectionLost("the connection is closing or closed")
