"""One connection, from the attempt to its end: dial, Opened, messages, Closed (C2).

::

    start   Connecting ── dial ── link ── first message ── open ───────────────── Closed
                                          the credential   Opened, then messages
            before it opens                                Rejected, ConnectFailed
    close   before it opens                                Aborted
            while it is open                               Closed

What happens is told to the session that made it, with ``on_event``. A session that closes it hears
nothing more of it, so then the last event goes straight to ``publish``: every Opened has its
Closed, whoever ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from reactivex import Observable, abc

from rxsocket.auth.carrier import Predicate
from rxsocket.auth.credentials import Credential
from rxsocket.auth.selector import Abandoned
from rxsocket.codecs import size_in_bytes
from rxsocket.connection.admittance import Admittance
from rxsocket.connection.closing import JUST_NOW, TIMEOUT, did_not_open, lost_why, mask_error
from rxsocket.connection.decoding import decoding
from rxsocket.connection.first_messages import AuthHandshake, refusal_filter
from rxsocket.connection.liveness import Liveness, take_notice
from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, CredentialRefused, HandshakeError
from rxsocket.events import (
    Aborted,
    Cause,
    Closed,
    ConnectFailed,
    EpochEnd,
    Event,
    Opened,
    Rejected,
)
from rxsocket.liveness.stability import Stability
from rxsocket.policy.verdicts import End, Judgement
from rxsocket.runtime.loop import run_in_task
from rxsocket.runtime.threads import as_exception, exit_soon
from rxsocket.transports.base import Link, PeerClosed, Request, Signal, StreamNotice
from rxsocket.url import Address

Filter: TypeAlias = Callable[[str | bytes], bool]
"""Sees a message as it came; returns whether nobody else gets it."""

EARLY_MESSAGES = 2**16
"""How many messages may wait for the opening, or for a handover."""
EARLY_BYTES = 2**24
"""How many bytes they may have."""


class Owner(Protocol):
    """What makes connections, and knows what they are for."""

    def judge(self, connection: Connection, end: End, stable: bool) -> Judgement: ...
    def on_event(self, connection: Connection, event: Event) -> None: ...


class Connection(abc.ObserverBase[Signal]):
    """One epoch; the observer of its transport.

    Args:
        engine: The socket's running parts.
        epoch: Its number.
        cause: Why it is made.
        attempt: How many attempts it took so far, this one included.
        owner: Hears what happens to it until it is closed, and judges its end.
        on_link: Called when it could open, where another one delivers still; else it opens.
        on_early_message: Called with the value of each message that comes before it opens.
        reason: The words of who asked for it.

    Attributes:
        credential: What it was dialled with, or renewed with.
        address: Where it was dialled.
        sent_as: Where in the handshake the credential went, in words.
        began_at: Wall time of the attempt.
        ended: Its last event.
        link: What the transport made, once it is there.
        opened_at: When it opened, on the loop's clock.
        is_closed: Whether it has ended.
        admittance: How it was admitted to dial, if its socket is one of a fleet.
    """

    admittance: Admittance | None = None

    def __init__(
        self,
        engine: Engine,
        epoch: int,
        cause: Cause,
        attempt: int,
        *,
        owner: Owner,
        on_link: Callable[[Connection], None] | None = None,
        on_early_message: Callable[[Any], None] | None = None,
        reason: str = "",
    ) -> None:
        # Less than 30 attributes: with more, CPython gives each instance a dict of its own.
        self.epoch = epoch
        self.cause = cause
        self.attempt = attempt
        self.credential: Credential | None = None
        self.address: Address | None = None
        self.sent_as = ""
        self.began_at = engine.loop.wall_time()
        self.ended: asyncio.Future[EpochEnd] = engine.loop.event_loop.create_future()
        self.link: Link | None = None
        self.opened_at: float | None = None
        self.is_closed = False
        self._engine, self._loop = engine, engine.loop
        self._owner = owner
        self._on_link = on_link
        self._on_early_message = on_early_message
        self.reason = reason
        codec = engine.options.codec
        self._decode = None if codec is None else decoding(codec, engine.publisher)
        self._request: Request | None = None
        self._resolving: abc.DisposableBase | None = None
        self._transport: abc.DisposableBase | None = None
        self._could_open = False
        self._early: list[str | bytes] | None = None
        self._early_bytes = 0
        self._auth_handshake: AuthHandshake | None = None
        self._stability: Stability | None = None
        self._liveness: Liveness | None = None
        self._filters: tuple[Filter, ...] = ()
        self._first_filter: Filter | None = self._before_open

    # --- what the session does with it

    def dial(self, request: Request) -> None:
        if self.is_closed:
            return
        self._request, self.sent_as = request, request.credential
        try:
            signals = self._engine.options.transport(request)
            if not isinstance(signals, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
                kind = type(signals).__name__
                raise TypeError(f"transport(request): return an Observable of signals, not {kind}")
        except BaseException as error:  # a user's transport; the attempt failed
            self.on_error(as_exception(error))
            return
        self._transport = signals.subscribe(self)
        if self.is_closed:
            self._transport.dispose()

    def dial_when(self, resolve: Callable[[], Awaitable[Request]]) -> None:
        """Connect when it is known where to and with what."""
        self._resolving = run_in_task(self._loop, resolve, self.dial, self.on_error)

    def open(self, *, seamless: bool = False) -> None:
        """Make this the socket's active connection (C19).

        Args:
            seamless: Whether another one delivered until now.
        """
        link = self.link
        if link is None or self.is_closed:
            return
        self.opened_at = self._loop.event_loop.time()
        with self._loop.turn():
            self._first_filter = self._filtered if self._filters else None
            self._engine.outbox.open(link, self.epoch)
            self._engine.publisher.read_gate.add_link(link, self._watch(link))
            request, self._request = self._request, None
            self._owner.on_event(
                self,
                Opened(
                    epoch=self.epoch,
                    cause=self.cause,
                    attempts=self.attempt,
                    gap=0.0 if seamless else self._gap(self.opened_at),
                    subprotocol=request.shown(link.subprotocol) if request else None,
                    url="" if self.address is None else self.address.shown,
                    moved=self._engine.addresses.is_opened_elsewhere(self.address),
                    at=self._loop.wall_time(),
                ),
            )
            early, self._early = self._early, None
            if early and not self.is_closed:
                self._on_messages(early)

    def activate(self, *, seamless: bool) -> None:
        """Make this the socket's active connection: now, or as soon as it could open."""
        self._on_link = self._on_early_message = None
        if self._could_open:
            self.open(seamless=seamless)

    def add_filter(self, function: Filter) -> Callable[[], None]:
        """Let a function have each message first, as it came.

        Returns:
            A function that removes it.
        """

        def remove() -> None:
            self._filters = tuple(other for other in self._filters if other is not function)
            if self.opened_at is not None and not self._filters:
                self._first_filter = None

        self._filters = (*self._filters, function)
        if self.opened_at is not None:
            self._first_filter = self._filtered
        return remove

    def close(self, cause: Cause, code: int = 1000, reason: str = "") -> None:
        """Close it; what it says of its end goes to ``publish``."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.opened_at is not None:
            self._engine.outbox.flush()
        self._stop()
        if self.link is not None:
            self._engine.run_state.closing.add(self.link, code, reason)
        event: EpochEnd
        if self.opened_at is None:
            event = Aborted(epoch=self.epoch, cause=cause, at=self._loop.wall_time())
        else:
            event = self._closed(reason=reason, sent=code, cause=cause)
        self._settle(event)
        self._engine.publisher.publish(event)
        self._dispose_transport()

    def fail_dial(self, error: Exception) -> None:
        """End it before it opened: it took too long, or something was in the way."""
        if self.is_closed:
            return
        with self._loop.turn():
            ended = self._did_not_open(error, End(error=error))
            if self.link is not None:
                self._engine.run_state.closing.add(self.link)
            self._end(ended)

    def fail_open(self, cause: Cause, reason: str) -> None:
        """End it while it is open: it is no use any more.

        With SILENT and BLOCKED nothing can be said to the peer; with other causes it is worth a
        close frame.
        """
        link = self.link
        with self._loop.turn():
            if self.is_closed or link is None:
                return
            if cause in (Cause.SILENT, Cause.BLOCKED):
                self._lost(link, PeerClosed(1006, reason, lost=True), cause)
                link.abort()  # last: a transport may report it at once, as a lost link
                return
            verdict = self._owner.judge(self, End(code=1006, reason=reason), self.is_stable).verdict
            ended = self._closed(reason=reason, sent=TIMEOUT, cause=cause, verdict=verdict)
            self._engine.run_state.closing.add(link, TIMEOUT, reason)
            self._end(ended)

    def asked(self, predicate: Predicate, message: Any) -> object:
        """What a predicate of the user's says of a message; what it raises is reported (C23)."""
        try:
            return predicate(message) or None
        except BaseException as error:
            self.report(predicate, error)
            return None

    def report(self, function: Callable[..., Any], error: BaseException) -> None:
        """A function of the user's raised: report it, as that of an observer (C23)."""
        name = getattr(function, "__qualname__", type(function).__name__)
        self._engine.publisher.report(name, "messages", error, detached=False)

    def decoded(self, message: str | bytes) -> Any:
        """What observers would get; the message itself if it does not decode."""
        codec = self._engine.options.codec
        if codec is None:
            return message
        try:
            return codec.decode(message)
        except BaseException as error:  # reported when it is delivered
            exit_soon(error)
            return message

    # --- what the transport says

    def on_next(self, value: Signal) -> None:
        if self.is_closed:
            return
        if isinstance(value, (list, str, bytes)):
            messages = value if isinstance(value, list) else [value]
            self._engine.publisher.on_read(messages, self.epoch)
            self._on_messages(messages)
        elif isinstance(value, StreamNotice):
            take_notice(value, self._engine, self._liveness)
        elif not isinstance(value, PeerClosed):
            self._linked(value)
        elif self.link is not None:
            self._lost(self.link, value)

    def on_error(self, error: Exception) -> None:
        if self.is_closed:
            return
        if self.link is not None:
            self._lost(self.link, PeerClosed(1006, str(error), lost=True))
        elif isinstance(error, Abandoned):
            self._end(Aborted(epoch=self.epoch, cause=error.cause, at=self._loop.wall_time()))
        else:
            self._end(self._did_not_open(error, End(error=error)))

    def on_completed(self) -> None:
        if not self.is_closed:
            self.on_error(ConnectionError("the transport ended without a reason"))

    # --- before it opens

    def _linked(self, link: Link) -> None:
        self.link = link
        if self.admittance is not None:
            self.admittance.answered()
        first_message = None if self._request is None else self._request.first_message
        if first_message is None:
            self._admit()
        else:
            self._auth_handshake = AuthHandshake(
                first_message,
                link,
                self._loop,
                self.asked,
                lambda sent: self._engine.publisher.on_sent(sent, self.epoch),
                self._accepted,
                self.fail_dial,
            )

    def _accepted(self) -> None:
        self._auth_handshake = None
        self._admit()

    def _admit(self) -> None:
        self._could_open = True
        if self._on_link is None:
            self.open()
        else:
            self._on_link(self)

    def _before_open(self, message: str | bytes) -> bool:
        if self._auth_handshake is not None and self._auth_handshake.takes(message):
            return True
        early = self._early = self._early or []
        early.append(message)
        self._early_bytes += size_in_bytes(message)
        if len(early) > EARLY_MESSAGES or self._early_bytes > EARLY_BYTES:
            text = "too many messages came before the connection was ready"
            self.fail_dial(HandshakeError(text))
            return True
        if self._on_early_message is not None:
            self._on_early_message(self.decoded(message))
        return True

    # --- while it is open

    def _on_messages(self, messages: list[str | bytes]) -> None:
        if self._first_filter is None:
            (self._decode or self._engine.publisher.deliver)(messages)
            return
        for message in messages:  # each may open or end it, or remove the filters
            if self.is_closed:
                return
            if self._first_filter is None or not self._first_filter(message):
                (self._decode or self._engine.publisher.deliver)([message])

    def _filtered(self, message: str | bytes) -> bool:
        return any(function(message) for function in self._filters)

    def _watch(self, link: Link) -> Liveness:
        """From here on, watch whether the connection is any good."""
        options, publisher = self._engine.options, self._engine.publisher
        self._stability = stability = Stability(options.stable_after, self._loop, publisher)
        self._liveness = liveness = Liveness(
            link,
            self.epoch,
            options,
            self._loop,
            publisher,
            self._engine.loop_listener,
            self.fail_open,
        )
        if stability.needs_messages:
            self._overhear(stability.on_message)
        if liveness.needs_messages:
            self._overhear(liveness.on_message)
        if options.rejected is not None:
            self._filter_refusals(options.rejected)
        return liveness

    def _overhear(self, on_message: Callable[[str | bytes], None]) -> None:
        def overhear(message: str | bytes) -> bool:
            on_message(message)
            return self.is_closed  # what was called may have ended it

        self.add_filter(overhear)

    def _filter_refusals(self, rejected: Predicate) -> None:
        def is_over() -> bool:
            if not self.is_stable:
                return False
            remove()
            return True

        refusals = refusal_filter(rejected, self.asked, is_over, self._on_refused)
        remove = self.add_filter(refusals)

    def _on_refused(self) -> None:
        if self.link is None:
            return
        verdict = self._owner.judge(self, End(error=CredentialRefused()), False).verdict
        ended = self._closed(
            reason="a message said so", sent=1000, cause=Cause.REFUSED, verdict=verdict
        )
        self._engine.run_state.closing.add(self.link)
        self._end(ended)

    @property
    def is_stable(self) -> bool:
        return self._stability is not None and self._stability.is_reached

    # --- its end

    def _did_not_open(self, error: Exception, end: End) -> Rejected | ConnectFailed:
        mask_error(error, self._engine.publisher.history, self.sent_as, self.link)
        judgement = self._owner.judge(self, end, False)
        return did_not_open(self.epoch, error, judgement, self._loop.wall_time())

    def _lost(self, link: Link, signal: PeerClosed, cause: Cause | None = None) -> None:
        self._engine.run_state.closing.add_ended(link)
        reason = self._engine.publisher.history.as_read(signal.reason)
        end = End(code=signal.sent or signal.code, reason=reason)
        if self.opened_at is None:
            said = f"closed with {signal.code} {reason}".rstrip()
            error = ConnectionLost(f"the server let the link open, then {said}")
            self._end(self._did_not_open(error, end))
            return
        if cause is None:
            just_now = self._loop.event_loop.time() - JUST_NOW
            blocked_for = self._engine.loop_listener.blocked_since(just_now)
            cause, reason = lost_why(signal, reason, blocked_for)
        judgement = self._owner.judge(self, end, self.is_stable)
        self._end(
            self._closed(
                code=signal.code,
                reason=reason,
                sent=signal.sent,
                cause=cause,
                verdict=judgement.verdict,
                tolerated=judgement.tolerated,
            )
        )

    def _closed(self, **how: Any) -> Closed:
        """From here on the socket is without a connection."""
        now = self._engine.run_state.closed_at = self._loop.event_loop.time()
        uptime = now - (self.opened_at or 0.0)
        return Closed(epoch=self.epoch, uptime=uptime, at=self._loop.wall_time(), **how)

    def _end(self, event: EpochEnd) -> None:
        with self._loop.turn():
            self.is_closed = True
            self._stop()
            self._settle(event)
            self._owner.on_event(self, event)
            self._dispose_transport()

    def _settle(self, event: EpochEnd) -> None:
        if not self.ended.done():  # cancelled with the task that awaited it
            self.ended.set_result(event)

    def _stop(self) -> None:
        """Let go of what it uses while it lives."""
        if self.link is not None:
            if self.opened_at is not None:
                self._engine.outbox.close()
            self._engine.publisher.read_gate.remove_link(self.link)
        if self._auth_handshake is not None:
            self._auth_handshake.dispose()
        if self._stability is not None:
            self._stability.stop()
        if self._liveness is not None:
            self._liveness.stop()

    def _dispose_transport(self) -> None:
        if self._resolving is not None:
            self._resolving.dispose()
        if self._transport is not None:
            self._transport.dispose()

    def _gap(self, opened_at: float) -> float | None:
        closed_at = self._engine.run_state.closed_at
        return None if closed_at is None else opened_at - closed_at
