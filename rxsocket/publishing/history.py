"""The last events of a socket, without its messages, and the credentials they happened under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import get_args

from rxsocket.auth.credentials import ANONYMOUS, Credential
from rxsocket.auth.masks import Mask, mask_of
from rxsocket.events import (
    AwaitingAuth,
    ConnectFailed,
    Connecting,
    Ended,
    EpochEnd,
    Event,
    Gated,
    ObserverFailed,
    Opened,
    Rejected,
    Remembered,
    Waiting,
)
from rxsocket.explain.causes import kind_and_text
from rxsocket.texts import printable

KEPT = 100
LIFE = frozenset((Connecting, Opened, *get_args(EpochEnd), Waiting, AwaitingAuth, Gated, Ended))
"""Events that lead from one state to the next."""
CREDENTIALS_KEPT = 20
LONGEST = 500
"""Characters of a text of the server's that are kept."""

_NOTHING: Mapping[type[Event], int] = MappingProxyType({})


class History:
    """The last 100 events and 20 credentials.

    They are in tuples: most sockets have few, and any thread may read them. Of events that lead to
    no state, which a server can cause at will, the oldest go first once they are the half; and the
    last of each kind stays. So what the present state follows from is there (C3).

    Attributes:
        events: The events, oldest first.
        forgotten: How many of each kind were left out since a connection opened.
        credentials: The credentials, and the wall time from which each was in use.
        sent_credentials: Those that went to the server, which may repeat them.
        written: What the URL and ``additional_headers`` hold, as a credential.
    """

    __slots__ = ("_kinds", "credentials", "events", "forgotten", "sent_credentials", "written")

    def __init__(self) -> None:
        self.events: tuple[Event, ...] = ()
        self.forgotten: Mapping[type[Event], int] = _NOTHING
        self.credentials: tuple[tuple[float, Credential], ...] = ()
        self.sent_credentials: tuple[Credential, ...] = ()
        self.written: Credential = ANONYMOUS
        self._kinds: Counter[type[Event]] | None = None  # how many of each, once that matters

    def add_event(self, event: Event) -> None:
        if isinstance(event, ObserverFailed):
            event = replace(event, error=Remembered(kind_and_text(event.error)))
        if isinstance(event, Opened):
            self.forgotten = _NOTHING
        self.events = (*self.events, event)
        if len(self.events) > KEPT:
            self._forget(self._least_needed())

    def _least_needed(self) -> int:
        """Which event to forget: the oldest of which there is a newer one of its kind."""
        if self._kinds is None:
            self._kinds = Counter(map(type, self.events))
        else:  # from here on each event is followed by this
            self._kinds[type(self.events[-1])] += 1
        kinds = self._kinds
        beside = sum(count for kind, count in kinds.items() if kind not in LIFE)
        spares_life = beside > len(self.events) // 2
        return next(
            index
            for index, kind in enumerate(map(type, self.events))
            if kinds[kind] > 1 and not (spares_life and kind in LIFE)
        )

    def _forget(self, index: int) -> None:
        kind = type(self.events[index])
        if self._kinds is not None:
            self._kinds[kind] -= 1
        self.events = self.events[:index] + self.events[index + 1 :]
        self.forgotten = {**self.forgotten, kind: self.forgotten.get(kind, 0) + 1}

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

    @property
    def mask(self) -> Mask:
        """Hides them in a text that may quote what a server said."""
        return mask_of(self.secrets)

    def as_read(self, text: str, also: Credential | None = None) -> str:
        """A text of the server's or of a provider's, as it is read: in one line, without secrets.

        Everything that is shown of it comes from here.

        Args:
            text: The text.
            also: What came with it, and is as secret as what was sent.
        """
        if not text:
            return text
        mask = self.mask if also is None else mask_of((*self.secrets, also))
        return printable(mask.in_reason(text[: 2 * LONGEST]), LONGEST)
