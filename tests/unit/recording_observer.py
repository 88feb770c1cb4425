"""What the tests of operators share."""

from __future__ import annotations

from typing import Any

from reactivex import Observable


class RecordingObserver:
    """An observer that writes down what it is told."""

    def __init__(self, source: Observable[Any]) -> None:
        self.values: list[Any] = []
        self.error: Exception | None = None
        self.completed = False
        self.subscription = source.subscribe(self.values.append, self._fail, self._complete)

    def _fail(self, error: Exception) -> None:
        self.error = error

    def _complete(self) -> None:
        self.completed = True
