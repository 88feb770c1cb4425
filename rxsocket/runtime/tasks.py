"""Coroutines as something to dispose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

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

    async def run() -> None:
        try:
            result = await function()
        except Exception as error:
            with home.turn():
                failed(error)
        else:
            with home.turn():
                done(result)

    return _Running(home.loop.create_task(run()))


class _Running(abc.DisposableBase):
    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def dispose(self) -> None:
        self._task.cancel()
