"""Which credential a socket has, where it comes from, and what a change of it does (C5 to C14).

::

    set_auth ──────────────┐
    an Observable ─────────┼── another one ── subject ──── switch-mapped in socket.py
    refreshing(), by itself┘                     |
    reconnect() ────────── the same one ─────────┤
    another address ────── likewise ─────────────'

What the subject emits says why it does, and whether the connection that is open is renewed with it
or closed: nobody who acts on it has to ask anything else. A provider is asked by the attempts
themselves; here it is only told that what it was asked for came too late.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable
from reactivex.subject import BehaviorSubject

from rxsocket.auth.credentials import LOGGED_OUT, PENDING, Credential, same_identity
from rxsocket.auth.masks import mask_of
from rxsocket.auth.outcomes import AuthChange, InEffect, Refused, Stored
from rxsocket.auth.providers import FunctionProvider, Provider, credentials_from
from rxsocket.auth.refresh import Refreshing
from rxsocket.auth.selector import CredentialSource, Renewal
from rxsocket.auth.shared_provider import SharedProvider
from rxsocket.auth.strategies import Reconnect
from rxsocket.endpoint.addresses import Addresses
from rxsocket.engine.options import SocketOptions
from rxsocket.engine.pending_renewal import PendingRenewal
from rxsocket.engine.renewal_request import RenewalRequest
from rxsocket.engine.run_state import RunState
from rxsocket.errors import AddressFailed, IdentityChanged
from rxsocket.events import Cause, SourceFailed
from rxsocket.hooks import Hooks
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.direct import DirectBehaviorSubject
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.threads import log
from rxsocket.sending.outbox import Outbox
from rxsocket.state import State
from rxsocket.streams.receipts import Receipt, run_for
from rxsocket.texts import change_texts, without_frames
from rxsocket.validation import is_behavior, is_observable

STABLE_AFTER = 5.0
"""Seconds after which a renewal may change a connection, where ``stable_after`` is not a number."""


@dataclass(frozen=True, slots=True)
class AuthUpdate:
    """What the auth subject emits; each one is used, also the same source again (C6).

    Attributes:
        source: The credential, or what is asked for it.
        cause: Why it is used now.
        renews_connection: Whether the connection that is open is renewed with it, not closed.
        request: What ``renew()`` asks for, of which the source is the same as before.
    """

    source: CredentialSource
    cause: Cause
    renews_connection: bool = False
    request: RenewalRequest | None = None


class AuthManager:
    """The credential of a socket, whether the socket runs or not.

    Args:
        options: What the socket was told.
        loop: Where it lives.
        auth: The credential, or where it comes from.
        run_state: Which credentials were refused.
        publisher: Shows which credential is in use.
        outbox: What must not go out as somebody else.
        hooks: What is called before the identity changes.
        addresses: Knows where a ticket may lead.

    Attributes:
        subject: The newest update.
        provider: What is asked before each attempt, if anything is.
        renewing: What an open connection is being renewed with.
    """

    def __init__(
        self,
        options: SocketOptions,
        loop: SocketLoop,
        auth: Any,
        run_state: RunState,
        publisher: Publisher,
        outbox: Outbox,
        hooks: Hooks,
        addresses: Addresses,
    ) -> None:
        self._options = options
        self._addresses = addresses
        self._loop = loop
        self._run_state = run_state
        self._publisher = publisher
        self._outbox = outbox
        self._hooks = hooks
        self._is_starting = False
        self._given = auth
        source, self._follow = self._source_of(auth)
        self.subject: BehaviorSubject[AuthUpdate] = DirectBehaviorSubject(
            AuthUpdate(source, Cause.STARTED)
        )
        self.provider = source if isinstance(source, Provider) else None
        self.renewing: Credential | None = None
        self._pending_renewal: PendingRenewal | None = None
        if isinstance(source, SharedProvider):
            stable = options.stable_after
            self._pending_renewal = PendingRenewal(
                loop,
                publisher,
                stable if isinstance(stable, float) else STABLE_AFTER,
                source.expires_at,
                self._needs_renewal,
                self._renew,
            )
        publisher.begin(_shown(source))

    def set_auth(self, value: Any) -> Receipt[AuthChange]:
        credential = self._credential(value, "set_auth(value)")
        receipt = self._publisher.changes.receipt()
        run_for(receipt, self._loop, lambda: self._set_auth(credential, receipt))
        return receipt

    def start(self) -> abc.DisposableBase:
        """The socket starts: follow the source of the credential until disposed."""
        self.subject.on_next(AuthUpdate(self.subject.value.source, Cause.STARTED))
        self._is_starting = True
        try:
            following = self._follow()
        finally:
            self._is_starting = False
        self._publisher.set_credential(_shown(self.subject.value.source))
        return following

    def stop(self) -> None:
        """The socket stops: nothing is on its way any more."""
        self.renewing = None
        self._forget_renewal()

    def pause(self) -> None:
        """No connection is made for now: the newest credential is for when that is over."""
        renewing, self.renewing = self.renewing, None
        if self.provider is not None:
            self.provider.cancel()
        if renewing is not None:
            self._publisher.set_credential(renewing)

    def resume(self, cause: Cause) -> None:
        """Connections are made again, with the current source."""
        self.subject.on_next(AuthUpdate(self.subject.value.source, cause))

    def forget(self) -> None:
        """In a forked child: the parent's sessions do not follow what happens here."""
        self.subject = DirectBehaviorSubject(self.subject.value)

    def on_opened(self) -> None:
        if self._pending_renewal is not None:
            self._pending_renewal.on_opened()

    def redial(self) -> None:
        """Close the connection and dial again with the current source."""
        self._emit(AuthUpdate(self.subject.value.source, Cause.RECONNECT))

    def on_address_changed(self) -> None:
        """There is another address, unless the credential has its own (C33).

        The next connection is made with the current source, as ``on_auth_change`` says: an attempt
        under way is given up, and a wait for one is over; who awaits a credential, or a gate, goes
        on doing so.
        """
        if (self.renewing or self._publisher.auth.value).address is not None:
            return
        is_awaiting = self._publisher.state.value in (State.AWAITING_AUTH, State.GATED)
        if self._run_state.is_running and not is_awaiting:
            self._run_state.dials_soon = True
            source, cause = self.subject.value.source, self._cause_of(Cause.ADDRESS_CHANGED)
            self.subject.on_next(AuthUpdate(source, cause, renews_connection=self._may_renew))

    def renew(self, request: RenewalRequest) -> None:
        """Renew the connection that is open, with the current source (C34)."""
        if self._publisher.state.value is State.OPEN:  # else the next one is about to be made
            self.subject.on_next(
                AuthUpdate(
                    self.subject.value.source,
                    Cause.RENEW,
                    renews_connection=True,
                    request=request,
                )
            )

    # --- where it comes from

    def _source_of(self, auth: Any) -> tuple[CredentialSource, Callable[[], abc.DisposableBase]]:
        if isinstance(auth, Refreshing):  # before the Observable that it is, too
            shared = SharedProvider(
                auth._refresher,  # pyright: ignore[reportPrivateUsage]
                self._loop,
                self._is_refused,
                lambda credential: credential == self._run_state.doubted,
                self._on_renewed,
                self.on_failure,
                self._addresses.why_not,
            )
            return shared, shared.follow
        if is_observable(auth):
            # What a BehaviorSubject holds now is older than any set_auth() before the start.
            first = self._credential(auth.value, "auth") if is_behavior(auth) else PENDING
            changed, failed = self._on_source_next, self.on_failure
            return first, credentials_from(auth, self._emitted, first, changed, failed)
        if callable(auth):
            return FunctionProvider(auth, self._options.auth_timeout), _follow_nothing
        return self._credential(auth, "auth"), _follow_nothing

    def _credential(self, value: Any, argument: str) -> Credential:
        credential = Credential.of(value, argument)
        # What cannot be carried, or may not go there, fails here, at once.
        if credential.address is not None:
            self._addresses.checked(credential.address, argument)
        if credential.has_value:
            value, cursor = credential.reveal(), self._hooks.cursor()
            self._options.check(value, credential.address, cursor)
        return credential

    def _emitted(self, value: Any) -> Credential:
        """What an Observable emitted, if it can be used: it is nothing that may close anything."""
        argument = "auth (an Observable's value)"
        credential = Credential.of(value, argument)
        if (why_not := self._addresses.why_not(credential)) is not None:
            raise AddressFailed(f"{argument}: {why_not}")
        return credential

    def _on_source_next(self, credential: Credential) -> None:
        if self._is_starting:
            # What it replays is what to begin with.
            self.subject.on_next(AuthUpdate(credential, Cause.STARTED))
            self._publisher.set_credential(credential)
        else:
            self._loop.run(lambda: self._follow_source(credential))

    def _follow_source(self, credential: Credential) -> None:
        if credential != (self.renewing or self._publisher.auth.value):
            self._change(credential, cause=self._cause_of(Cause.AUTH_CHANGED))

    def _cause_of(self, change: Cause) -> Cause:
        """Why what a source says leads to an attempt: as the socket started, if none has begun.

        What it emits while it is subscribed to may come a little later, from a trampoline.
        """
        is_new = self._publisher.state.value in (State.IDLE, State.CLOSED)
        return Cause.STARTED if is_new else change

    def on_failure(self, error: Exception, argument: str = "auth") -> None:
        """What gives credentials or addresses failed; from any thread."""
        event = SourceFailed(error=error, argument=argument, at=self._loop.wall_time())
        self._loop.run(lambda: self._publisher.publish(event))

    def source_problem(self) -> str:
        """Why the source has nothing new, if it says so, as ``from_file()`` does; any thread."""
        said: object = getattr(self._given, "problem", "")
        return said if isinstance(said, str) else ""

    def _is_refused(self, credential: Credential) -> bool:
        return credential in self._run_state.refusals

    # --- renewals that nobody asked for

    def _on_renewed(self, credential: Credential) -> None:
        if self._run_state.is_running and self._pending_renewal is not None:
            self._pending_renewal.on_next(credential)

    def _renew(self, credential: Credential) -> None:
        if credential not in self._run_state.refusals:
            self._change(credential, Renewal(credential))

    def _needs_renewal(self) -> bool:
        """Nothing but a renewal brings the next credential."""
        source = self.subject.value.source
        if isinstance(source, Credential):  # pushed; one that waits for its turn is superseded
            waits = self._publisher.state.value in (State.CONNECTING, State.WAITING)
            return source.known and waits
        return isinstance(self.provider, SharedProvider) and self.provider.is_awaiting

    def _forget_renewal(self) -> None:
        if self._pending_renewal is not None:
            self._pending_renewal.forget()

    # --- what a change does; on the loop

    def _set_auth(self, credential: Credential, receipt: Receipt[AuthChange]) -> None:
        self._forget_renewal()
        if self.provider is not None:
            self.provider.discard_earlier()
        if not self._run_state.is_running:
            self._store(credential)
            receipt.settle(Stored())
            return
        if self._publisher.state.value is State.GATED:
            self._change(credential)
            receipt.settle(InEffect(None) if credential is LOGGED_OUT else Stored())
            return
        changes, epoch = self._publisher.changes, self._run_state.epoch
        is_newest = credential == (self.renewing or self._publisher.auth.value)
        if is_newest and changes.is_pending(credential):
            changes.add(credential, receipt, epoch)  # settled with the one that is on its way
        elif not is_newest or credential == self.renewing or self._is_awaited(credential):
            changes.add(credential, receipt, epoch)
            self._change(credential)
        elif (outcome := self._outcome_of_unchanged(credential)) is not None:
            receipt.settle(outcome)
        else:
            changes.add(credential, receipt, epoch - 1)  # the attempt under way is about it

    def _outcome_of_unchanged(self, credential: Credential) -> AuthChange | None:
        """What has become of the credential in use, as far as that is known."""
        state = self._publisher.state.value
        if state is State.OPEN:
            return InEffect(self._outbox.epoch)  # not one that is made beside it
        if credential is LOGGED_OUT and state is State.AWAITING_AUTH:
            return InEffect(None)
        if credential in self._run_state.refusals:
            return Refused("it was refused before")
        return None

    def _is_awaited(self, credential: Credential) -> bool:
        # The last one in use was not refused: the provider gave up, or says logged out.
        is_awaiting = self._publisher.state.value is State.AWAITING_AUTH
        return is_awaiting and credential.known and not self._is_refused(credential)

    def _store(self, credential: Credential) -> None:
        text = "%s: not running; the credential is kept for its start"
        log(logging.INFO, text, self._options.label)
        self._drop_unsent_unless(self._is_same_identity(credential))
        self.subject.on_next(AuthUpdate(credential, Cause.STARTED))
        self._publisher.set_credential(credential)

    def _change(
        self,
        credential: Credential,
        source: CredentialSource | None = None,
        cause: Cause = Cause.AUTH_CHANGED,
    ) -> None:
        source = source or credential
        is_same = self._is_same_identity(source)
        self._drop_unsent_unless(is_same)
        self._run_state.credential_changed = True
        self._publisher.changes.on_change(credential)
        if credential is LOGGED_OUT:
            self._emit(AuthUpdate(source, Cause.LOGGED_OUT))
        else:
            renews = is_same and self._may_renew
            self._emit(AuthUpdate(source, cause, renews_connection=renews))
        if self.renewing is None:
            self._publisher.set_credential(credential)

    def _emit(self, update: AuthUpdate) -> None:
        self.renewing = _shown(update.source) if update.renews_connection else None
        self.subject.on_next(update)

    @property
    def _may_renew(self) -> bool:
        """Whether an open connection is renewed when its credential is (C13, C14)."""
        is_open = self._publisher.state.value is State.OPEN
        return is_open and not isinstance(self._options.on_auth_change, Reconnect)

    def _drop_unsent_unless(self, same_identity: bool) -> None:
        """Fail what waits to be sent if the next credential is another identity's (C14)."""
        if same_identity or self._publisher.auth.value in (PENDING, LOGGED_OUT):
            return
        for function in self._hooks.before_identity_change:
            function()
        self._outbox.flush()
        self._outbox.drop(
            lambda: IdentityChanged("not sent: the credential is another identity's now")
        )

    def _is_same_identity(self, following: CredentialSource) -> bool:
        if isinstance(following, Renewal):
            return True
        current = self._publisher.auth.value
        try:
            return same_identity(current, _shown(following), self._options.identity)
        except BaseException as raised:
            error = without_frames(change_texts(raised, mask_of((current, _shown(following)))))
            self._publisher.report("identity=", "auth", error, detached=False)
            return False


_NOTHING = Disposable()


def _follow_nothing() -> abc.DisposableBase:
    return _NOTHING


def _shown(source: CredentialSource) -> Credential:
    if isinstance(source, Renewal):
        return source.credential
    return PENDING if isinstance(source, Provider) else source
