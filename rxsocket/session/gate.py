"""Whether the socket may be connected, as an Observable says (C35).

::

    gate       ---True-----------False--------True----
             [ gated(gate)(connections) ]
    result   G--co-mm-mm-mm------xG-----------co-mm-     G Gated, c Connecting, o Opened, x Closed

The connections are subscribed to while it is open, and disposed when it closes: so whatever is
under way then, a dial, a wait or a handover, has the same owner as ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable

from rxsocket.engine.engine import Engine
from rxsocket.engine.run_state import StopReason
from rxsocket.events import Cause, Event, Gated, SourceFailed
from rxsocket.runtime.direct import DirectObservable
from rxsocket.runtime.threads import as_exception
from rxsocket.texts import without_frames

UNDECIDED = "it has not said yet whether it is open"


def gated(
    gate: Observable[Any], engine: Engine
) -> Callable[[Observable[Event]], Observable[Event]]:
    """Let connections be made only while a gate is open.

    Args:
        gate: Emits ``True`` for open and ``False`` for closed, on any thread. It is subscribed to
            at each start, on the loop, and is closed until its first value. Its error, and a value
            that is neither, are a ``SourceFailed``; then, and when it completes, it stays as it is.
        engine: The socket's running parts.

    Returns:
        An operator. The result is what the connections emit, and ``Gated`` when it closes.
    """

    def operator(connections: Observable[Event]) -> Observable[Event]:
        def subscribe(
            observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _Gate(gate, connections, observer, engine)

        return DirectObservable(subscribe)

    return operator


class _Gate(abc.DisposableBase):
    """One run of a socket that has a gate."""

    def __init__(
        self,
        gate: Observable[Any],
        connections: Observable[Event],
        observer: abc.ObserverBase[Event],
        engine: Engine,
    ) -> None:
        self._connections = connections
        self._observer = observer
        self._engine = engine
        self._loop = engine.loop
        self._process = os.getpid()
        self._is_open: bool | None = None
        self._is_disposed = False
        self._session: abc.DisposableBase | None = None
        self._following = SerialDisposable()
        self._is_starting = True
        try:
            self._following.disposable = gate.subscribe(self._on_value, self._on_failed)
        except BaseException as error:  # of the user's Observable
            self._on_failed(as_exception(error))
        finally:
            self._is_starting = False
        if self._is_open is None:
            self._close(UNDECIDED)

    def dispose(self) -> None:
        self._is_disposed = True
        self._following.dispose()
        session, self._session = self._session, None
        if session is not None:
            session.dispose()

    def _on_value(self, value: Any) -> None:
        if not isinstance(value, bool):
            kind = type(value).__name__
            self._on_failed(TypeError(f"gate: emit True or False, not {kind}"))
        elif self._is_starting and self._loop.is_current:
            self._turn(value)  # what it holds now is what to begin with
        else:
            self._loop.run(lambda: self._turn(value))

    def _on_failed(self, error: Exception) -> None:
        without_frames(error)
        event = SourceFailed(error=error, argument="gate", at=self._loop.wall_time())
        self._loop.run(lambda: self._engine.publisher.publish(event))

    def _turn(self, is_open: bool) -> None:
        """The gate is to be open or closed; on the loop."""
        if self._is_disposed or is_open is self._is_open:
            return
        if os.getpid() != self._process:  # a forked child: the connections are the parent's
            return
        was_open, self._is_open = self._is_open, is_open
        if not is_open:
            self._close(Cause.GATED.value)
            return
        if was_open is not None or not self._is_starting:
            self._engine.auth.resume(Cause.GATED)
        session = self._connections.subscribe(self._observer)
        if self._is_open and not self._is_disposed:
            self._session = session
        else:
            session.dispose()

    def _close(self, reason: str) -> None:
        with self._loop.turn():
            session, self._session = self._session, None
            if session is not None:
                self._engine.run_state.stop_reason = StopReason(Cause.GATED)
                session.dispose()
                self._engine.auth.pause()
            self._observer.on_next(Gated(reason=reason, at=self._loop.wall_time()))
