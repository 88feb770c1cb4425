"""What the first messages of a connection may be: the credential and the answer to it (C9, C19)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rxsocket.auth.carrier import FirstMessage, Predicate
from rxsocket.errors import ConnectionLost, CredentialRefused
from rxsocket.runtime.loop import SocketLoop
from rxsocket.transports.base import Link


class AuthHandshake:
    """Sends the credential as the first message, and waits for the answer (C19).

    Args:
        first_message: What to send and what to wait for.
        link: The connection.
        loop: Where it lives.
        asked: Asks a predicate of the user's about a message; ``None`` if it raises.
        on_sent: Called with the message once it was sent.
        on_accepted: Called when the server said yes, or need not say anything.
        on_failed: Called with what went wrong instead.
    """

    def __init__(
        self,
        first_message: FirstMessage,
        link: Link,
        loop: SocketLoop,
        asked: Callable[[Predicate, Any], object],
        on_sent: Callable[[Any], None],
        on_accepted: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self._first_message = first_message
        self._asked = asked
        self._on_sent = on_sent
        self._on_accepted = on_accepted
        self._on_failed = on_failed
        self._loop = loop
        self._sending = loop.event_loop.create_task(self._send(link))
        self._timer: asyncio.TimerHandle | None = None
        if first_message.accepted is not None:
            self._timer = loop.event_loop.call_later(first_message.timeout, self._time_out)

    def takes(self, message: Any) -> bool:
        """Look at a message; return whether it was the answer."""
        first = self._first_message
        refused = None if first.rejected is None else self._asked(first.rejected, message)
        if refused:
            self.dispose()
            self._on_failed(refused if isinstance(refused, Exception) else CredentialRefused())
            return True
        if first.accepted is not None and self._asked(first.accepted, message):
            self._cancel_timer()
            self._on_accepted()
            return True
        return False

    def dispose(self) -> None:
        self._sending.cancel()
        self._cancel_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def _send(self, link: Link) -> None:
        try:
            await link.send(self._first_message.message)
        except ConnectionLost:
            return  # the transport is about to say how it ended
        self._on_sent(self._first_message.message)
        if self._first_message.accepted is None:
            with self._loop.turn():
                self._on_accepted()

    def _time_out(self) -> None:
        with self._loop.turn():
            first = self._first_message
            self._on_failed(TimeoutError(f"{first.unanswered} in {first.timeout:g} s"))


def refusal_filter(
    rejected: Predicate,
    asked: Callable[[Predicate, Any], object],
    is_over: Callable[[], bool],
    on_refused: Callable[[], None],
) -> Callable[[str | bytes], bool]:
    """A filter that asks the user's function about each message, while that is of interest (C9).

    Args:
        rejected: The function.
        asked: Asks it about a message; ``None`` if it raises.
        is_over: Whether the connection has been open for ``stable_after``.
        on_refused: Called when a message was a refusal.
    """

    def is_refusal(message: str | bytes) -> bool:
        if is_over() or not asked(rejected, message):
            return False
        on_refused()
        return True

    return is_refusal
