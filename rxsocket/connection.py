"""One connection as a cold Observable: dial, Opened, messages, Closed. No retry, no policy (C2).

::

    subscribe   Connecting ── Opened ──────────── Closed |       (messages go to ``deliver``)
    subscribe   Connecting ── ConnectFailed |                    or Rejected
    dispose     Connecting ── Aborted                            written by the connection itself
    dispose     Connecting ── Opened ── Closed                   likewise

What is disposed can emit nothing more through its observer, so the last event of a connection that
is disposed goes straight to ``publish``: every Opened has its Closed, whoever ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxsocket.auth.keyring import Abandoned
from rxsocket.engine import Engine
from rxsocket.errors import CredentialRefused, HandshakeRefused
from rxsocket.events import (
    Aborted,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Event,
    Opened,
    Rejected,
)
from rxsocket.explaining.causes import blocked
from rxsocket.liveness import Liveness
from rxsocket.policy.verdicts import End, Verdict
from rxsocket.stability import Stability
from rxsocket.transports.seam import Link, PeerClosed, Request, Signal

__all__ = ["Attempt", "connection"]


Resolve: TypeAlias = Callable[
    [Callable[[Request], None], Callable[[Exception], None]], abc.DisposableBase
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one connection needs to know.

    Attributes:
        connecting: Its first event.
        opened: Its second one, as far as it is known before.
        resolve: Resolves the credential, then calls its first argument with the request to dial, or
            its second one with what went wrong.
        judge: The verdict about an end, and whether the connection was stable before it.
        leaving: Why it would be disposed now, and what to send.
    """

    connecting: Connecting
    opened: Opened
    resolve: Resolve
    judge: Callable[[End, bool], Verdict]
    leaving: Callable[[], tuple[Cause, int, str]]


def connection(attempt: Attempt, engine: Engine) -> Observable[Event]:
    """The connection that comes of an attempt."""

    def subscribe(
        observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        life = _Life(attempt, observer, engine)
        dialled = SerialDisposable()

        def dial(request: Request) -> None:
            if life.over:
                return
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


JUST_NOW = 2.0
"""Seconds after a block in which an end may be due to it."""
LONG = 5.0
"""Seconds of a block after which a server may have given us up."""
TIMEOUT = 3008
"""The registered close code for a peer that took too long (IANA)."""


def _both(
    first: Callable[[str | bytes], None], second: Callable[[str | bytes], None]
) -> Callable[[str | bytes], None]:
    def heard(message: str | bytes) -> None:
        first(message)
        second(message)

    return heard


class _Life:
    """From the dial to the end of one epoch."""

    def __init__(
        self,
        attempt: Attempt,
        observer: abc.ObserverBase[Event],
        engine: Engine,
    ) -> None:
        self._attempt = attempt
        self._observer = observer
        self._engine = engine
        self._home = engine.home
        self._publisher = engine.publisher
        self._memory = engine.memory
        self._outbox = engine.outbox
        self._epoch = attempt.connecting.epoch
        self._link: Link | None = None
        self._rejected = engine.plan.rejected
        self._stable_after = engine.plan.stable_after
        self._stability: Stability | None = None
        self._heard: Callable[[str | bytes], None] | None = None
        self._opened_at = 0.0
        self.over = False
        self._liveness: Liveness | None = None

    def on_next(self, signal: Signal) -> None:
        if self.over:
            return
        if isinstance(signal, (str, bytes)):
            if self._heard is not None:
                self._heard(signal)
                if self.over:  # who was told may have ended it
                    return
            if self._rejected is None or not self._says_refused(signal):
                self._publisher.deliver(signal)
        elif isinstance(signal, PeerClosed):
            if self._link is not None:
                self._closed(self._link, signal)
        else:
            self._open(signal)

    def on_error(self, error: Exception) -> None:
        if self._link is not None:
            self._closed(self._link, PeerClosed(1006, str(error), lost=True))
            return
        if isinstance(error, Abandoned):
            self._end(Aborted(epoch=self._epoch, cause=error.cause, at=self._now()))
            return
        verdict = self._attempt.judge(End(error=error), False)
        kind = Rejected if verdict is Verdict.AWAIT_AUTH else ConnectFailed
        status = error.status if isinstance(error, HandshakeRefused) else None
        self._end(
            kind(epoch=self._epoch, error=error, status=status, verdict=verdict, at=self._now())
        )

    def on_completed(self) -> None:
        if not self.over:
            self.on_error(ConnectionError("the transport ended without a reason"))

    def _says_refused(self, message: str | bytes) -> bool:
        """Ask the user's function about one of the first messages; a refusal ends it all."""
        link, rejected = self._link, self._rejected
        if link is None or rejected is None:
            return False
        if self._stable:
            self._rejected = None
            return False
        try:
            if not rejected(message):
                return False
        except Exception as error:
            self._publisher.report("rejected=", "messages", error)
            return False
        uptime = self._uptime()
        verdict = self._attempt.judge(End(error=CredentialRefused()), False)
        self._memory.departures.add(link)
        self._end(
            Closed(
                epoch=self._epoch,
                reason="a message said so",
                sent=1000,
                cause=Cause.REFUSED,
                verdict=verdict,
                uptime=uptime,
                at=self._now(),
            )
        )
        return True

    def dispose(self) -> None:
        if self.over:
            return
        self.over = True
        self._stop_using()
        cause, code, reason = self._attempt.leaving()
        if self._link is None:
            self._publisher.publish(Aborted(epoch=self._epoch, cause=cause, at=self._now()))
            return
        self._memory.departures.add(self._link, code, reason)
        self._publisher.publish(
            Closed(
                epoch=self._epoch,
                reason=reason,
                sent=code,
                cause=cause,
                uptime=self._uptime(),
                at=self._now(),
            )
        )

    def _open(self, link: Link) -> None:
        self._link = link
        self._opened_at = self._home.loop.time()
        with self._home.turn():
            self._outbox.open(link, self._epoch)
            self._look_after(link)
            self._observer.on_next(
                replace(
                    self._attempt.opened,
                    gap=self._gap(),
                    subprotocol=link.subprotocol,
                    at=self._now(),
                )
            )

    def _look_after(self, link: Link) -> None:
        """From here on, watch whether the connection is any good."""
        engine = self._engine
        self._stability = stability = Stability(
            self._stable_after, self._home, self._stability_failed
        )
        self._liveness = liveness = Liveness(
            link,
            self._epoch,
            engine.plan,
            self._home,
            self._publisher,
            engine.vigil,
            lambda cause, reason: self._lost(link, cause, reason),
        )
        listening = [one.heard for one in (stability, liveness) if one.listens]
        if listening:
            self._heard = listening[0] if len(listening) == 1 else _both(*listening)

    def _lost(self, link: Link, cause: Cause, reason: str) -> None:
        """The connection is open, but no use any more."""
        with self._home.turn():
            if self.over:
                return
            if cause in (Cause.SILENT, Cause.BLOCKED):
                self._closed(link, PeerClosed(1006, reason, lost=True), cause)
                link.abort()  # last: a transport may report it at once, as a lost link
            else:
                self._left(link, cause, reason)

    def _left(self, link: Link, cause: Cause, reason: str) -> None:
        """Close a connection that is no use; what follows is what follows a lost link."""
        uptime = self._uptime()
        verdict = self._attempt.judge(End(code=1006, reason=reason), self._stable)
        self._memory.departures.add(link, TIMEOUT, reason)
        self._end(
            Closed(
                epoch=self._epoch,
                reason=reason,
                sent=TIMEOUT,
                cause=cause,
                verdict=verdict,
                uptime=uptime,
                at=self._now(),
            )
        )

    def _closed(self, link: Link, signal: PeerClosed, cause: Cause | None = None) -> None:
        uptime = self._uptime()
        self._memory.departures.add(link, ended=True)
        reason = signal.reason
        if cause is None:
            cause = Cause.LOST if signal.lost else Cause.PEER
            block = self._blocked() if signal.lost or signal.code == 1011 else ""
            if block:
                reason = f"{block}; {reason}" if reason else block
                if signal.code == 1011:  # it gave us up while we did not look
                    cause = Cause.BLOCKED
        self._end(
            Closed(
                epoch=self._epoch,
                code=signal.code,
                reason=reason,
                sent=signal.sent,
                cause=cause,
                verdict=self._attempt.judge(
                    End(code=signal.sent or signal.code, reason=signal.reason), self._stable
                ),
                uptime=uptime,
                at=self._now(),
            )
        )

    def _blocked(self) -> str:
        """That the loop was blocked until just now, if so; longer than servers may put up with."""
        seconds = self._engine.vigil.blocked_since(self._home.loop.time() - JUST_NOW)
        return blocked(seconds) if seconds >= LONG else ""

    def _end(self, event: Event) -> None:
        with self._home.turn():
            self.over = True
            self._stop_using()
            self._observer.on_next(event)
            self._observer.on_completed()

    def _stop_using(self) -> None:
        self._outbox.shut()
        if self._stability is not None:
            self._stability.stop()
        if self._liveness is not None:
            self._liveness.stop()

    @property
    def _stable(self) -> bool:
        return self._stability is not None and self._stability.reached

    def _stability_failed(self, error: Exception) -> None:
        self._publisher.report("stable_after=", "messages", error)

    def _gap(self) -> float | None:
        """Seconds that the socket was without a connection."""
        closed_at = self._memory.closed_at
        return None if closed_at is None else self._opened_at - closed_at

    def _uptime(self) -> float:
        """Seconds it was open; from here on the socket is without a connection."""
        self._memory.closed_at = self._home.loop.time()
        return self._home.loop.time() - self._opened_at

    def _now(self) -> float:
        return self._home.wall_time()
