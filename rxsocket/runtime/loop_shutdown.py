"""What is done when an asyncio loop ends with sockets on it, as ``asyncio.run`` ends it (C26).

``asyncio.run`` cancels the tasks that there are at that moment, and runs the loop on until they are
done. A task that is made later, by what the cancelled ones do, is never run. So one task for each
loop waits for that moment: cancelled, it has every socket of the loop close, and the loop runs on
until it has returned.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

Shutdown: TypeAlias = Callable[[], Iterable[asyncio.Future[Any]]]
"""Closes what is open; returns what the loop is to run on for."""


def add_shutdown(loop: asyncio.AbstractEventLoop, function: Shutdown) -> None:
    """Call a function when the loop ends; on the loop."""
    watcher = _watchers.get(loop)
    if watcher is None or watcher.task.done():
        watcher = _watchers[loop] = _Watcher(loop)
    watcher.functions[function] = None


def remove_shutdown(loop: asyncio.AbstractEventLoop, function: Shutdown) -> None:
    watcher = _watchers.get(loop)
    if watcher is None:
        return
    watcher.functions.pop(function, None)
    if not watcher.functions:
        del _watchers[loop]  # the task of the watcher refers to the loop
        if not loop.is_closed():
            watcher.task.cancel()


class _Watcher:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.functions: dict[Shutdown, None] = {}
        self.task = loop.create_task(self._wait(), name="rxsocket: until the loop ends")

    async def _wait(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            rest = [future for function in tuple(self.functions) for future in function()]
            if rest:
                await asyncio.wait(rest)


_watchers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watcher] = (
    weakref.WeakKeyDictionary()
)
