r"""A link whose protocol puts a message otherwise on the wire than the socket knows it (C48).

::

    wire     "451-[...]" b"\x01"  b"\x02" ────  2 ──────────────────    several are one, or other
    socket   ────────────────── one message ──  2 ── PeerClosed         words for the same
             Wire.received, for each link                  no word within ``patience``

Both directions are translated for one link alone, around the transport that moves the bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from reactivex import Observable, abc

from rxsocket.errors import HandshakeError
from rxsocket.explain.format import span
from rxsocket.protocols.link_observer import LinkObserver, observed
from rxsocket.transports.base import (
    Fragments,
    Link,
    PeerClosed,
    Request,
    Signal,
    StreamNotice,
    Transport,
)
from rxsocket.transports.names import TransportName, transport_for


class Wire:
    """What a protocol does on one link; by default nothing.

    Attributes:
        opening: What the first message of the server has to be, in words, before the link counts
            as there; empty if it need not say anything.
        patience: Seconds without a message after which the link counts as lost; ``None`` for ever.
        left: Why the server said that it is done, once it did so in a message.
    """

    opening = ""
    patience: float | None = None
    left: str | None = None

    def check(self, first: str | bytes) -> None:
        """Look at the first message, where there is an ``opening``.

        Raises:
            HandshakeError: If it is another protocol's; the text says what to do.
        """

    def received(self, message: str | bytes) -> Iterable[str | bytes]:
        """The messages that a message from the wire completes."""
        return (message,)

    def sent(self, message: str | bytes) -> Iterable[str | bytes]:
        """The messages that go on the wire for one."""
        return (message,)


class TranslatingTransport:
    """A transport that translates; around the one that moves the bytes.

    Args:
        transport: That one: its name, or a function.
        wire: Makes a ``Wire`` for each link, given the subprotocol that the server chose.
        address: Makes the address to dial of the one that was asked for.

    Attributes:
        wraps: The transport around which it is.
    """

    def __init__(
        self,
        transport: TransportName | Transport,
        wire: Callable[[str | None], Wire],
        address: Callable[[str], str],
    ) -> None:
        self.wraps = transport
        self.wire = wire
        self._address = address
        self._dial = transport_for(transport)

    def __call__(self, request: Request) -> Observable[Signal]:
        """Dial with the other transport, and translate what its link says."""
        return observed(
            self._dial(replace(request, url=self._address(request.url))),
            lambda observer: _Translator(self.wire, request.options.open_timeout, observer),
        )


class _Translator(LinkObserver):
    """What comes over one link, in the words of the socket."""

    def __init__(
        self,
        wire: Callable[[str | None], Wire],
        open_timeout: float | None,
        observer: abc.ObserverBase[Signal],
    ) -> None:
        super().__init__(observer)
        self._make_wire = wire
        self._open_timeout = open_timeout
        self._wire = Wire()
        self._link: _TranslatedLink | None = None
        self._is_there = False
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def on_next(self, value: Signal) -> None:
        if self._is_stopped:
            return
        if isinstance(value, PeerClosed):
            self._on_closed(value)
        elif isinstance(value, (str, bytes)):
            self._on_messages([value])
        elif isinstance(value, list):
            self._on_messages(value)
        elif self._link is not None or isinstance(value, StreamNotice):
            self._observer.on_next(value)
        else:
            self._begin(value)

    def stop(self) -> None:
        """Pass on nothing more."""
        super().stop()
        self._cancel_timer()
        if self._link is not None and not self._is_there:
            self._link.abort()  # nobody else knows of it

    def watch(self, *, is_reading: bool) -> None:
        """Wait for the next message from now on; not while nothing is read."""
        self._cancel_timer()
        if is_reading and self._is_there and not self._is_stopped and self._wire.patience:
            self._heard_at = _now()
            self._wait(self._wire.patience)

    def _begin(self, link: Link) -> None:
        self._wire = self._make_wire(link.subprotocol)
        self._link = _TranslatedLink(link, self._wire, self)
        if not self._wire.opening:
            self._is_there = True
            self._observer.on_next(self._link)
            self.watch(is_reading=True)
        elif self._open_timeout is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._open_timeout, self._on_silent_start)

    def _on_silent_start(self) -> None:
        text = f"the server opened the WebSocket, but said nothing within {self._open_timeout:g} s"
        self._fail_start(HandshakeError(f"{text}: {self._wire.opening}"))

    def _fail_start(self, error: Exception) -> None:
        self.stop()
        self._observer.on_error(error)

    def _on_closed(self, closed: PeerClosed) -> None:
        if self._is_there:
            self._observer.on_next(closed)
            return
        text = f"the server closed with {closed.code} before it said anything"
        self._fail_start(HandshakeError(f"{text}: {self._wire.opening}"))

    def _on_messages(self, messages: Sequence[str | bytes]) -> None:
        if not self._is_there and self._link is not None:
            try:
                self._wire.check(messages[0])
            except HandshakeError as error:
                self._fail_start(error)
                return
            self._is_there = True
            self._cancel_timer()
            self._observer.on_next(self._link)
        found = [each for message in messages for each in self._wire.received(message)]
        if self._timer is None:
            self.watch(is_reading=True)
        else:
            self._heard_at = _now()
        if found and not self._is_stopped:
            self._observer.on_next(found)
        left = self._wire.left
        if left is not None and self._link is not None and not self._is_stopped:
            self._end(PeerClosed(1000, left))
            self._link.close()

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._on_quiet)

    def _on_quiet(self) -> None:
        patience, self._timer = self._wire.patience or 0.0, None
        rest = self._heard_at + patience - _now()
        if rest > 0.0:
            self._wait(rest)
        elif self._link is not None:
            text = f"the server said nothing for {span(patience)}, not even its heartbeat"
            self._end(PeerClosed(1006, text, lost=True))
            self._link.abort()

    def _end(self, closed: PeerClosed) -> None:
        self.stop()
        self._observer.on_next(closed)
        self._observer.on_completed()

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


class _TranslatedLink:
    """A link that is given the socket's messages."""

    def __init__(self, link: Link, wire: Wire, translator: _Translator) -> None:
        self._link = link
        self._wire = wire
        self._translator = translator
        self.drain = link.drain
        self.ping = link.ping
        self.answered = link.answered
        self.wait_closed = link.wait_closed
        self.close = link.close
        self.abort = link.abort

    @property
    def subprotocol(self) -> str | None:
        return self._link.subprotocol

    @property
    def reads(self) -> int:
        return self._link.reads

    def write(self, messages: Sequence[str | bytes]) -> bool:
        return self._link.write([each for message in messages for each in self._wire.sent(message)])

    async def send(self, data: str | bytes | Fragments) -> None:
        if not isinstance(data, (str, bytes)):
            await self._link.send(data)
            return
        for message in self._wire.sent(data):
            await self._link.send(message)

    def pause(self) -> None:
        self._link.pause()
        self._translator.watch(is_reading=False)

    def resume(self) -> None:
        self._link.resume()
        self._translator.watch(is_reading=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
