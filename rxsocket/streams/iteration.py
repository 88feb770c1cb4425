"""``async for`` over a stream: nothing is lost, as reading is paused while values wait (C27).

::

    network    1 2 3 4 5 6 7 ‖ . . . ‖ 8 9        ‖ reading is paused, and goes on
    waiting    1 2 3 4 5 6 7           8 9        high-water mark 7, low-water mark 1
    loop body    1---2---3---4---5---6---7
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from reactivex import Observable

from rxsocket.runtime.loop import SocketLoop
from rxsocket.validation import whole_number


class Pausable(Protocol):
    """What stops while nothing is read: a link, and what checks that its peer is alive."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class ReadGate:
    """Pauses reading from the network while at least one consumer asks for it.

    ::

        first     ----pause----------resume----
        second    --------pause--resume--------
        reading   ====||||||||||||||||||=======

    While it is paused, no ping times out: that pongs are not read is our own doing. A connection
    that opens meanwhile begins paused; one that ends is resumed, so that its closing handshake is
    read. Its methods are called on the socket's loop.

    Args:
        loop: Where the socket lives.

    Attributes:
        resumed_at: When reading was resumed last, on the loop's clock.
    """

    def __init__(self, loop: SocketLoop) -> None:
        self._loop = loop
        self._pausing: dict[object, None] = {}
        self._links: dict[Pausable, Pausable | None] = {}
        self.resumed_at = 0.0

    @property
    def is_paused(self) -> bool:
        return bool(self._pausing)

    def add_link(self, link: Pausable, liveness: Pausable | None = None) -> None:
        """Pause a connection's link, and what checks that its peer is alive, with the others."""
        self._links[link] = liveness
        if self._pausing:
            self._pause(link)

    def remove_link(self, link: Pausable) -> None:
        """Leave the link of a connection that closes alone: what still comes is discarded."""
        if link in self._links:
            del self._links[link]
            if self._pausing:
                link.resume()

    def pause(self, consumer: object) -> None:
        """Pause reading, until this consumer and all others have resumed."""
        is_first = not self._pausing
        self._pausing[consumer] = None
        if is_first:
            for link in self._links:
                self._pause(link)

    def resume(self, consumer: object) -> None:
        """Resume reading, unless another consumer has paused it, too."""
        if consumer not in self._pausing:
            return
        del self._pausing[consumer]
        if not self._pausing:
            self.resumed_at = self._loop.event_loop.time()
            # The newest first: the old one may fill the consumer again before a next one was read.
            for link, liveness in reversed(self._links.items()):
                link.resume()
                if liveness is not None:
                    liveness.resume()

    def _pause(self, link: Pausable) -> None:
        link.pause()
        liveness = self._links[link]
        if liveness is not None:
            liveness.pause()


T = TypeVar("T")

HIGH_WATER = 256
"""Values that may wait before reading is paused."""


def marks(high_water: int, low_water: int | None) -> tuple[int, int]:
    """Check the marks; the low one is a quarter of the high one by default.

    Raises:
        TypeError: If one is not an integer.
        ValueError: If they are not in order.
    """
    high = whole_number("high_water", high_water)
    if low_water is None:
        return high, high // 4
    if isinstance(low_water, bool) or not isinstance(low_water, int):
        raise TypeError(f"low_water: pass a whole number, not {type(low_water).__name__}")
    if not 0 <= low_water < high:
        raise ValueError(f"low_water: pass a number from 0 to {high - 1}, not {low_water}")
    return high, low_water


async def iterate(
    source: Observable[T], loop: SocketLoop, read_gate: ReadGate | None, high: int, low: int
) -> AsyncGenerator[T]:
    reader: _Reader[T] = _Reader(loop, read_gate, high, low)
    subscription = source.subscribe(reader.on_next, reader.end, reader.end)
    try:
        while await reader.ready():
            yield reader.take()
    finally:
        subscription.dispose()
        reader.close()
    if reader.error is not None:
        raise reader.error


class _Reader(Generic[T]):
    """Between the socket's loop, where values arrive, and the loop where they are read.

    ``on_next``, ``end`` and ``_release`` run on the socket's loop; both may be the same.
    """

    def __init__(self, loop: SocketLoop, read_gate: ReadGate | None, high: int, low: int) -> None:
        self._loop = loop
        self._read_gate = read_gate
        self._high = high
        self._low = low
        self._waiting: deque[T] = deque()
        self._reader_loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._is_pausing = False
        self._is_releasing = False
        self._is_closed = False
        self._has_ended = False
        self.error: Exception | None = None

    def on_next(self, value: T) -> None:
        self._waiting.append(value)
        is_full = len(self._waiting) >= self._high
        if is_full and not self._is_pausing and self._read_gate is not None:
            self._is_pausing = True
            self._read_gate.pause(self)
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self._has_ended = True
        self._wake()

    async def ready(self) -> bool:
        """Wait for a value; ``False`` when there will be none."""
        while not self._waiting:
            self._changed.clear()
            if self._waiting:  # it came from another thread between the two lines
                break
            if self._has_ended:
                return bool(self._waiting)
            await self._changed.wait()
        return True

    def take(self) -> T:
        value = self._waiting.popleft()
        if self._is_pausing and not self._is_releasing and len(self._waiting) <= self._low:
            self._is_releasing = True
            self._loop.run(self._release)
        return value

    def close(self) -> None:
        self._is_closed = True
        self._loop.run(self._release)

    def _release(self) -> None:
        self._is_releasing = False
        if self._read_gate is not None and (self._is_closed or len(self._waiting) <= self._low):
            self._is_pausing = False
            self._read_gate.resume(self)

    def _wake(self) -> None:
        if self._loop.is_current and self._loop.event_loop is self._reader_loop:
            self._changed.set()
        else:
            with suppress(RuntimeError):  # the loop of the reader is closed: nobody reads any more
                self._reader_loop.call_soon_threadsafe(self._changed.set)
