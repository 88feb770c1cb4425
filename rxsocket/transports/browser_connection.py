"""One ``WebSocket`` of a page; it is the link, too (C57).

::

    open     ── the link
    message  ── a message, or kept while nothing is read
    error    ── nothing: it says no more than "close", which follows
    close    ── before the opening: HandshakeFailed; later: PeerClosed

Nothing stops a server from here: what comes while nothing is read is kept, up to a bound. Nor does
anything say when there is room to send: that is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Sequence
from typing import Any, cast

from reactivex import abc

from rxsocket.codecs import size_in_bytes
from rxsocket.errors import ConnectionLost, HandshakeFailed
from rxsocket.runtime.page import foreign_functions, is_offline, javascript
from rxsocket.transports.base import Fragments, PeerClosed, Request, Signal
from rxsocket.validation import LONGEST_REASON

HIGH_WATER = 2**20
"""Bytes that the browser may have to send before it is waited for."""
LOW_WATER = 2**18
"""Bytes that are left when it may have more."""
LOOK = 0.01
"""Seconds between looks at how many there are."""
MOST_HELD = 2**16
"""Messages that may wait while nothing is read."""
MOST_BYTES_HELD = 2**24
"""Bytes that they may have."""
AT_ONCE = 64
"""Messages that are handed on before it is seen whether reading was stopped again."""

_OPEN = 1
_EVENTS = ("onopen", "onmessage", "onclose")
_LOST = 1006


class BrowserConnection:
    """Dials when it is made, and pushes what comes.

    Args:
        request: What to dial.

    Attributes:
        opened: Done when it is open; it fails if it cannot be opened.
        reads: How many messages came.

    Raises:
        HandshakeFailed: If the browser will not even try.
    """

    def __init__(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.reads = 0
        self._loop = loop
        self._gone: asyncio.Future[None] = loop.create_future()
        self._max_size = request.options.max_size
        self._observer: abc.ObserverBase[Signal] | None = None
        self._held: list[str | bytes] = []
        self._bytes_held = 0
        self._is_held = True  # until somebody is there
        self._is_closing = False
        self._sent: int | None = None
        self._ended: PeerClosed | None = None
        foreign = foreign_functions()
        self._to_js = foreign.to_js
        offered = dict.fromkeys((*request.options.subprotocols, *request.subprotocols))
        refusal = None
        try:
            self._socket: Any = javascript().WebSocket.new(request.url, self._to_js([*offered]))
        except foreign.JsException as error:
            # Its text may quote the address.
            refusal = HandshakeFailed(_not_tried(getattr(error, "name", ""), request.url))
        if refusal is not None:
            raise refusal
        self._socket.binaryType = "arraybuffer"
        self._proxy: Any = foreign.create_proxy(self._on_event)
        for name in _EVENTS:
            setattr(self._socket, name, self._proxy)

    def start(self, observer: abc.ObserverBase[Signal]) -> None:
        """Announce the link, then what came meanwhile, then what comes."""
        self._observer = observer
        observer.on_next(cast(Signal, self))
        self._is_held = False
        self._hand_on()

    def detach(self) -> None:
        """Emit nothing more."""
        self._observer = None
        self._held.clear()

    # --- what the browser says

    def _on_event(self, event: Any) -> None:
        kind: str = event.type
        if kind == "message":
            self._on_message(event.data)
        elif kind == "close":
            self._on_close(event.code, event.reason)
        elif not self.opened.done():
            self.opened.set_result(None)

    def _on_message(self, data: Any) -> None:
        self.reads += 1
        if self._ended is not None:
            return
        message: str | bytes = data if isinstance(data, str) else data.to_bytes()
        if self._max_size is not None and size_in_bytes(message) > self._max_size:
            self._fail(1009, f"a message of more than max_size={self._max_size} bytes came")
        elif not self._is_held and not self._held:
            if self._observer is not None:
                self._observer.on_next(message)
        else:
            self._hold(message)

    def _hold(self, message: str | bytes) -> None:
        self._held.append(message)
        self._bytes_held += size_in_bytes(message)
        if len(self._held) > MOST_HELD or self._bytes_held > MOST_BYTES_HELD:
            what = f"{MOST_HELD} messages, or {MOST_BYTES_HELD >> 20} MiB"
            self._fail(
                1013, f"more than {what} came while nothing was read; a page cannot stop the server"
            )

    def _on_close(self, code: int, reason: str) -> None:
        self._let_go()
        if not self.opened.done():
            self.opened.set_exception(
                HandshakeFailed(_WHILE_OFFLINE) if is_offline() else HandshakeFailed()
            )
        self._end(PeerClosed(int(code), reason, self._sent, lost=code == _LOST))

    def _fail(self, code: int, reason: str) -> None:
        """End it because of what came: say why, and take no more."""
        self._end(PeerClosed(_LOST, reason, code))
        self.close(code, reason)

    def _end(self, ended: PeerClosed) -> None:
        if self._ended is None:
            self._ended = ended
            self._hand_on()

    def _hand_on(self) -> None:
        """Emit what was kept, and the end after it, until reading is stopped again."""
        while self._held and not self._is_held and self._observer is not None:
            some, self._held = self._held[:AT_ONCE], self._held[AT_ONCE:]
            self._bytes_held -= sum(map(size_in_bytes, some))
            self._observer.on_next(some)
        if self._ended is not None and not self._held and not self._is_held:
            observer, self._observer = self._observer, None
            if observer is not None:
                observer.on_next(self._ended)
                observer.on_completed()

    def _let_go(self) -> None:
        """The browser says nothing more."""
        self._is_closing = True
        if not self._gone.done():
            self._gone.set_result(None)
            for name in _EVENTS:
                setattr(self._socket, name, None)
            self._proxy.destroy()

    # --- the link

    @property
    def subprotocol(self) -> str | None:
        return self._socket.protocol or None

    def write(self, messages: Sequence[str | bytes]) -> bool:
        socket = self._socket
        if self._is_closing or socket.readyState != _OPEN:
            raise ConnectionLost("the connection closed before the message was written")
        for message in messages:
            socket.send(message if isinstance(message, str) else self._to_js(message))
        return bool(socket.bufferedAmount <= HIGH_WATER)

    async def drain(self) -> None:
        while self._socket.bufferedAmount > LOW_WATER and not self._gone.done():
            await asyncio.wait((self._gone,), timeout=LOOK)
        if self._gone.done():
            raise ConnectionLost("the connection closed before the message was written")

    async def send(self, data: str | bytes | Fragments) -> None:
        if not isinstance(data, (str, bytes)):
            data = await _whole(data)
        if not self.write([data]):
            await self.drain()

    def pause(self) -> None:
        self._is_held = True

    def resume(self) -> None:
        if self._is_held:
            self._is_held = False
            self._loop.call_soon(self._hand_on)

    async def ping(self) -> float:
        """Wait for what never comes, as a page sends no pings, until the connection ends.

        A handover takes that for a peer that answers late: it gives what is under way some time.
        """
        await self.answered()
        raise ConnectionLost("the connection closed before the pong came")

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._is_closing and self._socket.readyState == _OPEN:
            self._is_closing, self._sent = True, code
            self._socket.close(sendable(code), cut(reason))

    async def answered(self) -> None:
        await asyncio.shield(self._gone)

    async def wait_closed(self) -> None:
        await asyncio.shield(self._gone)

    def abort(self) -> None:
        """The browser closes it by itself; nobody waits for that."""
        if self._gone.done():
            return
        self._let_go()
        self._socket.close()
        self.opened.cancel()
        self._end(PeerClosed(_LOST, lost=True))


def sendable(code: int) -> int:
    """The code that a page sends in the place of one that only browsers may: 4009 for 1009."""
    return code if code == 1000 or 3000 <= code < 5000 else 4000 + code % 1000


def cut(reason: str) -> str:
    """As much of a text as a close frame holds."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")


async def _whole(fragments: Fragments) -> str | bytes:
    """A page cannot send fragments: they go as one message."""
    parts: list[Any] = []
    if isinstance(fragments, AsyncIterable):
        async for part in fragments:
            parts.append(part)
    else:
        parts.extend(fragments)
    whole: str | bytes = type(parts[0])().join(parts) if parts else b""
    return whole


_WHILE_OFFLINE = "the browser could not open the connection: it says that it is offline"


def _not_tried(name: str, url: str) -> str:
    """Why the browser will not even try, in words."""
    if name == "SecurityError" and url.startswith("ws://"):
        return "the browser may not open ws:// from a page of https://; pass a wss:// address"
    return f"the browser may not open this address ({name or 'it does not say why'})"
