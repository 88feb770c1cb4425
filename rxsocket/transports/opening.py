"""Opening a connection, alike on every transport that dials: time limit, redirects, safe errors.

::

    dial ── Redirect ── dial ── begin      within open_timeout, all together
    dial ── X                              on_error, with nothing of the request in it (C28)
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol

from reactivex import Observable, abc
from websockets.exceptions import InvalidURI

from rxsocket.errors import HandshakeInvalid
from rxsocket.runtime.outlet import Direct, Outlet
from rxsocket.transports.redirects import following
from rxsocket.transports.seam import Request, Signal

__all__ = ["Connection", "invalid_answer", "opening", "proxy_refused"]


class Connection(Protocol):
    """A connection whose handshake succeeded."""

    def begin(self, observer: Outlet[Signal]) -> None:
        """Emit the link, then whatever comes."""
        ...


def opening(
    request: Request,
    handshake: Callable[[Request], Awaitable[Connection]],
    explained: Callable[[Exception], Exception | None],
) -> Observable[Signal]:
    """One connection, cold.

    Args:
        request: What to dial.
        handshake: Opens one connection, or raises ``Redirect``. When it is cancelled, it leaves
            nothing behind.
        explained: The error to show instead of one of the library's own; ``None`` for others.
    """
    return Direct(lambda outlet: _Opening(outlet, request, handshake, explained))


class _Opening(abc.DisposableBase):
    __slots__ = ("_outlet", "_task")

    def __init__(
        self,
        outlet: Outlet[Signal],
        request: Request,
        handshake: Callable[[Request], Awaitable[Connection]],
        explained: Callable[[Exception], Exception | None],
    ) -> None:
        self._outlet = outlet
        dial = self._dial(request, handshake, explained)
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(dial)

    def dispose(self) -> None:
        self._outlet.leave()
        if self._task is not None:
            self._task.cancel()

    async def _dial(
        self,
        request: Request,
        handshake: Callable[[Request], Awaitable[Connection]],
        explained: Callable[[Exception], Exception | None],
    ) -> None:
        try:
            async with asyncio.timeout(request.options.open_timeout):
                connection = await following(request, handshake)
        except Exception as error:
            failure = _masked(error, explained)
        else:
            self._task = None  # all that it held to dial goes with it
            connection.begin(self._outlet)
            return
        self._outlet.on_error(failure)


def invalid_answer(what: str) -> HandshakeInvalid:
    """The answer to the handshake is none."""
    return HandshakeInvalid(f"the answer to the handshake is not valid ({what})")


def proxy_refused(status: int) -> HandshakeInvalid:
    """The proxy did not let us through."""
    return HandshakeInvalid(f"the proxy answered with HTTP {status}")


def _masked(error: Exception, explained: Callable[[Exception], Exception | None]) -> Exception:
    """The error to show: without a traceback or a chain, whose frames hold the request (C28)."""
    shown: Exception
    if isinstance(error, TimeoutError):
        shown = TimeoutError("the handshake took longer than open_timeout")
    elif isinstance(error, ssl.SSLCertVerificationError):
        shown = error
    elif isinstance(error, InvalidURI):
        shown = HandshakeInvalid("the address is not one that can be dialled")
    else:
        shown = explained(error) or error
    shown.__cause__ = shown.__context__ = None
    return shown.with_traceback(None)
