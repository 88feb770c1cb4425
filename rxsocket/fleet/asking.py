"""What a shard elsewhere asks its fleet for, and waits for: credentials, and turns to dial.

::

    socket ── ask ──► Questions ── Question(7) ──►  fleet
                          ▲  ◄─── Answered(7) ────
                       a future for each
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from reactivex.subject import ReplaySubject

from rxsocket.auth.credentials import ANONYMOUS
from rxsocket.auth.providers import Ask, Reason
from rxsocket.auth.refresh import refreshing
from rxsocket.endpoint.admission import Admit, Admitted
from rxsocket.errors import ProviderFailed
from rxsocket.events import Event
from rxsocket.fleet.questions import (
    Answered,
    CredentialWanted,
    DialAnswered,
    DialGone,
    DialWanted,
    Matter,
    Question,
    Sealed,
    Withdrawn,
)


class Questions:
    """The questions of one shard that wait for an answer; on its loop.

    Args:
        put: Sends something to the fleet.
    """

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last = 0

    async def ask(self, matter: Matter) -> Any:
        """Ask, and wait for the answer; what the fleet raised is raised here."""
        _, value = await self._ask(matter)
        return value

    async def _ask(self, matter: Matter) -> tuple[int, Any]:
        self._last += 1
        number = self._last
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._put(Question(number, matter))
        try:
            return number, await answer
        except asyncio.CancelledError:
            self._put(Withdrawn(number))
            raise
        finally:
            self._waiting.pop(number, None)

    async def admit(self, socket: int, beside: bool) -> Admitted:
        """Wait for the turn of a socket to dial."""
        number, _ = await self._ask(DialWanted(socket, beside))
        return Admitted(
            answered=lambda: self._put(DialAnswered(number)),
            gone=lambda: self._put(DialGone(number)),
        )

    def on_answer(self, answered: Answered) -> None:
        """Give an answer to who waits for it."""
        waiting = self._waiting.get(answered.number)
        if waiting is None or waiting.done():
            if answered.value is None and answered.error is None:
                self._put(DialGone(answered.number))  # a turn to dial that nobody takes any more
            return
        if answered.error is not None:
            waiting.set_exception(answered.error)
        else:
            waiting.set_result(answered.value)

    def fail(self, why: str) -> None:
        """The fleet is away: who waits for a credential is told so, and asks again later."""
        for waiting in tuple(self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(ProviderFailed(why))


class RemoteAdmission:
    """Stands in a shard elsewhere for the ``Admission`` of its fleet, which hears of its events.

    Args:
        questions: What asks.
    """

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def of(self, socket: int) -> Admit:
        """What a socket asks before each dial."""
        return partial(self._questions.admit, socket)

    def on_event(self, socket: int, event: Event) -> None:
        """The fleet hears of it by the reports."""

    def forget(self, socket: int) -> None:
        """The fleet knows, as it said so."""

    def cap(self, most: int) -> None:
        """Likewise."""


class RemoteAuth:
    """The ``auth=`` of sockets whose source of credentials is elsewhere; on their loop.

    Args:
        kind: What the source is: ``"none"``; ``"given"``, a value, or ``"pushed"``, an Observable,
            which come with :meth:`push`; ``"asked"``, a function; ``"shared"``, ``refreshing()``.
        lead: For ``"shared"``, seconds before the expiry at which the next one is asked for.
        questions: What asks.
    """

    def __init__(self, kind: str, lead: float, questions: Questions) -> None:
        self._kind = kind
        self._questions = questions
        self._values: ReplaySubject[Any] = ReplaySubject(1)
        self._answered: int | None = None
        self._lead = lead

    def source(self) -> Any:
        """What the sockets are given."""
        if self._kind == "none":
            return ANONYMOUS
        if self._kind == "asked":
            return self._asked
        if self._kind == "shared":
            return refreshing(
                self._shared, self._lead, expires=_expires, credential=_credential, timeout=None
            )
        return self._values

    def push(self, value: Sealed) -> None:
        """The source has given a value."""
        self._values.on_next(value.open())

    async def _asked(self, ask: Ask) -> Any:
        sealed: Sealed = await self._questions.ask(CredentialWanted(ask))
        return sealed.open()

    async def _shared(self, ask: Ask) -> Sealed:
        refused = None if ask.reason is Reason.EXPIRING else self._answered
        sealed: Sealed = await self._questions.ask(CredentialWanted(ask, refused))
        self._answered = sealed.number
        return sealed


def _credential(sealed: Sealed) -> Any:
    return sealed.open()


def _expires(sealed: Sealed) -> datetime | None:
    at = sealed.expires_at
    return None if at is None else datetime.fromtimestamp(at, UTC)
