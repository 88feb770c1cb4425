"""A view of the last values of a stream."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.subject import Subject

from rxsocket.explain.causes import describe
from rxsocket.render.view import View
from rxsocket.runtime.threads import running_loop, wall_clock


class StreamView(View):
    """Keeps the last values of a stream, with when they came.

    Args:
        stream: What to subscribe to, at once.
        rows: How many values to keep.
        seconds: How long to keep them; ``None`` for any time.

    Attributes:
        count: How many values came in all.
        error: What the stream failed with.
        is_ended: Whether no more values will come.
    """

    def __init__(self, stream: Observable[Any], rows: int, seconds: float | None = None) -> None:
        self._values: deque[tuple[float, Any]] = deque(maxlen=rows)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._changes: Subject[None] = Subject()
        self.count = 0
        self.error: Exception | None = None
        self.is_ended = False
        self._subscription = stream.subscribe(self._on_next, self._on_end, self._on_end)

    def dispose(self) -> None:
        """Unsubscribe from the stream; the values that came are kept."""
        self._subscription.dispose()
        self._on_end()

    def values(self) -> list[tuple[float, Any]]:
        """The values that are kept, each with the wall time at which it came."""
        with self._lock:
            self._drop_old(wall_clock(running_loop())())
            return list(self._values)

    @property
    def status(self) -> str:
        """How many values there are, and whether the stream ended."""
        kept = len(self._values)
        if self.error is not None:
            end = f"; failed: {type(self.error).__name__}: {describe(self.error)}"
        else:
            end = "; ended" if self.is_ended else ""
        return (f"{kept:,} of {self.count:,}" if kept < self.count else f"{kept:,}") + end

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each value and after the end, until disposed."""
        return self._changes.subscribe(lambda _: on_change())

    @abstractmethod
    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]: ...

    def _on_next(self, value: Any) -> None:
        now = wall_clock(running_loop())()
        with self._lock:
            self.count += 1
            self._values.append((now, value))
            self._drop_old(now)
        self._changes.on_next(None)

    def _drop_old(self, now: float) -> None:
        if self._seconds is not None and not self.is_ended:
            while self._values and self._values[0][0] < now - self._seconds:
                self._values.popleft()

    def _on_end(self, error: Exception | None = None) -> None:
        if not self.is_ended:
            self.is_ended, self.error = True, error
            self._changes.on_next(None)
