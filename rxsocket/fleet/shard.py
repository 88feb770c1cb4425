"""The sockets of one place, on one loop: orders in, reports out (C41).

::

    Subscribe(1, [A B])  ──►  socket 1 ── channels([A B]) ──► deliver(1, A), deliver(1, B)
    Live(1, [A B])       ◄──      ▲
                              admission    one for all sockets of the place

A shard knows nothing of the plan. What it is made of can be pickled, if the user's functions can,
so that it may live in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rxsocket.endpoint.admission import Admit
from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.fleet.orders import Order, Report
from rxsocket.fleet.spec import ChannelSpec
from rxsocket.limits import Limits
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.receipts import Receipt

Deliver: TypeAlias = Callable[[int, Hashable], Callable[[Any], None]]
"""Given a socket and a key, what is called with each of its messages, on the loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSettings:
    """What the sockets of every shard of a fleet are made with.

    Attributes:
        url: Where they connect.
        channel: How channels are asked for.
        limits: What the server allows.
        auth: What ``Socket(auth=)`` takes. In another process it is something that can be there.
        options: Further arguments of each socket.
        label: What their fleet is called in the log, without secrets.
    """

    url: AddressSource | Endpoint = field(repr=False)
    channel: ChannelSpec
    limits: Limits
    auth: Any = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    label: str = ""


class Shard:
    """The sockets of one place. Its methods are called on the loop, and so are its callbacks.

    Args:
        name: The name of the place.
        settings: What its sockets are made with.
        loop: The loop that they live on, which is bound until the shard is closed.
        report: Called with each report.
        deliver: Asked for what takes the messages of a channel, each time that it is asked for.
        admit: Lets its sockets dial, if somebody else than the shard says when they may: in another
            process, the fleet.
    """

    def __init__(
        self,
        name: str,
        settings: ShardSettings,
        loop: SocketLoop,
        report: Callable[[Report], None],
        deliver: Deliver,
        admit: Admit | None = None,
    ) -> None:
        raise NotImplementedError

    def take(self, order: Order) -> None:
        """Carry out an order; whatever comes of it is reported."""
        raise NotImplementedError

    def close(self) -> Receipt[None]:
        """Close every socket; the receipt settles when nothing is left of them."""
        raise NotImplementedError
