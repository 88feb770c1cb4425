"""Who has a sink: one subscription at a time, until it has closed it (C40)."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

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
        self.is_leaving = False
        self.closed: Future[None] = Future()

    @property
    def is_over(self) -> bool:
        """Whether another one may have the sink, now or soon."""
        return self.is_leaving or (self.loop is not None and self.loop.is_closed())

    async def there(self) -> None:
        """Return when whoever had the sink before has closed it."""
        before = self._before
        if before is not None and before.loop is not None and not before.loop.is_closed():
            await asyncio.wrap_future(before.closed)
        self._before = None

    def release(self) -> None:
        """Let the next one have it; what is given back before it was there, when it would be."""
        self.is_leaving = True
        with _lock:
            if _owners.get(id(self._sink)) is self:
                if self._before is None:
                    del _owners[id(self._sink)]
                else:
                    _owners[id(self._sink)] = self._before
        if not self.closed.done():
            if self._before is None:
                self.closed.set_result(None)
            else:
                self._before.closed.add_done_callback(lambda _: self.closed.set_result(None))


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


_lock = threading.Lock()
_owners: dict[int, Ownership] = {}
