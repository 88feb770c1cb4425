"""Two connections of one lease: the one that delivers, and the one that it hands over to (C13).

::

    old      --1--2--3--4--5x
    new          o--(3--4--5)--6--7--
                     ^     ^  ^ the switch
                     ready caught up: the old one delivered what was sent before the new one opened

When is the old one caught up? With ``dedupe``, when the first message that the new one got came
over the old one, too. Else when the old peer answered a ping that was sent after the new one was
ready: what it had sent before that has arrived then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

from rxsocket.auth.strategies import Handover
from rxsocket.connection.connection import Connection
from rxsocket.errors import SocketError
from rxsocket.runtime.loop import SocketLoop
from rxsocket.sending.outbox import Answers, AskAhead

__all__ = ["Relay"]

PATIENCE = 2.0
"""Seconds to wait until the old connection is caught up; it is old, and may never be."""

DOUBLES = 10.0
"""Seconds after the switch in which a double of what the old connection delivered may come."""

MOST_HELD = 65536
"""How many messages may wait for the switch; a server that replays more is not ready in time."""


class Relay:
    """The way from one connection to the next.

    Args:
        old: The one that delivers.
        strategy: When the next one is ready, and which messages are the same.
        home: Where they live.
        ask_ahead: Asks the server on the next one for what the socket is subscribed to (C22).
        stir: Called when something happened that may have made it ``done``.

    Attributes:
        new: The next one, once it could open.
    """

    def __init__(
        self,
        old: Connection,
        strategy: Handover,
        loop: SocketLoop,
        ask_ahead: AskAhead,
        stir: Callable[[], None],
    ) -> None:
        self.new: Connection | None = None
        self._ask_ahead = ask_ahead
        self._answers: Answers | None = None
        self._old = old
        self._strategy = strategy
        self._loop = loop
        self._stir = stir
        self._ready = False
        self._caught_up = False
        self._held = 0
        self._first: Hashable = None
        self._delivered: set[Hashable] = set()
        self._barrier: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._doubles_until = 0.0
        self._stop_deduping: Callable[[], None] | None = None
        self._stop_watching = old.listen(self._old_says)

    @property
    def done(self) -> bool:
        """Whether it is time to switch."""
        return self._ready and self._caught_up

    @property
    def overrun(self) -> bool:
        """Whether more messages wait than may."""
        return self._held > MOST_HELD

    def admitted(self, life: Connection) -> None:
        """The next one could open."""
        self.new = life
        if life.link is not None:
            self._answers = self._ask_ahead(life.link, life.epoch)
        if self._strategy.ready == "open" or self._says_acknowledged():
            self._is_ready()
        self._stir()

    def heard(self, message: Any) -> None:
        """A message came over the next one; it waits."""
        self._held += 1
        if self._first is None:
            self._first = self._key(message)
            self._meet()
        if self._answers is not None:
            self._answers.hear(message)
        if not self._ready and self._says_ready(message):
            self._is_ready()
        self._stir()

    def switch(self) -> None:
        """From here on the next one delivers; within a turn, after the old one has left."""
        seamless = self.done
        self.stop()
        if self.new is None:
            return
        if self._delivered:
            self._doubles_until = self._loop.event_loop.time() + DOUBLES
            self._stop_deduping = self.new.listen(self._is_double)
        self.new.open(seamless=seamless)

    def stop(self) -> None:
        """Look at neither of them any more."""
        self._stop_watching()
        if self._barrier is not None:
            self._barrier.cancel()
        if self._patience is not None:
            self._patience.cancel()

    # --- is the next one ready?

    def _says_ready(self, message: Any) -> bool:
        ready = self._strategy.ready
        if isinstance(ready, str):
            return ready == "message" or self._says_acknowledged()
        return self._old.ask(ready, message)

    def _says_acknowledged(self) -> bool:
        asked_for = self._strategy.ready == "acknowledged"
        return asked_for and self._answers is not None and self._answers.done

    def _is_ready(self) -> None:
        self._ready = True
        self._barrier = self._loop.event_loop.create_task(self._answered())
        self._patience = self._loop.event_loop.call_later(PATIENCE, self._catch_up)

    # --- is the old one caught up?

    async def _answered(self) -> None:
        link = self._old.link
        try:
            if link is not None:
                await link.ping()
        except SocketError:
            return
        if self._first is None:  # else both have messages to compare
            self._catch_up()

    def _old_says(self, message: str | bytes) -> bool:
        key = self._key(self._old.value(message))
        if key is not None:
            self._delivered.add(key)
            self._meet()
        return False

    def _meet(self) -> None:
        if self._first is not None and self._first in self._delivered:
            self._catch_up()

    def _catch_up(self) -> None:
        self._caught_up = True
        self._stir()

    def _key(self, message: Any) -> Hashable:
        dedupe = self._strategy.dedupe
        if dedupe is None:
            return None
        try:
            key: Hashable = dedupe(message)
            hash(key)
        except Exception as error:
            self._old.complain(dedupe, error)
            return None
        return key

    def _is_double(self, message: str | bytes) -> bool:
        if self._stop_deduping is not None and (
            not self._delivered or self._loop.event_loop.time() > self._doubles_until
        ):
            self._stop_deduping()
            return False
        key = self._key(self._old.value(message))
        if key is None or key not in self._delivered:
            return False
        self._delivered.discard(key)
        return True
