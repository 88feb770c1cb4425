"""What happens to the channels of a fleet, as frozen values; ``fleet.events`` has them (C41).

::

    wanted    A B C
    events    Placed(A B)  Placed(C)  Lost(A B)  Restored(A B)  Moved(C)

Keys to which the same happens together are in one event. ``at`` is the wall time in seconds since
the epoch; it takes no part in comparisons. Keys may be many, so a repr has their number alone.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from rxsocket.validation import is_list


@dataclass(frozen=True, slots=True, kw_only=True)
class _FleetEvent:
    at: float = field(default_factory=time.time, compare=False, repr=False)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{item.name}={_shown(getattr(self, item.name))}" for item in fields(self) if item.repr
        )
        return f"{type(self).__name__}({shown})"


def _shown(value: Any) -> str:
    return f"<{len(value)}>" if is_list(value) else repr(value)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Placed(_FleetEvent):
    """Channels are live for the first time, or again after a failure of theirs.

    That is when the server has acknowledged them, or, without ``acknowledged=``, when they were
    asked for.

    Attributes:
        keys: The channels.
        shard: The name of the shard.
        socket: The number of the socket.
    """

    keys: tuple[Hashable, ...]
    shard: str
    socket: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Moved(_FleetEvent):
    """Channels have left one socket for another, which delivered before the old one let go.

    Attributes:
        keys: The channels.
        shard: The shard where they are now.
        socket: The number of the socket there.
        from_shard: The shard where they were.
        from_socket: The number of the socket there.
    """

    keys: tuple[Hashable, ...]
    shard: str
    socket: int
    from_shard: str
    from_socket: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AnswerMissing(_FleetEvent):
    """Channels were asked for, and have no answer: the server, or ``acknowledged=``, misses them.

    Their messages are delivered, if there are any. They are asked for again if
    ``acknowledged_within=`` is there.

    Attributes:
        keys: The channels.
        shard: The name of the shard.
        socket: The number of the socket.
        seconds: How long ago they were asked for.
    """

    keys: tuple[Hashable, ...]
    shard: str
    socket: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled(_FleetEvent):
    """The server says that there are too many dials, or messages: the next ones are slower.

    Attributes:
        shard: The shard whose address is meant.
        what: What there is too much of: dials, or sends over a connection.
        rate: Of them a second from now on; ``None`` if nobody dials before ``retry_after`` is over,
            and then as before.
        retry_after: Seconds in which nobody dials, if the server said so.
        why: What the server did, in words.
    """

    shard: str
    rate: float | None
    retry_after: float | None
    why: str
    what: Literal["dials", "sends"] = "dials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capped(_FleetEvent):
    """The server takes less than ``limits=`` says; there is a new plan.

    Attributes:
        shard: The shard.
        socket: The number of the socket, if the cap is its own.
        what: What there is less of: channels of a connection, connections of the shard's address,
            or connections of the credential.
        cap: How many the server takes.
        why: What the server did, in words.
    """

    shard: str
    socket: int | None
    what: Literal["channels", "connections", "connections_per_credential"]
    cap: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Lost(_FleetEvent):
    """Channels were live and are not: their connection ended, or their shard did.

    Attributes:
        keys: The channels.
        shard: The shard.
        socket: The number of the socket.
        why: What ended it, in words.
        since: When they were live last, as wall time.
    """

    keys: tuple[Hashable, ...]
    shard: str
    socket: int
    why: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Restored(_FleetEvent):
    """Channels that were lost are live again.

    Attributes:
        keys: The channels.
        shard: The shard.
        socket: The number of the socket.
        gap: Seconds in which they were not: what the server sent then is missing.
    """

    keys: tuple[Hashable, ...]
    shard: str
    socket: int
    gap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFailed(_FleetEvent):
    """A shard ended that was not to: its process was killed, or a function in it raised.

    Its channels are lost until the shard is there again, or others have them.

    Attributes:
        shard: The shard.
        error: What it ended with; its text has the traceback of where that was, if there is one.
        restarts: Whether it is started again.
    """

    shard: str
    error: Exception
    restarts: bool


FleetEvent: TypeAlias = (
    Placed | Moved | AnswerMissing | Throttled | Capped | Lost | Restored | ShardFailed
)
"""What ``fleet.events`` emits: a closed union, for ``match``."""
