"""The last events of a socket, without its messages, and the credentials they happened under."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rxsocket.auth.credentials import Credential
from rxsocket.auth.masks import Mask
from rxsocket.events import Event, ObserverFailed, Remembered
from rxsocket.explain.causes import raised

__all__ = ["History"]

KEPT = 100
CREDENTIALS_KEPT = 20


class History:
    """The last 100 events, in a tuple: most sockets have few, and any thread may read it.

    Attributes:
        companion: What an onlooker wants to keep for as long as the socket lives.
    """

    __slots__ = ("_carried", "_credentials", "_events", "companion")

    def __init__(self) -> None:
        self._events: tuple[Event, ...] = ()
        self._credentials: tuple[tuple[float, Credential], ...] = ()
        self._carried: tuple[Credential, ...] = ()
        self.companion: Any = None

    def remember(self, event: Event) -> None:
        """Keep an event that is no message."""
        if isinstance(event, ObserverFailed):
            event = replace(event, error=Remembered(raised(event.error)))
        self._events = (*self._events[1 - KEPT :], event)

    def used(self, credential: Credential, at: float) -> None:
        """Keep which credential is in use from a wall time on."""
        self._credentials = (*self._credentials[1 - CREDENTIALS_KEPT :], (at, credential))

    def carried(self, credential: Credential) -> None:
        """Remember that a credential goes to the server, which may repeat it."""
        if credential not in self._carried:
            self._carried = (*self._carried[1 - CREDENTIALS_KEPT :], credential)

    @property
    def credentials(self) -> tuple[tuple[float, Credential], ...]:
        """The last 20 credentials, masked as ever, and since when each; from any thread."""
        return self._credentials

    def masked(self, text: str) -> str:
        """A text of somebody's, without the values of the credentials that were carried (C28)."""
        return Mask(self._carried).in_reason(text) if text else text

    @property
    def events(self) -> tuple[Event, ...]:
        """What is kept, oldest first; may be read from any thread."""
        return self._events
