"""One socket's share of what a mint makes for many (C10, C12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.expiry import IssuedToken
from rxsocket.auth.providers import Ask, Provider
from rxsocket.auth.refresh import Follower, TokenRefresher
from rxsocket.auth.refresh_schedule import LOOK
from rxsocket.errors import Unauthorized
from rxsocket.runtime.loop import SocketLoop

__all__ = ["SharedProvider"]


class SharedProvider(Provider, Follower):
    """A provider that answers with the credential that others have, too.

    ::

        ask       the current credential, if it has not expired and this socket was not refused
                  with it; else one call of the provider, for all who ask
        renewed   told, unless this socket gets it as the answer to what it asked, or had another
                  one pushed since that call began

    Args:
        mint: What it is a share of; maybe on another loop.
        home: Where the socket lives.
        refused: Whether the socket was refused with a credential; called on any thread.
        renewed: Called on the socket's loop with a credential that came unasked.
        failed: Called with the failure of a refresh ahead of the expiry.

    Attributes:
        parked: Whether the last answer was that there is no credential; the socket's loop sets it.
    """

    def __init__(
        self,
        mint: TokenRefresher,
        loop: SocketLoop,
        refused: Callable[[Credential], bool],
        renewed: Callable[[Credential], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._mint = mint
        self._loop = loop
        self._refused = refused
        self._told = renewed
        self._told_failure = failed
        self._asking = 0
        self._newest: IssuedToken | None = None
        self._overtaken = 0
        self._timer: asyncio.TimerHandle | None = None
        self.awaiting = False

    def __repr__(self) -> str:
        return f"<Share of {self._mint!r}>"

    # --- for the socket

    def expires_at(self, credential: Credential) -> float | None:
        """When a credential of the mint expires, as wall time; ``None`` if that is not known."""
        return self._mint.expires_at(credential)

    def follow(self) -> abc.DisposableBase:
        """Be told of renewals, until disposed."""
        self._look()
        return CompositeDisposable(self._mint.follow(self), Disposable(self._disarm))

    async def ask(self, ask: Ask) -> Credential:
        """The credential of the moment, which others share."""
        self.awaiting = False
        self._asking += 1
        try:
            answer = await self._mint.ask(ask, self, self._refused)
        except Unauthorized:
            self.awaiting = True
            raise
        finally:
            self._asking -= 1
        newest, self._newest = self._newest, None
        if newest is not None and newest.number > answer.number:
            answer = newest  # it came while the answer was on its way from another loop
        self.awaiting = not answer.credential.known
        return answer.credential

    def cancel(self) -> None:
        """Do nothing: the call is everybody's, and ends with the last who follows."""

    def discard_earlier(self) -> None:
        """What was asked for until now comes too late for this socket."""
        self._overtaken = self._mint.calls

    # --- for the mint, on its loop

    def renewed(self, renewal: IssuedToken) -> None:
        """There is another credential."""
        self._loop.run(lambda: self._renewed(renewal))

    def failed(self, error: Exception) -> None:
        """A refresh ahead of the expiry failed."""
        self._loop.run(lambda: self._told_failure(error))

    def _look(self) -> None:
        """The mint may live on the loop of another socket, which may end before this one."""
        self._mint.revive()
        self._timer = self._loop.event_loop.call_later(LOOK, self._look)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _renewed(self, renewal: IssuedToken) -> None:
        if self._asking:
            self._newest = renewal
        elif renewal.number > self._overtaken:
            self._told(renewal.credential)
