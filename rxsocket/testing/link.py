"""A connection of the fake server, both ends of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from reactivex import abc

from rxsocket.errors import ConnectionLost
from rxsocket.testing.book import Book
from rxsocket.testing.handshake import Handshake
from rxsocket.testing.script import Payload
from rxsocket.testing.visit import Visit
from rxsocket.transports.seam import PeerClosed, Signal

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

    def _close(self, code: int, reason: str) -> None:
        self.link.told_to_close(code, reason)

    def _drop(self) -> None:
        self.link.end(PeerClosed(1006, lost=True))
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

    def __repr__(self) -> str:
        return f"<fake link {self._visit.number}>"

    # --- the seam

    @property
    def subprotocol(self) -> str | None:
        """What the script accepted with."""
        return self._subprotocol

    async def send(self, data: Payload) -> None:
        """Let a message arrive at the server after the latency; never wait."""
        self._check_open()
        self._travel(lambda: self._visit.heard(data))

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
        if self._observer is not None:
            self._observer.on_next(signal)

    def told_to_close(self, code: int, reason: str) -> None:
        """The server's close frame came: the last thing the observer hears; answer it."""
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

    def _finish(self, signal: PeerClosed) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.on_next(signal)
            observer.on_completed()

    def _pong(self, pong: asyncio.Future[None]) -> None:
        if not (self._visit.frozen or pong.done()):
            pong.set_result(None)

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
