"""What a shard elsewhere and its fleet tell each other besides orders and reports.

::

    shard   ── Question(7, CredentialWanted) ──►  fleet       ◄── Answered(7, Sealed(***)) ──
    shard   ── Question(8, DialWanted) ──────►  fleet      ◄── Answered(8) ──  when it may dial
    shard   ── DialAnswered(8), DialGone(8) ►  fleet

A credential shows in no repr. It is pickled for a message to a shard alone, never to be kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rxsocket.auth.credentials import Credential, Ticket
from rxsocket.auth.providers import Ask
from rxsocket.fleet.counts import FleetCounts


class Sealed:
    """A credential on its way to a shard. It shows nothing."""

    __slots__ = ("_url", "_value", "expires_at", "number")

    def __init__(
        self, value: Any, url: str | None, number: int = 0, expires_at: float | None = None
    ) -> None:
        self._value = value
        self._url = url
        self.number = number
        self.expires_at = expires_at

    @classmethod
    def of(cls, credential: Credential, number: int = 0, expires_at: float | None = None) -> Sealed:
        """Seal a credential that is known, or the fact that there is none: logged out."""
        address = credential.address
        value: Any = None
        if credential.has_value:
            revealed = credential.reveal()
            value = revealed if isinstance(revealed, str) else dict(revealed)
        return cls(value, None if address is None else address.url, number, expires_at)

    def open(self) -> Any:
        """What ``auth=`` takes."""
        return self._value if self._url is None else Ticket(self._url, self._value)

    def __repr__(self) -> str:
        return "Sealed(***)"

    def __reduce__(self) -> Any:
        return Sealed, (self._value, self._url, self.number, self.expires_at)


@dataclass(frozen=True, slots=True)
class CredentialWanted:
    """A socket, or all of a shard, need a credential.

    Attributes:
        ask: What the user's function is told.
        refused: The number of the answer that was refused, or may have been.
    """

    ask: Ask
    refused: int | None = None


@dataclass(frozen=True, slots=True)
class DialWanted:
    """A socket is to dial.

    Attributes:
        socket: Its number in its shard.
        beside: Whether beside a connection of its own that delivers.
    """

    socket: int
    beside: bool


Matter: TypeAlias = CredentialWanted | DialWanted


@dataclass(frozen=True, slots=True)
class Question:
    """A question. Its number is that of the answer."""

    number: int
    matter: Matter


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nobody waits for an answer any more."""

    number: int


@dataclass(frozen=True, slots=True)
class DialAnswered:
    """The server has answered the dial that was asked for with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class DialGone:
    """Nothing is left of the connection, or of the attempt."""

    number: int


@dataclass(frozen=True, slots=True)
class Output:
    """What the pipeline of a shard gave."""

    values: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Discarded:
    """Messages that were dropped, as the fleet did not take them in time."""

    count: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What the sockets of a shard have counted since it began."""

    counts: FleetCounts


@dataclass(frozen=True, slots=True)
class Raised:
    """A function of the user's ended the shard.

    Attributes:
        text: Its traceback, without the values of what it works on.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Started:
    """The shard is there, and takes orders.

    Attributes:
        where: Where, for people.
    """

    where: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a question: a value, or why there is none."""

    number: int
    value: Any = field(default=None, repr=False)
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """The source of the credential has given another one."""

    value: Sealed


@dataclass(frozen=True, slots=True)
class OnlyThese:
    """The shard is to have no channels and no sockets but these.

    Attributes:
        keys: For each socket its channels.
        generation: The newest generation of the plan.
    """

    keys: Mapping[int, tuple[Hashable, ...]] = field(repr=False)
    generation: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Close all sockets, with this code and this text, and end."""

    code: int = 1000
    reason: str = ""
