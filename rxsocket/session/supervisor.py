"""One session: attempt, verdict, what the verdict says, attempt … (C5, C7 to C10, C15, C16).

::

            .------------------------- RECONNECT: Waiting <-----------------.
            v                                                               |
    begin ----> [ turn ] --> Connecting … Closed, Rejected, … --------> [ verdict ]
            ^                   |    ^                                      |
            |                   '----' a renewal, max_age, renew()          |
            '--- another credential <--- AwaitingAuth <--- AWAIT_AUTH ------|
                                                                            |
                                              Ended <--- COMPLETE, FAIL ----'

A session is disposed when another credential comes that is not a renewal, wherever it is in this
picture: the group of credentials that it is for then says by what it was superseded. It is disposed
when the socket stops, too: then the run state says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from reactivex import Observable, abc

from rxsocket.auth.expiry import jwt_expiry
from rxsocket.auth.groups import CredentialGroup
from rxsocket.connection.connection import Connection
from rxsocket.engine.auth import AuthUpdate
from rxsocket.engine.engine import Engine
from rxsocket.engine.run_state import StopReason
from rxsocket.errors import HandshakeRefused, NoMoreEvents, SocketFailed
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
from rxsocket.runtime.direct import DirectObservable
from rxsocket.session.attempts import CHANGE_SPACING, Attempts
from rxsocket.session.renewal import Renewals


def session(group: CredentialGroup[AuthUpdate], engine: Engine) -> Observable[Event]:
    """The events of one group of credentials: connection after connection, until disposed or ended.

    It completes only after ``Ended``. Its observer is called on the socket's loop.
    """

    def subscribe(
        observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return _Supervisor(group, engine, observer)

    return DirectObservable(subscribe)


class _Supervisor(abc.ObserverBase[AuthUpdate], abc.DisposableBase):
    def __init__(
        self,
        group: CredentialGroup[AuthUpdate],
        engine: Engine,
        observer: abc.ObserverBase[Event],
    ) -> None:
        self._group = group
        self._engine = engine
        self._options = engine.options
        self._run_state = engine.run_state
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._observer = observer
        renewable = engine.options.is_renewable
        on_opened = self._on_opened if renewable else None
        self._attempts = Attempts(group.first.source, engine, observer, on_opened)
        self._renewals: Renewals | None = None
        if renewable:
            self._renewals = Renewals(self._attempts, engine)
        self._living: asyncio.Task[EpochEnd] | None = None
        group.follow(self)
        self._task = engine.loop.event_loop.create_task(self._run())

    def dispose(self) -> None:
        if self._renewals is not None:
            self._renewals.dispose()
        following = self._group.superseded_by
        stopped = self._run_state.stop_reason
        self._attempts.dispose(stopped if following is None else StopReason(following.cause))
        self._task.cancel()

    def on_next(self, value: AuthUpdate) -> None:
        """A renewal came; most sockets never have one, and nothing that is for it until then."""
        renewals, connection = self._renewals, self._attempts.active
        if renewals is None:
            renewals = self._renewals = Renewals(self._attempts, self._engine)
            if connection is not None:
                living = renewals.live_with(connection)
                self._living = self._loop.event_loop.create_task(living)
        renewals.on_update(value)

    def on_error(self, error: Exception) -> None:
        """A group does not fail."""

    def on_completed(self) -> None:
        """Then it is disposed."""

    async def _run(self) -> None:
        try:
            await self._make_connections()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._attempts.is_disposed and task is not None and not task.cancelling():
                self._fail(RuntimeError("a function of a user's raised CancelledError"))
                return
            raise  # disposed, or the loop ends, of which the engine is told
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        with self._loop.turn():
            self._observer.on_error(error)

    async def _make_connections(self) -> None:
        cause = self._group.first.cause
        selector = self._attempts.selector
        spacing = self._options.backoff.spacing
        why_not = selector.why_not_dial()
        if why_not is not None:
            await self._await_auth(*why_not)
        elif self._run_state.dials_soon or (selector.pushed and self._run_state.credential_changed):
            spacing = CHANGE_SPACING  # a pushed credential goes at once, but for a burst (C7)
        reason = ""
        while True:
            await self._attempts.wait_for_spacing(spacing, cause)
            spacing = self._options.backoff.spacing
            end = await self._end_of(self._attempts.begin(cause, reason))
            if self._living is not None:
                end, self._living = await self._living, None
            cause, reason = _cause_of_next(end), ""
            verdict = getattr(end, "verdict", Verdict.AWAIT_AUTH)
            if isinstance(end, Closed) and verdict is None:  # we closed it to make another one
                reason, spacing, verdict = end.reason, CHANGE_SPACING, self._after_leaving()
            match verdict:
                case None:
                    continue
                case Verdict.RECONNECT if await self._is_hurried(end, cause):
                    spacing = CHANGE_SPACING
                case Verdict.RECONNECT:
                    if (why := await self._back_off(end, cause)) is not None:
                        self._attempts.emit(self._ended(end, Verdict.FAIL, cause, why))
                        return
                case Verdict.AWAIT_AUTH if selector.has_newer:  # it was to be renewed with that
                    cause, spacing = Cause.AUTH_CHANGED, CHANGE_SPACING
                case Verdict.AWAIT_AUTH:
                    refusal = end.cause if isinstance(end, Aborted) else Cause.REFUSED
                    await self._await_auth(refusal, _refusal(end))
                case _:
                    self._attempts.emit(self._ended(end, verdict, cause))
                    return

    def _after_leaving(self) -> Verdict | None:
        """What follows our own close: another one at once, but for one that is told so each time.

        A server that tells each connection to leave as it comes is one that closes it (C15).
        """
        if self._renewals is None or not self._renewals.is_hasty:
            return None
        return Verdict.RECONNECT

    async def _is_hurried(self, end: EpochEnd, cause: Cause) -> bool:
        """Whether the next attempt may begin already, as there is a deadline (C34)."""
        delay = self._attempts.hurried_delay()
        if delay is None or _retry_after(end) is not None:
            return False
        failures = self._attempts.retries.failures
        self._attempts.emit(Waiting(delay=delay, failures=failures, cause=cause, at=self._now()))
        await asyncio.sleep(delay)
        return True

    def _end_of(self, connection: Connection) -> Awaitable[EpochEnd]:
        """How it ended, or one that it handed over to."""
        if self._renewals is None:
            return connection.ended
        return self._renewals.live_with(connection)

    def _on_opened(self) -> None:
        if self._renewals is not None:
            self._renewals.start_age_timer()

    async def _back_off(self, end: EpochEnd, cause: Cause) -> str | None:
        """Wait until the next attempt may begin; or say which limit forbids it."""
        retries = self._attempts.retries
        if self._attempts.waits_for_old_peer:
            self._attempts.waits_for_old_peer = False
            await self._run_state.closing.answered()
            return None
        asked_for = min(
            retry_after_seconds(_retry_after(end), self._now()),
            self._options.backoff.retry_after_cap,
        )
        spacing = (
            (self._run_state.dialled_at or 0.0)
            + self._options.backoff.spacing
            - self._loop.event_loop.time()
        )
        # What many are asked for at once is spread: the backoff comes on top of it (C50).
        wait = min(self._run_state.reconnection_time, self._options.backoff.retry_after_cap)
        delay = max(wait + retries.next_delay(), asked_for, spacing)
        if (why := retries.limit(delay, self._loop.event_loop.time())) is not None:
            return why
        self._attempts.emit(
            Waiting(
                delay=delay,
                failures=retries.failures,
                cause=cause,
                retry_after=max(asked_for, wait) or None,
                at=self._now(),
            )
        )
        await self._engine.loop_listener.sleep(delay, firm=max(asked_for, wait))
        return None

    async def _await_auth(self, cause: Cause, reason: str) -> None:
        """Return when there is another credential, or when the refused one is tried again."""
        selector, at = self._attempts.selector, self._now()
        asks, retry_in = selector.will_ask(cause), self._retry_refused_in(cause)
        refused_one = self._attempts.active if cause is Cause.REFUSED else None
        self._attempts.emit(
            AwaitingAuth(
                cause=cause,
                reason=reason,
                asks=asks,
                retry_in=retry_in,
                credential="" if refused_one is None else refused_one.sent_as,
                at=at,
            )
        )
        refused, retries = selector.credential, self._attempts.retries
        began_at = self._loop.event_loop.time()
        try:
            async with asyncio.timeout(retry_in):
                await selector.another(
                    self._attempts.ask(), cause, retries.next_ask_delay, self._on_source_failed
                )
        except TimeoutError:
            self._run_state.refused_retries += 1
            self._run_state.refusals.discard(refused)
        retries.exclude(self._loop.event_loop.time() - began_at)

    def _retry_refused_in(self, cause: Cause) -> float | None:
        """Seconds until a refused credential is tried again, because it was good once (C9)."""
        credential = self._attempts.selector.credential
        if cause is not Cause.REFUSED or credential not in self._run_state.accepted:
            return None
        expiry = jwt_expiry(credential)
        if expiry is not None and expiry <= self._now():
            return None
        return self._options.backoff.refused_delay(self._run_state.refused_retries)

    def _on_source_failed(self, error: Exception) -> None:
        self._publisher.publish(SourceFailed(error=error, at=self._now()))

    def _ended(
        self, end: EpochEnd, verdict: Verdict, cause: Cause, limit: str = "it cannot succeed"
    ) -> Ended:
        if verdict is Verdict.COMPLETE:
            return Ended(verdict=verdict, cause=cause, at=self._now())
        inner = None if isinstance(end, (Closed, Aborted)) else end.error
        why = closing(end) if isinstance(end, Closed) else describe(inner or Exception())
        if self._attempts.verdict_error is not None:
            inner = self._attempts.verdict_error
            why = f"verdicts(end) raised {type(inner).__name__}: {inner}"
        shown, label = self._engine.addresses.shown, self._engine.label
        retries = self._attempts.retries
        after = f" after attempt {retries.attempts}" if retries.attempts else ""
        text = f"{label}: gave up{after}, {limit}: {why}"
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
        case ConnectFailed(error=NoMoreEvents()):
            return Cause.PEER
        case _:
            return Cause.FAILED


def _retry_after(end: EpochEnd) -> str | None:
    error = end.error if isinstance(end, ConnectFailed) else None
    return error.retry_after if isinstance(error, HandshakeRefused) else None


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
