"""The ``WebSocket`` of a page, or of a worker, where Python runs in a browser (C57).

What a page may do is what the WHATWG's WebSockets specification gives it: an address, subprotocols,
messages, and a close code. There are no headers, no pings and no status of a refusal. The browser
itself sends its cookies and the Origin, agrees on TLS and on compression, and follows no redirect.
"""

from __future__ import annotations

import asyncio

from reactivex import Observable, abc

from rxsocket.runtime.direct import DirectObservable
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.browser_connection import BrowserConnection

__all__ = ["browser_transport"]


def browser_transport(request: Request) -> Observable[Signal]:
    """One connection of the page's; see ``rxsocket.transports.base`` for what it emits."""

    def subscribe(
        observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return _BrowserDial(observer, request)

    return DirectObservable(subscribe)


class _BrowserDial(abc.DisposableBase):
    __slots__ = ("_connection", "_observer", "_task")

    def __init__(self, observer: abc.ObserverBase[Signal], request: Request) -> None:
        self._observer = observer
        self._connection: BrowserConnection | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(request))

    def dispose(self) -> None:
        if self._connection is None:
            self._task.cancel()
        else:
            self._connection.detach()

    async def _run(self, request: Request) -> None:
        try:
            async with asyncio.timeout(request.options.open_timeout):
                await request.go()
                connection = await _opened(request)
        except Exception as error:
            failure = error
            if isinstance(error, TimeoutError) and error.errno is None:
                failure = TimeoutError("the handshake took longer than open_timeout")
            failure.__cause__ = failure.__context__ = None
            failure = failure.with_traceback(None)  # its frames hold the request (C28)
        else:
            self._connection = connection
            connection.start(self._observer)
            return
        self._observer.on_error(failure)


async def _opened(request: Request) -> BrowserConnection:
    connection = BrowserConnection(request)
    try:
        await connection.opened
    except BaseException:
        connection.abort()
        raise
    return connection
