"""How the attempts of one lease are made: when, with which credential, judged how (C7, C9, C10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.selector import CredentialSelector, CredentialSource
from rxsocket.connection.connection import Connection, connection
from rxsocket.engine.engine import Engine
from rxsocket.errors import Attempted, ProviderFailed, Unauthorized
from rxsocket.events import (
    Aborted,
    Cause,
    Closed,
    EpochEnd,
    Event,
    Opened,
    Waiting,
)
from rxsocket.explain.causes import closing, describe
from rxsocket.policy.verdicts import End, Verdict
from rxsocket.runtime.loop import run_in_task
from rxsocket.runtime.outlet import Outlet
from rxsocket.session.retries import RetryState
from rxsocket.transports.base import Request

__all__ = ["CHANGE_SPACING", "Attempts", "Epoch"]


CHANGE_SPACING = 0.05
"""Seconds that an old peer has to answer our close, and that a burst of changes is held back."""

NOTHING = Disposable()
"""To dispose of."""


@dataclass(slots=True, eq=False)
class Epoch:
    """An attempt and the connection it becomes; the outlet of its events.

    Attributes:
        attempts: Who makes it.
        number: Its number.
        cause: Why it is made.
        count: How many attempts it took so far, this one included.
        began: Wall time.
        tally: What its end is judged by.
        last: Its last event.
        adopted: Whether it is the connection of the socket, and not one made ready beside it.
        credential: What it was dialled with.
        ready: Called when it could open, while it is not adopted.
        early: Called with each message that it gets before it is open.
        life: Its life.
        subscription: Disposing it ends it.
    """

    attempts: Attempts
    number: int
    cause: Cause
    count: int
    began: float
    retries: RetryState
    last: asyncio.Future[EpochEnd]
    adopted: bool
    ready: Callable[[Connection], None] | None = None
    early: Callable[[Any], None] | None = None
    credential: Credential | None = None
    life: Connection | None = None
    subscription: abc.DisposableBase = NOTHING

    def resolve(
        self, dial: Callable[[Request], None], failed: Callable[[Exception], None]
    ) -> abc.DisposableBase:
        """See :class:`Attempt`."""
        return self.attempts.resolve(self, dial, failed)

    def judge(self, end: End, stable: bool) -> Verdict:
        """See :class:`Attempt`."""
        return self.attempts.judge(self, end, stable)

    def admit(self, life: Connection) -> None:
        """See :class:`Attempt`."""
        if self.adopted or self.ready is None:
            life.open()
        else:
            self.ready(life)

    def on_next(self, event: Event) -> None:
        """An event of it."""
        self.attempts.happened(self, event)

    def on_error(self, error: Exception) -> None:
        """That is no event: a bug of ours."""
        raise error

    def on_completed(self) -> None:
        """Its last event said so."""

    def leave(self) -> None:
        """A connection that is disposed sees to it itself."""


class Attempts:
    """Makes the attempts of one lease.

    Args:
        claim: What the lease is for.
        engine: The socket's running parts.
        outlet: Told of every event.

    Attributes:
        keys: Gives the credential for each attempt.
        tally: Counts them.
        waited_for_old_peer: Whether a refusal was put down to an old connection (C5).
        misjudged: What the user's ``verdicts`` raised.
        on_open: Called with each epoch that opened.
    """

    def __init__(self, source: CredentialSource, engine: Engine, outlet: Outlet[Event]) -> None:
        self._engine = engine
        self._options = engine.options
        self._run_state = engine.run_state
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._outlet = outlet
        self._connection: abc.DisposableBase = NOTHING
        self._disposed = False
        self.selector = CredentialSelector(source, engine.auth.provider, engine.run_state.refusals)
        self.retries = RetryState(engine.options)
        self.waited_for_old_peer = False
        self.misjudged: Exception | None = None
        self.on_open: Callable[[Epoch], None] | None = None

    @property
    def disposed(self) -> bool:
        """Whether the lease is over."""
        return self._disposed

    def dispose(self) -> None:
        """The lease is over."""
        self._disposed = True
        self._connection.dispose()

    async def slot(self, spacing: float, cause: Cause) -> None:
        """Wait until an attempt may begin: the last one is long enough ago."""
        run_state, loop = self._run_state, self._loop.event_loop
        wait = 0.0 if run_state.dialled_at is None else run_state.dialled_at + spacing - loop.time()
        if wait > 0:
            if spacing > CHANGE_SPACING:
                failures = self.retries.failures
                at = self._loop.wall_time()
                self.emit(Waiting(delay=wait, failures=failures, cause=cause, at=at))
            await asyncio.sleep(wait)
        run_state.dialled_at, run_state.changed = loop.time(), False

    def begin(
        self,
        cause: Cause,
        *,
        beside: RetryState | None = None,
        admit: Callable[[Connection], None] | None = None,
        early: Callable[[Any], None] | None = None,
    ) -> Epoch:
        """Begin an attempt; what happens is told to the outlet.

        Args:
            cause: Why there is one.
            beside: What judges it when it is made beside the connection of the socket, which it
                becomes when it is adopted.
            admit: Called when that one could open.
            early: Called with each message that it gets before it is open.
        """
        run_state, retries = self._run_state, beside or self.retries
        run_state.epoch += 1
        epoch = Epoch(
            attempts=self,
            number=run_state.epoch,
            cause=cause,
            count=retries.begin(self._loop.event_loop.time()),
            began=self._loop.wall_time(),
            retries=retries,
            last=self._loop.event_loop.create_future(),
            adopted=beside is None,
            ready=admit,
            early=early,
        )
        with self._loop.turn():
            epoch.subscription = connection(epoch, self._engine).subscribe(epoch)
            if epoch.adopted:
                self._replace_connection(epoch.subscription)
        self._stop_if_disposed()
        return epoch

    def adopt(self, epoch: Epoch) -> None:
        """An epoch is the connection of the socket from here on; the one before it is let go."""
        epoch.adopted = True
        self.retries = epoch.retries
        self._replace_connection(epoch.subscription)
        if epoch.credential is not None:
            self.in_use(epoch, epoch.credential)

    def in_use(self, epoch: Epoch, credential: Credential) -> None:
        """A credential is in use by the connection of the socket."""
        epoch.credential = credential
        self._engine.auth.renewing = None
        self._publisher.credential(credential)

    def let_go(self, cause: Cause) -> None:
        """Close the connection of the socket, or give up the attempt to make one."""
        self._run_state.leave(cause)
        with self._loop.turn():
            self._replace_connection(NOTHING)
        self._stop_if_disposed()

    def _replace_connection(self, following: abc.DisposableBase) -> None:
        before, self._connection = self._connection, following
        before.dispose()
        if self._disposed:
            following.dispose()

    def emit(self, event: Event) -> None:
        """Let an event be known."""
        with self._loop.turn():
            self._outlet.on_next(event)
        self._stop_if_disposed()

    def happened(self, epoch: Epoch, event: Event) -> None:
        """An event of one of the attempts."""
        if isinstance(event, EpochEnd):
            epoch.retries.ended(_attempted(event, epoch.count, epoch.began))
            epoch.last.set_result(event)
        elif self.on_open is not None and isinstance(event, Opened):
            self.on_open(epoch)
        self._outlet.on_next(event)

    def resolve(
        self,
        epoch: Epoch,
        dial: Callable[[Request], None],
        failed: Callable[[Exception], None],
    ) -> abc.DisposableBase:
        """Resolve the credential of the moment and dial with it (C10)."""
        if not self.selector.at_hand():
            return run_in_task(self._loop, lambda: self._asked(epoch), dial, failed)
        try:
            request = self._request(epoch, self.selector.take())
        except ProviderFailed as error:
            failed(error)
        else:
            dial(request)
        return NOTHING

    async def _asked(self, epoch: Epoch) -> Request:
        return self._request(epoch, await self.selector.ask(epoch.retries.ask))

    def _request(self, epoch: Epoch, credential: Credential) -> Request:
        epoch.credential = credential
        self._publisher.history.carried(credential)
        if epoch.adopted:
            self.in_use(epoch, credential)
        try:
            return self._options.request(credential, self._old_peers)
        except (TypeError, ValueError) as error:
            failure = f"the credential cannot be carried: {error}"
        except Exception as error:  # of the user's carrier
            failure = f"the credential cannot be carried: {type(error).__name__}: {error}"
        raise ProviderFailed(self._publisher.history.masked(failure))

    async def _old_peers(self) -> None:
        """Return when the old peers have answered our close, or had their time (C5)."""
        await self._run_state.closing_connections.answered(within=CHANGE_SPACING)
        self._run_state.dialled_at = self._loop.event_loop.time()

    def judge(self, epoch: Epoch, end: End, stable: bool) -> Verdict:
        """The verdict about the end of one of the attempts."""
        try:
            verdict = epoch.retries.judge(end, stable, self._loop.event_loop.time())
        except Exception as error:  # of the user's function: raised on, it would halt us silently
            self.misjudged = error
            return Verdict.FAIL
        if verdict is not Verdict.AWAIT_AUTH or isinstance(end.error, Unauthorized):
            return verdict
        if not epoch.adopted:
            return verdict  # maybe only because of the connection beside it
        if self._run_state.closing_connections.unanswered and not self.waited_for_old_peer:
            # A server that allows one session may have refused only because of the old one (C5).
            self.waited_for_old_peer = True
            return Verdict.RECONNECT
        if epoch.credential is not None:
            self._run_state.refusals.remember(epoch.credential)
        return verdict

    def _stop_if_disposed(self) -> None:
        # An observer may have changed the credential: its coroutine must not go on and dial.
        if self._disposed:
            raise asyncio.CancelledError


def _attempted(end: EpochEnd, number: int, at: float) -> Attempted:
    match end:
        case Closed():
            return Attempted(number, at, closing(end), code=end.code)
        case Aborted():
            return Attempted(number, at, end.cause.value)
        case _:
            return Attempted(number, at, describe(end.error), error=end.error)
