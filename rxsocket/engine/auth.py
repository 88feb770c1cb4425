"""Which credential a socket has, where it comes from, and what a change of it does (C5 to C14).

::

    set_auth ────────────┐
    an Observable ───────┼── another one ── auth ──── switch-mapped in socket.py
    refreshing, unasked ─┘                   |
    reconnect() ──────── the same one ───────'

A provider is asked by the attempts themselves; here it is only told that it was overtaken.


When a credential that was renewed by itself becomes a change of the connection (C12, C15).

::

    renewed     ----B------------------------------C-----------------
    open        A======|  opened   A? B=====|              B=========
                       only once open for stable_after      C

A connection follows a renewal once it has been open for ``stable_after``. Until then it is not
needed: an attempt takes the newest credential anyway. And a server that refuses each of them must
not be dialled each time that somebody, maybe one of 50 other sockets, had a new one minted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeGuard

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.subject import BehaviorSubject

from rxsocket.auth.carrier import carry
from rxsocket.auth.credentials import LOGGED_OUT, PENDING, Credential, same_identity
from rxsocket.auth.outcomes import AuthChange, InEffect, Refused, Stored
from rxsocket.auth.providers import FunctionProvider, Provider, credentials_from
from rxsocket.auth.refresh import Refreshing, refresher_of
from rxsocket.auth.selector import CredentialSource, Renewal
from rxsocket.auth.shared_provider import SharedProvider
from rxsocket.auth.strategies import Reconnect
from rxsocket.engine.options import SocketOptions
from rxsocket.engine.run_state import RunState
from rxsocket.errors import IdentityChanged
from rxsocket.events import Cause, SourceFailed
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.outlet import DirectBehaviorSubject
from rxsocket.sending.outbox import Outbox
from rxsocket.state import State
from rxsocket.streams.receipts import Receipt

__all__ = ["AuthManager", "PendingRenewal"]


class PendingRenewal:
    """The newest credential that came without being asked for, until it is used.

    Everything here happens on the loop.

    Args:
        home: Where the socket lives.
        publisher: Knows the state, and the credential in use.
        stable_after: Seconds.
        lacks: Whether a socket that is not open has no other way to the next credential.
        use: Makes the change.
    """

    def __init__(
        self,
        loop: SocketLoop,
        publisher: Publisher,
        stable_after: float,
        lacks: Callable[[], bool],
        use: Callable[[Credential], None],
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._stable_after = stable_after
        self._lacks = lacks
        self._use = use
        self._newest: Credential | None = None
        self._opened_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def came(self, credential: Credential) -> None:
        """There is another credential."""
        self._newest = credential
        self._consider()

    def opened(self) -> None:
        """A connection is open."""
        self._opened_at = self._loop.event_loop.time()
        self._consider()

    def forget(self) -> None:
        """Something newer was pushed, or the socket stopped."""
        self._newest = None
        self._disarm()

    def _consider(self) -> None:
        self._disarm()
        if self._newest is None:
            return
        if self._publisher.state.value is not State.OPEN:
            if self._lacks():
                self._take(self._newest)
        elif self._newest == self._publisher.auth.value:
            self._newest = None
        else:
            self._when_stable(self._newest)

    def _when_stable(self, credential: Credential) -> None:
        loop = self._loop.event_loop
        wait = self._opened_at + self._stable_after - loop.time()
        if wait <= 0 or not credential.known:
            self._take(credential)
        else:
            self._timer = loop.call_later(wait, lambda: self._loop.run(self._consider))

    def _take(self, credential: Credential) -> None:
        self._newest = None
        self._use(credential)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


logger = logging.getLogger("rxsocket")

SETTLED = 5.0
"""Seconds after which a renewal may change a connection, where ``stable_after`` is no number."""


class AuthManager:
    """The credential of a socket, whether the socket runs or not.

    Args:
        plan: What the socket was told.
        home: Where it lives.
        auth: The credential, or where it comes from.
        memory: What was refused, and why a connection is let go.
        publisher: Shows which credential is in use.
        outbox: What must not go out as somebody else.

    Attributes:
        subject: The newest claim; each one that it emits is used, also the same one again (C6).
        provider: Who is asked before each attempt, if somebody is.
        renewing: What an open connection is being renewed with.
        when_identity_changes: Called before another identity's credential is used.
    """

    def __init__(
        self,
        options: SocketOptions,
        loop: SocketLoop,
        auth: Any,
        run_state: RunState,
        publisher: Publisher,
        outbox: Outbox,
    ) -> None:
        self._options = options
        self._loop = loop
        self._run_state = run_state
        self._publisher = publisher
        self._outbox = outbox
        self._starting = False
        source, self._follow = self._source(auth)
        self.subject: BehaviorSubject[CredentialSource] = DirectBehaviorSubject(source)
        self.provider = source if isinstance(source, Provider) else None
        self.renewing: Credential | None = None
        self.when_identity_changes: tuple[Callable[[], None], ...] = ()
        self._pending_renewal: PendingRenewal | None = None
        if isinstance(source, SharedProvider):
            stable = options.stable_after if isinstance(options.stable_after, float) else SETTLED
            self._pending_renewal = PendingRenewal(
                loop, publisher, stable, self._lacks, self._renew
            )
        publisher.begin(_shown(source))

    def keeps(self, current: CredentialSource, following: CredentialSource) -> bool:
        """Whether the connection that is open is to be renewed, rather than closed (C13, C14)."""
        kept = (
            not isinstance(self._options.on_auth_change, Reconnect)
            and self._run_state.cause is Cause.AUTH_CHANGED
            and self._publisher.state.value is State.OPEN
            and self._same_identity(following)
        )
        self.renewing = _shown(following) if kept else None
        return kept

    def set_auth(self, value: Any) -> Receipt[AuthChange]:
        """Change the credential, from any thread; see ``Socket.set_auth``."""
        credential = self._credential(value, "set_auth(value)")
        receipt = self._publisher.changes.receipt()
        self._loop.run(lambda: self._set_auth(credential, receipt))
        return receipt

    def follow(self) -> abc.DisposableBase:
        """The socket starts: follow the source of the credential until disposed."""
        self._starting = True
        try:
            source = self._follow()
        finally:
            self._starting = False
        self._publisher.credential(_shown(self.subject.value))
        return source

    def opened(self) -> None:
        """A connection is open."""
        if self._pending_renewal is not None:
            self._pending_renewal.opened()

    def use_again(self) -> None:
        """Let go of the connection, and use the newest credential for another one."""
        self._run_state.leave(Cause.RECONNECT)
        self.subject.on_next(self.subject.value)

    def let_go(self) -> None:
        """The socket stops: nothing is on its way any more."""
        self.renewing = None
        self._forget_unasked()

    # --- where it comes from

    def _source(self, auth: Any) -> tuple[CredentialSource, Callable[[], abc.DisposableBase]]:
        if isinstance(auth, Refreshing):  # before the Observable that it is, too
            mint, failed = refresher_of(auth), self._source_failed
            share = SharedProvider(mint, self._loop, self._refused, self._renewed, failed)
            return share, share.follow
        if _is_observable(auth):
            # What a BehaviorSubject holds now is older than any set_auth() before the start.
            first = self._credential(auth.value, "auth") if _is_behavior(auth) else PENDING
            changed, failed = self._source_changed, self._source_failed
            return first, credentials_from(auth, first, changed, failed)
        if callable(auth):
            return FunctionProvider(auth, self._options.auth_timeout), _nothing
        return self._credential(auth, "auth"), _nothing

    def _credential(self, value: Any, argument: str) -> Credential:
        credential = Credential.of(value, argument)
        if credential.known:
            # What cannot be carried fails here, at once.
            carry(self._options.carrier, credential.reveal())
        return credential

    def _source_changed(self, credential: Credential) -> None:
        if self._starting:
            self.subject.on_next(credential)  # what it replays is what to begin with
            self._publisher.credential(credential)
        else:
            self._loop.run(lambda: self._emitted(credential))

    def _refused(self, credential: Credential) -> bool:
        return credential in self._run_state.refusals

    def _renewed(self, credential: Credential) -> None:
        if self._run_state.running and self._pending_renewal is not None:
            self._pending_renewal.came(credential)

    def _source_failed(self, error: Exception) -> None:
        event = SourceFailed(error=error, at=self._loop.wall_time())
        self._loop.run(lambda: self._publisher.publish(event))

    # --- what a change does; on the loop

    def _set_auth(self, credential: Credential, receipt: Receipt[AuthChange]) -> None:
        changes, current = self._publisher.changes, self._publisher.auth.value
        newest, epoch = self.renewing or current, self._run_state.epoch
        self._forget_unasked()
        if self.provider is not None:
            self.provider.overtaken()
        if not self._run_state.running:
            logger.info(
                "%s: not running; the credential is kept for its start", self._options.label
            )
            self._drop_what_was_queued(credential)
            self.subject.on_next(credential)
            self._publisher.credential(credential)
            receipt.settle(Stored())
        elif credential == newest and changes.wants(credential):
            changes.begin(credential, receipt, epoch)
        elif credential != newest or credential == self.renewing or self._awaits(credential):
            changes.begin(credential, receipt, epoch)
            self._change(credential)
        elif self._publisher.state.value is State.OPEN:
            receipt.settle(InEffect(self._outbox.epoch))  # not one that is made beside it
        elif credential is LOGGED_OUT and self._publisher.state.value is State.AWAITING_AUTH:
            receipt.settle(InEffect(None))
        elif credential in self._run_state.refusals:
            receipt.settle(Refused("it was refused before"))
        else:
            changes.begin(credential, receipt, epoch - 1)

    def _awaits(self, credential: Credential) -> bool:
        # The last one in use was not refused: the provider gave up, or says logged out.
        awaiting = self._publisher.state.value is State.AWAITING_AUTH
        return awaiting and credential.known and credential not in self._run_state.refusals

    def _emitted(self, credential: Credential) -> None:
        if credential != (self.renewing or self._publisher.auth.value):
            self._change(credential)

    def _forget_unasked(self) -> None:
        if self._pending_renewal is not None:
            self._pending_renewal.forget()

    def _renew(self, credential: Credential) -> None:
        if credential not in self._run_state.refusals:
            self._change(credential, Renewal(credential))

    def _lacks(self) -> bool:
        """Whether nothing brings the next credential but a renewal."""
        source = self.subject.value
        if isinstance(source, Credential):  # pushed; one that waits for its turn is overtaken
            waits = self._publisher.state.value in (State.CONNECTING, State.WAITING)
            return source.known and waits
        return isinstance(self.provider, SharedProvider) and self.provider.awaiting

    def _change(self, credential: Credential, source: CredentialSource | None = None) -> None:
        source = source or credential
        self._drop_what_was_queued(source)
        logged_out = credential is LOGGED_OUT
        self._run_state.leave(Cause.LOGGED_OUT if logged_out else Cause.AUTH_CHANGED)
        self._run_state.changed = True
        self.subject.on_next(source)
        if self.renewing is None:
            self._publisher.credential(credential)
        else:
            self._publisher.changes.overtake(credential)

    def _drop_what_was_queued(self, following: CredentialSource) -> None:
        """Nothing that was sent as one identity goes out as another (C14)."""
        nobody = self._publisher.auth.value in (PENDING, LOGGED_OUT)
        if nobody or self._same_identity(following):
            return
        for function in self.when_identity_changes:
            function()
        self._outbox.flush()
        self._outbox.drop(
            lambda: IdentityChanged("not sent: the credential is another identity's now")
        )

    def _same_identity(self, following: CredentialSource) -> bool:
        if isinstance(following, Renewal):
            return True
        try:
            current = self._publisher.auth.value
            return same_identity(current, _shown(following), self._options.identity)
        except Exception as error:
            self._publisher.report("identity=", "auth", error)
            return False


_NOTHING = Disposable()


def _nothing() -> abc.DisposableBase:
    """There is no source to follow."""
    return _NOTHING


def _shown(source: CredentialSource) -> Credential:
    if isinstance(source, Renewal):
        return source.credential
    return PENDING if isinstance(source, Provider) else source


def _is_behavior(auth: Observable[Any]) -> TypeGuard[BehaviorSubject[Any]]:
    return isinstance(auth, BehaviorSubject)


def _is_observable(auth: Any) -> TypeGuard[Observable[Any]]:
    return isinstance(auth, Observable)
