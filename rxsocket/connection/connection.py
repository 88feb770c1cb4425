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
from rxsocket.transports.seam import Request

__all__ = ["connection"]


def connection(attempt: Attempt, engine: Engine) -> Observable[Event]:
    """The connection that comes of an attempt."""

    def subscribe(
        observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return _Connection(attempt, observer, engine)

    return Observable(subscribe)


class _Connection(abc.DisposableBase):
    """What there is to let go of: the life, the credential that is asked for, the transport."""

    __slots__ = ("_dialled", "_life", "_resolved", "_transport")

    def __init__(self, attempt: Attempt, observer: abc.ObserverBase[Event], engine: Engine) -> None:
        self._transport = engine.plan.transport
        self._dialled: abc.DisposableBase | None = None
        self._life = attempt.life = Life(attempt, observer, engine)
        with engine.home.turn():
            observer.on_next(
                Connecting(
                    epoch=attempt.number,
                    cause=attempt.cause,
                    attempt=attempt.count,
                    url=engine.plan.address.shown,
                    at=engine.home.wall_time(),
                )
            )
            self._resolved = attempt.resolve(self._dial, self._life.on_error)

    def dispose(self) -> None:
        # What the connection writes about its end comes before the transport is let go.
        self._life.dispose()
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
        except Exception as error:  # a user's transport; the attempt failed
            life.on_error(error)
            return
        dialled = signals.subscribe(life.on_next, life.on_error, life.on_completed)
        if life.over:
            dialled.dispose()
        else:
            self._dialled = dialled
