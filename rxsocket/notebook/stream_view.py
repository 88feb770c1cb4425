"""What follows a stream and can be looked at: the last values, with when they came."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.explain.causes import describe
from rxsocket.render.view import View
from rxsocket.runtime.threads import running_loop, wall_clock

__all__ = ["Following"]


class Following(View):
    """The last values of a stream, until it is disposed.

    Args:
        stream: What to follow; it is subscribed to at once.
        rows: How many values to keep.
        seconds: How long to keep them, if not for ever.

    Attributes:
        count: How many values came in all.
        error: What the stream failed with.
        over: Whether nothing comes any more.
    """

    def __init__(self, stream: Observable[Any], rows: int, seconds: float | None = None) -> None:
        self._values: deque[tuple[float, Any]] = deque(maxlen=rows)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()
        self.count = 0
        self.error: Exception | None = None
        self.over = False
        self._subscription = stream.subscribe(self._on_next, self._on_end, self._on_end)

    def dispose(self) -> None:
        """Leave the stream; what came stays."""
        self._subscription.dispose()
        self._on_end()

    def values(self) -> list[tuple[float, Any]]:
        """When the values that are kept came, as wall time, and the values."""
        with self._lock:
            self._forget(wall_clock(running_loop())())
            return list(self._values)

    @property
    def status(self) -> str:
        """How much there is, and whether more comes."""
        kept = len(self._values)
        if self.error is not None:
            end = f"; failed: {type(self.error).__name__}: {describe(self.error)}"
        else:
            end = "; ended" if self.over else ""
        return (f"{kept:,} of {self.count:,}" if kept < self.count else f"{kept:,}") + end

    def watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each value, until disposed."""
        self._listeners = (*self._listeners, changed)

        def leave() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not changed)

        return Disposable(leave)

    @abstractmethod
    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]: ...

    def _on_next(self, value: Any) -> None:
        now = wall_clock(running_loop())()
        with self._lock:
            self.count += 1
            self._values.append((now, value))
            self._forget(now)
        self._stir()

    def _forget(self, now: float) -> None:
        if self._seconds is not None and not self.over:
            while self._values and self._values[0][0] < now - self._seconds:
                self._values.popleft()

    def _on_end(self, error: Exception | None = None) -> None:
        if not self.over:
            self.over, self.error = True, error
            self._stir()

    def _stir(self) -> None:
        for listener in self._listeners:
            listener()
