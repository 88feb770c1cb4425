"""Credentials that are fetched ahead of their expiry, and shared by many sockets (C12).

Credentials that are fetched ahead of their expiry, for all who follow (C12).

::

    provider      1--------------------2-----------X--2'---------------
                  |<---- lifetime - lead ---->|
    follower      1--------------------2--------------2'---------------
    a later one                 1------2--------------2'---------------

One call of the provider runs at a time, whoever needs it. Wall time decides about expiry, so that a
machine that slept finds out when it wakes.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.expiry import Expires, IssuedToken, issued_token
from rxsocket.auth.providers import Ask, Reason, SingleFlight
from rxsocket.auth.refresh_schedule import RefreshSchedule, WallClockTimer
from rxsocket.errors import ProviderFailed, Unauthorized
from rxsocket.explain.format import amount
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.refcount import RefCount
from rxsocket.runtime.threads import running_loop
from rxsocket.streams.multicast import Hub, ReplayHub
from rxsocket.streams.stream import Stream
from rxsocket.validation import function, instance, seconds, seconds_or_none

__all__ = ["Follower", "Outcome", "Refreshing", "TokenRefresher", "refresher_of", "refreshing"]

logger = logging.getLogger("rxsocket")

Outcome = IssuedToken | Exception


class Follower(ABC):
    """Who follows a :class:`TokenRefresher` without asking it to begin: a socket asks by itself.

    Its methods are called on the loop of the mint, unless it has asked and gets the same as its
    answer.
    """

    @abstractmethod
    def renewed(self, renewal: IssuedToken) -> None:
        """There is another credential."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """A refresh ahead of the expiry failed; the old credential stays."""


class TokenRefresher:
    """SingleFlight a provider while somebody wants credentials; the works of ``refreshing``.

    What its arguments mean, ``refreshing`` says.

    Attributes:
        credentials: Each credential; a late observer gets the current one first.
        errors: What went wrong without ending anything.
        calls: How many calls of the provider were begun.
    """

    def __init__(
        self,
        provider: Callable[..., Any],
        lead: float,
        expires: Expires | None,
        credential: Callable[[Any], Any] | None,
        timeout: float | None,
        random: Random,
    ) -> None:
        self._loop = loop = SocketLoop()
        report = self._observer_failed
        self.credentials: Hub[Credential] = ReplayHub(
            "refreshing", loop, report, self._welcome, self._demand, for_all=True
        )
        self.errors: Hub[Exception] = Hub("errors", loop, report)
        self._single_flight = SingleFlight("refreshing(provider)", provider, timeout, self._read)
        self._ahead = RefreshSchedule(lead, random)
        self._expires = expires
        self._credential = credential
        self._timeout = timeout
        self._references = RefCount(loop, self._start, self._stop)
        self._followers: tuple[Follower, ...] = ()
        self._current: IssuedToken | None = None
        self._alarm = WallClockTimer(loop, self._expiring)
        self._call: asyncio.Task[IssuedToken] | None = None
        self._unasked = False
        self._waiting: list[tuple[Follower, Callable[[Outcome], None]]] = []
        self._running_on: asyncio.AbstractEventLoop | None = None
        self.calls = 0

    def __repr__(self) -> str:
        observers = amount(self.credentials.observer_count + len(self._followers), "observer")
        return f"<Refreshing {self._single_flight.name}: {observers}>"

    # --- from any thread

    def expires_at(self, credential: Credential) -> float | None:
        """When its credential expires, as wall time; ``None`` if that is not known."""
        current = self._current
        return current.expires_at if current and current.credential == credential else None

    def follow(self, follower: Follower) -> abc.DisposableBase:
        """Tell a follower of every renewal, until disposed."""

        def leave() -> None:
            self._loop.run(lambda: self._drop(follower))
            hold.dispose()

        self._loop.run(lambda: self._add(follower))
        hold = self._references.acquire()
        return Disposable(leave)

    def revive(self) -> None:
        """Go on here, if the loop that it was on has ended."""
        loop = self._running_on
        if loop is not None and loop.is_closed():
            self._loop.run(self._moved)

    async def ask(
        self, ask: Ask, follower: Follower, refused: Callable[[Credential], bool]
    ) -> IssuedToken:
        """The current credential, or a new one when that has expired or was refused.

        Args:
            ask: What to tell the provider, if it is called for this.
            follower: Who asks.
            refused: Whether a credential was refused; called on any thread.

        Raises:
            ProviderFailed: If the provider failed.
            Unauthorized: If it gave up.
        """
        loop = asyncio.get_running_loop()
        there: asyncio.Future[Outcome] = loop.create_future()

        def arrive(outcome: Outcome) -> None:
            if not there.done():
                there.set_result(outcome)

        def settle(outcome: Outcome) -> None:
            if running_loop() is loop:
                arrive(outcome)
                return
            with suppress(RuntimeError):  # its loop is closed: nobody waits any more
                loop.call_soon_threadsafe(arrive, outcome)

        self._loop.run(lambda: self._answer(ask, follower, refused, settle))
        # The call has a limit of its own; this one is for a loop that ended with the call on it.
        try:
            async with asyncio.timeout(None if self._timeout is None else self._timeout + 1.0):
                outcome = await there
        except TimeoutError:
            outcome = ProviderFailed(f"{self._single_flight.name} gave no credential in time")
        if isinstance(outcome, ProviderFailed):
            outcome = ProviderFailed(*outcome.args)  # each has a traceback of its own
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    # --- on the loop

    def _welcome(self) -> list[Credential]:
        """What a late observer gets first."""
        return [self._current.credential] if self._current is not None and self._live() else []

    def _add(self, follower: Follower) -> None:
        self._followers = (*self._followers, follower)

    def _drop(self, follower: Follower) -> None:
        self._followers = tuple(other for other in self._followers if other is not follower)

    def _demand(self) -> abc.DisposableBase:
        """A subscriber came that asks for nothing by itself."""
        hold = self._references.acquire()
        self._loop.run(self._begin)
        return hold

    def _start(self) -> None:
        loop, self._running_on = self._running_on, self._loop.event_loop
        if loop is self._running_on:
            return
        if self._live():
            self._alarm.arm()
        else:
            self._alarm.set(None)  # who needs one asks for it

    def _begin(self) -> None:
        if self._running_on is not None and not self._live():
            self._fetch(Ask(1, Reason.FIRST))

    def _stop(self) -> None:
        """The last subscriber left."""
        self._running_on = self._call = None
        self._alarm.disarm()
        self._single_flight.cancel()
        self._settle(ProviderFailed(f"{self._single_flight.name} was stopped"))
        self._loop.release(lambda: not self._references.is_used)

    def _moved(self) -> None:
        """Begin anew on the loop of the moment, if that is another one than it was."""
        self._loop.bind()
        if self._running_on is None or self._running_on is self._loop.event_loop:
            return
        self._single_flight.cancel()
        self._call = None
        self._settle(ProviderFailed(f"the loop that called {self._single_flight.name} ended"))
        self._running_on = None
        self._start()

    def _answer(
        self,
        ask: Ask,
        follower: Follower,
        refused: Callable[[Credential], bool],
        settle: Callable[[Outcome], None],
    ) -> None:
        self._moved()
        if self._current is not None and self._live() and not refused(self._current.credential):
            settle(self._current)
            return
        self._waiting.append((follower, settle))
        self._fetch(ask)

    def _live(self) -> bool:
        return self._current is not None and self._current.live(self._loop.wall_time())

    def _expiring(self) -> None:
        self._fetch(Ask(self._ahead.failures + 1, Reason.EXPIRING), unasked=True)

    def _fetch(self, ask: Ask, *, unasked: bool = False) -> None:
        if self._call is not None:
            return
        self._alarm.disarm()
        self._unasked = unasked
        self.calls += 1
        self._call = self._single_flight.begin(ask)
        self._call.add_done_callback(self._fetched)

    def _read(self, answer: Any) -> IssuedToken:
        now = self._loop.wall_time()
        return replace(
            issued_token(answer, now, self._expires, self._credential), number=self.calls
        )

    def _fetched(self, call: asyncio.Task[IssuedToken]) -> None:
        if call is not self._call:
            return
        self._call = None
        with self._loop.turn():
            if call.cancelled():  # by the end of the loop; where somebody asks, it goes on
                self._settle(
                    ProviderFailed(f"the loop that called {self._single_flight.name} ended")
                )
                return
            error = call.exception()
            if error is None:
                self._succeeded(call.result())
            elif isinstance(error, Exception):
                self._failed(error.with_traceback(None))

    def _succeeded(self, renewal: IssuedToken) -> None:
        before, self._current = self._current, renewal
        same = before is not None and before.credential == renewal.credential
        self._alarm.set(self._ahead.after(renewal, self._loop.wall_time(), same=same))
        others = self._settle(renewal)
        if not same:
            for follower in others:
                follower.renewed(renewal)
            self.credentials.emit(renewal.credential)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, Unauthorized) or (
            self._current is None and not self.credentials.observed
        ):
            self._alarm.set(None)  # until somebody asks
        else:
            now = self._loop.wall_time()
            self._alarm.set(self._ahead.after_failure(now, live=self._live()))
        others = self._settle(error)
        if self._unasked:
            for follower in others:
                follower.failed(error)
        if self.credentials.observed:
            logger.warning("%r: %s", self, error)
        self.errors.emit(error)

    def _settle(self, outcome: Outcome) -> list[Follower]:
        """Answer who asked; returns the others."""
        waiting, self._waiting = self._waiting, []
        for _, settle in waiting:
            settle(outcome)
        asked = [follower for follower, _ in waiting]
        return [follower for follower in self._followers if follower not in asked]

    def _observer_failed(
        self, observer: str, stream: str, error: BaseException, *, detached: bool = True
    ) -> None:
        text = "observer %s of %s raised and was detached; the others go on"
        if not detached:
            text = "observer %s of %s raised"
        logger.warning(text, observer, stream, exc_info=error)
        self._loop.exit_later(error)


class Refreshing(Stream[Credential]):
    """An Observable of credentials, masked; see :func:`refreshing`.

    It works while it has subscribers. A late one gets the current credential first, unless it has
    expired. It does not fail and does not complete. Its observers are called on one loop: the one
    that runs where it is first subscribed to, else a background thread (C24).

    Attributes:
        errors: What went wrong without ending anything. Subscribing starts nothing.
    """

    def __init__(self, mint: TokenRefresher) -> None:
        super().__init__(mint.credentials)
        self._mint = mint
        self.errors: Stream[Exception] = Stream(mint.errors)

    def __repr__(self) -> str:
        return repr(self._mint)

    @property
    def calls(self) -> int:
        """How many calls of the provider were begun."""
        return self._mint.calls


def refresher_of(source: Refreshing) -> TokenRefresher:
    """What does the work, for a socket that asks by itself."""
    return source._mint  # pyright: ignore[reportPrivateUsage]


def refreshing(
    provider: Callable[..., Any],
    lead: float = 300.0,
    *,
    expires: Expires | None = None,
    credential: Callable[[Any], Any] | None = None,
    timeout: float | None = 10.0,
    random: Random | None = None,
) -> Refreshing:
    """Credentials that are fetched ahead of their expiry (C12).

    As ``auth=`` of any number of sockets: a connection follows each renewal once it has been open
    for ``stable_after``, and each attempt carries the current credential. It is an Observable of
    credentials, too; what operators make of it is an Observable like any other, whose values a
    socket does not ask for.

    The expiry is read from what the provider returns: ``expires_in`` of a mapping, in seconds from
    the answer on (RFC 6749, section 5.1), else the ``exp`` of a JSON Web Token in the credential,
    which is not verified (RFC 7519). A credential whose expiry is not known is used until it is
    refused.

    The next one is fetched ``lead`` seconds before the expiry, or at half the lifetime when that is
    less than ``lead`` away from it, and up to a tenth of that earlier. A failed refresh is tried
    again after 5 to 10 s; once the old credential has expired, with the backoff of a socket.

    Of the response of an OAuth token endpoint, a mapping with ``access_token`` and with
    ``token_type`` or ``expires_in``, the ``access_token`` is the credential, a string. Of another
    mapping, every entry is part of it, but ``expires_in``, ``token_type``, ``refresh_token`` and
    ``refresh_token_expires_in``. A ``refresh_token`` is never sent to the
    WebSocket's server, whatever ``credential=`` says; to keep it for the next call is the
    provider's own business.

    Args:
        provider: Sync or async; takes an ``Ask`` or nothing; returns a credential or the response
            of a token endpoint. ``None`` means logged out, and it is asked again in 5 min. A sync
            one is called on a daemon thread. One call runs at a time. It raises ``Unauthorized`` to
            give up: sockets that need a credential then await one, and it is not asked ahead again.
        lead: Seconds before the expiry.
        expires: A function from what the provider returned to the expiry, in seconds since 1970 or
            as an aware ``datetime``; or a ``timedelta`` from now; or ``None`` when it is not known.
        credential: A function from what the provider returned to the credential.
        timeout: Seconds that a call may take; ``None`` for as long as it likes.
        random: Source of the jitter; pass a seeded one to know it in advance.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If a number is negative.

    Examples:
        >>> tokens = refreshing(fetch_token)
        >>> sockets = [Socket(url, auth=tokens) for url in feeds]     # one call for all of them
        >>> refreshing(fetch, credential=lambda answer: {"token": answer["access_token"], "v": 2})
        >>> tokens.subscribe(print)
        Credential(***)
    """
    mint = TokenRefresher(
        function("refreshing(provider)", provider),
        seconds("refreshing(lead)", lead),
        None if expires is None else function("refreshing(expires)", expires),
        None if credential is None else function("refreshing(credential)", credential),
        seconds_or_none("refreshing(timeout)", timeout),
        Random()
        if random is None
        else instance("refreshing(random)", random, Random, "a random.Random"),
    )
    return Refreshing(mint)
