"""One call of a provider at a time, for followers on many loops: what ``refreshing()`` does (C12).

What is shared lives on no loop: sockets of several loops and threads use it, and any of these loops
may end, or be blocked by its user. A lock guards it. Each follower has a timer on its own loop; the
first whose timer is due makes the call. It is made on the loop of the first call, to which an async
provider may be bound, or on the follower's own when that one does not answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from random import Random
from typing import Any, TypeAlias

from reactivex import abc

from rxsocket.auth.credentials import Credential
from rxsocket.auth.expiry import Expires, IssuedToken, issued_token
from rxsocket.auth.masks import mask_of
from rxsocket.auth.providers import Ask, ProviderFunction, Reason
from rxsocket.auth.refresh_schedule import RefreshSchedule, WallClockTimer
from rxsocket.errors import AddressFailed, ProviderFailed, Unauthorized
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.threads import running_loop, wall_clock
from rxsocket.texts import change_texts

PATIENCE = 1.0
"""Seconds in which a loop must answer before what it was to do is done on another one."""

Outcome: TypeAlias = IssuedToken | Exception | None
"""What came of a call; ``None`` when its loop ended or did not answer."""


@dataclass(slots=True, eq=False)
class _Call:
    """A call of the provider, on its loop, and who waits for what comes of it."""

    loop: asyncio.AbstractEventLoop
    ask: Ask
    is_ahead: bool
    number: int = 0
    task: asyncio.Task[IssuedToken] | None = None
    askers: list[Follower | None] = field(default_factory=list["Follower | None"])
    waiting: list[asyncio.Future[Outcome]] = field(default_factory=list["asyncio.Future[Outcome]"])


class TokenRefresher:
    """Calls a provider while it has followers; for the first six arguments, see ``refreshing``.

    Args:
        provider, lead, expires, credential, timeout, random: As there.
        on_failure: Called with each failed call, on whatever thread.

    Attributes:
        name: What the provider is called in errors.
        lead: Seconds before the expiry at which the next token is fetched.
        followers: Who follows.
        current: The newest token, which may have expired.
        due: When the next call ahead of the expiry is to be made, as wall time.
        calls: How many calls of the provider were begun. A token has the number of its call.
    """

    def __init__(
        self,
        provider: Callable[..., Any],
        lead: float,
        expires: Expires | None,
        credential: Callable[[Any], Any] | None,
        timeout: float | None,
        random: Random,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._provider = ProviderFunction("refreshing(provider)", provider, timeout, self._read)
        self.lead = lead
        self._expires = expires
        self._credential = credential
        self._schedule = RefreshSchedule(lead, random)
        self._on_failure = on_failure
        self._lock = threading.RLock()
        self._call: _Call | None = None
        self._first_loop: asyncio.AbstractEventLoop | None = None
        self.name = self._provider.name
        self.followers: tuple[Follower, ...] = ()
        self.current: IssuedToken | None = None
        self._before: IssuedToken | None = None
        self._called_at = -inf
        self.due: float | None = None
        self.calls = 0

    def __repr__(self) -> str:
        return f"<TokenRefresher of {self.name}>"

    # --- for sockets and their cards, from any thread

    def expires_at(self, credential: Credential) -> float | None:
        """When its newest credential or the one before expires, as wall time, if that is known."""
        for token in (self.current, self._before):
            if token is not None and token.credential == credential:
                return token.expires_at
        return None

    def seconds_since_call(self, now: float) -> float:
        """How long ago the last call began, by the wall clock."""
        return now - self._called_at

    async def token(
        self, ask: Ask, follower: Follower | None, is_refused: Callable[[Credential], bool]
    ) -> IssuedToken:
        """The current token, or a new one when that has expired or was refused.

        Args:
            ask: What to tell the provider, if it is called for this.
            follower: Who asks, and is not told again of what it gets as the answer.
            is_refused: Whether a credential was refused; called on any thread.

        Raises:
            ProviderFailed: If the provider failed.
            Unauthorized: If it gave up.
        """
        outcome: Outcome = None
        is_here = False
        while outcome is None:
            with self._lock:
                current = self.current
                if (
                    current is not None
                    and self._is_live()
                    and not is_refused(current.credential)
                    and self._why_useless(current.credential) is None
                ):
                    return current
                call = self._call or self._new_call(ask, is_here=is_here)
                call.askers.append(follower)
                answer = _waiting_for(call)
            outcome = await self._outcome(call, answer)
            if outcome is None and call.loop is asyncio.get_running_loop():
                raise ProviderFailed(f"the call of {self.name} was cancelled")
            is_here = True
        if isinstance(outcome, ProviderFailed):
            raise type(outcome)(*outcome.args)  # each with a traceback of its own
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def refused(self, why_not: str) -> AddressFailed:
        """The failure of an answer that may not be used."""
        return AddressFailed(f"what {self.name} returned: {why_not}")

    # --- for followers, on their loops

    def add(self, follower: Follower) -> None:
        with self._lock:
            if not self.followers and not self._is_live():
                self.due = None  # who needs one asks for it
            self.followers = (*self.followers, follower)

    def remove(self, follower: Follower) -> None:
        with self._lock:
            self.followers = tuple(other for other in self.followers if other is not follower)
            if self.followers:
                return
            call, self._call, self._first_loop = self._call, None, None
        if call is not None:
            _end(call, ProviderFailed(f"{self.name} was stopped"))

    async def fetch(self, *, is_ahead: bool) -> None:
        """Make a call that nobody waits for, if it is still due."""
        is_here = False
        while True:
            with self._lock:
                if not (is_here or self._call is not None or self._is_needed(is_ahead)):
                    return
                call = self._call or self._new_call(self._reason(is_ahead), is_ahead, is_here)
                if call.loop is asyncio.get_running_loop():
                    return  # which tells everybody of what comes of it
                answer = _waiting_for(call)
            if await self._outcome(call, answer) is not None:
                return
            is_here = True

    # --- one call at a time

    def _is_live(self) -> bool:
        return self.current is not None and self.current.is_live(wall_clock(running_loop())())

    def _is_needed(self, is_ahead: bool) -> bool:
        if is_ahead:
            return self.due is not None and wall_clock(running_loop())() >= self.due
        return not self._is_live()

    def _why_useless(self, credential: Credential) -> AddressFailed | None:
        """Why no socket may use a ticket, if none may: to get it is to get nothing (C33)."""
        if credential.address is None:
            return None
        reasons = [one.why_not(credential) for one in self.followers if not one.is_observer]
        first = next(iter(reasons), None)
        return None if first is None or None in reasons else self.refused(first)

    def _reason(self, is_ahead: bool) -> Ask:
        if is_ahead:
            return Ask(self._schedule.failures + 1, Reason.EXPIRING)
        return Ask(1, Reason.FIRST)

    def _new_call(self, ask: Ask, is_ahead: bool = False, is_here: bool = False) -> _Call:
        here, first = asyncio.get_running_loop(), self._first_loop
        if first is None or first.is_closed():
            first = self._first_loop = here
        self.due = None
        loop = here if is_here or not first.is_running() else first
        self._call = call = _Call(loop, ask, is_ahead)
        _run_on(call.loop, lambda: self._begin(call))
        return call

    def _begin(self, call: _Call) -> None:
        with self._lock:
            if call is not self._call:
                return  # it took too long to begin
            self.calls += 1
            self._called_at = wall_clock(call.loop)()
            call.number = self.calls
            call.task = call.loop.create_task(self._provider.call(call.ask))
        call.task.add_done_callback(lambda task: self._on_done(call, task))

    async def _outcome(self, call: _Call, answer: asyncio.Future[Outcome]) -> Outcome:
        """What comes of a call, unless its loop ends, or does not answer, before it is there."""
        if call.loop is asyncio.get_running_loop():
            return await answer
        while not answer.done():
            answered = asyncio.Event()
            _run_on(call.loop, partial(_run_on, asyncio.get_running_loop(), answered.set))
            await asyncio.wait((answer,), timeout=PATIENCE)
            if not (answer.done() or answered.is_set()):
                self._give_up(call)
        return answer.result()

    def _give_up(self, call: _Call) -> None:
        with self._lock:
            if call is not self._call:
                return
            self._call = None
        _end(call, None)

    def _read(self, answer: Any) -> IssuedToken:
        now = wall_clock(running_loop())()
        return issued_token(answer, now, self._expires, self._credential)

    def _on_done(self, call: _Call, task: asyncio.Task[IssuedToken]) -> None:
        error = None if task.cancelled() else task.exception()
        outcome: Outcome = None
        with self._lock:
            if call is not self._call:
                return
            self._call = None
            if not task.cancelled() and error is None:
                error = self._why_useless(task.result().credential)
            now = wall_clock(call.loop)()
            before = self.current
            if task.cancelled():  # by the end of its loop
                self.due = self._due_after_failure(now)
            elif error is None:
                self.current = outcome = replace(task.result(), number=call.number)
                is_same = before is not None and before.credential == outcome.credential
                if not is_same:
                    self._before = before
                self.due = self._schedule.due_after(outcome, now, is_same=is_same)
            elif isinstance(error, Exception):
                known = tuple(it.credential for it in (self._before, before) if it is not None)
                outcome = change_texts(error, mask_of(known)).with_traceback(None)
                # One that gave up is not called again until somebody asks.
                has_given_up = isinstance(error, Unauthorized)
                self.due = None if has_given_up else self._due_after_failure(now)
            followers = self.followers
        self._publish(call, outcome, before, followers)

    def _due_after_failure(self, now: float) -> float | None:
        if self.current is None and not any(one.is_observer for one in self.followers):
            return None  # who needs one asks for it
        return self._schedule.due_after_failure(now, is_live=self._is_live())

    def _publish(
        self,
        call: _Call,
        outcome: Outcome,
        before: IssuedToken | None,
        followers: tuple[Follower, ...],
    ) -> None:
        _settle(call, outcome)
        others = [follower for follower in followers if follower not in call.askers]
        if isinstance(outcome, Exception):
            if call.is_ahead:
                for follower in others:
                    follower.on_error(outcome)
            self._on_failure(outcome)
        elif outcome is not None and (before is None or before.credential != outcome.credential):
            for follower in others:
                follower.on_next(outcome)
        for follower in followers:
            follower.reschedule()


def _usable(credential: Credential) -> None:
    """There is nothing against it."""


class Follower(abc.DisposableBase):
    """A socket, or the observers, that follow a refresher until disposed, on a loop of their own.

    Args:
        refresher: What they follow.
        loop: The loop.
        on_next: Called on it with each token that the follower has not asked for.
        on_error: Called on it with the failure of a call ahead of the expiry; ``None`` for
            observers, who never ask: for them a first call that fails is repeated.
        why_not: Says why the socket may not use a ticket; called on any thread.

    Attributes:
        is_observer: Whether it stands for observers.
    """

    def __init__(
        self,
        refresher: TokenRefresher,
        loop: SocketLoop,
        on_next: Callable[[IssuedToken], None],
        on_error: Callable[[Exception], None] | None,
        why_not: Callable[[Credential], str | None] = _usable,
    ) -> None:
        self.is_observer = on_error is None
        self.why_not = why_not
        self._refresher = refresher
        self._loop = loop
        self._on_next = on_next
        self._on_error = on_error
        self._timer = WallClockTimer(loop, lambda: self.fetch(is_ahead=True))
        self._task: asyncio.Task[None] | None = None
        self._is_disposed = False
        refresher.add(self)
        self._start_timer()

    def dispose(self) -> None:
        self._is_disposed = True
        self._loop.run(self._stop)
        self._refresher.remove(self)

    def fetch(self, *, is_ahead: bool) -> None:
        """Make a call, unless one is under way; on the loop."""
        if self._task is None or self._task.done():
            fetching = self._refresher.fetch(is_ahead=is_ahead)
            self._task = self._loop.event_loop.create_task(fetching)

    # --- from any thread

    def on_next(self, token: IssuedToken) -> None:
        self._loop.run(lambda: self._on_next(token))

    def on_error(self, error: Exception) -> None:
        on_error = self._on_error
        if on_error is not None:
            self._loop.run(lambda: on_error(error))

    def reschedule(self) -> None:
        """Follow the refresher's plan for the next call."""
        self._loop.run(self._start_timer)

    # --- on the loop

    def _start_timer(self) -> None:
        if not self._is_disposed:
            with suppress(RuntimeError):  # the loop was closed, and nobody stopped what was on it
                self._timer.start(self._refresher.due)

    def _stop(self) -> None:
        self._timer.stop()
        if self._task is not None:
            self._task.cancel()
            self._task = None


def _run_on(loop: asyncio.AbstractEventLoop, action: Callable[[], object]) -> None:
    """Run an action on a loop; never if that is closed."""
    if running_loop() is loop:
        action()
    else:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(action)


def _waiting_for(call: _Call) -> asyncio.Future[Outcome]:
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    call.waiting.append(answer)
    return answer


def _settle(call: _Call, outcome: Outcome) -> None:
    for answer in call.waiting:
        _run_on(answer.get_loop(), partial(_answer, answer, outcome))


def _answer(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():
        answer.set_result(outcome)


def _end(call: _Call, outcome: Outcome) -> None:
    """Settle a call that is not waited for any more, and cancel it."""
    _settle(call, outcome)
    task = call.task
    if task is not None:
        _run_on(call.loop, task.cancel)
