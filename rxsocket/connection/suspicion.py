"""The first messages of a connection may say that the credential was refused (C9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxsocket.auth.greeting import Predicate

__all__ = ["Suspicion"]


class Suspicion:
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
