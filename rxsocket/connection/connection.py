"""One connection as a cold Observable: dial, Opened, messages, Closed. No retry, no policy (C2).

::

    subscribe   Connecting ── Opened ──────────── Closed |       (messages go to ``deliver``)
    subscribe   Connecting ── ConnectFailed |                    or Rejected
    dispose     Connecting ── Aborted                            written by the connection itself
    dispose     Connecting ── Opened ── Closed                   likewise
"""

from __future__ import annotations

from reactivex import Observable, abc

from rxsocket.connection.life import Attempt, Life
from rxsocket.engine.engine import Engine
from rxsocket.events import Connecting, Event
from rxsocket.runtime.outlet import Direct, Outlet, subscribed
from rxsocket.transports.seam import Request

__all__ = ["connection"]


def connection(attempt: Attempt, engine: Engine) -> Direct[Event]:
    """The connection that comes of an attempt."""
    return Direct(lambda outlet: _Connection(attempt, outlet, engine))


class _Connection(abc.DisposableBase):
    """What there is to let go of: the life, the credential that is asked for, the transport."""

    __slots__ = ("_dialled", "_life", "_outlet", "_resolved", "_transport")

    def __init__(self, attempt: Attempt, outlet: Outlet[Event], engine: Engine) -> None:
        self._outlet = outlet
        self._transport = engine.plan.transport
        self._resolved: abc.DisposableBase | None = None
        self._dialled: abc.DisposableBase | None = None
        life = self._life = attempt.life = Life(attempt, self, engine)
        with engine.home.turn():
            outlet.on_next(
                Connecting(
                    epoch=attempt.number,
                    cause=attempt.cause,
                    attempt=attempt.count,
                    url=engine.plan.address.shown,
                    at=engine.home.wall_time(),
                )
            )
            self._resolved = attempt.resolve(self._dial, life.on_error)
        if life.over:
            self._let_go()

    def dispose(self) -> None:
        # What the connection writes about its end comes before the transport is let go.
        self._life.dispose()
        self._let_go()

    def told(self, event: Event) -> None:
        """What happens to the connection."""
        self._outlet.on_next(event)

    def over(self) -> None:
        """It has told of its end."""
        self._let_go()
        self._outlet.on_completed()

    def _let_go(self) -> None:
        if self._resolved is not None:
            self._resolved.dispose()
        if self._dialled is not None:
            self._dialled.dispose()

    def _dial(self, request: Request) -> None:
        life = self._life
        if life.over:
            return
        life.request = request
        try:
            signals = self._transport(request)
            if not isinstance(signals, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
                kind = type(signals).__name__
                raise TypeError(f"transport(request): return an Observable of signals, not {kind}")
        except Exception as error:  # a user's transport; the attempt failed
            life.on_error(error)
            return
        dialled = subscribed(signals, life)
        if life.over:
            dialled.dispose()
        else:
            self._dialled = dialled
