"""One connection as a cold Observable: dial, Opened, messages, Closed. No retry, no policy (C2).

::

    subscribe   Connecting ── Opened ──────────── Closed |       (messages go to ``deliver``)
    subscribe   Connecting ── ConnectFailed |                    or Rejected
    dispose     Connecting ── Aborted                            written by the connection itself
    dispose     Connecting ── Opened ── Closed                   likewise


The life of one epoch: from the dial over the link and the open connection to its end (C2).

::

    dial ── link ── doorstep ── admitted ── open ────────────────── over
                    the credential          Opened, then messages   Closed
                    as first message                                (before: Rejected, Aborted …)

What happens is told to who made it. Who is disposed is told nothing any more, so then the last
event goes straight to ``publish``: every Opened has its Closed, whoever ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from reactivex import Observable, abc

from rxsocket.auth.carrier import Predicate
from rxsocket.auth.selector import Abandoned
from rxsocket.connection.closing import TIMEOUT, Ending
from rxsocket.connection.decoding import decoding
from rxsocket.connection.first_messages import AuthHandshake, RefusalFilter
from rxsocket.connection.liveness import Liveness
from rxsocket.engine.engine import Engine
from rxsocket.events import (
    Aborted,
    Cause,
    Connecting,
    Event,
    Opened,
)
from rxsocket.liveness.stability import Stability
from rxsocket.policy.verdicts import End, Verdict
from rxsocket.runtime.outlet import Direct, Outlet, subscribed
from rxsocket.transports.base import Link, PeerClosed, Request, Signal

__all__ = ["Attempt", "Connection", "connection"]

Filter: TypeAlias = Callable[[str | bytes], bool]


class Attempt(Protocol):
    """What one connection needs to know.

    Attributes:
        number: Its epoch.
        cause: Why it is made.
        count: How many attempts it took so far, this one included.
        life: Its life, when there is one.
        early: Called with the value of each message that came before it opened.
    """

    number: int
    cause: Cause
    count: int
    life: Connection | None
    early: Callable[[Any], None] | None

    def resolve(
        self, dial: Callable[[Request], None], failed: Callable[[Exception], None]
    ) -> abc.DisposableBase:
        """Resolve the credential, then call ``dial``, or ``failed`` with what went wrong."""
        ...

    def judge(self, end: End, stable: bool) -> Verdict:
        """The verdict about an end, and whether the connection was stable before it."""
        ...

    def admit(self, life: Connection) -> None:
        """It could open: say ``open()``, now or later."""
        ...


class Teller(Protocol):
    """Who is told what happens to a connection, while it is not disposed."""

    def told(self, event: Event) -> None:
        """An event of it."""
        ...

    def over(self) -> None:
        """That was the last one."""
        ...


class Connection(abc.DisposableBase):
    """From the dial to the end of one epoch; the outlet of its transport.

    Attributes:
        epoch: Its number.
        link: The connection, once it is there.
        request: What is dialled, until the connection is open.
        opened_at: When it opened, on the loop's clock.
        over: Whether it has ended.
    """

    def __init__(
        self,
        attempt: Attempt,
        teller: Teller,
        engine: Engine,
    ) -> None:
        self.epoch = attempt.number
        self.link: Link | None = None
        self.request: Request | None = None
        self.opened_at: float | None = None
        self.over = False
        self._attempt = attempt
        self._teller = teller
        self._engine = engine
        self._loop = engine.loop
        self._options = engine.options
        self._publisher = engine.publisher
        self._brake = engine.publisher.read_gate
        self._codec = engine.options.codec
        self._decode: Callable[[list[str | bytes]], None] | None = None
        if self._codec is not None:
            self._decode = decoding(self._codec, self._publisher)
        self._run_state = engine.run_state
        self._outbox = engine.outbox
        self._early: list[str | bytes] | None = None
        self._doorstep: AuthHandshake | None = None
        self._stability: Stability | None = None
        self._liveness: Liveness | None = None
        self._filters: tuple[Filter, ...] = ()
        self._hears: Filter | None = self._before_open

    # --- what the transport says

    def on_next(self, signal: Signal) -> None:
        """A signal of the transport."""
        if self.over:
            return
        if isinstance(signal, list):
            self._messages(signal)
        elif isinstance(signal, (str, bytes)):
            self._messages([signal])
        elif isinstance(signal, PeerClosed):
            if self.link is not None:
                self._lost(self.link, signal)
        else:
            self._linked(signal)

    def on_error(self, error: Exception) -> None:
        """The dial failed, or the transport did."""
        if self.over:
            return
        if self.link is not None:
            self._lost(self.link, PeerClosed(1006, str(error), lost=True))
        elif isinstance(error, Abandoned):
            self._end(Aborted(epoch=self.epoch, cause=error.cause, at=self._now()))
        else:
            self._failed(error, End(error=error))

    def on_completed(self) -> None:
        """The transport ended."""
        if not self.over:
            self.on_error(ConnectionError("the transport ended without a reason"))

    def leave(self) -> None:
        """Hear nothing more of the transport."""
        self.over = True

    # --- what others do with it

    def open(self, *, seamless: bool = False) -> None:
        """Be the connection of the socket from here on (C19).

        Args:
            seamless: Whether another one delivered until now.
        """
        link = self.link
        if link is None or self.over:
            return
        self.opened_at = self._loop.event_loop.time()
        with self._loop.turn():
            self._hears = self._filtered if self._filters else None
            self._outbox.open(link, self.epoch)
            self._brake.opened(link, self._look_after(link))
            self._teller.told(
                Opened(
                    epoch=self.epoch,
                    cause=self._attempt.cause,
                    attempts=self._attempt.count,
                    gap=0.0 if seamless else self._gap(self.opened_at),
                    subprotocol=self.request.shown(link.subprotocol) if self.request else None,
                    at=self._now(),
                )
            )
            self.request = None  # it was for the dial
            early, self._early = self._early, None
            if early:
                self.on_next(early)

    def listen(self, hears: Filter) -> Callable[[], None]:
        """Let a function have each message first, as it came; if it returns true, nobody gets it.

        Returns:
            A function that ends it.
        """

        def end() -> None:
            self._filters = tuple(other for other in self._filters if other is not hears)
            if self.opened_at is not None and not self._filters:
                self._hears = None

        self._filters = (*self._filters, hears)
        if self.opened_at is not None:
            self._hears = self._filtered

        return end

    def ask(self, predicate: Predicate, message: Any) -> bool:
        """Ask a predicate of the user's about a message; if it raises, that is reported (C23)."""
        try:
            return bool(predicate(message))
        except Exception as error:
            self.complain(predicate, error)
            return False

    def complain(self, function: Callable[..., Any], error: Exception) -> None:
        """A function of the user's raised: report it, as that of an observer (C23)."""
        name = getattr(function, "__qualname__", type(function).__name__)
        self._publisher.report(name, "messages", error)

    def give_up(self, error: Exception) -> None:
        """End it before it opened: it took too long, or something was in the way."""
        if self.over:
            return
        with self._loop.turn():
            self._failed(error, End(error=error), closing=self.link)

    def dispose(self) -> None:
        """Let it go, for the reason of the moment."""
        if self.over:
            return
        self.over = True
        if self.opened_at is not None:
            self._outbox.flush()
        self._stop_using()
        if self.link is not None:
            self._run_state.closing_connections.add(self.link, *self._run_state.farewell)
        self._publisher.publish(self._ending.let_go())

    # --- before it opens

    def _linked(self, link: Link) -> None:
        self.link = link
        greeting = None if self.request is None else self.request.greeting
        if greeting is None:
            self._attempt.admit(self)
            return
        self._doorstep = AuthHandshake(
            greeting, link, self._loop, self.ask, self._let_in, self.give_up
        )

    def _let_in(self) -> None:
        self._doorstep = None
        self._attempt.admit(self)

    def _before_open(self, message: str | bytes) -> bool:
        if self._doorstep is not None and self._doorstep.hears(message):
            return True
        self._early = self._early or []
        self._early.append(message)
        if self._attempt.early is not None:
            self._attempt.early(self.value(message))
        return True

    def _messages(self, messages: list[str | bytes]) -> None:
        if self._hears is None:
            if self._decode is None:
                self._publisher.deliver(messages)
            else:
                self._decode(messages)
            return
        for message in messages:  # each may open or end it, or end what hears them
            if self.over:
                return
            if self._hears is None or not self._hears(message):
                (self._decode or self._publisher.deliver)([message])

    # --- while it is open

    def _filtered(self, message: str | bytes) -> bool:
        return any(hears(message) for hears in self._filters)

    def value(self, message: str | bytes) -> Any:
        """What observers would get; the message itself if it does not decode."""
        if self._codec is None:
            return message
        try:
            return self._codec.decode(message)
        except Exception:  # reported when it is delivered
            return message

    def _look_after(self, link: Link) -> Liveness:
        """From here on, watch whether the connection is any good."""
        self._stability = stability = Stability(
            self._options.stable_after, self._loop, self._publisher
        )
        self._liveness = liveness = Liveness(
            link,
            self.epoch,
            self._options,
            self._loop,
            self._publisher,
            self._engine.loop_listener,
            self,
        )
        for listener in (stability, liveness):
            if listener.listens:
                self._overhear(listener.heard)
        if self._options.rejected is not None:
            self._suspect(self._options.rejected)
        return liveness

    def _overhear(self, heard: Callable[[str | bytes], None]) -> None:
        def hears(message: str | bytes) -> bool:
            heard(message)
            return self.over  # who was told may have ended it

        self.listen(hears)

    def _suspect(self, rejected: Predicate) -> None:
        def trusted() -> bool:
            if not self._stable:
                return False
            end()
            return True

        end = self.listen(RefusalFilter(rejected, self.ask, trusted, self._refused))

    def _refused(self) -> None:
        link = self.link
        if link is None:
            return
        ended = self._ending.refused()
        self._run_state.closing_connections.add(link)
        self._end(ended)

    def no_use(self, cause: Cause, reason: str) -> None:
        """The connection is open, but no use any more."""
        link = self.link
        with self._loop.turn():
            if self.over or link is None:
                return
            if cause in (Cause.SILENT, Cause.BLOCKED):
                self._lost(link, PeerClosed(1006, reason, lost=True), cause)
                link.abort()  # last: a transport may report it at once, as a lost link
            else:
                ended = self._ending.no_use(cause, reason)
                self._run_state.closing_connections.add(link, TIMEOUT, reason)
                self._end(ended)

    @property
    def _stable(self) -> bool:
        return self._stability is not None and self._stability.reached

    # --- its end

    @property
    def _ending(self) -> Ending:
        return Ending(self._attempt, self._engine, self.opened_at, self._stable)

    def _failed(self, error: Exception, end: End, closing: Link | None = None) -> None:
        ended = self._ending.failed(error, end)
        if closing is not None:
            self._run_state.closing_connections.add(closing)
        self._end(ended)

    def _lost(self, link: Link, signal: PeerClosed, cause: Cause | None = None) -> None:
        self._run_state.closing_connections.add(link, ended=True)
        self._end(self._ending.lost(signal, cause))

    def _end(self, event: Event) -> None:
        with self._loop.turn():
            self.over = True
            self._stop_using()
            self._teller.told(event)
            self._teller.over()

    def _stop_using(self) -> None:
        if self.opened_at is not None:
            self._outbox.shut()
            if self.link is not None:
                self._brake.over(self.link)
        if self._doorstep is not None:
            self._doorstep.leave()
        if self._stability is not None:
            self._stability.stop()
        if self._liveness is not None:
            self._liveness.stop()

    def _gap(self, opened_at: float) -> float | None:
        """Seconds that the socket was without a connection."""
        closed_at = self._run_state.closed_at
        return None if closed_at is None else opened_at - closed_at

    def _now(self) -> float:
        return self._loop.wall_time()


def connection(attempt: Attempt, engine: Engine) -> Direct[Event]:
    """The connection that comes of an attempt."""
    return Direct(lambda outlet: _Connection(attempt, outlet, engine))


class _Connection(abc.DisposableBase):
    """What there is to let go of: the life, the credential that is asked for, the transport."""

    __slots__ = ("_dialled", "_life", "_outlet", "_resolved", "_transport")

    def __init__(self, attempt: Attempt, outlet: Outlet[Event], engine: Engine) -> None:
        self._outlet = outlet
        self._transport = engine.options.transport
        self._resolved: abc.DisposableBase | None = None
        self._dialled: abc.DisposableBase | None = None
        life = self._life = attempt.life = Connection(attempt, self, engine)
        with engine.loop.turn():
            outlet.on_next(
                Connecting(
                    epoch=attempt.number,
                    cause=attempt.cause,
                    attempt=attempt.count,
                    url=engine.options.address.shown,
                    at=engine.loop.wall_time(),
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
