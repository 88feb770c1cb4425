"""A picture of what a stream emits."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.subject import Subject

from rxsocket.explain.causes import describe
from rxsocket.publishing.source import StreamSource
from rxsocket.render.live_view import LiveView


class StreamView(LiveView):
    """Keeps what it shows of a stream, to which it subscribes at once.

    Args:
        stream: The stream.

    Attributes:
        count: The number of all values so far.
        error: The error of the stream, or of a function of the user's.
        is_ended: Whether nothing more comes.
    """

    def __init__(self, stream: Observable[Any]) -> None:
        self._source = StreamSource(stream)
        self._lock = threading.Lock()
        self._changes: Subject[None] = Subject()
        self._since = self._source.wall_time()
        self.count = 0
        self.error: Exception | None = None
        self.is_ended = False
        self._ended_at: float | None = None
        self._subscription = stream.pipe(ops.map(self._keep)).subscribe(
            self._on_next, self._on_end, self._on_end
        )

    def dispose(self) -> None:
        """Unsubscribe from the stream; what came is kept."""
        self._subscription.dispose()
        self._on_end()

    @property
    def ending(self) -> str:
        """How it ended, if it did."""
        if self.error is not None:
            why = self._source.redact(describe(self.error))
            return f"; failed: {type(self.error).__name__}: {why}"
        return "; ended" if self.is_ended else ""

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each value and after the end, until disposed."""
        return self._changes.subscribe(lambda _: on_change())

    @abstractmethod
    def _keep(self, value: Any) -> None:
        """Keep one more value, with the lock where others read."""

    def _on_next(self, _: None) -> None:
        self.count += 1
        self._changes.on_next(None)

    def _on_end(self, error: Exception | None = None) -> None:
        if not self.is_ended:
            self._ended_at = self._source.wall_time()
            self.is_ended, self.error = True, error
            self._changes.on_next(None)
