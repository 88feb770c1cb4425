"""Credentials that are fetched ahead of their expiry, and shared by many sockets (C12)."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from rxsocket.arguments import instance, seconds, seconds_or_none
from rxsocket.auth.credentials import Credential
from rxsocket.auth.expiry import Expires
from rxsocket.auth.minting import Mint
from rxsocket.callables import function
from rxsocket.streams.stream import Stream

__all__ = ["Refreshing", "mint_of", "refreshing"]


class Refreshing(Stream[Credential]):
    """An Observable of credentials, masked; see :func:`refreshing`.

    It works while it has subscribers. A late one gets the current credential first, unless it has
    expired. It does not fail and does not complete. Its observers are called on one loop: the one
    that runs where it is first subscribed to, else a background thread (C24).

    Attributes:
        errors: What went wrong without ending anything. Subscribing starts nothing.
    """

    def __init__(self, mint: Mint) -> None:
        super().__init__(mint.credentials)
        self._mint = mint
        self.errors: Stream[Exception] = Stream(mint.errors)

    def __repr__(self) -> str:
        return repr(self._mint)

    @property
    def calls(self) -> int:
        """How many calls of the provider were begun."""
        return self._mint.calls


def mint_of(source: Refreshing) -> Mint:
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
    mint = Mint(
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
