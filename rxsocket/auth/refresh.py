"""Credentials that are fetched ahead of their expiry, and shared by many sockets (C12).

::

    provider      1--------------------2-----------X--2'---------------
                  |<---- lifetime - lead ---->|
    follower      1--------------------2--------------2'---------------
    a later one                 1------2--------------2'---------------

One call of the provider runs at a time, whoever needs it. Wall time decides about expiry, so that a
machine that slept finds out when it wakes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any

from reactivex import abc

from rxsocket.auth.credentials import Credential
from rxsocket.auth.expiry import Expires
from rxsocket.auth.token_refresher import Follower, TokenRefresher
from rxsocket.explain.format import amount
from rxsocket.policy.backoff import shared_random
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.refcount import RefCount
from rxsocket.runtime.reporting import report_to_log
from rxsocket.runtime.threads import log
from rxsocket.streams.multicast import Hub
from rxsocket.streams.replay import ReplayHub
from rxsocket.streams.stream import Stream
from rxsocket.validation import function, instance, seconds, seconds_or_none


class Refreshing(Stream[Credential]):
    """An Observable of credentials, masked; see :func:`refreshing`.

    It works while it has subscribers. A late one gets the current credential first, unless it has
    expired. It does not fail and does not complete. Its observers are called on one loop: the one
    that runs where it is first subscribed to, else a background thread (rule C24, delivery).

    Attributes:
        errors: What went wrong without ending anything. Subscribing starts nothing.
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
        report = report_to_log(loop.exit_later)
        self._credentials: Hub[Credential] = ReplayHub(
            "refreshing", loop, report, self._replayed, self._connect, for_all=True
        )
        self._errors: Hub[Exception] = Hub("errors", loop, report)
        super().__init__(self._credentials)
        self.errors: Stream[Exception] = Stream(self._errors)
        self._refresher = TokenRefresher(
            provider, lead, expires, credential, timeout, random, self._on_failure
        )
        self._references = RefCount(loop, self._start, self._stop)
        self._follower: Follower | None = None

    def __repr__(self) -> str:
        sockets = sum(not one.is_observer for one in self._refresher.followers)
        observers = amount(self._credentials.observer_count + sockets, "observer")
        return f"<Refreshing {self._refresher.name}: {observers}>"

    @property
    def calls(self) -> int:
        """How many calls of the provider were begun."""
        return self._refresher.calls

    def _connect(self) -> abc.DisposableBase:
        reference = self._references.acquire()
        self._loop.run(self._fetch)
        return reference

    def _replayed(self) -> list[Credential]:
        current = self._refresher.current
        is_live = current is not None and current.is_live(self._loop.wall_time())
        return [current.credential] if current is not None and is_live else []

    def _start(self) -> None:
        if self._follower is None:
            self._follower = Follower(
                self._refresher,
                self._loop,
                lambda token: self._credentials.emit(token.credential),
                None,
            )

    def _fetch(self) -> None:
        if self._follower is not None:
            self._follower.fetch(is_ahead=False)

    def _stop(self) -> None:
        if self._follower is not None:
            self._follower.dispose()
            self._follower = None
        self._loop.release(lambda: not self._references.is_used)

    def _on_failure(self, error: Exception) -> None:
        if self._credentials.observed:
            log(logging.WARNING, "%r: %s", self, error)
        self._loop.run(lambda: self._errors.emit(error))


def refreshing(
    provider: Callable[..., Any],
    lead: float = 300.0,
    *,
    expires: Expires | None = None,
    credential: Callable[[Any], Any] | None = None,
    timeout: float | None = 10.0,
    random: Random | None = None,
) -> Refreshing:
    """Credentials that are fetched ahead of their expiry (rule C12, refresh ahead).

    As ``auth=`` of any number of sockets: a connection follows each renewal once it has been open
    for ``stable_after``, or for half of what was left of its credential when it opened, and each
    attempt carries the current credential. It is an Observable of
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
            one is called on a daemon thread; an async one on the loop that needed a credential
            first, or, if that has ended or does not answer for 1 s, on one that needs it now. One
            call runs at a time. It raises ``Unauthorized`` to give up: sockets that need a
            credential then await one, and it is not asked ahead again.
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
    return Refreshing(
        function("refreshing(provider)", provider),
        seconds("refreshing(lead)", lead),
        None if expires is None else function("refreshing(expires)", expires),
        None if credential is None else function("refreshing(credential)", credential),
        seconds_or_none("refreshing(timeout)", timeout),
        shared_random
        if random is None
        else instance("refreshing(random)", random, Random, "a random.Random"),
    )
