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
from rxsocket.keepalive import Keepalive
from rxsocket.policy.verdicts import End, Verdict
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
        judge: The verdict about an end.
        leaving: Why it would be disposed now, and what to send.
        ping_interval: Seconds between pings, or ``None``.
        ping_timeout: Seconds to wait for a pong, or ``None``.
    """

    connecting: Connecting
    opened: Opened
    resolve: Resolve
    judge: Callable[[End, float | None], Verdict]
    leaving: Callable[[], tuple[Cause, int, str]]
    ping_interval: float | None
    ping_timeout: float | None


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
        self._home = engine.home
        self._publisher = engine.publisher
        self._memory = engine.memory
        self._outbox = engine.outbox
        self._epoch = attempt.connecting.epoch
        self._link: Link | None = None
        self._rejected = engine.plan.rejected
        self._stable_after = engine.plan.stable_after
        self._opened_at = 0.0
        self.over = False
        self._keepalive: Keepalive | None = None

    def on_next(self, signal: Signal) -> None:
        if self.over:
            return
        if isinstance(signal, list):
            self._messages(signal)
        elif isinstance(signal, (str, bytes)):
            self._messages([signal])
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
        verdict = self._attempt.judge(End(error=error), None)
        kind = Rejected if verdict is Verdict.AWAIT_AUTH else ConnectFailed
        status = error.status if isinstance(error, HandshakeRefused) else None
        self._end(
            kind(epoch=self._epoch, error=error, status=status, verdict=verdict, at=self._now())
        )

    def on_completed(self) -> None:
        if not self.over:
            self.on_error(ConnectionError("the transport ended without a reason"))

    def _messages(self, messages: list[str | bytes]) -> None:
        refusal = None if self._rejected is None else self._first_refusal(messages)
        if refusal is None:
            self._publisher.deliver(messages)
            return
        self._publisher.deliver(messages[:refusal])
        if self._link is not None and not self.over:
            self._refused(self._link)

    def _first_refusal(self, messages: list[str | bytes]) -> int | None:
        """Which of the first messages says that the credential was refused, by the user's word."""
        if self._home.loop.time() - self._opened_at >= self._stable_after:
            self._rejected = None
        for number, message in enumerate(messages):
            try:
                if self._rejected is not None and self._rejected(message):
                    return number
            except Exception as error:
                self._publisher.report("rejected=", "messages", error)
        return None

    def _refused(self, link: Link) -> None:
        uptime = self._uptime()
        verdict = self._attempt.judge(End(error=CredentialRefused()), uptime)
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
            interval, timeout = self._attempt.ping_interval, self._attempt.ping_timeout
            if interval is not None:
                self._keepalive = Keepalive(link, interval, timeout, lambda: self._silent(link))
            self._observer.on_next(
                replace(
                    self._attempt.opened,
                    gap=self._gap(),
                    subprotocol=link.subprotocol,
                    at=self._now(),
                )
            )

    def _silent(self, link: Link) -> None:
        with self._home.turn():
            if not self.over:
                silent = PeerClosed(1006, "keepalive ping timeout", lost=True)
                self._closed(link, silent, Cause.SILENT)
                link.abort()  # last: a transport may report it at once, as a lost link

    def _closed(self, link: Link, signal: PeerClosed, cause: Cause | None = None) -> None:
        uptime = self._uptime()
        self._memory.departures.add(link, ended=True)
        self._end(
            Closed(
                epoch=self._epoch,
                code=signal.code,
                reason=signal.reason,
                sent=signal.sent,
                cause=cause or (Cause.LOST if signal.lost else Cause.PEER),
                verdict=self._attempt.judge(
                    End(code=signal.sent or signal.code, reason=signal.reason), uptime
                ),
                uptime=uptime,
                at=self._now(),
            )
        )

    def _end(self, event: Event) -> None:
        with self._home.turn():
            self.over = True
            self._stop_using()
            self._observer.on_next(event)
            self._observer.on_completed()

    def _stop_using(self) -> None:
        self._outbox.shut()
        if self._keepalive is not None:
            self._keepalive.stop()

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
