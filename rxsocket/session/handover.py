"""The handover from one connection to the next (C13).

::

    old      --1--2--3--4--5x
    new          o--(3--4--5)--6--7--
                     ^     ^  ^ the switch
                     ready caught up: the old one delivered what was sent before the new one opened

When has the old one caught up? With ``dedupe``, when a message that the new one got came over the
old one, too: from there on nothing comes over the old one alone. If there is none, because the old
one has gone silent, or both are, after ``PATIENCE`` of that. An old one that goes on while the new
one is silent means that the server has not attached its feed to the new one yet: that is waited
for until ``timeout``.

Without ``dedupe`` nothing tells which messages are the same. Then the new one's first message, or a
short silence of both, says that the new one is attached, and the answer to a ping over the old one
that everything sent before has arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

from rxsocket.auth.credentials import ANONYMOUS
from rxsocket.auth.strategies import Handover
from rxsocket.connection.connection import Connection
from rxsocket.engine.engine import Engine
from rxsocket.errors import SocketError
from rxsocket.hooks import EarlyAnswers
from rxsocket.streams.overlap import DUPLICATES_WINDOW, PATIENCE, Overlap, Sequences

SILENCE = 0.1
"""Seconds of silence of both, without ``dedupe``, after which the new one counts as attached."""


class HandoverAttempt:
    """Watches an old and a new connection until it is time to switch.

    Args:
        old: The connection that delivers.
        strategy: When the new one is ready, and which messages are the same.
        engine: The socket's running parts.

    Attributes:
        caught_up: Done when the new one is ready and the old one has caught up.
    """

    def __init__(self, old: Connection, strategy: Handover, engine: Engine) -> None:
        self._old = old
        self._strategy = strategy
        self._loop = engine.loop
        self._hooks = engine.hooks
        self._read_gate = engine.publisher.read_gate
        self._answers: EarlyAnswers | None = None
        self._is_stopped = False
        self._has_link = False
        self._is_ready = False
        self._is_due = False
        self._is_caught_up = False
        self._has_new_message = False
        self._overlap = Overlap()
        self._sequences = None if strategy.sequence is None else Sequences(strategy.sequence)
        self._older: set[Hashable] = set()
        self._is_late = False
        self._late_timer: asyncio.TimerHandle | None = None
        self._old_spoke_at = self._new_spoke_at = self._now()
        self._pinging: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._switched_at = 0.0
        self._remove_duplicate_filter: Callable[[], None] | None = None
        self._remove_old_filter = old.add_filter(self._on_old_message)
        self.caught_up: asyncio.Future[None] = self._loop.event_loop.create_future()

    def on_link(self, new: Connection) -> None:
        self._has_link = True
        if new.link is not None:
            self._read_gate.add_link(new.link)  # both are paused together
            credential = new.credential or ANONYMOUS
            self._answers = self._hooks.subscribe_early(
                new.link, new.epoch, credential, self._on_asked
            )
        if self._strategy.ready == "open" or self._is_acknowledged:
            self._on_ready()

    def on_early_message(self, message: Any) -> None:
        """A message came over the new one; it waits for the switch."""
        self._has_new_message = True
        key = self._key(message)
        if key is not None or self._strategy.dedupe is None:
            self._new_spoke_at = self._now()
        came_over_both = key is not None and self._overlap.from_new(key)
        if self._sequences is not None and key is not None:
            self._sequences.from_new(key, came_over_both)
        if self._answers is not None:
            self._answers.on_message(message)
        if not self._is_ready and self._says_ready(message):
            self._on_ready()
        if came_over_both:
            self._catch_up()
        elif self._is_ready and self._strategy.dedupe is None:
            self._ping_old()

    def is_behind_again(self) -> bool:
        """Whether the old one has begun with something since it had caught up."""
        if not self.caught_up.done() or self._sequences is None:
            return False
        if self._is_late or not self._sequences.apart:
            return False
        self.caught_up = self._loop.event_loop.create_future()
        self._catch_up()
        return True

    def switch(self, new: Connection) -> None:
        """From here on the new one delivers; within a turn, after the old one was closed."""
        self.stop()
        if self._sequences is not None:
            self._older = self._sequences.older()
        if self._overlap.old:
            self._switched_at = self._now()
            self._remove_duplicate_filter = new.add_filter(self._is_duplicate)
        new.activate(seamless=self.caught_up.done())

    def stop(self) -> None:
        self._is_stopped = True
        self._remove_old_filter()
        if self._answers is not None:
            self._answers.stop()
        if self._pinging is not None:
            self._pinging.cancel()
        for timer in (self._timer, self._late_timer):
            if timer is not None:
                timer.cancel()

    @property
    def has_link(self) -> bool:
        """Whether the new one could open, and only waits for the old one."""
        return self._has_link

    def waited(self) -> float:
        """Seconds that the next one waited for ``limits=``, which its timeout does not count."""
        return 0.0 if self._answers is None else self._answers.waited

    @property
    def lacks(self) -> str:
        """What the switch waits for, in words."""
        if not self._has_link:
            return "it did not open"
        if not self._is_ready:
            return "what handover(ready=...) asks for did not come over it"
        if self._strategy.dedupe is None:
            return "nothing came over it, while this one goes on"
        if self._overlap.new:
            return "none of its messages came over this one, too; dedupe= must give both one key"
        return "no message with a key came over it, while this one goes on"

    # --- is the new one ready?

    def _says_ready(self, message: Any) -> bool:
        ready = self._strategy.ready
        if isinstance(ready, str):
            return ready == "message" or self._is_acknowledged
        return bool(self._old.asked(ready, message))

    @property
    def _is_acknowledged(self) -> bool:
        wanted = self._strategy.ready == "acknowledged"
        return wanted and self._answers is not None and self._answers.is_complete

    def _on_asked(self) -> None:
        """The channels were asked for: at the pace of ``limits=``, that took its time (C36)."""
        if self._is_due or self._strategy.ready == "open" or self._is_acknowledged:
            self._on_ready()

    def _on_ready(self) -> None:
        if self._is_stopped or self._is_ready:
            return
        if self._answers is not None and not self._answers.is_asked:
            self._is_due = True
            return
        self._is_ready = True
        self._old_spoke_at = self._new_spoke_at = self._now()  # silence counts from here
        if self._is_caught_up:
            self._catch_up()
        elif self._strategy.dedupe is None and self._has_new_message:
            self._ping_old()
        else:
            self._check_silence()

    # --- has the old one caught up?

    def _on_old_message(self, message: str | bytes) -> bool:
        key = self._key(self._old.decoded(message))
        if key is not None or self._strategy.dedupe is None:
            self._old_spoke_at = self._now()
        if key is not None:
            came_over_both = self._overlap.from_old(key)
            if self._sequences is not None:
                self._sequences.from_old(key, came_over_both)
            if came_over_both:
                self._catch_up()
        return False

    def _check_silence(self) -> None:
        """Act when it has been silent for long enough; else look again when it may have been."""
        now = self._now()
        with_dedupe = self._strategy.dedupe is not None
        limit = PATIENCE if with_dedupe else SILENCE
        since = max(self._old_spoke_at, self._read_gate.resumed_at)  # what was sent may be unread
        if not self._overlap.new:
            since = max(since, self._new_spoke_at)
        rest = limit if self._read_gate.is_paused else since + limit - now
        if rest > 0:
            self._timer = self._loop.event_loop.call_later(rest, self._check_silence)
        elif with_dedupe:
            self._catch_up()
        else:
            self._ping_old()

    def _ping_old(self) -> None:
        if self._pinging is None:
            self._pinging = self._loop.event_loop.create_task(self._until_pong())

    async def _until_pong(self) -> None:
        link = self._old.link
        if link is None:
            return
        pong = asyncio.ensure_future(link.ping())
        try:
            while True:
                await asyncio.wait((pong,), timeout=PATIENCE)
                if pong.done() or not self._read_gate.is_paused:
                    break
        finally:
            pong.cancel()
        if pong.done() and not pong.cancelled() and isinstance(pong.exception(), SocketError):
            return  # the old one has ended
        self._catch_up()

    def _catch_up(self) -> None:
        self._is_caught_up = True
        if not self._is_ready or self.caught_up.done():
            return
        if self._sequences is None or self._is_late or not self._sequences.apart:
            self.caught_up.set_result(None)
        elif self._late_timer is None:
            self._late_timer = self._loop.event_loop.call_later(PATIENCE, self._on_late)

    def _on_late(self) -> None:
        """A sequence was delivered by the old one, and does not meet that of the new one."""
        self._is_late = True
        self._catch_up()

    # --- which messages are the same?

    def _key(self, message: Any) -> Hashable:
        dedupe = self._strategy.dedupe
        if dedupe is None:
            return None
        try:
            key: Hashable = dedupe(message)
            hash(key)
        except BaseException as error:
            self._old.report(dedupe, error)
            return None
        return key

    def _is_duplicate(self, message: str | bytes) -> bool:
        since = max(self._switched_at, self._read_gate.resumed_at)  # what was sent may be unread
        if not self._overlap.old or self._now() > since + DUPLICATES_WINDOW:
            if self._remove_duplicate_filter is not None:
                self._remove_duplicate_filter()
            return False
        key = self._key(self._old.decoded(message))
        if key is not None and key in self._older:
            return True
        return key is not None and self._overlap.is_duplicate(key)

    def _now(self) -> float:
        return self._loop.event_loop.time()
