"""Subscribing on the next connection before it delivers, and the answers there (C13)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rxsocket.errors import ConnectionLost
from rxsocket.sending.outbox import Outbox
from rxsocket.topics.line import ConnectionSubscriptions
from rxsocket.topics.unanswered import Unanswered
from rxsocket.transports.base import Link

if TYPE_CHECKING:
    from rxsocket.topics.subscriptions import Subscriptions


class EarlySubscriptions:
    """Asks for what is wanted at the pace of the socket; it is ready when all answers have come.

    An answer takes effect when its message is delivered, after the switch: until then, a refusal
    must not fail a channel that the old connection still carries.

    Args:
        subscriptions: Those of the socket.
        connection: What is asked for on the next connection.
        link: That connection; it delivers nothing yet.
        outbox: Knows when something may be written (C36).
        on_asked: Called when everything was asked for, unless that is so at once.

    Examples:
        >>> answers = subscriptions.subscribe_early(link, epoch, credential, on_asked)
        >>> answers.on_message(message)                  # for each message of that link
        >>> answers.is_complete                          # handover(ready="acknowledged")
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        connection: ConnectionSubscriptions,
        link: Link,
        outbox: Outbox,
        on_asked: Callable[[], None],
    ) -> None:
        self._subscriptions = subscriptions
        self._connection = connection
        self._link = link
        self._outbox = outbox
        self._is_stopped = False
        self._is_waiting = False
        self._waits_since = self._waited = 0.0
        self._unanswered = connection.early = Unanswered()
        self._on_asked = on_asked
        self._write()

    @property
    def epoch(self) -> int:
        return self._connection.epoch

    @property
    def is_asked(self) -> bool:
        """Whether everything that is wanted was asked for."""
        return not self._connection.has_more

    @property
    def is_complete(self) -> bool:
        """True if everything that is still wanted was asked for, and has its answer."""
        return self.is_asked and not any(each.hubs for each in self._unanswered)

    @property
    def waited(self) -> float:
        """Seconds that it waited for its turn."""
        return self._waited + (self._now() - self._waits_since if self._is_waiting else 0.0)

    def ask(self) -> None:
        """Something more is wanted, or not any more."""
        if not (self._is_waiting or self._is_stopped):
            self._write()

    def stop(self) -> None:
        self._is_stopped = True
        if self._is_waiting:
            self._outbox.cancel_reservation()

    def on_message(self, message: Any) -> None:
        if not self._unanswered:
            return
        try:
            value = self._subscriptions.received(message)
        except BaseException as error:  # of the user's interceptor; reported at the delivery
            self._subscriptions.loop.exit_later(error)
            return
        for group in self._unanswered.groups():
            self._subscriptions.answers(self._unanswered, group, value)

    def _write(self) -> None:
        frames: list[str | bytes] = []
        while self._connection.has_more:
            if not self._outbox.reserve(self._on_turn):
                self._is_waiting, self._waits_since = True, self._now()
                break
            frame = self._subscriptions.next_frame_of(self._connection)
            if frame is not None:
                frames.append(frame)
        if frames:
            with suppress(ConnectionLost):  # the transport reports the end
                self._link.write(frames)
                self._outbox.count_written(frames, self.epoch)

    def _on_turn(self) -> None:
        self._waited = self.waited
        self._is_waiting = False
        self._write()
        if self.is_asked:
            self._on_asked()

    def _now(self) -> float:
        return self._subscriptions.loop.event_loop.time()
