"""What makes a socket run: it starts with the first who holds it and stops with the last (C1).

Its public methods may be called from any thread; they check what they are given, and hand the rest
over to the home loop. Everything below "on the loop" happens there, one thing at a time.
"""

from __future__ import annotations

import atexit
import logging
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeGuard

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.subject import BehaviorSubject, Subject

from rxsocket.auth.carriers.combining import carry
from rxsocket.auth.changes import AuthChange, InEffect, Refused, Stored
from rxsocket.auth.credentials import LOGGED_OUT, PENDING, Credential
from rxsocket.auth.identity import same_identity
from rxsocket.auth.keyring import Claim, Renewal
from rxsocket.auth.refreshing import Refreshing
from rxsocket.auth.shares import Share
from rxsocket.auth.sources import FunctionProvider, Provider, credentials_from
from rxsocket.auth.strategies import Reconnect
from rxsocket.codecs import encoded
from rxsocket.departures import Departures
from rxsocket.errors import IdentityChanged, NotConnected, SocketFailed
from rxsocket.events import Cause, Ended, Event, Opened, SourceFailed
from rxsocket.holds import Holds
from rxsocket.plan import Memory, Plan
from rxsocket.policy.verdicts import Verdict
from rxsocket.publisher import Publisher
from rxsocket.receipts import Receipt
from rxsocket.runtime import Home
from rxsocket.sending.interceptors import Interceptors
from rxsocket.sending.outbox import Outbox, Queued, Sent
from rxsocket.sending.payload import json_text, payload
from rxsocket.states import State
from rxsocket.threads import outcome
from rxsocket.transports.seam import Fragments
from rxsocket.unasked import Unasked
from rxsocket.vigil import Vigil

__all__ = ["Engine"]

logger = logging.getLogger("rxsocket")

HURRY = 0.5
"""Seconds for the closing handshake when the program is being interrupted."""
SETTLED = 5.0
"""Seconds after which a renewal may change a connection, where ``stable_after`` is no number."""


class Engine:
    """The running parts of a socket.

    Args:
        plan: What the socket was told.
        home: Where it lives.
        auth: The credential, or where it comes from.
        connections: The events of a run, from start to end; subscribed to at each start.
    """

    def __init__(
        self, plan: Plan, home: Home, auth: Any, connections: Callable[[], Observable[Event]]
    ) -> None:
        self.plan = plan
        self.home = home
        self._connections = connections
        claim, self._follow = self._source(auth)
        self.provider = claim if isinstance(claim, Provider) else None
        self.auth: BehaviorSubject[Claim] = BehaviorSubject(claim)
        self.again: Subject[None] = Subject()
        self.renewing: Credential | None = None
        self.memory = Memory(Departures(plan.options.close_timeout, self._departed))
        self._holds = Holds(home, self._start, self._stop, plan.linger)
        self.publisher = Publisher(home, self.hold, plan.address.shown, _shown(claim))
        self.outbox = Outbox(home, self.publisher, self.hold, plan.queue_for)
        self.vigil = Vigil(home, self.publisher.publish)
        self.when_identity_changes: list[Callable[[], None]] = []
        self.interceptors = Interceptors(self.publisher)
        stable = plan.stable_after if isinstance(plan.stable_after, float) else SETTLED
        self._unasked = Unasked(home, self.publisher, stable, self._lacks, self._renew)
        self._running: abc.DisposableBase | None = None
        self._starting = False
        self._stopped: Future[None] = Future()
        self._failure: Exception | None = None

    def keeps(self, current: Claim, following: Claim) -> bool:
        """Whether the connection that is open is to be renewed, rather than closed (C13, C14)."""
        kept = (
            not isinstance(self.plan.on_auth_change, Reconnect)
            and self.memory.cause is Cause.AUTH_CHANGED
            and self.publisher.state.value is State.OPEN
            and self._same_identity(following)
        )
        self.renewing = _shown(following) if kept else None
        return kept

    def _same_identity(self, following: Claim) -> bool:
        if isinstance(following, Renewal):
            return True
        try:
            current = self.publisher.auth.value
            return same_identity(current, _shown(following), self.plan.identity)
        except Exception as error:
            self.publisher.report("identity=", "auth", error)
            return False

    # --- from any thread

    def hold(self) -> abc.DisposableBase:
        """Keep the socket connected until disposed."""
        if self._stopped.done():
            self._stopped = Future()
        return self._holds.take()

    def set_auth(self, value: Any) -> Receipt[AuthChange]:
        """Change the credential; see ``Socket.set_auth``."""
        credential = self._credential(value, "set_auth(value)")
        receipt = self.publisher.changes.receipt()
        self.home.run(lambda: self._set_auth(credential, receipt))
        return receipt

    def send(self, value: Any) -> Receipt[Sent]:
        """Send a message; see ``Socket.send``."""
        return self.send_encoded(*self.encode(value))

    def send_value(self, value: Any) -> Receipt[Sent]:
        """Send a value that has a form in JSON: through the codec, or without one as JSON text."""
        return self.send_encoded(*self.encode_value(value))

    def encode_value(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        """What goes on the wire for a value that has a form in JSON, and its size in bytes."""
        return self.encode(value if self.plan.codec is not None else json_text(value))

    def encode(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        """What goes on the wire for a value, and its size in bytes."""
        value = self.interceptors.going_out(value)
        if self.plan.codec is not None:
            value = encoded(self.plan.codec, value)
        return payload("send(data)", value)

    def send_encoded(self, data: str | bytes | Fragments, size: int) -> Receipt[Sent]:
        """Send what is encoded already."""
        receipt: Receipt[Sent] = Receipt(self.home, self.publisher.report, self.outbox.hurry)
        queued = Queued(data, size, receipt)
        if not (self.home.free and self.outbox.take(queued)):
            self.home.run(partial(self.outbox.send, queued))
        return receipt

    def reconnect(self) -> None:
        """Make a fresh connection; see ``Socket.reconnect``."""
        self.home.run(self._reconnect)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """End the socket; see ``Socket.close``."""
        receipt: Receipt[None] = Receipt(self.home, self.publisher.report)
        self.home.run(lambda: self._close(code, reason, receipt))
        return receipt

    def leave(self, *, hurry: bool) -> None:
        """Close, and wait for it where that does not block the loop."""
        receipt = self.close()
        if hurry:
            self.home.run(lambda: self.memory.departures.hurry(HURRY))
        if not self.home.here:
            receipt.result()

    async def closed(self, *, hurry: bool) -> None:
        """Close, and wait for it."""
        receipt = self.close()
        if hurry:
            self.home.run(lambda: self.memory.departures.hurry(HURRY))
        await receipt

    def wait(self, timeout: float | None) -> bool:
        """Block until it stopped; see ``Socket.wait``."""
        if self.home.here:
            raise RuntimeError("wait() would block the loop of this socket: await wait_closed()")
        if self._never_started():
            raise RuntimeError("nothing to wait for: subscribe to a stream or call connect() first")
        try:
            self._stopped.result(timeout)
        except TimeoutError:
            return False
        except KeyboardInterrupt:
            self.leave(hurry=True)
            raise
        if self._failure is not None:
            raise self._failure
        return True

    async def wait_closed(self) -> None:
        """Return when it has stopped; see ``Socket.wait_closed``."""
        if not self._never_started():
            await outcome(self._stopped)
        if self._failure is not None:
            raise self._failure

    def loop_ends(self) -> None:
        """The loop is being shut down with the socket still on it, as ``asyncio.run`` does."""
        self.memory.departures.rush()
        self.memory.leave(Cause.LOOP_ENDED)
        self._end(Ended(verdict=Verdict.COMPLETE, cause=Cause.LOOP_ENDED, at=self._now()))

    # --- where credentials come from

    def _source(self, auth: Any) -> tuple[Claim, Callable[[], abc.DisposableBase]]:
        if isinstance(auth, Refreshing):  # before the Observable that it is, too
            share = Share(auth, self.home, self._refused, self._renewed, self._source_failed)
            return share, share.follow
        if _is_observable(auth):
            # What a BehaviorSubject holds now is older than any set_auth() before the start.
            first = self._credential(auth.value, "auth") if _is_behavior(auth) else PENDING
            changed, failed = self._source_changed, self._source_failed
            return first, credentials_from(auth, first, changed, failed)
        if callable(auth):
            return FunctionProvider(auth, self.plan.auth_timeout), Disposable
        return self._credential(auth, "auth"), Disposable

    def _credential(self, value: Any, argument: str) -> Credential:
        credential = Credential.of(value, argument)
        if credential.known:
            carry(
                self.plan.carrier, credential.reveal()
            )  # what cannot be carried fails here, at once
        return credential

    def _source_changed(self, credential: Credential) -> None:
        if self._starting:
            self.auth.on_next(credential)  # what it replays is what to begin with
            self.publisher.credential(credential)
        else:
            self.home.run(lambda: self._emitted(credential))

    def _refused(self, credential: Credential) -> bool:
        return credential in self.memory.refusals

    def _renewed(self, credential: Credential) -> None:
        if self._running is not None:
            self._unasked.came(credential)

    def _source_failed(self, error: Exception) -> None:
        event = SourceFailed(error=error, at=self.home.wall_time())
        self.home.run(lambda: self.publisher.publish(event))

    # --- on the loop

    def _start(self) -> None:
        if self._running is not None:
            return
        self._failure = None
        self.memory.begin()
        run = SerialDisposable()
        self._running = run
        _running.add(self)
        self._starting = True
        try:
            source = self._follow()
        finally:
            self._starting = False
        self.publisher.credential(_shown(self.auth.value))
        events = self._connections().subscribe(self._happened, self._broke)
        run.disposable = CompositeDisposable(events, source)

    def _happened(self, event: Event) -> None:
        if isinstance(event, Ended):
            self._end(event)
            return
        self.publisher.publish(event)
        if isinstance(event, Opened):
            self._unasked.opened()

    def _broke(self, error: Exception) -> None:
        logger.error(
            "%s: a bug in rxsocket ended the socket", self.plan.address.shown, exc_info=error
        )
        text = f"{self.plan.address.shown}: an internal error ended the socket: {error!r}"
        failure = SocketFailed(text, url=self.plan.address.shown, cause=error)
        self._end(Ended(verdict=Verdict.FAIL, cause=Cause.FAILED, error=failure, at=self._now()))

    def _set_auth(self, credential: Credential, receipt: Receipt[AuthChange]) -> None:
        changes, current = self.publisher.changes, self.publisher.auth.value
        newest, epoch = self.renewing or current, self.memory.epoch
        self._unasked.forget()
        if self.provider is not None:
            self.provider.overtaken()
        if self._running is None:
            logger.info(
                "%s: not running; the credential is kept for its start", self.plan.address.shown
            )
            self._drop_what_was_queued(credential)
            self.auth.on_next(credential)
            self.publisher.credential(credential)
            receipt.settle(Stored())
        elif credential == newest and changes.wants(credential):
            changes.begin(credential, receipt, epoch)
        elif credential != newest or credential == self.renewing or self._awaits(credential):
            changes.begin(credential, receipt, epoch)
            self._change(credential)
        elif self.publisher.state.value is State.OPEN:
            receipt.settle(InEffect(self.memory.epoch))
        elif credential is LOGGED_OUT and self.publisher.state.value is State.AWAITING_AUTH:
            receipt.settle(InEffect(None))
        elif credential in self.memory.refusals:
            receipt.settle(Refused("it was refused before"))
        else:
            changes.begin(credential, receipt, epoch - 1)

    def _awaits(self, credential: Credential) -> bool:
        # The last one in use was not refused: the provider gave up, or says logged out.
        awaiting = self.publisher.state.value is State.AWAITING_AUTH
        return awaiting and credential.known and credential not in self.memory.refusals

    def _emitted(self, credential: Credential) -> None:
        if credential != (self.renewing or self.publisher.auth.value):
            self._change(credential)

    def _renew(self, credential: Credential) -> None:
        if credential not in self.memory.refusals:
            self._change(credential, Renewal(credential))

    def _lacks(self) -> bool:
        """Whether nothing brings the next credential but a renewal."""
        claim = self.auth.value
        if isinstance(claim, Credential):  # pushed; one that waits for its turn is overtaken
            waits = self.publisher.state.value in (State.CONNECTING, State.WAITING)
            return claim.known and waits
        return isinstance(self.provider, Share) and self.provider.parked

    def _change(self, credential: Credential, claim: Claim | None = None) -> None:
        claim = claim or credential
        self._drop_what_was_queued(claim)
        logged_out = credential is LOGGED_OUT
        self.memory.leave(Cause.LOGGED_OUT if logged_out else Cause.AUTH_CHANGED)
        self.memory.changed = True
        if claim == self.auth.value:
            self.again.on_next(None)  # set before, but a provider's one is in use since
        else:
            self.auth.on_next(claim)
        if self.renewing is None:
            self.publisher.credential(credential)
        else:
            self.publisher.changes.overtake(credential)

    def _drop_what_was_queued(self, following: Claim) -> None:
        """Nothing that was sent as one identity goes out as another (C14)."""
        nobody = self.publisher.auth.value in (PENDING, LOGGED_OUT)
        if nobody or self._same_identity(following):
            return
        for function in self.when_identity_changes:
            function()
        self.outbox.flush()
        self.outbox.drop(
            lambda: IdentityChanged("not sent: the credential is another identity's now")
        )

    def _reconnect(self) -> None:
        self.memory.refusals.forget()
        if self._running is not None:
            self.memory.leave(Cause.RECONNECT)
            self.again.on_next(None)

    def _close(self, code: int, reason: str, receipt: Receipt[None]) -> None:
        if self._running is not None:
            self.memory.leave(Cause.CLOSE, code, reason)
            self._end(Ended(verdict=Verdict.COMPLETE, cause=Cause.CLOSE, at=self._now()))
        elif self.publisher.state.value is State.IDLE:
            with self.home.turn():
                self.publisher.enter(State.CLOSED)
                self.publisher.end(None)
            self._has_stopped()
        self._departed()
        self.memory.departures.afterwards(lambda: receipt.settle(None))

    def _stop(self) -> None:
        """The last one left."""
        if self._running is None:
            return
        with self.home.turn():
            self.memory.leave(Cause.LEFT)
            self._let_go()
            self.publisher.changes.abandon()
            self.publisher.messages.let_go()
            self.publisher.enter(State.IDLE)
        self._halted()

    def _end(self, event: Ended) -> None:
        with self.home.turn():
            self._let_go()
            self._failure = event.error
            self._holds.void()
            self.publisher.publish(event)
            self.publisher.end(event.error)
        self._halted()

    def _let_go(self) -> None:
        running, self._running = self._running, None
        self.renewing = None
        self._unasked.forget()
        if running is not None:
            running.dispose()
        self.outbox.drop(lambda: NotConnected("not sent: the socket was closed"))
        if self.provider is not None:
            self.provider.cancel()

    def _halted(self) -> None:
        if not self._holds.held:
            self._has_stopped()
        self._departed()

    def _has_stopped(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    def _departed(self) -> None:
        """Something is gone; when nothing is left, let the loop go (C26)."""
        if self._running is not None or len(self.memory.departures):
            return
        _running.discard(self)
        self.home.release(lambda: self._running is None and not self._holds.held)

    def _never_started(self) -> bool:
        idle = self.publisher.state.value is State.IDLE and not self._stopped.done()
        return idle and self._running is None and not self._holds.held

    def _now(self) -> float:
        return self.home.wall_time()


def _shown(claim: Claim) -> Credential:
    if isinstance(claim, Renewal):
        return claim.credential
    return PENDING if isinstance(claim, Provider) else claim


def _is_behavior(auth: Observable[Any]) -> TypeGuard[BehaviorSubject[Any]]:
    return isinstance(auth, BehaviorSubject)


def _is_observable(auth: Any) -> TypeGuard[Observable[Any]]:
    return isinstance(auth, Observable)


_running: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Say goodbye to the servers when the program ends with sockets open."""
    deadline = time.monotonic() + HURRY
    receipts = [engine.close() for engine in list(_running) if engine.home.shared]
    for receipt in receipts:
        try:
            receipt.result(max(0.0, deadline - time.monotonic()))
        except Exception:
            return
