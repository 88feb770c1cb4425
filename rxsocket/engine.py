"""What makes a socket run: it starts with the first who holds it and stops with the last (C1).

Its public methods may be called from any thread; they check what they are given, and hand the rest
over to the home loop. Everything below "on the loop" happens there, one thing at a time.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeGuard

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.subject import BehaviorSubject, Subject

from rxsocket.auth.changes import AuthChange, InEffect, Refused, Stored
from rxsocket.auth.credentials import LOGGED_OUT, PENDING, Credential
from rxsocket.auth.keyring import Claim
from rxsocket.auth.sources import Provider, credentials_from
from rxsocket.departures import Departures
from rxsocket.errors import SocketFailed
from rxsocket.events import Cause, Ended, Event, SourceFailed, State
from rxsocket.holds import Holds
from rxsocket.plan import Memory, Plan
from rxsocket.policy.verdicts import Verdict
from rxsocket.publisher import Publisher
from rxsocket.receipts import Receipt
from rxsocket.runtime import Home
from rxsocket.sending.outbox import Outbox, Sent
from rxsocket.vigil import Vigil

__all__ = ["Engine"]

logger = logging.getLogger("rxsocket")

HURRY = 0.5
"""Seconds for the closing handshake when the program is being interrupted."""


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
        self.memory = Memory(Departures(plan.options.close_timeout, self._departed))
        self._holds = Holds(home, self._start, self._stop, plan.linger)
        self.publisher = Publisher(home, self.hold, plan.address.shown, _shown(claim))
        self.outbox = Outbox(home, self.publisher)
        self.vigil = Vigil(home, self.publisher.publish)
        self._running: abc.DisposableBase | None = None
        self._starting = False
        self._stopped = threading.Event()
        self._failure: Exception | None = None

    def keeps(self, current: Claim, following: Claim) -> bool:
        """Whether the session of one credential goes on with the next: with reconnect(), never."""
        return False

    # --- from any thread

    def hold(self) -> abc.DisposableBase:
        """Keep the socket connected until disposed."""
        self._stopped.clear()
        return self._holds.take()

    def set_auth(self, value: Any) -> Receipt[AuthChange]:
        """Change the credential; see ``Socket.set_auth``."""
        credential = self._credential(value, "set_auth(value)")
        receipt = self.publisher.changes.receipt()
        self.home.run(lambda: self._set_auth(credential, receipt))
        return receipt

    def send(self, data: Any) -> Receipt[Sent]:
        """Send a message; see ``Socket.send``."""
        if not isinstance(data, (str, bytes)):
            raise TypeError(f"send(data): pass str or bytes, not {type(data).__name__}")
        receipt: Receipt[Sent] = Receipt(self.home, self.publisher.report)
        self.home.run(lambda: self.outbox.send(data, receipt))
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
            stopped = self._stopped.wait(timeout)
        except KeyboardInterrupt:
            self.leave(hurry=True)
            raise
        if stopped and self._failure is not None:
            raise self._failure
        return stopped

    async def wait_closed(self) -> None:
        """Return when it has stopped; see ``Socket.wait_closed``."""
        loop = asyncio.get_running_loop()
        stopped: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not stopped.done():
                stopped.set_result(None)

        def on_next(state: State) -> None:
            if state in (State.CLOSED, State.IDLE) and not self._holds.held:
                loop.call_soon_threadsafe(settle)

        watching = self.publisher.state.subscribe(on_next)
        try:
            await stopped
        finally:
            watching.dispose()
        if self._failure is not None:
            raise self._failure

    def loop_ends(self) -> None:
        """The loop is being shut down with the socket still on it, as ``asyncio.run`` does."""
        self.memory.departures.rush()
        self.memory.leave(Cause.LOOP_ENDED)
        self._end(Ended(verdict=Verdict.COMPLETE, cause=Cause.LOOP_ENDED, at=self._now()))

    # --- where credentials come from

    def _source(self, auth: Any) -> tuple[Claim, Callable[[], abc.DisposableBase]]:
        if _is_observable(auth):
            # What a BehaviorSubject holds now is older than any set_auth() before the start.
            first = self._credential(auth.value, "auth") if _is_behavior(auth) else PENDING
            changed, failed = self._source_changed, self._source_failed
            return first, credentials_from(auth, first, changed, failed)
        if callable(auth):
            return Provider(auth, self.plan.auth_timeout), Disposable
        return self._credential(auth, "auth"), Disposable

    def _credential(self, value: Any, argument: str) -> Credential:
        credential = Credential.of(value, argument)
        if credential.known:
            self.plan.carrier(credential.reveal())  # what cannot be carried fails here, at once
        return credential

    def _source_changed(self, credential: Credential) -> None:
        if self._starting:
            self.auth.on_next(credential)  # what it replays is what to begin with
            self.publisher.credential(credential)
        else:
            self.home.run(lambda: self._emitted(credential))

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
        else:
            self.publisher.publish(event)

    def _broke(self, error: Exception) -> None:
        logger.error(
            "%s: a bug in rxsocket ended the socket", self.plan.address.shown, exc_info=error
        )
        text = f"{self.plan.address.shown}: an internal error ended the socket: {error!r}"
        failure = SocketFailed(text, url=self.plan.address.shown, cause=error)
        self._end(Ended(verdict=Verdict.FAIL, cause=Cause.FAILED, error=failure, at=self._now()))

    def _set_auth(self, credential: Credential, receipt: Receipt[AuthChange]) -> None:
        changes, current = self.publisher.changes, self.publisher.auth.value
        if self._running is None:
            logger.info(
                "%s: not running; the credential is kept for its start", self.plan.address.shown
            )
            self.auth.on_next(credential)
            self.publisher.credential(credential)
            receipt.settle(Stored())
        elif credential == current and changes.wants(credential):
            changes.begin(credential, receipt)
        elif credential != current or self._awaits(credential):
            changes.begin(credential, receipt)
            self._change(credential)
        elif self.publisher.state.value is State.OPEN:
            receipt.settle(InEffect(self.memory.epoch))
        elif credential is LOGGED_OUT and self.publisher.state.value is State.AWAITING_AUTH:
            receipt.settle(InEffect(None))
        elif credential in self.memory.refusals:
            receipt.settle(Refused("it was refused before"))
        else:
            changes.begin(credential, receipt)

    def _awaits(self, credential: Credential) -> bool:
        # The last one in use was not refused: the provider gave up, or says logged out.
        awaiting = self.publisher.state.value is State.AWAITING_AUTH
        return awaiting and credential.known and credential not in self.memory.refusals

    def _emitted(self, credential: Credential) -> None:
        if credential != self.publisher.auth.value:
            self._change(credential)

    def _change(self, credential: Credential) -> None:
        logged_out = credential is LOGGED_OUT
        self.memory.leave(Cause.LOGGED_OUT if logged_out else Cause.AUTH_CHANGED)
        self.memory.changed = True
        if credential == self.auth.value:
            self.again.on_next(None)  # set before, but a provider's one is in use since
        else:
            self.auth.on_next(credential)
        self.publisher.credential(credential)

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
            self._stopped.set()
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
        if running is not None:
            running.dispose()
        if self.provider is not None:
            self.provider.cancel()

    def _halted(self) -> None:
        if not self._holds.held:
            self._stopped.set()
        self._departed()

    def _departed(self) -> None:
        """Something is gone; when nothing is left, let the loop go (C26)."""
        if self._running is not None or len(self.memory.departures):
            return
        _running.discard(self)
        self.home.release(lambda: self._running is None and not self._holds.held)

    def _never_started(self) -> bool:
        idle = self.publisher.state.value is State.IDLE and not self._stopped.is_set()
        return idle and self._running is None and not self._holds.held

    def _now(self) -> float:
        return self.home.wall_time()


def _shown(claim: Claim) -> Credential:
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
