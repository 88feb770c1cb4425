"""Messages on their way out, each with a receipt: written once, or reported failed (C20, C21).

::

    send        1--2--3-----4---5-|
    state       waiting o--------x waiting
    written             123-4---          what waited goes first, in order
    receipts            ✓✓✓-✓---    5 ✗   after ``queue_for``

What channels ask for is not kept here: it is made when it may be written (``hooks.next_frame``).
``PacedOutbox`` is the same for a socket with limits; it answers for when that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from rxsocket.codecs import size_in_bytes
from rxsocket.errors import ConnectionLost, NotConnected, QueueFull
from rxsocket.events import SendFailed
from rxsocket.hooks import Hooks
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop, run_in_task
from rxsocket.sending.payload import AsyncFragments
from rxsocket.streams.multicast import Connect
from rxsocket.streams.receipts import Receipt
from rxsocket.transports.base import Fragments, Link

if TYPE_CHECKING:
    from reactivex import abc

MAX_MESSAGES = 256
MAX_BYTES = 2**21
CHUNK = 2**16
"""Bytes handed to the transport at once, so that its flow control is heard in time."""
COALESCED = 128
"""Messages of one turn of the loop that are written together."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Written to the connection ``epoch``; whether it arrived, only the peer knows."""

    epoch: int


class Queued:
    """A message that is to be sent.

    Attributes:
        data: The message, or its fragments.
        size: Bytes that it counts for.
        receipt: Told what became of it.
        deadline: When it has waited long enough, on the loop's clock; ``None`` if nobody counts.
    """

    __slots__ = ("data", "deadline", "receipt", "size")

    def __init__(self, data: str | bytes | Fragments, size: int, receipt: Receipt[Sent]) -> None:
        self.data = data
        self.size = size
        self.receipt = receipt
        self.deadline: float | None = None


class Outbox:
    """Writes messages to the connection that is open, and keeps them while none is.

    Its methods are called on the socket's loop; before one is bound, as ``SocketLoop.run`` does.

    Args:
        loop: Where the socket lives.
        publisher: Told what was not sent.
        connect: Keeps the socket connected until disposed (C1).
        queue_for: Seconds that a message may wait for a connection.
        hooks: What is written first on a connection, and what is called with what was written.
    """

    def __init__(
        self,
        loop: SocketLoop,
        publisher: Publisher,
        connect: Connect,
        queue_for: float,
        hooks: Hooks,
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._counters = publisher.counters
        self._connect = connect
        self._queue_for = queue_for
        self._queue: list[Queued] = []
        self._bytes = 0
        self._has_asked = False
        self._before = 0  # messages that were sent before channels had something to ask for
        self._link: Link | None = None
        self._sent = Sent(0)
        self._ready = False
        self._scheduled = False
        self._busy: abc.DisposableBase | None = None
        self._fragmented: Queued | None = None
        self._staying_connected: abc.DisposableBase | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hooks = hooks

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def epoch(self) -> int | None:
        """The connection that messages go to, if one is open."""
        return None if self._link is None else self._sent.epoch

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the messages that wait; from any thread."""
        return self._bytes

    def count_written(self, messages: list[str | bytes], epoch: int) -> None:
        """Count messages that were handed to a transport, and were not in the queue."""
        self._counters.on_written(len(messages), sum(map(size_in_bytes, messages)))
        self._report_written(messages, epoch)

    def explain(self) -> str:
        """What waits for its turn on the connection that is open; from any thread (C36)."""
        return ""

    # --- the connection

    def open(self, link: Link, epoch: int) -> None:
        """Messages go to this connection from now on: what channels want, then what waits (C19)."""
        self._link, self._sent, self._ready = link, Sent(epoch), True
        self._scheduled = False  # what was scheduled on a loop that ended will not be called
        self._cancel_timer()
        self._has_asked, self._before = True, 0
        self._flush()

    def flush(self) -> None:
        """Write what the transport takes now: the connection is about to be left."""
        if self._ready:
            self._flush()

    def flush_now(self) -> None:
        """A receipt is awaited: do not wait for the end of this turn of the loop."""
        if not (self._ready and self._queue):
            return
        if self._loop.is_idle:
            with self._loop.turn():
                self._flush()
        else:
            self._loop.run(self.flush)

    def close(self) -> None:
        """The connection has ended; what was not written waits for the next one."""
        if self._link is None:
            return
        self._link, self._ready = None, False
        self._has_asked, self._before = False, 0
        busy, self._busy = self._busy, None
        if busy is not None:
            busy.dispose()
        item, self._fragmented = self._fragmented, None
        if item is not None:
            failure = item.data.failure if isinstance(item.data, AsyncFragments) else None
            lost = ConnectionLost("the connection ended in the middle of the message")
            self.fail(item, failure or lost)
        for waiting in self._queue:
            waiting.deadline = None
        if self._queue_for:
            self.keep()
        else:
            self.drop(lambda: ConnectionLost("the connection closed before it was written"))

    def drop(self, error: Callable[[], Exception]) -> None:
        """What waits is not going to be sent."""
        self._cancel_timer()
        queue, self._queue, self._bytes, self._before = self._queue, [], 0, 0
        for item in queue:
            self.fail(item, error())
        self._let_disconnect()

    def forget(self) -> None:
        """In a forked child: what waits, and the connection, are the parent's."""
        self._link, self._ready, self._scheduled = None, False, False
        self._queue, self._bytes, self._before, self._has_asked = [], 0, 0, False
        self._busy = self._fragmented = self._staying_connected = self._timer = None

    # --- messages

    def take(self, item: Queued) -> bool:
        """Take a message if nothing stands in its way: the short cut of what is sent most."""
        if not self._ready:
            return False
        self._append(item)
        if self._scheduled and len(self._queue) < COALESCED and self._bytes < CHUNK:
            return True
        with self._loop.turn():
            self._soon()
        return True

    def send(self, item: Queued) -> None:
        """Send a message, or let it wait for a connection."""
        if self._link is None:
            refused = self._refused(item)
            if refused is not None:
                self.fail(item, refused)
                return
            try:
                self._stay_connected()
            except (OSError, RuntimeError) as error:  # no file or no thread is left
                self.fail(item, NotConnected(f"not sent: {error}"))
                return
            self._append(item)
            self.keep()
            return
        if not self._ready and self._bytes + item.size > MAX_BYTES:
            self.fail(item, QueueFull(f"not sent: {MAX_BYTES} bytes wait for the transport"))
            return
        self._append(item)
        if self._ready:
            self._soon()

    def withdraw(self, item: Queued) -> bool:
        """Take back a message that waits: nobody wants it sent any more (C30).

        Returns:
            Whether it was still there: not written, and not in the middle of it.
        """
        if item not in self._queue:
            return False
        place = self._queue.index(item)
        del self._queue[place]
        self._bytes -= item.size
        if place < self._before:
            self._before -= 1
        if not self._queue:
            self._cancel_timer()
        item.receipt.fail(NotConnected("not sent: it was withdrawn"))
        self._stay_connected_if_needed()
        return True

    def why_waiting(self) -> str:
        """Why a message that waits was not written yet."""
        if self._link is None:
            return f"the socket is {self._publisher.state.value.value}"
        return "the transport takes no more for now"

    def ask(self, *, soon: bool = False) -> None:
        """Channels have something to ask for on this connection: after what was sent before that.

        Args:
            soon: Whether there may be more of it in this turn of the loop.
        """
        if self._link is None:
            return
        if not self._has_asked:
            self._has_asked, self._before = True, len(self._queue)
        if not self._ready:
            return
        if not soon:
            self._flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.event_loop.call_soon(self._later)

    def reserve(self, waiter: Callable[[], None]) -> bool:
        """Whether one message more may be written now, to the next connection (C13).

        Args:
            waiter: Called when it is worth to ask again, if it may not.
        """
        return True

    def cancel_reservation(self) -> None:
        """Call the waiter no more."""

    def keep(self) -> None:
        """Stay connected for what waits, for as long as it may."""
        if self._queue:
            self._stay_connected()
        self._loop.run(self._start_timer)

    def _stay_connected(self) -> None:
        if self._staying_connected is None:
            self._staying_connected = self._connect()

    def fail(self, item: Queued, error: Exception) -> None:
        """A message was not sent."""
        item.receipt.fail(error)
        at = self._loop.wall_time()
        self._publisher.publish(SendFailed(error=error, epoch=self.epoch, at=at))

    def _refused(self, item: Queued) -> Exception | None:
        state = self._publisher.state.value
        if self._publisher.has_ended:
            return NotConnected("not sent: the socket has ended; connect() or subscribe first")
        if not self._queue_for:
            return NotConnected(f"not sent: the socket is {state.value}; send when it is open")
        if len(self._queue) >= MAX_MESSAGES:
            return QueueFull(f"not sent: {MAX_MESSAGES} messages wait for a connection")
        if self._bytes + item.size > MAX_BYTES:
            return QueueFull(f"not sent: more than {MAX_BYTES} bytes would wait for a connection")
        return None

    def _append(self, item: Queued) -> None:
        self._queue.append(item)
        self._bytes += item.size

    # --- writing

    def _soon(self) -> None:
        """Write the first message of a turn of the loop at once, the others at the turn's end."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.event_loop.call_soon(self._later)
            self._flush()
        elif len(self._queue) >= COALESCED or self._bytes >= CHUNK:
            self._flush()

    def _later(self) -> None:
        self._scheduled = False
        with self._loop.turn():
            if self._ready:
                self._flush()

    def _flush(self) -> None:
        link, sent = self._link, self._sent
        try:
            while link is not None and self._ready:
                if self._has_asked and not self._before:
                    frames = self._frames(sent.epoch)
                    if frames:
                        self._ready = link.write(frames)
                        self.count_written(frames, sent.epoch)
                        continue
                batch = self._batch()
                if batch:
                    messages = cast("list[str | bytes]", [item.data for item in batch])
                    self._ready = link.write(messages)
                    del self._queue[: len(batch)]
                    if self._before:
                        self._before -= len(batch)
                    waiting = self._bytes
                    for item in batch:
                        self._bytes -= item.size
                        item.receipt.settle(sent)
                    self._counters.on_written(len(batch), waiting - self._bytes)
                    self._report_written(messages, sent.epoch)
                elif self._queue:
                    self._write_fragments(link)
                    return
                else:
                    break
        except ConnectionLost:
            self._ready = False  # what was not written waits for the next connection
            return
        if link is not None and not self._ready:
            self._busy = run_in_task(
                self._loop, link.drain, lambda _: self._drained(), lambda _: None
            )
        self._stay_connected_if_needed()

    def _report_written(self, messages: Sequence[Any], epoch: int) -> None:
        for on_written in self._hooks.on_written:
            on_written(messages, epoch)

    def _frames(self, epoch: int) -> list[str | bytes]:
        """What channels ask for, as much as may be written now."""
        frames: list[str | bytes] = []
        self._has_asked = False
        while (frame := self._hooks.next_frame(epoch)) is not None:
            frames.append(frame)
        return frames

    def _batch(self) -> list[Queued]:
        """The first messages that are whole, as many as may be written now."""
        batch: list[Queued] = []
        size = 0
        for item in self._queue:
            if size >= CHUNK or not isinstance(item.data, (str, bytes)):
                break
            size += item.size
            batch.append(item)
        return batch[: self._before] if self._before else batch

    def _drained(self) -> None:
        self._ready = True
        self._flush()

    def _write_fragments(self, link: Link) -> None:
        item = self._queue.pop(0)
        self._bytes -= item.size
        self._before = max(0, self._before - 1)
        self._fragmented, self._ready = item, False

        def sent(_: None) -> None:
            self._fragmented = None
            item.receipt.settle(self._sent)
            data = item.data
            size = data.size if isinstance(data, AsyncFragments) else item.size
            self._counters.on_written(1, size)
            self._report_written([data], self._sent.epoch)
            self._drained()

        def failed(error: Exception) -> None:
            self._fragmented = None
            self.fail(item, error)
            self._drained()

        send = lambda: link.send(item.data)  # noqa: E731
        self._busy = run_in_task(self._loop, send, sent, failed)
        self._stay_connected_if_needed()

    # --- staying connected, and giving up

    def _stay_connected_if_needed(self) -> None:
        """On an open link only what the transport has not taken keeps the socket connected."""
        if not self._queue and self._fragmented is None:
            self._let_disconnect()
        elif self._staying_connected is None:
            self._staying_connected = self._connect()

    def _let_disconnect(self) -> None:
        held, self._staying_connected = self._staying_connected, None
        if held is not None:
            held.dispose()

    def _start_timer(self) -> None:
        """Give each message its time, counted from when it began to wait; wake up at the first."""
        if self._link is not None or not self._queue:
            self._stay_connected_if_needed()
            return
        loop = self._loop.event_loop
        deadline = loop.time() + self._queue_for
        for item in reversed(self._queue):
            if item.deadline is not None:
                break
            item.deadline = deadline
        if self._timer is None:
            first = self._queue[0].deadline or deadline
            self._timer = loop.call_at(first, self._expired)

    def _expired(self) -> None:
        self._timer = None
        now = self._loop.event_loop.time()
        state = self._publisher.state.value.value
        with self._loop.turn():
            expired = [*takewhile(lambda item: (item.deadline or 0.0) <= now, self._queue)]
            del self._queue[: len(expired)]
            for item in expired:
                self._bytes -= item.size
                self.fail(
                    item,
                    NotConnected(f"not sent: waited {self._queue_for:g} s, the socket is {state}"),
                )
            self.keep()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
