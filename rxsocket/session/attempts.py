"""How the attempts of one lease are made: when, with which credential, judged how (C7, C9, C10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.selector import Claim, Keyring
from rxsocket.connection.connection import Life, connection
from rxsocket.engine.engine import Engine
from rxsocket.errors import Attempted, ProviderFailed, Unauthorized
from rxsocket.events import (
    Aborted,
    Cause,
    Closed,
    ConnectFailed,
    Event,
    Opened,
    Rejected,
    Waiting,
)
from rxsocket.explain.causes import closing, describe
from rxsocket.policy.verdicts import End, Verdict
from rxsocket.runtime.loop import in_a_task
from rxsocket.runtime.outlet import Outlet
from rxsocket.session.retries import Tally
from rxsocket.transports.base import Request

__all__ = ["SLOT", "Attempts", "EndEvent", "Epoch"]


SLOT = 0.05
"""Seconds that an old peer has to answer our close, and that a burst of changes is held back."""

NOTHING = Disposable()
"""To dispose of."""

EndEvent: TypeAlias = Closed | ConnectFailed | Rejected | Aborted


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
    tally: Tally
    last: asyncio.Future[EndEvent]
    adopted: bool
    ready: Callable[[Life], None] | None = None
    early: Callable[[Any], None] | None = None
    credential: Credential | None = None
    life: Life | None = None
    subscription: abc.DisposableBase = NOTHING

    def resolve(
        self, dial: Callable[[Request], None], failed: Callable[[Exception], None]
    ) -> abc.DisposableBase:
        """See :class:`Attempt`."""
        return self.attempts.resolve(self, dial, failed)

    def judge(self, end: End, stable: bool) -> Verdict:
        """See :class:`Attempt`."""
        return self.attempts.judge(self, end, stable)

    def admit(self, life: Life) -> None:
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

    def __init__(self, claim: Claim, engine: Engine, outlet: Outlet[Event]) -> None:
        self._engine = engine
        self._plan = engine.plan
        self._memory = engine.memory
        self._home = engine.home
        self._publisher = engine.publisher
        self._outlet = outlet
        self._connection: abc.DisposableBase = NOTHING
        self._disposed = False
        self.keys = Keyring(claim, engine.custody.provider, engine.memory.refusals)
        self.tally = Tally(engine.plan)
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
        memory, loop = self._memory, self._home.loop
        wait = 0.0 if memory.dialled_at is None else memory.dialled_at + spacing - loop.time()
        if wait > 0:
            if spacing > SLOT:
                failures = self.tally.failures
                at = self._home.wall_time()
                self.emit(Waiting(delay=wait, failures=failures, cause=cause, at=at))
            await asyncio.sleep(wait)
        memory.dialled_at, memory.changed = loop.time(), False

    def begin(
        self,
        cause: Cause,
        *,
        beside: Tally | None = None,
        admit: Callable[[Life], None] | None = None,
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
        memory, tally = self._memory, beside or self.tally
        memory.epoch += 1
        epoch = Epoch(
            attempts=self,
            number=memory.epoch,
            cause=cause,
            count=tally.begin(self._home.loop.time()),
            began=self._home.wall_time(),
            tally=tally,
            last=self._home.loop.create_future(),
            adopted=beside is None,
            ready=admit,
            early=early,
        )
        with self._home.turn():
            epoch.subscription = connection(epoch, self._engine).subscribe(epoch)
            if epoch.adopted:
                self._replace_connection(epoch.subscription)
        self._stop_if_disposed()
        return epoch

    def adopt(self, epoch: Epoch) -> None:
        """An epoch is the connection of the socket from here on; the one before it is let go."""
        epoch.adopted = True
        self.tally = epoch.tally
        self._replace_connection(epoch.subscription)
        if epoch.credential is not None:
            self.in_use(epoch, epoch.credential)

    def in_use(self, epoch: Epoch, credential: Credential) -> None:
        """A credential is in use by the connection of the socket."""
        epoch.credential = credential
        self._engine.custody.renewing = None
        self._publisher.credential(credential)

    def let_go(self, cause: Cause) -> None:
        """Close the connection of the socket, or give up the attempt to make one."""
        self._memory.leave(cause)
        with self._home.turn():
            self._replace_connection(NOTHING)
        self._stop_if_disposed()

    def _replace_connection(self, following: abc.DisposableBase) -> None:
        before, self._connection = self._connection, following
        before.dispose()
        if self._disposed:
            following.dispose()

    def emit(self, event: Event) -> None:
        """Let an event be known."""
        with self._home.turn():
            self._outlet.on_next(event)
        self._stop_if_disposed()

    def happened(self, epoch: Epoch, event: Event) -> None:
        """An event of one of the attempts."""
        if isinstance(event, EndEvent):
            epoch.tally.ended(_attempted(event, epoch.count, epoch.began))
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
        if not self.keys.at_hand():
            return in_a_task(self._home, lambda: self._asked(epoch), dial, failed)
        try:
            request = self._request(epoch, self.keys.take())
        except ProviderFailed as error:
            failed(error)
        else:
            dial(request)
        return NOTHING

    async def _asked(self, epoch: Epoch) -> Request:
        return self._request(epoch, await self.keys.ask(epoch.tally.ask))

    def _request(self, epoch: Epoch, credential: Credential) -> Request:
        epoch.credential = credential
        self._publisher.past.carried(credential)
        if epoch.adopted:
            self.in_use(epoch, credential)
        try:
            return self._plan.request(credential, self._old_peers)
        except (TypeError, ValueError) as error:
            failure = f"the credential cannot be carried: {error}"
        except Exception as error:  # of the user's carrier
            failure = f"the credential cannot be carried: {type(error).__name__}: {error}"
        raise ProviderFailed(self._publisher.past.masked(failure))

    async def _old_peers(self) -> None:
        """Return when the old peers have answered our close, or had their time (C5)."""
        await self._memory.departures.answered(within=SLOT)
        self._memory.dialled_at = self._home.loop.time()

    def judge(self, epoch: Epoch, end: End, stable: bool) -> Verdict:
        """The verdict about the end of one of the attempts."""
        try:
            verdict = epoch.tally.judge(end, stable, self._home.loop.time())
        except Exception as error:  # of the user's function: raised on, it would halt us silently
            self.misjudged = error
            return Verdict.FAIL
        if verdict is not Verdict.AWAIT_AUTH or isinstance(end.error, Unauthorized):
            return verdict
        if not epoch.adopted:
            return verdict  # maybe only because of the connection beside it
        if self._memory.departures.unanswered and not self.waited_for_old_peer:
            # A server that allows one session may have refused only because of the old one (C5).
            self.waited_for_old_peer = True
            return Verdict.RECONNECT
        if epoch.credential is not None:
            self._memory.refusals.remember(epoch.credential)
        return verdict

    def _stop_if_disposed(self) -> None:
        # An observer may have changed the credential: its coroutine must not go on and dial.
        if self._disposed:
            raise asyncio.CancelledError


def _attempted(end: EndEvent, number: int, at: float) -> Attempted:
    match end:
        case Closed():
            return Attempted(number, at, closing(end), code=end.code)
        case Aborted():
            return Attempted(number, at, end.cause.value)
        case _:
            return Attempted(number, at, describe(end.error), error=end.error)
