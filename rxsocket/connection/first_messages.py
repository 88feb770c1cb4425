"""From the link to the open connection: the credential as the first message (C19).

The first messages of a connection may say that the credential was refused (C9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rxsocket.auth.carrier import FirstMessage, Predicate
from rxsocket.errors import ConnectionLost, CredentialRefused
from rxsocket.runtime.loop import SocketLoop
from rxsocket.transports.base import Link

__all__ = ["AuthHandshake", "RefusalFilter"]


class AuthHandshake:
    """Says the greeting, and waits for the answer to it.

    Args:
        greeting: What to say and what to wait for.
        link: The connection.
        home: Where it lives.
        ask: Asks a predicate of the user's about a message; false if it raises.
        accepted: Called when the server said yes, or need not say anything.
        failed: Called with what went wrong instead.
    """

    def __init__(
        self,
        greeting: FirstMessage,
        link: Link,
        loop: SocketLoop,
        ask: Callable[[Predicate, Any], bool],
        accepted: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._greeting = greeting
        self._ask = ask
        self._accepted = accepted
        self._failed = failed
        self._loop = loop
        self._said = loop.event_loop.create_task(self._say(link))
        self._timer: asyncio.TimerHandle | None = None
        if greeting.accepted is not None:
            self._timer = loop.event_loop.call_later(greeting.timeout, self._time_is_up)

    def hears(self, message: Any) -> bool:
        """Take a message; whether it was the answer."""
        greeting = self._greeting
        if greeting.rejected is not None and self._ask(greeting.rejected, message):
            self.leave()
            self._failed(CredentialRefused())
            return True
        if greeting.accepted is not None and self._ask(greeting.accepted, message):
            self._stop_waiting()
            self._accepted()
            return True
        return False

    def leave(self) -> None:
        """Say and wait for nothing more."""
        self._said.cancel()
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def _say(self, link: Link) -> None:
        try:
            await link.send(self._greeting.message)
        except ConnectionLost:
            return  # the transport is about to say how it ended
        if self._greeting.accepted is None:
            with self._loop.turn():
                self._accepted()

    def _time_is_up(self) -> None:
        with self._loop.turn():
            seconds = f"{self._greeting.timeout:g}"
            self._failed(TimeoutError(f"the server did not accept the credential in {seconds} s"))


class RefusalFilter:
    """Asks the user's function about each message, until the connection counts as stable.

    Args:
        rejected: The function.
        ask: Asks it about a message; false if it raises.
        trusted: Whether the connection has been open for ``stable_after``.
        refused: Called when a message was a refusal.
    """

    def __init__(
        self,
        rejected: Predicate,
        ask: Callable[[Predicate, Any], bool],
        trusted: Callable[[], bool],
        refused: Callable[[], None],
    ) -> None:
        self._rejected = rejected
        self._ask = ask
        self._trusted = trusted
        self._refused = refused
        self.over = False

    def __call__(self, message: Any) -> bool:
        """Take a message; whether it was a refusal."""
        if self.over or self._trusted():
            self.over = True
            return False
        if not self._ask(self._rejected, message):
            return False
        self._refused()
        return True
