"""Who has a sink: one subscription at a time, until it has closed it (C40)."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress

from rxsocket.sinks.sink import Sink


class Ownership:
    """That one subscription has a sink.

    Attributes:
        loop: Where the sink is used; when that is closed, nobody has it any more.
        is_leaving: Whether the sink is being closed: then the next one may wait for it.
        closed: Done when it was closed.
    """

    def __init__(self, sink: Sink, before: Ownership | None) -> None:
        self._sink = sink  # kept: it is known by its id
        self._before = before
        self.loop: asyncio.AbstractEventLoop | None = None
        self.is_leaving = self._is_released = False
        self.closed: Future[None] = Future()

    @property
    def is_over(self) -> bool:
        """Whether another one may have the sink, now or soon."""
        return self.is_leaving or (self.loop is not None and self.loop.is_closed())

    @property
    def is_there(self) -> bool:
        """Whether nobody has the sink any more who had it before."""
        return self._before is None

    async def there(self) -> None:
        """Return when whoever had the sink before has closed it."""
        before = self._before
        if before is not None and before.loop is not None and not before.loop.is_closed():
            # Not wrap_future: it would cancel theirs when this is cancelled.
            loop, closed = asyncio.get_running_loop(), asyncio.Event()
            before.closed.add_done_callback(lambda _: _set(closed, loop))
            await closed.wait()
        self._before = None

    def release(self) -> None:
        """Let the next one have it; what is given back before it was there, when it would be."""
        self.is_leaving = True
        with _lock:
            if self._is_released:
                return
            self._is_released = True
            before = self._before
            if _owners.get(id(self._sink)) is self:
                if before is None or before.closed.done():
                    del _owners[id(self._sink)]
                else:
                    _owners[id(self._sink)] = before
        if before is None:
            self.closed.set_result(None)
        else:
            before.closed.add_done_callback(lambda _: self.closed.set_result(None))


def own(sink: Sink) -> Ownership:
    """Have a sink, now or as soon as whoever leaves it has closed it.

    Raises:
        RuntimeError: If another subscription has it.
    """
    with _lock:
        before = _owners.get(id(sink))
        if before is not None and not before.is_over:
            raise RuntimeError(
                f"into: {sink!r} is in use by another subscription, and one sink has one owner: "
                "merge the streams before into(), share() what it gives, or make another sink"
            )
        now = _owners[id(sink)] = Ownership(sink, before)
        return now


def _set(event: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(event.set)


_lock = threading.Lock()
_owners: dict[int, Ownership] = {}
