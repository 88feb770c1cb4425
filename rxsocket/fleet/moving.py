"""One channel moves from one socket to another: make, then break.

::

    old        1---2---3---4---5---x            let go at the switch
    new          o---(3)(4)-----------6---7     what comes before the switch waits
    messages   1---2---3---4---5------6---7
                       ^ both had it: the switch

A channel has one order. So once a message came over both, nothing will come over the old one alone,
and what the new one began with before that, such as a snapshot, or the last trades once more, is
older than what was delivered: it is left out.

It is the rule of a handover (C13), for one channel; nothing here knows of a socket, a loop or a
clock.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

from rxsocket.streams.overlap import DUPLICATES_WINDOW, PATIENCE, Overlap

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds, once the new place was asked, after which the old one stays: nothing shows that the new
one has what the old one has."""
MOST_WAITING = 2**12
"""How many messages of the new place may wait, and how many keys of the old one are kept."""
MOST_BYTES = 2**20
"""How many bytes each may have."""


class MovePhase(Enum):
    """How far a move is."""

    OVERLAPPING = "overlapping"
    """The old place delivers; what the new one has waits."""
    SWITCHED = "switched"
    """The new place delivers, without what the old one had; the old one may be let go."""
    FINISHED = "finished"
    """The new place delivers, and there is nothing left to compare."""
    KEPT = "kept"
    """The old place goes on; the new one may be let go."""


class ChannelMove(Generic[T]):
    """The messages of one channel while it leaves one socket for another.

    Each method that takes a message returns what is to be delivered then, in order. With ``key``
    nothing is missing or double, and order is kept, as long as the old place lives until the
    switch. Without it the first message of the new place, or its acknowledgement, is the switch:
    what one place had and the other not is not known.

    Args:
        key: What the same message has over both places; ``None`` of a message that has none.
            ``None`` if there is no such function. It must not raise.
        timeout: Seconds that it may take once the new place was asked.
        most: How many messages may wait, and how many keys are kept. Of more, the oldest are
            forgotten: the old place delivers them still. Should it end while the new one is behind
            it by more than that, what was forgotten comes twice.
        before: The move that brought the channel to what is the old place now, if that one is
            behind its own still: what it has not compared by now is compared here.

    Attributes:
        phase: How far it is.
        is_seamless: Whether the places met, so that nothing is missing.
        due: When to call :meth:`look`, on the clock of ``now``; ``inf`` for never.
    """

    __slots__ = (
        "_again",
        "_asked_at",
        "_bytes",
        "_forgotten",
        "_has_new",
        "_is_live",
        "_key",
        "_most",
        "_old_at",
        "_overlap",
        "_switched_at",
        "_timeout",
        "_waiting",
        "due",
        "is_seamless",
        "phase",
    )

    def __init__(
        self,
        key: Callable[[T], Hashable | None] | None,
        *,
        timeout: float = TIMEOUT,
        most: int = MOST_WAITING,
        before: ChannelMove[T] | None = None,
    ) -> None:
        self._key = key
        self._timeout = timeout
        self._most = most
        self._overlap = Overlap(most, MOST_BYTES)
        self._again = {} if before is None else before.uncompared()
        for each in self._again:
            self._overlap.old.add(each)
        self._waiting: deque[tuple[Hashable | None, T, int]] = deque()
        self._bytes = 0
        self._forgotten = 0
        self._asked_at = math.inf
        self._old_at = -math.inf
        self._is_live = self._has_new = False
        self._switched_at = math.inf
        self.phase = MovePhase.OVERLAPPING
        self.is_seamless = False
        self.due = math.inf

    def __repr__(self) -> str:
        return f"<move {self.phase.value}: {len(self._waiting)} waiting>"

    @property
    def is_over(self) -> bool:
        """Whether the messages of the place that is left need not come here any more."""
        if self.phase is MovePhase.KEPT:
            return not self._again
        return self.phase is MovePhase.FINISHED

    def uncompared(self) -> dict[Hashable, None]:
        """The keys of what was delivered, and may come once more over the place that delivers."""
        if self.phase in (MovePhase.SWITCHED, MovePhase.FINISHED):
            return dict.fromkeys(self._overlap.old)
        return dict(self._again)

    @property
    def missing(self) -> int:
        """How many messages of the new place were forgotten, and may have come over no other.

        It can be more than 0 only after a switch without ``is_seamless``.
        """
        has_switched = self.phase in (MovePhase.SWITCHED, MovePhase.FINISHED)
        return self._forgotten if has_switched and not self.is_seamless else 0

    @property
    def lacks(self) -> str:
        """What the switch waits for, in words."""
        if self._asked_at == math.inf:
            return "the new place was not asked for it yet"
        if not (self._is_live or self._has_new):
            return "the new place did not answer, nor send a message of it"
        if self._key is None or not self._has_new:
            return "no message of it came over the new place, while the old one goes on"
        if not self._overlap.new:
            return "no message with a key came over the new place, while the old one goes on"
        return "none of its messages came over both places; dedupe= must give both one key"

    # --- what happens

    def from_old(self, message: T, now: float) -> Sequence[T]:
        """A message came over the old place.

        Args:
            message: The message.
            now: Seconds, on a clock that does not go back.
        """
        if self.phase is MovePhase.KEPT and not self._again:
            return (message,)
        if self.phase not in (MovePhase.OVERLAPPING, MovePhase.KEPT):
            return ()
        key = None if self._key is None else self._key(message)
        delivered: tuple[T, ...] = (message,)
        if key is not None and key in self._again:
            del self._again[key]
            delivered = ()
        if self.phase is MovePhase.KEPT:
            return delivered
        if key is not None or self._key is None:
            self._old_at = now
        if key is not None and self._overlap.from_old(key):
            return (*delivered, *self._meet(key, now))
        return delivered

    def from_new(self, message: T, now: float) -> Sequence[T]:
        """A message came over the new place; see :meth:`from_old`."""
        if self.phase is MovePhase.OVERLAPPING:
            return self._from_new_early(message, now)
        if self.phase is MovePhase.SWITCHED:
            return self._from_new_late(message)
        return () if self.phase is MovePhase.KEPT else (message,)

    def on_asked(self, now: float) -> None:
        """The new place was asked for it: the message that asks was written, not only queued."""
        if self.phase is MovePhase.OVERLAPPING and self._asked_at == math.inf:
            self._asked_at = now
            self._is_live = True
            self.due = now + min(PATIENCE, self._timeout)

    def on_awaiting_answer(self, now: float) -> None:
        """As :meth:`on_asked`, where the server says that it took it: see :meth:`on_answered`."""
        self.on_asked(now)
        self._is_live = False

    def on_answered(self, now: float) -> Sequence[T]:
        """The server said that it took it."""
        if self.phase is not MovePhase.OVERLAPPING:
            return ()
        self._asked_at = now  # silence counts from here
        self._is_live = True
        self.due = now + min(PATIENCE, self._timeout)
        return self._switch(now) if self._key is None else ()

    def old_ended(self, now: float) -> Sequence[T]:
        """The old place is gone, or cannot deliver any more: what waits is delivered."""
        return self._switch(now) if self.phase is MovePhase.OVERLAPPING else ()

    def new_ended(self) -> None:
        """The new place was lost, or refused it: the old one stays, if it still delivers."""
        if self.phase is MovePhase.OVERLAPPING:
            self.phase = MovePhase.KEPT
            self._forget_waiting()

    def look(self, now: float, resumed_at: float = -math.inf) -> Sequence[T]:
        """It is time to look whether the places have been silent for long enough.

        Args:
            now: Seconds; a call before ``due`` does nothing.
            resumed_at: When reading went on after a pause: what was sent before may be unread. It
                is not to be called during one.
        """
        if now < self.due:
            return ()
        if self.phase is MovePhase.SWITCHED:
            self.due = max(self._switched_at, resumed_at) + DUPLICATES_WINDOW
            if now >= self.due:
                self._finish()
            return ()
        asked_at = max(self._asked_at, resumed_at)
        silent_at = max(self._old_at, asked_at) + PATIENCE
        if now >= silent_at and (self._is_live or self._has_new):
            self.is_seamless = not self._has_new  # both are silent
            return self._switch(now)
        if now >= asked_at + self._timeout:
            self.new_ended()
            return ()
        last = asked_at + self._timeout
        self.due = min(silent_at, last) if silent_at > now else last
        return ()

    # --- before the switch

    def _from_new_early(self, message: T, now: float) -> Sequence[T]:
        self.on_asked(now)
        if self._key is None:
            return (*self._switch(now), message)
        key = self._key(message)
        if not self._has_new:
            self._has_new = True
            self.due = min(self.due, now + PATIENCE)
        self._wait(key, message)
        if key is None or not self._overlap.from_new(key):
            return ()
        return self._meet(key, now)

    def _wait(self, key: Hashable | None, message: T) -> None:
        any_message: Any = message
        size = sys.getsizeof(any_message)
        self._waiting.append((key, message, size))
        self._bytes += size
        while len(self._waiting) > self._most or self._bytes > MOST_BYTES:
            forgotten, _, size = self._waiting.popleft()
            self._bytes -= size
            self._forgotten += 1
            self._overlap.new.discard(forgotten)

    def _meet(self, key: Hashable, now: float) -> Sequence[T]:
        """A message came over both; what the new one had before it is older than that."""
        while self._waiting.popleft()[0] != key:
            pass
        self.is_seamless = True
        delivered = self._switch(now)
        self._overlap.old.discard_up_to(key)
        self._finish_if_nothing_is_left()
        return delivered

    # --- the switch, and after it

    def _switch(self, now: float) -> Sequence[T]:
        self.phase = MovePhase.SWITCHED
        delivered = [message for _, message, _ in self._waiting]  # the old one had none of it
        self._forget_waiting()
        self._switched_at = now
        self.due = now + DUPLICATES_WINDOW
        self._finish_if_nothing_is_left()
        return delivered

    def _from_new_late(self, message: T) -> Sequence[T]:
        key = None if self._key is None else self._key(message)
        if key is None:
            return (message,)
        is_duplicate = self._overlap.is_duplicate(key)
        self._finish_if_nothing_is_left()
        return () if is_duplicate else (message,)

    def _finish_if_nothing_is_left(self) -> None:
        if self.phase is MovePhase.SWITCHED and not self._overlap.old:
            self._finish()

    def _finish(self) -> None:
        self.phase = MovePhase.FINISHED
        self._overlap = Overlap(0, 0)
        self.due = math.inf

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._overlap.new.clear()
        self._bytes = 0
        self.due = math.inf
