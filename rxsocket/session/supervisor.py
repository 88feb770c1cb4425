"""One lease's life: attempt, verdict, what the verdict says, attempt … (C5, C7 to C10, C15, C16).

::

            .------------------------- RECONNECT: Waiting <-----------------.
            v                                                               |
    begin ----> [ slot ] --> Connecting … Closed, Rejected, … --------> [ verdict ]
            ^                   |    ^                                      |
            |                   '----' a renewal, or max_age (renewals)     |
            '--- another credential <--- AwaitingAuth <--- AWAIT_AUTH ------|
                                                                            |
                                              Ended <--- COMPLETE, FAIL ----'

A lease ends when another credential comes that is no renewal: the switch disposes it, wherever it
is in this picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from reactivex import Observable, abc

from rxsocket.auth.groups import CredentialGroup
from rxsocket.auth.selector import CredentialSource
from rxsocket.engine.engine import Engine
from rxsocket.errors import HandshakeRefused, SocketFailed
from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Ended,
    EpochEnd,
    Event,
    Rejected,
    SourceFailed,
    Waiting,
)
from rxsocket.explain.causes import closing, describe
from rxsocket.policy.backoff import retry_after_seconds
from rxsocket.policy.verdicts import Verdict
from rxsocket.runtime.outlet import Direct, Outlet
from rxsocket.session.attempts import CHANGE_SPACING, Attempts
from rxsocket.session.renewal import Renewals

__all__ = ["supervised"]


def supervised(group: CredentialGroup[CredentialSource], engine: Engine) -> Observable[Event]:
    """The events of one lease: connection after connection, until it is disposed or has ended.

    It completes only after ``Ended``. Its outlet is called on the home loop.
    """
    return Direct(lambda outlet: _Supervisor(group, engine, outlet))


class _Supervisor(abc.DisposableBase):
    def __init__(
        self,
        group: CredentialGroup[CredentialSource],
        engine: Engine,
        outlet: Outlet[Event],
    ) -> None:
        self._engine = engine
        self._options = engine.options
        self._run_state = engine.run_state
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._attempts = Attempts(group.first, engine, outlet)
        self._renewals: Renewals | None = None
        if engine.options.renewable:
            self._renewals = Renewals(group.renewals, self._attempts, engine)
        self._outlet = outlet
        self._task = engine.loop.event_loop.create_task(self._live_on())

    def dispose(self) -> None:
        if self._renewals is not None:
            self._renewals.dispose()
        self._attempts.dispose()
        self._task.cancel()

    async def _live_on(self) -> None:
        """Live until disposed; being cancelled by anybody else means that the loop is ending."""
        try:
            await self._live()
        except asyncio.CancelledError:
            if not self._attempts.disposed:
                self._engine.loop_ends()
            raise
        except Exception as error:
            with self._loop.turn():
                self._outlet.on_error(error)

    async def _live(self) -> None:
        cause = self._run_state.cause
        spacing = self._options.backoff.spacing
        nothing = self._attempts.selector.nothing_to_dial()
        if nothing is not None:
            await self._await_auth(*nothing)
        elif self._attempts.selector.pushed and self._run_state.changed:
            spacing = CHANGE_SPACING  # a pushed credential goes at once, but for a burst (C7)
        while True:
            await self._attempts.slot(spacing, cause)
            spacing = self._options.backoff.spacing
            end = await self._connection(cause)  # and those that it hands over to
            if isinstance(end, Cause):
                cause, spacing = end, CHANGE_SPACING
                continue
            cause = _cause_of_next(end)
            match getattr(end, "verdict", Verdict.AWAIT_AUTH):
                case Verdict.RECONNECT:
                    if (why := await self._back_off(end, cause)) is not None:
                        self._attempts.emit(self._ended(end, Verdict.FAIL, cause, why))
                        return
                case Verdict.AWAIT_AUTH:
                    refusal = end.cause if isinstance(end, Aborted) else Cause.REFUSED
                    await self._await_auth(refusal, _refusal(end))
                case verdict:
                    self._attempts.emit(self._ended(end, verdict, cause))
                    return

    def _connection(self, cause: Cause) -> Awaitable[EpochEnd | Cause]:
        """Make a connection; say how the last one ended, or why we let it go to make another."""
        epoch = self._attempts.begin(cause)
        return epoch.last if self._renewals is None else self._renewals.tend(epoch)

    async def _back_off(self, end: EpochEnd, cause: Cause) -> str | None:
        """Wait until the next attempt may begin; or say which limit forbids it."""
        closing_connections, retries = self._run_state.closing_connections, self._attempts.retries
        if self._attempts.waited_for_old_peer and closing_connections.unanswered:
            await closing_connections.answered()
            return None
        error = end.error if isinstance(end, ConnectFailed) else None
        header = error.retry_after if isinstance(error, HandshakeRefused) else None
        asked_for = min(
            retry_after_seconds(header, self._now()), self._options.backoff.retry_after_cap
        )
        spacing = (
            (self._run_state.dialled_at or 0.0)
            + self._options.backoff.spacing
            - self._loop.event_loop.time()
        )
        delay = max(retries.next_delay(), asked_for, spacing)
        if (why := retries.limit(delay, self._loop.event_loop.time())) is not None:
            return why
        self._attempts.emit(
            Waiting(
                delay=delay,
                failures=retries.failures,
                cause=cause,
                retry_after=asked_for or None,
                at=self._now(),
            )
        )
        await self._engine.loop_listener.sleep(delay, firm=asked_for)
        return None

    async def _await_auth(self, cause: Cause, reason: str) -> None:
        asks = self._attempts.selector.will_ask(cause)
        self._attempts.emit(AwaitingAuth(cause=cause, reason=reason, asks=asks, at=self._now()))
        await self._attempts.selector.another(
            self._attempts.retries.ask,
            cause,
            self._attempts.retries.next_ask_delay,
            lambda error: self._publisher.publish(SourceFailed(error=error, at=self._now())),
        )

    def _ended(
        self, end: EpochEnd, verdict: Verdict, cause: Cause, limit: str = "it cannot succeed"
    ) -> Ended:
        if verdict is Verdict.COMPLETE:
            return Ended(verdict=verdict, cause=cause, at=self._now())
        inner = None if isinstance(end, (Closed, Aborted)) else end.error
        why = closing(end) if isinstance(end, Closed) else describe(inner or Exception())
        if self._attempts.misjudged is not None:
            inner = self._attempts.misjudged
            why = f"verdicts(end) raised {type(inner).__name__}: {inner}"
        shown, label, retries = (
            self._options.address.shown,
            self._options.label,
            self._attempts.retries,
        )
        text = f"{label}: gave up after attempt {retries.attempts}, {limit}: {why}"
        error = SocketFailed(text, url=shown, cause=inner, tried=retries.tried)
        return Ended(verdict=verdict, cause=cause, error=error, at=self._now())

    def _now(self) -> float:
        return self._loop.wall_time()


def _cause_of_next(end: EpochEnd) -> Cause:
    match end:
        case Closed(verdict=Verdict.AWAIT_AUTH) | Rejected():
            return Cause.REFUSED
        case Closed(cause=cause) | Aborted(cause=cause):
            return cause
        case _:
            return Cause.FAILED


def _refusal(end: EpochEnd) -> str:
    match end:
        case Closed():
            return closing(end)
        case Aborted(cause=Cause.LOGGED_OUT):
            return "the provider says logged out; it is asked again in 5 min"
        case Aborted():
            return "the provider gave the refused credential again; it is asked again in 5 min"
        case _:
            return describe(end.error)
