"""A credential that was renewed by itself waits until the connection may follow it (C12, C15)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxsocket.auth.credentials import Credential
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.state import State


class PendingRenewal:
    """The newest credential that came without being asked for, until it is used (C12, C15).

    ::

        renewed     ----B------------------------------C-----------------
        open        A======|  opened   A? B=====|              B=========
                           only once open for stable_after      C

    A connection follows a renewal once it has been open for ``stable_after``, or for half of what
    was left of its own credential when it opened. Until then it is not needed: an attempt takes the
    newest credential anyway. And a server that refuses each of them must not be dialled each time
    that one of many sockets had a new one issued.

    Args:
        loop: Where the socket lives.
        publisher: Knows the state, and the credential in use.
        stable_after: Seconds.
        expires_at: When a credential expires, as wall time, if that is known.
        is_needed: Whether a socket that is not open has no other way to the next credential.
        use: Makes the change.
    """

    def __init__(
        self,
        loop: SocketLoop,
        publisher: Publisher,
        stable_after: float,
        expires_at: Callable[[Credential], float | None],
        is_needed: Callable[[], bool],
        use: Callable[[Credential], None],
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._stable_after = stable_after
        self._expires_at = expires_at
        self._is_needed = is_needed
        self._use = use
        self._newest: Credential | None = None
        self._may_follow_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def on_next(self, credential: Credential) -> None:
        self._newest = credential
        self._consider()

    def on_opened(self) -> None:
        expires_at = self._expires_at(self._publisher.auth.value)
        left = None if expires_at is None else max(0.0, expires_at - self._loop.wall_time())
        wait = self._stable_after if left is None else min(self._stable_after, left / 2)
        self._may_follow_at = self._loop.event_loop.time() + wait
        self._consider()

    def forget(self) -> None:
        """Something newer was pushed, or the socket stopped."""
        self._newest = None
        self._cancel_timer()

    def _consider(self) -> None:
        self._cancel_timer()
        newest = self._newest
        if newest is None:
            return
        if self._publisher.state.value is not State.OPEN:
            if self._is_needed():
                self._use_now(newest)
        elif newest == self._publisher.auth.value:
            self._newest = None
        else:
            self._use_in_time(newest)

    def _use_in_time(self, credential: Credential) -> None:
        loop = self._loop.event_loop
        wait = self._may_follow_at - loop.time()
        if wait <= 0 or not credential.known:
            self._use_now(credential)
        else:
            self._timer = loop.call_later(wait, lambda: self._loop.run(self._consider))

    def _use_now(self, credential: Credential) -> None:
        self._newest = None
        self._use(credential)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
