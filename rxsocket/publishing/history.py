"""The last events of a socket, without its messages, and the credentials they happened under."""

from __future__ import annotations

from dataclasses import replace

from rxsocket.auth.credentials import ANONYMOUS, Credential
from rxsocket.auth.masks import Mask
from rxsocket.events import (
    ConnectFailed,
    Event,
    ObserverFailed,
    Opened,
    Rejected,
    Remembered,
)
from rxsocket.explain.causes import kind_and_text

KEPT = 100
CREDENTIALS_KEPT = 20


class History:
    """The last 100 events and 20 credentials.

    They are in tuples: most sockets have few, and any thread may read them.

    Attributes:
        events: The events, oldest first.
        credentials: The credentials, and the wall time from which each was in use.
        sent_credentials: Those that went to the server, which may repeat them.
        written: What the URL and ``additional_headers`` hold, as a credential.
    """

    __slots__ = ("credentials", "events", "sent_credentials", "written")

    def __init__(self) -> None:
        self.events: tuple[Event, ...] = ()
        self.credentials: tuple[tuple[float, Credential], ...] = ()
        self.sent_credentials: tuple[Credential, ...] = ()
        self.written: Credential = ANONYMOUS

    def add_event(self, event: Event) -> None:
        if isinstance(event, ObserverFailed):
            event = replace(event, error=Remembered(kind_and_text(event.error)))
        self.events = (*self.events[1 - KEPT :], event)

    def add_credential(self, credential: Credential, since: float) -> None:
        self.credentials = (*self.credentials[1 - CREDENTIALS_KEPT :], (since, credential))

    def add_sent_credential(self, credential: Credential) -> None:
        if credential not in self.sent_credentials:
            self.sent_credentials = (*self.sent_credentials[1 - CREDENTIALS_KEPT :], credential)

    @property
    def has_outcome(self) -> bool:
        """Whether any attempt has opened a connection, or failed."""
        return any(isinstance(one, (Opened, ConnectFailed, Rejected)) for one in self.events)

    @property
    def secrets(self) -> tuple[Credential, ...]:
        """Whatever the server may repeat."""
        return (self.written, *self.sent_credentials)

    def redacted(self, text: str) -> str:
        """A text of the server's or of a provider's, without the secrets that were sent."""
        return Mask(self.secrets).in_reason(text) if text else text
