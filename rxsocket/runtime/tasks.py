"""Coroutines as something to dispose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from reactivex import abc

from rxsocket.runtime.home import Home

__all__ = ["in_a_task"]

T = TypeVar("T")


def in_a_task(
    home: Home,
    function: Callable[[], Awaitable[T]],
    done: Callable[[T], None],
    failed: Callable[[Exception], None],
) -> abc.DisposableBase:
    """Run a coroutine; what comes of it is told within a turn. Disposing cancels it."""
    return _Running(home, function, done, failed)


class _Running(abc.DisposableBase, Generic[T]):
    __slots__ = ("_done", "_failed", "_home", "_task")

    def __init__(
        self,
        home: Home,
        function: Callable[[], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._home = home
        self._done = done
        self._failed = failed
        self._task = home.loop.create_task(self._run(function))

    def dispose(self) -> None:
        self._task.cancel()

    async def _run(self, function: Callable[[], Awaitable[T]]) -> None:
        try:
            result = await function()
        except Exception as error:
            with self._home.turn():
                self._failed(error)
        else:
            with self._home.turn():
                self._done(result)
