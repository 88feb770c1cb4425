"""The arguments of each socket of a fleet, but for those that are the fleet's own (C41).

Left out, ``on_auth_change`` is a handover that knows each message by its channel and by what is
unique within it, as a connection has many channels.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from operator import itemgetter
from typing import Any

from rxsocket.auth.strategies import handover
from rxsocket.fleet.spec import ChannelSpec
from rxsocket.limits import Limits
from rxsocket.topics.topic import Envelope, envelope_or_default
from rxsocket.validation import is_mapping

_OURS = {
    "url": "pass it as the first argument of the Fleet",
    "auth": "pass it to the Fleet, for all of its sockets",
    "limits": "pass them to the Fleet, which keeps them for all of its sockets",
    "loop": "pass it to the Fleet",
    "name": "pass it to the Fleet",
    "clean_close": "a fleet goes on when a server closes a connection; end it with close()",
    "gate": "connect() and dispose what it returns instead",
    "linger": "connect() keeps a fleet connected",
    "give_up_after": "a socket of a fleet goes on; look at fleet.stats",
    "max_attempts": "a socket of a fleet goes on; look at fleet.stats",
}
"""Arguments of a socket that are none of ``options``, and what to do instead."""


def options_of_sockets(
    options: Any,
    limits: Limits,
    spec: ChannelSpec,
    dedupe: Callable[[Any], Hashable | None] | None,
) -> dict[str, Any]:
    """The arguments of each socket, but for those that are the fleet's own."""
    if options is not None and not is_mapping(options):
        kind = type(options).__name__
        raise TypeError(f"options: pass a mapping of arguments of Socket, not {kind}")
    given: dict[str, Any] = dict(options or {})
    for name, instead in _OURS.items():
        if name in given:
            raise ValueError(f"options: {name!r} is none of them: {instead}")
    if limits.lifetime is not None:
        if "max_age" in given:
            raise ValueError("options: leave out 'max_age', which Limits(lifetime=...) is")
        given["max_age"] = limits.lifetime
    if given.get("on_auth_change") is None:
        # The first message would be that of one channel, when others are not live there yet.
        strategy = handover(
            ready="open" if spec.acknowledged is None else "acknowledged",
            dedupe=_over_connections(spec, dedupe, given.get("envelope")),
        )
        given["on_auth_change"] = replace(strategy, sequence=CHANNEL_OF)
    return {"clean_close": "reconnect", **given}


def _over_connections(
    spec: ChannelSpec, dedupe: Callable[[Any], Hashable | None] | None, envelope: Envelope | None
) -> Callable[[Any], Any] | None:
    """What the same message has over two connections, of which each has many channels."""
    if dedupe is None:
        return None
    return KeyWithinChannel(spec.by or TopicOf(envelope_or_default(envelope)), dedupe)


class TopicOf:
    """The topic of a message; a class, so that it can be pickled.

    Args:
        envelope: Finds it.
    """

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope

    def __call__(self, message: Any) -> Any:
        """Return it, or ``None`` of a message that has none."""
        unwrapped = self._envelope.unwrap(message)
        return None if unwrapped is None else unwrapped[0]


CHANNEL_OF = itemgetter(0)
"""The channel of what ``KeyWithinChannel`` gives."""


class KeyWithinChannel:
    """The channel of a message, and what is unique within it; a class, so that it can be pickled.

    Args:
        by: Gives the channel.
        dedupe: Gives what is unique within it.
    """

    def __init__(self, by: Callable[[Any], Any], dedupe: Callable[[Any], Hashable | None]) -> None:
        self._by = by
        self._dedupe = dedupe

    def __call__(self, message: Any) -> Any:
        """Return both, or ``None`` for a message that has no double."""
        key = self._dedupe(message)
        return None if key is None else (self._by(message), key)
