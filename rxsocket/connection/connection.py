"""One connection as a cold Observable: dial, Opened, messages, Closed. No retry, no policy (C2).

::

    subscribe   Connecting ── Opened ──────────── Closed |       (messages go to ``deliver``)
    subscribe   Connecting ── ConnectFailed |                    or Rejected
    dispose     Connecting ── Aborted                            written by the connection itself
    dispose     Connecting ── Opened ── Closed                   likewise
"""

from __future__ import annotations

from dataclasses import replace

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxsocket.connection.life import Attempt, Life
from rxsocket.engine.engine import Engine
from rxsocket.events import Event
from rxsocket.transports.seam import Request

__all__ = ["connection"]


def connection(attempt: Attempt, engine: Engine) -> Observable[Event]:
    """The connection that comes of an attempt."""

    def subscribe(
        observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        life = Life(attempt, observer, engine)
        attempt.begun(life)
        dialled = SerialDisposable()

        def dial(request: Request) -> None:
            if life.over:
                return
            life.request = request
            try:
                signals = engine.plan.transport(request)
            except Exception as error:  # a user's transport; the attempt failed
                life.on_error(error)
                return
            dialled.disposable = signals.subscribe(life.on_next, life.on_error, life.on_completed)

        with engine.home.turn():
            observer.on_next(replace(attempt.connecting, at=engine.home.wall_time()))
            resolved = attempt.resolve(dial, life.on_error)
        # What the connection writes about its end comes before the transport is let go.
        return CompositeDisposable(Disposable(life.dispose), resolved, dialled)

    return Observable(subscribe)
