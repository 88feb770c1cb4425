"""One lease's life: attempt, verdict, what the verdict says, attempt … (C5, C7 to C10, C15, C16).

::

            .------------------------- RECONNECT: Waiting <-----------------.
            v                                                               |
    begin ----> [ slot ] --> Connecting … Closed, Rejected, … --------> [ verdict ]
            ^                                                               |
            '--- another credential <--- AwaitingAuth <--- AWAIT_AUTH ------|
                                                                            |
                                              Ended <--- COMPLETE, FAIL ----'

A lease ends when another credential comes: the switch disposes it, wherever it is in this picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SerialDisposable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.keyring import Claim, Keyring
from rxsocket.auth.leases import Lease
from rxsocket.connection import Attempt, connection
from rxsocket.engine import Engine
from rxsocket.errors import Attempted, HandshakeRefused, ProviderFailed, SocketFailed, Unauthorized
from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    Event,
    Opened,
    Rejected,
    SourceFailed,
    Waiting,
)
from rxsocket.explaining.causes import closing, describe
from rxsocket.policy.backoff import retry_after_seconds
from rxsocket.policy.verdicts import End, Verdict
from rxsocket.tally import Tally
from rxsocket.tasks import in_a_task
from rxsocket.transports.seam import Request

__all__ = ["supervised"]


SLOT = 0.05
"""Seconds that an old peer has to answer our close, and that a burst of changes is held back."""
EndEvent = Closed | ConnectFailed | Rejected | Aborted


def supervised(lease: Lease[Claim], engine: Engine) -> Observable[Event]:
    """The events of one lease: connection after connection, until it is disposed or has ended.

    It completes only after ``Ended``. Its observer is called on the home loop.
    """

    def subscribe(
        observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        supervisor = _Supervisor(lease.first, engine, observer)
        lived = in_a_task(engine.home, supervisor.run, lambda _: None, observer.on_error)

        def dispose() -> None:
            supervisor.dispose()
            lived.dispose()

        return Disposable(dispose)

    return Observable(subscribe)


class _Supervisor:
    def __init__(
        self,
        claim: Claim,
        engine: Engine,
        observer: abc.ObserverBase[Event],
    ) -> None:
        plan, memory = engine.plan, engine.memory
        self._engine = engine
        self._plan = plan
        self._memory = memory
        self._home = engine.home
        self._publisher = engine.publisher
        self._observer = observer
        self._keys = Keyring(claim, engine.provider, memory.refusals)
        self._tally = Tally(plan)
        self._connection = SerialDisposable()
        self._disposed = False
        self._waited_for_old_peer = False
        self._misjudged: Exception | None = None

    def dispose(self) -> None:
        self._disposed = True
        self._connection.dispose()

    async def run(self) -> None:
        """Live until disposed; being cancelled by anybody else means that the loop is ending."""
        try:
            await self._live()
        except asyncio.CancelledError:
            if not self._disposed:
                self._engine.loop_ends()
            raise

    async def _live(self) -> None:
        cause = self._memory.cause
        spacing = self._plan.backoff.spacing
        nothing = self._keys.nothing_to_dial()
        if nothing is not None:
            await self._await_auth(*nothing)
        elif self._keys.pushed and self._memory.changed:
            spacing = SLOT  # a pushed credential goes at once, but for a burst (C7)
        while True:
            await self._slot(spacing, cause)
            spacing = self._plan.backoff.spacing
            end = await self._attempt(cause)
            cause = _cause_of_next(end)
            match getattr(end, "verdict", Verdict.AWAIT_AUTH):
                case Verdict.RECONNECT:
                    if (why := await self._back_off(end, cause)) is not None:
                        self._emit(self._ended(end, Verdict.FAIL, cause, why))
                        return
                case Verdict.AWAIT_AUTH:
                    refusal = end.cause if isinstance(end, Aborted) else Cause.REFUSED
                    await self._await_auth(refusal, _refusal(end))
                case verdict:
                    self._emit(self._ended(end, verdict, cause))
                    return

    async def _slot(self, spacing: float, cause: Cause) -> None:
        """Wait until an attempt may begin: old peers answered, the last dial is long ago."""
        memory, loop = self._memory, self._home.loop
        await memory.departures.answered(within=SLOT)
        wait = 0.0 if memory.dialled_at is None else memory.dialled_at + spacing - loop.time()
        if wait > 0:
            if spacing > SLOT:
                failures = self._tally.failures
                self._emit(Waiting(delay=wait, failures=failures, cause=cause, at=self._now()))
            await asyncio.sleep(wait)
        memory.dialled_at, memory.changed = loop.time(), False

    async def _attempt(self, cause: Cause) -> EndEvent:
        """One epoch, passed on as it happens; returns its last event."""
        memory, tally = self._memory, self._tally
        memory.epoch += 1
        number, began = tally.begin(self._home.loop.time()), self._now()
        attempt = Attempt(
            connecting=Connecting(
                epoch=memory.epoch,
                cause=cause,
                attempt=number,
                url=self._plan.address.shown,
            ),
            opened=Opened(epoch=memory.epoch, cause=cause, attempts=number),
            resolve=self._resolve,
            judge=self._judge,
            leaving=lambda: (memory.cause, *memory.farewell),
        )
        last: asyncio.Future[EndEvent] = self._home.loop.create_future()

        def on_next(event: Event) -> None:
            if isinstance(event, EndEvent):
                last.set_result(event)
            self._observer.on_next(event)

        with self._home.turn():
            self._connection.disposable = connection(attempt, self._engine).subscribe(on_next)
        self._stop_if_disposed()
        end = await last
        tally.tried.append(_attempted(end, number, began))
        return end

    def _resolve(
        self, dial: Callable[[Request], None], failed: Callable[[Exception], None]
    ) -> abc.DisposableBase:
        """Resolve the credential of the moment and dial with it (C10)."""
        if not self._keys.at_hand():
            return in_a_task(self._home, self._asked, dial, failed)
        try:
            request = self._request(self._keys.take())
        except ProviderFailed as error:
            failed(error)
        else:
            dial(request)
        return Disposable()

    async def _asked(self) -> Request:
        return self._request(await self._keys.ask(self._tally.ask))

    def _request(self, credential: Credential) -> Request:
        self._publisher.credential(credential)
        try:
            return self._plan.request(credential)
        except (TypeError, ValueError) as error:
            failure = f"the credential cannot be carried: {error}"
        raise ProviderFailed(failure)

    def _judge(self, end: End, stable: bool) -> Verdict:
        try:
            verdict = self._tally.judge(end, stable, self._home.loop.time())
        except Exception as error:  # of the user's function: raised on, it would halt us silently
            self._misjudged = error
            return Verdict.FAIL
        if verdict is not Verdict.AWAIT_AUTH or isinstance(end.error, Unauthorized):
            return verdict
        if self._memory.departures.unanswered and not self._waited_for_old_peer:
            # A server that allows one session may have refused only because of the old one (C5).
            self._waited_for_old_peer = True
            return Verdict.RECONNECT
        self._memory.refusals.remember(self._keys.credential)
        return verdict

    async def _back_off(self, end: EndEvent, cause: Cause) -> str | None:
        """Wait until the next attempt may begin; or say which limit forbids it."""
        if self._waited_for_old_peer and self._memory.departures.unanswered:
            await self._memory.departures.answered()
            return None
        error = end.error if isinstance(end, ConnectFailed) else None
        header = error.retry_after if isinstance(error, HandshakeRefused) else None
        asked_for = min(
            retry_after_seconds(header, self._now()), self._plan.backoff.retry_after_cap
        )
        spacing = (
            (self._memory.dialled_at or 0.0) + self._plan.backoff.spacing - self._home.loop.time()
        )
        delay = max(self._tally.next_delay(), asked_for, spacing)
        if (why := self._tally.limit(delay, self._home.loop.time())) is not None:
            return why
        failures = self._tally.failures
        self._emit(
            Waiting(
                delay=delay,
                failures=failures,
                cause=cause,
                retry_after=asked_for or None,
                at=self._now(),
            )
        )
        await self._engine.vigil.sleep(delay, firm=asked_for)
        return None

    async def _await_auth(self, cause: Cause, reason: str) -> None:
        asks = self._keys.will_ask(cause)
        self._emit(AwaitingAuth(cause=cause, reason=reason, asks=asks, at=self._now()))
        await self._keys.another(
            self._tally.ask,
            cause,
            self._tally.next_ask_delay,
            lambda error: self._publisher.publish(SourceFailed(error=error, at=self._now())),
        )

    def _ended(
        self, end: EndEvent, verdict: Verdict, cause: Cause, limit: str = "it cannot succeed"
    ) -> Ended:
        if verdict is Verdict.COMPLETE:
            return Ended(verdict=verdict, cause=cause, at=self._now())
        inner = None if isinstance(end, (Closed, Aborted)) else end.error
        why = closing(end) if isinstance(end, Closed) else describe(inner or Exception())
        if self._misjudged is not None:
            inner = self._misjudged
            why = f"verdicts(end) raised {type(inner).__name__}: {inner}"
        shown = self._plan.address.shown
        text = f"{shown}: gave up after attempt {self._tally.attempts}, {limit}: {why}"
        error = SocketFailed(text, url=shown, cause=inner, tried=tuple(self._tally.tried))
        return Ended(verdict=verdict, cause=cause, error=error, at=self._now())

    def _emit(self, event: Event) -> None:
        with self._home.turn():
            self._observer.on_next(event)
        self._stop_if_disposed()

    def _stop_if_disposed(self) -> None:
        # An observer may have changed the credential: this coroutine must not go on and dial.
        if self._disposed:
            raise asyncio.CancelledError

    def _now(self) -> float:
        return self._home.wall_time()


def _attempted(end: EndEvent, number: int, at: float) -> Attempted:
    match end:
        case Closed():
            return Attempted(number, at, closing(end), code=end.code)
        case Aborted():
            return Attempted(number, at, end.cause.value)
        case _:
            return Attempted(number, at, describe(end.error), error=end.error)


def _cause_of_next(end: EndEvent) -> Cause:
    match end:
        case Closed(verdict=Verdict.AWAIT_AUTH) | Rejected():
            return Cause.REFUSED
        case Closed(cause=cause) | Aborted(cause=cause):
            return cause
        case _:
            return Cause.FAILED


def _refusal(end: EndEvent) -> str:
    match end:
        case Closed():
            return closing(end)
        case Aborted(cause=Cause.LOGGED_OUT):
            return "the provider says logged out; it is asked again in 5 min"
        case Aborted():
            return "the provider gave the refused credential again; it is asked again in 5 min"
        case _:
            return describe(end.error)
