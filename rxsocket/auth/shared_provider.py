"""The provider of a socket whose credentials many sockets share (C10, C12)."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import abc

from rxsocket.auth.credentials import Credential
from rxsocket.auth.expiry import IssuedToken
from rxsocket.auth.providers import Ask, Provider
from rxsocket.auth.token_refresher import Follower, TokenRefresher
from rxsocket.errors import Unauthorized
from rxsocket.runtime.loop import SocketLoop

DOUBTED_EVERY = 10.0
"""Seconds between two calls for a token that may have been refused, however many sockets say so."""


class SharedProvider(Provider):
    """A provider that answers with the credential that others have, too.

    Tokens have the number of the call that they came of. One number is compared with it: that of
    the newest call when a credential was pushed, which all tokens up to it are older than.

    Args:
        refresher: Fetches the credentials, on whatever loop.
        loop: Where the socket lives.
        is_refused: Whether the socket was refused with a credential; called on any thread.
        is_doubted: Whether it may have been: likewise. Then a call is made, once in 10 s.
        on_renewed: Called on the socket's loop with a credential that was not asked for.
        on_error: Called on the socket's loop with the failure of a refresh ahead of the expiry.
        why_not: Says why the socket may not use a ticket; called on any thread.

    Attributes:
        is_awaiting: Whether the last answer was that there is no credential.
    """

    def __init__(
        self,
        refresher: TokenRefresher,
        loop: SocketLoop,
        is_refused: Callable[[Credential], bool],
        is_doubted: Callable[[Credential], bool],
        on_renewed: Callable[[Credential], None],
        on_error: Callable[[Exception], None],
        why_not: Callable[[Credential], str | None],
    ) -> None:
        self._refresher = refresher
        self._loop = loop
        self._is_refused = is_refused
        self._is_doubted = is_doubted
        self._on_renewed = on_renewed
        self._on_error = on_error
        self._why_not = why_not
        self._follower: Follower | None = None
        self._newest: IssuedToken | None = None
        self._pushed_after = 0
        self.is_awaiting = False

    def __repr__(self) -> str:
        return f"<SharedProvider of {self._refresher!r}>"

    def expires_at(self, credential: Credential) -> float | None:
        """When a credential expires, as wall time; ``None`` if that is not known."""
        return self._refresher.expires_at(credential)

    def follow(self) -> abc.DisposableBase:
        """Follow the renewals, until disposed."""
        self._follower = Follower(
            self._refresher, self._loop, self._on_token, self._on_error, self._why_not
        )
        return self._follower

    async def ask(self, ask: Ask) -> Credential:
        self.is_awaiting = False
        try:
            token = await self._refresher.token(ask, self._follower, self._is_bad)
        except Unauthorized:
            self.is_awaiting = True
            raise
        newest = self._newest
        if newest is not None and newest.number > token.number:
            token = newest  # it came while the answer was on its way from another loop
        if (why_not := self._why_not(token.credential)) is not None:  # others may
            raise self._refresher.refused(why_not)
        self.is_awaiting = not token.credential.known
        return token.credential

    def cancel(self) -> None:
        """Do nothing: the call is everybody's, and ends with the last follower."""

    def discard_earlier(self) -> None:
        self._pushed_after = self._refresher.calls

    def _is_bad(self, credential: Credential) -> bool:
        if self._is_refused(credential):
            return True
        is_old = self._refresher.seconds_since_call(self._loop.wall_time()) >= DOUBTED_EVERY
        return is_old and self._is_doubted(credential)

    def _on_token(self, token: IssuedToken) -> None:
        if (why_not := self._why_not(token.credential)) is not None:  # others may
            self._on_error(self._refresher.refused(why_not))
            return
        self._newest = token
        if token.number > self._pushed_after:
            self._on_renewed(token.credential)
