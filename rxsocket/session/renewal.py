"""What becomes of an open connection when its credential is renewed, or when it gets old (C13).

::

    tend ──── the connection lives ──── a renewal came, or max_age is over
      ^                                    |
      |     handover():  make the next one beside it (``relay``), then tend that one
      |     in_band():   send the credential over it, then go on with it
      '---- reconnect(): let it go; the supervisor makes another one
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from reactivex import Observable
from reactivex.disposable import SerialDisposable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.selector import CredentialSource, Renewal
from rxsocket.auth.strategies import Handover, InBand
from rxsocket.codecs import encoded
from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, CredentialRefused, HandshakeError
from rxsocket.events import (
    Cause,
    Closed,
    ConnectFailed,
    EpochEnd,
    Rejected,
    RenewalFailed,
    Renewed,
)
from rxsocket.policy.verdicts import Verdict
from rxsocket.session.attempts import CHANGE_SPACING, Attempts, Epoch
from rxsocket.session.handover import Relay
from rxsocket.session.retries import RetryState

__all__ = ["Renewals"]

YOUNGEST = 0.9
"""A connection is renewed at 0.9 to 1 times ``max_age``, so that not all are at once."""


class Renewals:
    """Renews the connections of one lease.

    Args:
        renewals: The credentials that follow the first one of the lease.
        attempts: Makes the connections.
        engine: The socket's running parts.
    """

    def __init__(
        self, renewals: Observable[CredentialSource], attempts: Attempts, engine: Engine
    ) -> None:
        self._attempts = attempts
        self._engine = engine
        self._options = engine.options
        self._run_state = engine.run_state
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._due: Cause | None = None
        self._stirred = asyncio.Event()
        self._age: asyncio.TimerHandle | None = None
        self._beside = SerialDisposable()
        attempts.on_open = self._opened
        self._following = renewals.subscribe(self._renewed)

    def dispose(self) -> None:
        """The lease is over."""
        self._following.dispose()
        self._beside.dispose()
        if self._age is not None:
            self._age.cancel()

    async def tend(self, epoch: Epoch) -> EpochEnd | Cause:
        """Live with a connection, and with those that it hands over to.

        Returns:
            How the last one ended, or why it was let go for another one.
        """
        self._watch(epoch)
        while True:
            await self._until(lambda: epoch.last.done() or self._due is not None)  # noqa: B023
            cause, self._due = self._due, None
            if epoch.last.done() or cause is None:
                return epoch.last.result()
            following = await self._renew(epoch, cause)
            if isinstance(following, Cause):
                return following
            epoch = following

    async def _renew(self, epoch: Epoch, cause: Cause) -> Epoch | Cause:
        strategy = self._options.on_auth_change
        if isinstance(strategy, Handover):
            return await self._hand_over(epoch, cause, strategy)
        if isinstance(strategy, InBand) and cause is Cause.AUTH_CHANGED:
            return await self._in_band(epoch, strategy)
        self._attempts.let_go(cause)
        return cause

    # --- what makes a renewal due

    def _renewed(self, source: CredentialSource) -> None:
        if isinstance(source, Renewal):
            self._attempts.selector.renew(source.credential)
        elif isinstance(source, Credential):
            self._attempts.selector.push(source)
        self._due = Cause.AUTH_CHANGED
        self._stirred.set()

    def _opened(self, epoch: Epoch) -> None:
        if self._age is not None:
            self._age.cancel()
        if self._options.max_age is not None:
            share = self._options.backoff.random.uniform(YOUNGEST, 1.0)
            self._age = self._loop.event_loop.call_later(self._options.max_age * share, self._aged)

    def _aged(self) -> None:
        self._due = self._due or Cause.MAX_AGE
        self._stirred.set()

    # --- in band

    async def _in_band(self, epoch: Epoch, strategy: InBand) -> Epoch | Cause:
        life, credential = epoch.life, self._attempts.selector.newest
        if life is None or life.link is None:
            return epoch
        if credential == epoch.credential:
            self._in_effect(epoch, credential)
            return epoch
        answer: list[bool] = []

        def hears(message: Any) -> bool:
            for predicate, meaning in ((strategy.rejected, False), (strategy.accepted, True)):
                if predicate is not None and life.ask(predicate, message):
                    answer.append(meaning)
                    self._stirred.set()
                    return True
            return False

        stop = life.listen(hears)
        self._publisher.history.carried(credential)
        try:
            with suppress(ConnectionLost):  # the transport is about to say how it ended
                await life.link.send(self._encoded(strategy.encode(credential.reveal())))
            if strategy.accepted is None:
                answer.append(True)
            # A newer credential waits, too: the answer to this one would be taken for its own.
            await self._until(lambda: bool(answer) or epoch.last.done(), strategy.timeout)
        except Exception as error:
            life.complain(strategy.encode, error)
        finally:
            stop()
        if epoch.last.done():
            return epoch
        if self._due is Cause.AUTH_CHANGED and (answer or strategy.otherwise == "keep"):
            if answer == [True]:
                epoch.credential = credential
            return epoch
        if answer and answer[0]:
            self._in_effect(epoch, credential)
            return epoch
        if strategy.otherwise == "reconnect":
            self._due = None
            self._attempts.let_go(Cause.AUTH_CHANGED)
            return Cause.AUTH_CHANGED
        self._keep(epoch, CredentialRefused() if answer else _no_answer(strategy.timeout))
        return epoch

    def _encoded(self, message: Any) -> str | bytes:
        if isinstance(message, (str, bytes)):
            return message
        if self._options.codec is None:
            kind = type(message).__name__
            raise TypeError(f"in_band(encode): return str or bytes, or use a codec; not {kind}")
        return encoded(self._options.codec, message)

    def _in_effect(self, epoch: Epoch, credential: Credential) -> None:
        self._attempts.in_use(epoch, credential)
        self._attempts.emit(Renewed(epoch=epoch.number, at=self._loop.wall_time()))

    def _keep(self, epoch: Epoch, error: Exception) -> None:
        """Go on with the credential that the connection has."""
        selector, refused = self._attempts.selector, isinstance(error, CredentialRefused)
        if refused:
            self._run_state.refusals.remember(selector.newest)
            self._engine.auth.renewing = None
            if epoch.credential is not None:
                selector.push(epoch.credential)
        self._failed(epoch, error, refused)

    # --- handover

    async def _hand_over(self, old: Epoch, cause: Cause, strategy: Handover) -> Epoch:
        """Make the next connection beside the old one, until one of them is the only one."""
        retries = RetryState(self._options)
        while True:
            if cause is Cause.AUTH_CHANGED and self._attempts.selector.newest == old.credential:
                self._in_effect(old, self._attempts.selector.newest)  # back to the one in use
                return old
            await self._attempts.slot(CHANGE_SPACING, cause)
            if old.last.done() or old.life is None:
                return old
            ask_ahead = self._engine.ask_ahead
            relay = Relay(old.life, strategy, self._loop, ask_ahead, self._stirred.set)
            new = self._attempts.begin(
                cause, beside=retries, admit=relay.admitted, early=relay.heard
            )
            self._beside.disposable = new.subscription
            self._watch(new)
            await self._until(
                lambda: (
                    relay.done  # noqa: B023
                    or relay.overrun  # noqa: B023
                    or new.last.done()  # noqa: B023
                    or old.last.done()
                    or self._due is not None
                ),
                strategy.timeout,
            )
            if not new.last.done() and self._switch(old, new, relay):
                return new
            relay.stop()
            if old.last.done():
                new.subscription.dispose()
                return old
            if self._due is not None:  # a newer credential
                cause, self._due = self._due, None
                new.subscription.dispose()
                continue
            if new.life is not None:
                new.life.give_up(_not_ready(strategy.timeout, relay.overrun))
            delay = self._failed_beside(old, new.last.result(), retries)
            if delay is None:
                return old
            await self._until(lambda: old.last.done() or self._due is not None, delay)
            cause, self._due = self._due or cause, None

    def _switch(self, old: Epoch, new: Epoch, relay: Relay) -> bool:
        """Let the new one deliver, if it is time: it is ready, or the old one has ended."""
        if old.last.done():
            end = old.last.result()
            if isinstance(end, Closed) and end.verdict is Verdict.FAIL:
                return False
        elif not relay.done:
            return False
        with self._loop.turn():
            self._beside = SerialDisposable()
            self._run_state.leave(Cause.HANDED_OVER)
            self._attempts.adopt(new)
            relay.switch()
        return True

    def _failed_beside(self, old: Epoch, end: EpochEnd, retries: RetryState) -> float | None:
        """Say why the next one was not made; returns the seconds until it is tried again."""
        error = end.error if isinstance(end, (ConnectFailed, Rejected)) else HandshakeError("gone")
        verdict = end.verdict if isinstance(end, (ConnectFailed, Rejected)) else None
        if verdict is Verdict.RECONNECT:
            delay = max(retries.next_delay(), self._options.backoff.spacing)
            self._failed(old, error, refused=False, retry_in=delay)
            return delay
        self._failed(old, error, refused=verdict is Verdict.AWAIT_AUTH)
        return None

    # --- common

    def _failed(
        self, epoch: Epoch, error: Exception, refused: bool, retry_in: float | None = None
    ) -> None:
        at = self._loop.wall_time()
        self._attempts.emit(
            RenewalFailed(
                epoch=epoch.number, error=error, refused=refused, retry_in=retry_in, at=at
            )
        )

    def _watch(self, epoch: Epoch) -> None:
        epoch.last.add_done_callback(lambda _: self._stirred.set())

    async def _until(self, condition: Callable[[], bool], within: float | None = None) -> None:
        """Return when the condition holds, or that many seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not condition():
                    self._stirred.clear()
                    await self._stirred.wait()


def _no_answer(seconds: float) -> TimeoutError:
    return TimeoutError(f"the server did not answer within {seconds:g} s")


def _not_ready(seconds: float, overrun: bool) -> TimeoutError:
    if overrun:
        return TimeoutError("the next connection was not ready before too many messages came")
    return TimeoutError(f"the next connection was not ready within {seconds:g} s")
