"""Who watches a demonstration: everything that happened, in order, and the wait for one thing."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from reactivex import abc
from reactivex.disposable import CompositeDisposable

from rxsocket.cli.wording import Happening, sentence
from rxsocket.events import Event
from rxsocket.socket import Socket
from rxsocket.streams.receipts import Receipt

__all__ = ["StepFailed", "Witness"]

E = TypeVar("E", bound=Event)
T = TypeVar("T")


class StepFailed(Exception):
    """What should have happened did not."""


class Witness:
    """One subscriber of a socket's messages, for all of its connections, and one of its events.

    Args:
        patience: Seconds within which each thing has to happen.
        limit: Seconds within which all of them have to.
        show: Called with each thing that is looked at.

    Attributes:
        messages: How many messages the subscriber got.
        endings: How its stream ended: ``completed``, or the error; at most one of them.
    """

    def __init__(self, patience: float, limit: float, show: Callable[[Happening], None]) -> None:
        self.messages = 0
        self.endings: list[str] = []
        self._patience = patience
        self._deadline = time.monotonic() + limit
        self._show = show
        self._seen: SimpleQueue[Event] = SimpleQueue()

    def watch(self, socket: Socket) -> abc.DisposableBase:
        """Subscribe."""
        return CompositeDisposable(
            socket.events.subscribe(self._seen.put, lambda _: None),
            socket.messages.subscribe(
                self._message,
                lambda error: self.endings.append(str(error)),
                lambda: self.endings.append("completed"),
            ),
        )

    def expect(
        self, kind: type[E], what: str, matches: Callable[[E], object] = lambda _: True
    ) -> E:
        """Wait for an event.

        Args:
            kind: Its type.
            what: It, in words.
            matches: Whether it is the right one.

        Raises:
            StepFailed: If it does not come in time.
        """
        until, last = time.monotonic() + self._left(), "nothing"
        while True:
            try:
                event = self._seen.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                raise StepFailed(f"expected {what}; the last thing seen: {last}") from None
            self._show(event)
            if isinstance(event, kind) and matches(event):
                return event
            last = f"{type(event).__name__} ({sentence(event)})"

    def outcome(self, receipt: Receipt[Any], kind: type[T], what: str) -> T:
        """Wait for the outcome of something asked for.

        Raises:
            StepFailed: If it is another one, or does not come in time.
        """
        try:
            outcome = receipt.result(self._left())
        except TimeoutError:
            raise StepFailed(f"expected {what}; there is no outcome yet") from None
        if not isinstance(outcome, kind):
            raise StepFailed(f"expected {what}; the outcome: {outcome!r}")
        return outcome

    def _left(self) -> float:
        return max(0.0, min(self._patience, self._deadline - time.monotonic()))

    def _message(self, data: Any) -> None:
        self.messages += 1
