"""What a fleet tells a shard, and what a shard tells its fleet: frozen, and made to be pickled.

::

    controller  ── OpenSocket, Subscribe, ... ──►  shard, here or in another process
    controller  ◄── Live, ChannelError, SocketEvent, ... ──  shard

Sockets have a number that is unique within their shard. A credential shows in no repr.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rxsocket.auth.outcomes import AuthChange
from rxsocket.events import Event
from rxsocket.fleet.events import Capped, ShardFailed, Throttled


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Make a socket, and connect it when the limits allow it.

    Attributes:
        number: Its number, which no earlier socket of the shard had in this run.
    """

    number: int


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close a socket; its channels were moved away, or are not wanted."""

    number: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ask for channels on a socket.

    Attributes:
        socket: The number of the socket.
        keys: The channels.
        generation: The number of the plan that says so; ``Live`` repeats it. An order of an
            older plan about the same key and socket is not carried out.
    """

    socket: int
    keys: tuple[Hashable, ...] = field(repr=False)
    generation: int


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Let go of channels on a socket."""

    socket: int
    keys: tuple[Hashable, ...] = field(repr=False)
    generation: int


@dataclass(frozen=True, slots=True)
class SetAuth:
    """Change the credential of every socket, and of those that are made later.

    Attributes:
        number: The number of the change, which ``AuthSettled`` repeats.
        value: What ``Socket.set_auth`` takes.
    """

    number: int
    value: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReconnectAll:
    """Make new connections; a refused credential may be tried again."""


@dataclass(frozen=True, slots=True)
class Redial:
    """Make a new connection: what was refused is not the credential, or may not be.

    Attributes:
        socket: The number of the socket, which awaits another credential.
        asks: Whether channels are asked for on it. If not, and it lasts, that is ``Probed``, and
            they are asked for when the next ``Subscribe`` has them.
    """

    socket: int
    asks: bool = True


@dataclass(frozen=True, slots=True)
class SetPace:
    """Send at another pace: on new connections, and on those where something is to be sent.

    Attributes:
        pace: Messages a second; ``None`` for what ``limits=`` say.
    """

    pace: float | None


@dataclass(frozen=True, slots=True)
class CapConnections:
    """The server takes so many connections of the address: no more are dialled."""

    most: int


@dataclass(frozen=True, slots=True)
class PauseReading:
    """Read nothing more, until ``ResumeReading``."""


@dataclass(frozen=True, slots=True)
class ResumeReading:
    """Read on."""


Order: TypeAlias = (
    OpenSocket
    | CloseSocket
    | Subscribe
    | Unsubscribe
    | SetAuth
    | ReconnectAll
    | Redial
    | SetPace
    | CapConnections
    | PauseReading
    | ResumeReading
)
"""What ``Shard.take`` takes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Channels were asked for, and are live when that is answered; only with ``acknowledged=``.

    Attributes:
        socket: The number of the socket.
        keys: The channels.
        generation: That of the order.
    """

    socket: int
    keys: tuple[Hashable, ...] = field(repr=False)
    generation: int


@dataclass(frozen=True, slots=True)
class Live:
    """Channels are live: acknowledged, or asked for where nothing says what an answer is.

    After each new connection they are so anew.

    Attributes:
        socket: The number of the socket.
        keys: The channels.
        generation: That of the order.
        at: When, as wall time.
    """

    socket: int
    keys: tuple[Hashable, ...] = field(repr=False)
    generation: int
    at: float


@dataclass(frozen=True, slots=True)
class Probed:
    """A connection on which nothing was asked for was not refused; see ``Redial.asks``."""

    socket: int


@dataclass(frozen=True, slots=True)
class ChannelError:
    """A channel was refused, or could not be asked for; it is not asked for any more."""

    socket: int
    key: Hashable = field(repr=False)
    error: Exception


@dataclass(frozen=True, slots=True)
class SocketEvent:
    """Something happened to a socket; a message is nothing of the kind."""

    socket: int
    event: Event


@dataclass(frozen=True, slots=True)
class Silent:
    """A channel is silent for too long, and asked for again.

    Attributes:
        socket: The number of the socket.
        key: The channel.
        answered: False if the server has not answered that it was asked for.
    """

    socket: int
    key: Hashable = field(repr=False)
    answered: bool


@dataclass(frozen=True, slots=True)
class Learnt:
    """The answers of the server say that it takes less than the limits say."""

    event: Throttled | Capped


@dataclass(frozen=True, slots=True)
class AuthSettled:
    """What has become of a change of the credential, on all sockets of the shard.

    Attributes:
        number: The number of the change.
        outcome: The worst of the outcomes: ``Refused`` if one socket was refused.
    """

    number: int
    outcome: AuthChange


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages, in the order in which they came; from a shard in another process alone.

    Attributes:
        messages: The number of the socket, the key, and what the codec made of the message.
    """

    messages: tuple[tuple[int, Hashable, Any], ...] = field(repr=False)


Report: TypeAlias = (
    Asked
    | Live
    | Silent
    | Probed
    | ChannelError
    | SocketEvent
    | Learnt
    | AuthSettled
    | Messages
    | ShardFailed
)
"""What a shard reports."""
