"""What a shard has for its fleet: gathered while the fleet is busy, and bounded.

::

    messages   1 2 3 4 5 6 7 8      ‖ reading is paused        9 10
    taken      [1] [2 3 4] ........................ [5 6 7 8]

A message that comes alone goes at once; many that come together go together. Nothing waits for a
timer.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeAlias

from rxsocket.fleet.orders import Messages
from rxsocket.fleet.portable import unsendable
from rxsocket.fleet.questions import Discarded

HIGH_WATER = 8192
"""Messages that may wait before reading is paused."""
HIGH_BYTES = 4 * 2**20
"""Bytes of text and binary messages that may wait, likewise."""
MOST = 2048
"""Messages in one batch."""
MOST_BYTES = 512 * 1024
"""Bytes of text and binary messages in one batch: a message more may be in it."""

WhenFull: TypeAlias = Literal["pause", "drop"]
"""What is done when the fleet takes less than comes: reading is paused, or messages are dropped."""


def check_when_full(owner: str, when_full: str) -> None:
    """Check what is to be done.

    Raises:
        ValueError: If there is no such thing.
    """
    if when_full not in ("pause", "drop"):
        raise ValueError(f"{owner}(when_full): pass 'pause' or 'drop', not {when_full!r}")


class Batches:
    """The queue of one shard; on its loop.

    Args:
        pause: Called with whether reading is to be paused.
        when_full: What is done at the high-water mark.
    """

    def __init__(self, pause: Callable[[bool], None], when_full: WhenFull = "pause") -> None:
        self._pause = pause
        self._drops = when_full == "drop"
        self._items: list[Any] = []
        self._messages: list[tuple[int, Hashable, Any]] = []
        self._count = 0
        self._bytes = 0
        self._dropped = 0
        self._is_paused = False
        self._something = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return self._count

    @property
    def has_more(self) -> bool:
        """Whether anything waits."""
        return self._something.is_set()

    def message(self, socket: int, key: Hashable, data: Any) -> None:
        """Queue a message."""
        if self._is_paused and self._drops:
            self._dropped += 1
            return
        self._messages.append((socket, key, data))
        self._count += 1
        self._bytes += len(data) if isinstance(data, (str, bytes)) else 0
        if len(self._messages) >= MOST:
            self._flush()
        if self._count == 1:
            self._something.set()
        elif not self._is_paused and (self._count >= HIGH_WATER or self._bytes >= HIGH_BYTES):
            self._set_paused(True)

    def put(self, item: Any) -> None:
        """Queue anything else, which is never dropped."""
        self._flush()
        self._items.append(item)
        self._something.set()

    async def next(self, patience: float) -> bytes:
        """What is to be sent next, pickled; it waits for something, but not longer than that.

        Args:
            patience: Seconds after which there is an empty one, which says that the shard lives.
        """
        if not self._something.is_set():
            try:
                async with asyncio.timeout(patience):
                    await self._something.wait()
            except TimeoutError:
                return pickled([])
        return self.take()

    def take(self) -> bytes:
        """What is to be sent next, pickled."""
        self._flush()
        taken: list[Any] = []
        count = size = 0
        for item in self._items:
            if isinstance(item, Messages):
                if taken and (count + len(item.messages) > MOST or size > MOST_BYTES):
                    break
                count += len(item.messages)
                size += _size(item)
            taken.append(item)
        del self._items[: len(taken)]
        self._count -= count
        self._bytes -= size
        if self._dropped:
            taken.append(Discarded(self._dropped))
            self._dropped = 0
        if not self._items:
            self._something.clear()
        if self._is_paused and self._count <= HIGH_WATER // 4 and self._bytes <= HIGH_BYTES // 4:
            self._set_paused(False)
        return pickled(taken)

    def _flush(self) -> None:
        if self._messages:
            self._items.append(Messages(tuple(self._messages)))
            self._messages = []

    def _set_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        if not self._drops:
            self._pause(is_paused)


def _size(item: Messages) -> int:
    return sum(len(data) for _, _, data in item.messages if isinstance(data, (str, bytes)))


def pickled(items: list[Any]) -> bytes:
    """Items as bytes; of what cannot be pickled, why."""
    try:
        return pickle.dumps(items, 5)
    except Exception:
        return pickle.dumps([unsendable(item) for item in items], 5)
