"""When a connection counts as a success, so that what was counted before starts anew (C15).

::

    opened ---- stable_after seconds ----> stable
    opened ---- 1 ---- 2 ---- "ready" ---> stable        stable_after=ops.first(is_ready)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard

from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import SerialDisposable
from reactivex.subject import Subject

from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.validation import is_observable, seconds

StableAfter: TypeAlias = (
    float | Observable[Any] | Callable[[Observable[str | bytes]], Observable[Any]]
)
"""Seconds; an Observable whose first value says so; or a function from the messages to one."""


def stable_after_argument(value: Any) -> StableAfter:
    """Check ``stable_after``.

    Raises:
        TypeError: If it is not a number, Observable or function.
        ValueError: If it is a negative number.
    """
    if is_observable(value) or _is_function(value):
        return value
    if not isinstance(value, (int, float)):
        raise TypeError(
            "stable_after: pass a number of seconds, an Observable or a function from the messages "
            f"to one, not {type(value).__name__}"
        )
    return seconds("stable_after", value)


def _is_function(value: Any) -> TypeGuard[Callable[[Observable[str | bytes]], Observable[Any]]]:
    return callable(value)


class Stability:
    """Whether one connection, which opens now, is stable. It is used on the loop.

    Args:
        after: What makes it so.
        loop: Where the socket lives.
        publisher: Told what the user's function or Observable raised; the connection is then never
            stable.
    """

    def __init__(self, after: StableAfter, loop: SocketLoop, publisher: Publisher) -> None:
        self._loop = loop
        self._publisher = publisher
        self._opened_at = loop.event_loop.time()
        self._seconds = after if isinstance(after, (int, float)) else None
        self._reached = False
        self._messages: Subject[str | bytes] | None = None
        self._watching: SerialDisposable | None = None
        if not isinstance(after, (int, float)):
            self._watch(after)

    @property
    def is_reached(self) -> bool:
        """Whether it is stable by now."""
        if self._seconds is None:
            return self._reached
        return self._loop.event_loop.time() - self._opened_at >= self._seconds

    @property
    def needs_messages(self) -> bool:
        return self._messages is not None

    def on_message(self, message: str | bytes) -> None:
        if self._messages is not None:
            try:
                self._messages.on_next(message)
            except BaseException as error:  # of the user's function
                self._on_user_error(error)

    def stop(self) -> None:
        self._messages = None
        if self._watching is not None:
            self._watching.dispose()

    def _watch(self, after: Any) -> None:
        self._watching = watching = SerialDisposable()
        try:
            good = after if is_observable(after) else self._of_messages(after)
            watching.disposable = good.subscribe(
                lambda _: self._loop.run(self._reach), self._on_user_error
            )
        except BaseException as error:  # of the user's function
            self._on_user_error(error)

    def _of_messages(
        self, function: Callable[[Observable[str | bytes]], Observable[Any]]
    ) -> Observable[Any]:
        messages: Subject[str | bytes] = Subject()
        self._messages = messages
        return function(messages.pipe(ops.as_observable()))

    def _reach(self) -> None:
        self._reached = True
        self.stop()

    def _on_user_error(self, error: BaseException) -> None:
        self.stop()
        self._publisher.report("stable_after=", "messages", error)
