"""When a credential that was renewed by itself becomes a change of the connection (C12, C15).

::

    renewed     ----B------------------------------C-----------------
    open        A======|  opened   A? B=====|              B=========
                       only once open for stable_after      C

A connection follows a renewal once it has been open for ``stable_after``. Until then it is not
needed: an attempt takes the newest credential anyway. And a server that refuses each of them must
not be dialled each time that somebody, maybe one of 50 other sockets, had a new one minted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxsocket.auth.credentials import Credential
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.home import Home
from rxsocket.states import State

__all__ = ["Unasked"]


class Unasked:
    """The newest credential that came without being asked for, until it is used.

    Everything here happens on the loop.

    Args:
        home: Where the socket lives.
        publisher: Knows the state, and the credential in use.
        stable_after: Seconds.
        lacks: Whether a socket that is not open has no other way to the next credential.
        use: Makes the change.
    """

    def __init__(
        self,
        home: Home,
        publisher: Publisher,
        stable_after: float,
        lacks: Callable[[], bool],
        use: Callable[[Credential], None],
    ) -> None:
        self._home = home
        self._publisher = publisher
        self._stable_after = stable_after
        self._lacks = lacks
        self._use = use
        self._newest: Credential | None = None
        self._opened_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def came(self, credential: Credential) -> None:
        """There is another credential."""
        self._newest = credential
        self._consider()

    def opened(self) -> None:
        """A connection is open."""
        self._opened_at = self._home.loop.time()
        self._consider()

    def forget(self) -> None:
        """Something newer was pushed, or the socket stopped."""
        self._newest = None
        self._disarm()

    def _consider(self) -> None:
        self._disarm()
        if self._newest is None:
            return
        if self._publisher.state.value is not State.OPEN:
            if self._lacks():
                self._take(self._newest)
        elif self._newest == self._publisher.auth.value:
            self._newest = None
        else:
            self._when_stable(self._newest)

    def _when_stable(self, credential: Credential) -> None:
        loop = self._home.loop
        wait = self._opened_at + self._stable_after - loop.time()
        if wait <= 0 or not credential.known:
            self._take(credential)
        else:
            self._timer = loop.call_later(wait, lambda: self._home.run(self._consider))

    def _take(self, credential: Credential) -> None:
        self._newest = None
        self._use(credential)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
