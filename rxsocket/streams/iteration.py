"""``async for`` over a stream: nothing is lost, as reading is paused while values wait (C27).

::

    network    1 2 3 4 5 6 7 ‖ . . . ‖ 8 9        ‖ reading is paused, and goes on
    waiting    1 2 3 4 5 6 7           8 9        high-water mark 7, low-water mark 1
    loop body    1---2---3---4---5---6---7
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from reactivex import Observable

from rxsocket.explain.format import amount, span
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Report, calling_code
from rxsocket.runtime.threads import running_loop
from rxsocket.streams.buffers import NOTHING, BufferedInput, Drops, ValueBuffer
from rxsocket.validation import whole_number


class Pausable(Protocol):
    """What stops while nothing is read: a link, and what checks that its peer is alive."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Consumer(Protocol):
    """Whoever may pause reading.

    Attributes:
        name: How and where it consumes, for people.
        stream: The stream that it reads.
        waiting: How many values wait for it.
    """

    name: str
    stream: str

    @property
    def waiting(self) -> int: ...


class Audience(Protocol):
    """Who else gets messages; the publisher of a socket, which is above this module."""

    @property
    def observer_count(self) -> int: ...

    def on_paused(self, consumer: Consumer, seconds: float) -> None: ...

    def on_reading(self, *, is_paused: bool) -> None: ...


class ReadGate:
    """Pauses reading from the network while at least one consumer asks for it.

    ::

        first     ----pause----------resume----
        second    --------pause--resume--------
        reading   ====||||||||||||||||||=======
        told                 ^ after 1 s, if others wait, too

    While it is paused, no ping times out: that pongs are not read is our own doing. A connection
    that opens meanwhile begins paused; one that ends is resumed, so that its closing handshake is
    read. Its methods are called on the socket's loop, but for :meth:`explain`.

    Args:
        loop: Where the socket lives.
        audience: Told of a consumer that holds up others.

    Attributes:
        resumed_at: When reading was resumed last, on the loop's clock.
    """

    def __init__(self, loop: SocketLoop, audience: Audience) -> None:
        self._loop = loop
        self._audience = audience
        self._pausing: dict[Consumer, float] = {}
        self._told: WeakKeyDictionary[Consumer, float] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_holding = False
        self._links: dict[Pausable, Pausable | None] = {}
        self.resumed_at = 0.0

    @property
    def is_paused(self) -> bool:
        return bool(self._pausing)

    def explain(self) -> str:
        """Who pauses reading, and for how long; empty while nobody does. From any thread."""
        pausing = next(iter(tuple(self._pausing.items())), None)
        if pausing is None or not self._links:
            return ""
        consumer, since = pausing
        seconds = span(self._loop.event_loop.time() - since)
        waiting = amount(consumer.waiting, "message")
        who = f"{consumer.name} has {waiting} waiting"
        return f"reading is paused for {seconds}: {who}"

    def add_link(self, link: Pausable, liveness: Pausable | None = None) -> None:
        """Pause a connection's link, and what checks that its peer is alive, with the others."""
        self._links[link] = liveness
        self._check_if_needed()
        if self._pausing:
            self._pause(link)

    def remove_link(self, link: Pausable) -> None:
        """Leave the link of a connection that closes alone: what still comes is discarded."""
        if link in self._links:
            del self._links[link]
            self._check_if_needed()
            if self._pausing:
                link.resume()

    def pause(self, consumer: Consumer) -> None:
        """Pause reading, until this consumer and all others have resumed."""
        is_first = not self._pausing
        self._pausing[consumer] = self._loop.event_loop.time()
        self._check_if_needed()
        if is_first:
            for link in self._links:
                self._pause(link)

    def resume(self, consumer: Consumer) -> None:
        """Resume reading, unless another consumer has paused it, too."""
        if consumer not in self._pausing:
            return
        del self._pausing[consumer]
        if not self._pausing and self._links:  # the socket may have ended with messages waiting
            self.resumed_at = self._loop.event_loop.time()
            self._check_if_needed()
            # The newest first: the old one may fill the consumer again before a next one was read.
            for link, liveness in reversed(self._links.items()):
                link.resume()
                if liveness is not None:
                    liveness.resume()

    def forget(self) -> None:
        """In a forked child: the links and their consumers are the parent's."""
        self._links.clear()
        self._pausing.clear()
        self._timer, self._is_holding = None, False

    def _check_if_needed(self) -> None:
        is_needed = bool(self._pausing and self._links)
        if is_needed is not self._is_holding:
            self._is_holding = is_needed
            self._audience.on_reading(is_paused=is_needed)
        if is_needed and self._timer is None:
            self._timer = self._loop.event_loop.call_later(LONG, self._check)
        elif self._timer is not None and not is_needed:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """Tell of the consumers that paused long ago, while there is somebody to wait for them."""
        self._timer = None
        self._check_if_needed()
        if self._audience.observer_count <= len(self._pausing):
            return
        now = self._loop.event_loop.time()
        self._told = self._told or WeakKeyDictionary()
        for consumer, since in tuple(self._pausing.items()):
            if now - since >= LONG and now >= self._told.get(consumer, 0.0):
                self._told[consumer] = now + AGAIN
                self._audience.on_paused(consumer, now - since)

    def _pause(self, link: Pausable) -> None:
        link.pause()
        liveness = self._links[link]
        if liveness is not None:
            liveness.pause()


T = TypeVar("T")

LONG = 1.0
"""Seconds of a pause after which those whom it holds up are told."""
AGAIN = 60.0
"""Seconds until the same consumer may be named again."""
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


class Origin(Protocol):
    """Where the values of a stream come from: a hub, or the requests of a socket.

    Attributes:
        loop: Where observers are called.
        report: Called for each function of the user's that raised.
        read_gate: Pauses reading for ``async for``; ``None`` for a stream that never does.
    """

    @property
    def loop(self) -> SocketLoop: ...

    @property
    def report(self) -> Report: ...

    @property
    def read_gate(self) -> ReadGate | None: ...


async def iterate(
    source: Observable[T], name: str, origin: Origin | None, high: int, low: int
) -> AsyncGenerator[T]:
    reader: _Reader[T] = _Reader(name, origin, high, low)
    subscription = source.subscribe(reader.on_next, reader.end, reader.end)
    try:
        while await reader.ready():
            yield reader.take()
    finally:
        subscription.dispose()
        reader.close()
    if reader.error is not None:
        raise reader.error


async def iterate_buffer(
    source: Observable[T], buffer: ValueBuffer[T], drops: Drops | None
) -> AsyncGenerator[T]:
    """The values that a buffer has when the body is ready; nothing is paused."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody reads any more
            loop.call_soon_threadsafe(changed.set)

    waiting = BufferedInput(buffer, drops, wake)
    waiting.subscribe_to(source, None)
    try:
        while True:
            changed.clear()
            while (value := waiting.take()) is not NOTHING:
                yield value
            if waiting.is_finished:
                break
            if not waiting.is_ready:
                await changed.wait()
    finally:
        waiting.dispose()
    if waiting.error is not None:
        raise waiting.error


class _Reader(Generic[T]):
    """Between the socket's loop, where values arrive, and the loop where they are read.

    ``_pause`` and ``_release`` run on the socket's loop, and so do ``on_next`` and ``end`` unless
    an operator calls them elsewhere.
    """

    def __init__(self, stream: str, origin: Origin | None, high: int, low: int) -> None:
        self.stream = stream
        self.name = f"`async for` in {calling_code()}"
        self._loop = None if origin is None else origin.loop
        self._read_gate = None if origin is None else origin.read_gate
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

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def on_next(self, value: T) -> None:
        self._waiting.append(value)
        if len(self._waiting) >= self._high and not self._is_pausing:
            self._is_pausing = True
            if self._loop is not None and self._loop.is_current:
                self._pause()
            else:
                self._run(self._pause)
        self._wake()

    def _pause(self) -> None:
        if self._read_gate is not None and not self._is_closed:
            self._read_gate.pause(self)

    def _run(self, action: Callable[[], None]) -> None:
        if self._loop is not None:
            self._loop.run(action)

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
            self._run(self._release)
        return value

    def close(self) -> None:
        self._is_closed = True
        self._run(self._release)

    def _release(self) -> None:
        self._is_releasing = False
        if self._read_gate is not None and (self._is_closed or len(self._waiting) <= self._low):
            self._is_pausing = False
            self._read_gate.resume(self)

    def _wake(self) -> None:
        if running_loop() is self._reader_loop:
            self._changed.set()
        else:
            with suppress(RuntimeError):  # the loop of the reader is closed: nobody reads any more
                self._reader_loop.call_soon_threadsafe(self._changed.set)
