"""How the channels of a fleet are asked for (C41)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rxsocket.validation import callback, leaving_out_the_last, more_than_zero


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """How the channels of a fleet are asked for: what ``socket.channels`` takes, but for the keys.

    In a fleet whose shards are processes, its functions are sent to these: then they are functions
    of a module, not lambdas.

    Args:
        subscribe: Makes the message that asks for a list of keys: text, bytes or a value with a
            form in JSON; with a codec, whatever that encodes. With a second argument it is given a
            ``Subscribing``, which has the credential of the connection.
        unsubscribe: Makes the message that ends keys, likewise. Without it, a channel that moves
            goes on over the old connection, where nobody hears it.
        by: What the key of a message is. Left out: its topic, by the envelope.
        acknowledged: Says of a message what it answers: a mapping of keys to ``True``, ``False`` or
            an exception; keys that are accepted; ``True``, ``False`` or an exception for all that
            the oldest unanswered message asked for; ``None`` if it is no answer.
        acknowledged_within: Seconds after which a key without an answer is asked for again, alone.
        stale_after: Seconds without a message of a key after which it is asked for again, alone.

    Raises:
        TypeError: If a function is none, or takes the wrong arguments.
        ValueError: If a number of seconds cannot be used.

    Examples:
        >>> ChannelSpec(
        ...     subscribe=lambda keys: {"op": "subscribe", "args": keys},
        ...     unsubscribe=lambda keys: {"op": "unsubscribe", "args": keys},
        ...     by=lambda message: message["symbol"],
        ... )
    """

    subscribe: Callable[..., Any]
    unsubscribe: Callable[..., Any] | None = None
    by: Callable[[Any], Any] | None = None
    acknowledged: Callable[[Any], Any] | None = None
    acknowledged_within: float | None = None
    stale_after: float | None = None

    def __post_init__(self) -> None:
        leaving_out_the_last("subscribe", self.subscribe, 1)
        if self.unsubscribe is not None:
            leaving_out_the_last("unsubscribe", self.unsubscribe, 1)
        for name in ("by", "acknowledged"):
            if getattr(self, name) is not None:
                callback(name, getattr(self, name))
        for name in ("acknowledged_within", "stale_after"):
            more_than_zero(name, getattr(self, name))
        if self.acknowledged_within is not None and self.acknowledged is None:
            raise ValueError("acknowledged_within: goes with acknowledged=, which tells an answer")

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``socket.channels``; asked for once for each socket."""
        return {
            "subscribe": self.subscribe,
            "unsubscribe": self.unsubscribe,
            "by": self.by,
            "acknowledged": self.acknowledged,
            "acknowledged_within": self.acknowledged_within,
            "stale_after": self.stale_after,
        }
