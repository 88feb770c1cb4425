"""One request and its answers, as an Observable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from reactivex import abc

from rxsocket.runtime.threads import running_loop
from rxsocket.streams.guarded import Guarded

__all__ = ["Request"]


class Request(Guarded[Any]):
    """The answers to a request; ``socket.request``.

    Nothing is sent before it is subscribed to or awaited, and each subscription sends once.
    Disposing stops waiting: an answer that comes later is a message like any other.

    ::

        request     ?-------------answer|
        link lost   ?----x  ConnectionLost          at once
        idempotent  ?----x  ?-----answer|           sent again on the next connection
        silence     ?------------------X            TimeoutError after ``timeout`` seconds

    Examples:
        >>> total = await socket.request({"method": "sum", "params": [1, 2]}, id="id")
        >>> socket.request("time?", match=lambda message: message.startswith("time")).run()
    """

    def __init__(self, ask: Callable[[abc.ObserverBase[Any]], abc.DisposableBase]) -> None:
        def attach(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return ask(observer)

        super().__init__("request", attach)

    def __await__(self) -> Generator[Any, None, Any]:
        """Send it, and wait for the last answer; on any loop."""
        return self._answer().__await__()

    async def _answer(self) -> Any:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Any] = loop.create_future()
        last: list[Any] = [None]

        def settle(error: Exception | None) -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(last[0])
            else:
                answered.set_exception(error)

        def end(error: Exception | None = None) -> None:
            if running_loop() is loop:
                settle(error)
                return
            with suppress(RuntimeError):  # that loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, error)

        def on_next(answer: Any) -> None:
            last[0] = answer

        asking = self.subscribe(on_next, end, end)
        try:
            return await answered
        finally:
            asking.dispose()
