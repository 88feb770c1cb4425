"""What went over a socket, kept in bounded memory.

::

    loop of the socket      a read ── one append          however many messages are in it
    thread that draws       traffic.entries() ── a copy of the references

Listening does not connect, and does not keep the socket connected (C1). What is kept is what came:
nothing is decoded, masked or formatted here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.engine.engine import Engine
from rxsocket.events import Event
from rxsocket.hooks import without
from rxsocket.sending.payload import AsyncFragments
from rxsocket.transports.base import Batch

RECEIVED, SENT, EVENT = "received", "sent", "event"


class Entry(NamedTuple):
    """Something that went over the socket, or happened to it.

    Attributes:
        number: Its number, from 1; never used again.
        at: The wall time, in seconds.
        kind: ``"received"``, ``"sent"`` or ``"event"``.
        epoch: The connection, or ``None`` if it is of none.
        item: A message as it went over the wire, an event, or what is known of a message that was
            not kept.
    """

    number: int
    at: float
    kind: str
    epoch: int | None
    item: Any


class NotKept(NamedTuple):
    """A message that was sent in fragments as they were made, and not kept: its size in bytes."""

    size: int


class _Burst(NamedTuple):
    """Entries that came together."""

    first: int
    at: float
    kind: str
    epoch: int | None
    items: Sequence[Any]
    size: int


class Traffic:
    """The last messages and events of a socket.

    Args:
        engine: The running parts of the socket.
        keep: How many are kept at most.
        keep_bytes: How many bytes or characters their messages have at most; the last read is kept
            whatever it has.

    Attributes:
        since: The wall time from which on it listens.
        received, sent, events: How many there were.
        let_go: How many of them are not kept any more.
        kept_bytes: How many bytes or characters are kept.
    """

    def __init__(self, engine: Engine, keep: int, keep_bytes: int) -> None:
        self._engine = engine
        self._keep, self._keep_bytes = keep, keep_bytes
        self._lock = threading.Lock()
        self._bursts: deque[_Burst] = deque()
        self._next = 1
        self._kept = 0
        self._observers: tuple[Callable[[], None], ...] = ()
        self._listening: abc.DisposableBase | None = None
        self.since = engine.loop.wall_time()
        self.received = self.sent = self.events = self.let_go = self.kept_bytes = 0

    @property
    def is_listening(self) -> bool:
        """Whether what comes is kept."""
        return self._listening is not None

    @property
    def bounds(self) -> tuple[int, int]:
        """How many rows, and how many bytes, are kept at most."""
        return self._keep, self._keep_bytes

    @property
    def newest(self) -> int:
        """The number of the newest entry; 0 before the first."""
        return self._next - 1

    @property
    def kept(self) -> int:
        """How many entries are kept."""
        return self._kept

    def start(self) -> None:
        """Listen, beginning with what has happened to the socket so far."""
        if self._listening is not None:
            return
        hooks, publisher = self._engine.hooks, self._engine.publisher
        on_read, on_written = self._on_read, self._on_written

        def remove_hooks() -> None:
            hooks.on_read = without(hooks.on_read, on_read)
            hooks.on_written = without(hooks.on_written, on_written)

        if not self._next - 1:
            for event in publisher.history.events:
                self._on_event(event)
        hooks.on_read = (*hooks.on_read, on_read)
        hooks.on_written = (*hooks.on_written, on_written)
        self._listening = CompositeDisposable(
            publisher.lifecycle.passive().subscribe(self._on_event), Disposable(remove_hooks)
        )

    def stop(self) -> None:
        """Listen no more; what is kept stays."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.dispose()

    def clear(self) -> None:
        """Let go of all that is kept."""
        with self._lock:
            self._bursts.clear()
            self.let_go += self._kept
            self._kept = self.kept_bytes = 0

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each addition, on the socket's loop, until disposed."""
        self._observers = (*self._observers, on_change)

        def remove() -> None:
            self._observers = without(self._observers, on_change)

        return Disposable(remove)

    # --- from any thread

    def entries(self, after: int = 0) -> list[Entry]:
        """Those that are kept and newer than that of a number, oldest first."""
        found: list[_Burst] = []
        with self._lock:
            for burst in reversed(self._bursts):
                if burst.first + len(burst.items) - 1 <= after:
                    break
                found.append(burst)
        return [entry for burst in reversed(found) for entry in _entries_of(burst, after)]

    def entry(self, number: int) -> Entry | None:
        """One of them, if it is still kept."""
        with self._lock:
            bursts = tuple(self._bursts)
        low, high = 0, len(bursts)
        while low < high:
            middle = (low + high) // 2
            burst = bursts[middle]
            if number < burst.first:
                high = middle
            elif number >= burst.first + len(burst.items):
                low = middle + 1
            else:
                item = burst.items[number - burst.first]
                return Entry(number, burst.at, burst.kind, burst.epoch, item)
        return None

    # --- on the socket's loop

    def _on_read(self, messages: list[str | bytes], epoch: int) -> None:
        size = messages.size if type(messages) is Batch else sum(map(len, messages))
        self.received += len(messages)
        self._add(RECEIVED, epoch, messages, size)

    def _on_written(self, messages: Sequence[Any], epoch: int | None) -> None:
        whole = [_whole(message) for message in messages]
        if epoch is None:
            epoch = self._engine.publisher.delivering_epoch
        self.sent += len(whole)
        self._add(SENT, epoch, whole, sum(map(_length, whole)))

    def _on_event(self, event: Event) -> None:
        self.events += 1
        self._add(EVENT, getattr(event, "epoch", None), (event,), 0, event.at)

    def _add(
        self, kind: str, epoch: int | None, items: Sequence[Any], size: int, at: float | None = None
    ) -> None:
        at = self._engine.loop.wall_time() if at is None else at
        bursts, keep, keep_bytes = self._bursts, self._keep, self._keep_bytes
        with self._lock:
            bursts.append(_Burst(self._next, at, kind, epoch, items, size))
            self._next += len(items)
            self._kept += len(items)
            self.kept_bytes += size
            while len(bursts) > 1 and (self._kept > keep or self.kept_bytes > keep_bytes):
                oldest = bursts.popleft()
                self._kept -= len(oldest.items)
                self.kept_bytes -= oldest.size
                self.let_go += len(oldest.items)
        for on_change in self._observers:
            on_change()


def _entries_of(burst: _Burst, after: int) -> Iterator[Entry]:
    for number, item in enumerate(burst.items, burst.first):
        if number > after:
            yield Entry(number, burst.at, burst.kind, burst.epoch, item)


def _whole(message: Any) -> Any:
    """A message as it went over the wire, of fragments their sum."""
    if isinstance(message, (str, bytes)):
        return message
    if isinstance(message, AsyncFragments):
        return NotKept(message.size)
    if isinstance(message, (bytearray, memoryview)):
        return bytes(cast("bytearray", message))
    if isinstance(message, (list, tuple)) and message:
        parts = cast("list[Any]", message)
        return type(parts[0])().join(parts)
    return NotKept(0)


def _length(message: Any) -> int:
    return 0 if isinstance(message, NotKept) else len(message)
