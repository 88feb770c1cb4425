"""The outbox of a socket with ``limits=``: what goes out waits for its turn (C36).

::

    send        123456789
    written     1    2    3    4    5  …     pace="5/s": 0.2 s apart, in order, none lost
    receipts    ✓    ✓    ✓    ✓    ✓
    channels               S                 before what still waits, once a connection opens
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rxsocket.errors import QueueFull
from rxsocket.explain.format import amount
from rxsocket.hooks import Hooks
from rxsocket.limits import Limits, TokenBucket
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.sending.outbox import MAX_BYTES, Outbox, Queued
from rxsocket.streams.multicast import Connect
from rxsocket.transports.base import Link


def outbox(
    loop: SocketLoop,
    publisher: Publisher,
    connect: Connect,
    queue_for: float,
    hooks: Hooks,
    limits: Limits,
) -> Outbox:
    """The outbox of a socket: without a pace, one that asks nobody when it may write."""
    bucket = limits.bucket()
    if bucket is None:
        return Outbox(loop, publisher, connect, queue_for, hooks)
    pace = f"limits= has pace={limits.pace!r}"
    return PacedOutbox(loop, publisher, connect, queue_for, hooks, bucket=bucket, why=pace)


class PacedOutbox(Outbox):
    """Writes as many messages as the bucket allows, and the next ones when it does.

    A reconnect does not refill the bucket: it is the server that counts.

    Args:
        *arguments: Those of ``Outbox``.
        bucket: Shared by whatever counts for the same limit.
        why: Why something waits, in words.
    """

    def __init__(self, *arguments: Any, bucket: TokenBucket, why: str) -> None:
        super().__init__(*arguments)
        self._why = why
        self._bucket = bucket
        self._at = 0.0  # the time of the flush that is under way
        self._turn_timer: asyncio.TimerHandle | None = None
        self._waiter: Callable[[], None] | None = None

    def explain(self) -> str:
        waiting = amount(len(self._queue), "message") if self._queue else ""
        asked = "what channels ask for" if self._has_asked else ""
        if self._link is None or not (waiting or asked):
            return ""
        what = " and ".join(filter(None, (asked, waiting)))
        return f"{what}, each in its turn: {self._why}"

    def why_waiting(self) -> str:
        if self._link is None or not self._ready:
            return super().why_waiting()
        return f"it waits for its turn: {self._why}"

    def take(self, item: Queued) -> bool:
        return False

    def send(self, item: Queued) -> None:
        if self._link is not None and self._queue and self._bytes + item.size > MAX_BYTES:
            self.fail(item, QueueFull(f"not sent: {MAX_BYTES} bytes wait for their turn (limits=)"))
            return
        super().send(item)

    def withdraw(self, item: Queued) -> bool:
        was_there = super().withdraw(item)
        if not (self._queue or self._has_asked or self._waiter):
            self._cancel_turn()
        return was_there

    def reserve(self, waiter: Callable[[], None]) -> bool:
        """What the next connection is asked for goes before messages, as on one that opens."""
        self._at = self._loop.event_loop.time()
        if self._bucket.available(self._at):
            self._bucket.take(1, self._at)
            return True
        self._waiter = waiter
        self._await_turn()
        return False

    def cancel_reservation(self) -> None:
        self._waiter = None

    def close(self) -> None:
        if self._waiter is None:
            self._cancel_turn()
        super().close()

    def forget(self) -> None:
        self._turn_timer = self._waiter = None
        super().forget()

    # --- writing

    def _flush(self) -> None:
        self._at = self._loop.event_loop.time()
        if self._waiter is None:
            super()._flush()
        else:
            self._stay_connected_if_needed()
        if (self._queue or self._has_asked) and self._ready:
            self._await_turn()

    def _frames(self, epoch: int) -> list[str | bytes]:
        frames: list[str | bytes] = []
        for _ in range(self._bucket.available(self._at)):
            frame = self._hooks.next_frame(epoch)
            if frame is None:
                break
            frames.append(frame)
        self._bucket.take(len(frames), self._at)
        self._has_asked = self._hooks.has_frame(epoch)
        return frames

    def _batch(self) -> list[Queued]:
        free = self._bucket.available(self._at)
        batch = super()._batch()[:free] if free else []
        self._bucket.take(len(batch), self._at)
        return batch

    def _write_fragments(self, link: Link) -> None:
        if self._bucket.available(self._at) and not self._is_after_channels:
            self._bucket.take(1, self._at)
            super()._write_fragments(link)
        else:
            self._stay_connected_if_needed()

    @property
    def _is_after_channels(self) -> bool:
        return self._has_asked and not self._before

    def _await_turn(self) -> None:
        if self._turn_timer is None:
            at = self._bucket.next_at(self._at)
            self._turn_timer = self._loop.event_loop.call_at(at, self._on_turn)

    def _cancel_turn(self) -> None:
        if self._turn_timer is not None:
            self._turn_timer.cancel()
            self._turn_timer = None

    def _on_turn(self) -> None:
        self._turn_timer = None
        with self._loop.turn():
            waiter, self._waiter = self._waiter, None
            if waiter is not None:
                waiter()
            if self._ready:
                self._flush()
