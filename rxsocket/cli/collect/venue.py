"""The functions of a ``ChannelSpec`` for what ``[channel]`` says.

::

    subscribe     {op = "subscribe", args = ["{key}"]}
    accepted      {event = "subscribed"}     answered = "symbol"     assigned = "chanId"
    the server    {"event": "subscribed", "symbol": "tBTCUSD", "chanId": 17}
    key = "0"     [17, 42100.5]  is of tBTCUSD
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rxsocket.cli.collect.paths import FoundBy, Match, Places
from rxsocket.cli.collect.received import Received
from rxsocket.cli.collect.templates import Filling, Template
from rxsocket.errors import SubscriptionRefused
from rxsocket.fleet.spec import ChannelSpec
from rxsocket.texts import printable
from rxsocket.topics.subscribing import Subscribing

Function: TypeAlias = Callable[..., Any]
Found: TypeAlias = Places | FoundBy
"""Where something is in a message."""

SHOWN = 200
"""Characters of an answer that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRules:
    """What ``[channel]`` says, ready to be used; it can be pickled.

    Attributes:
        subscribe, unsubscribe: Templates, or functions of the user's.
        key, id, answered, assigned: Where these are in a message.
        accepted, refused, ignored: What such messages look like.
        acknowledged: A function of the user's instead of ``accepted`` and ``refused``.
    """

    subscribe: Template | Function
    unsubscribe: Template | Function | None
    key: Found
    id: Found | None
    accepted: Match | None
    refused: Match | None
    answered: Found | None
    assigned: Found | None
    ignored: Match | None
    acknowledged: Function | None

    @property
    def tells_answers(self) -> bool:
        """Whether it can tell which messages are answers."""
        return not (self.accepted is self.refused is self.acknowledged is None)


class OwnId:
    """Finds what no other message of its channel has, and keeps it in the message.

    Args:
        place: Where it is. Of a message that has nothing there, it is a hash of its bytes.
    """

    __slots__ = ("_place",)

    def __init__(self, place: Found) -> None:
        self._place = place

    def __call__(self, message: Received) -> str:
        if not message.own_id:
            message.own_id = self._place.text(message.value) or _digest(message.data)
        return message.own_id


class Venue:
    """How one socket asks for channels, and finds out what its messages are.

    It keeps what the server calls the channels on a connection, so each socket has its own.

    Args:
        rules: What the config says.
    """

    def __init__(self, rules: VenueRules) -> None:
        self._rules = rules
        self._own_id = None if rules.id is None else OwnId(rules.id)
        self._number = 0
        self._keys: dict[str, str] = {}  # by what the server calls them
        self._assigned: dict[str, Any] = {}

    def subscribe(self, keys: list[str], to: Subscribing) -> Any:
        return self._message(self._rules.subscribe, keys, to)

    def unsubscribe(self, keys: list[str], to: Subscribing) -> Any:
        return self._message(self._rules.unsubscribe, keys, to)

    def _message(self, made_by: Any, keys: list[str], to: Subscribing) -> Any:
        if not isinstance(made_by, Template):
            return made_by(keys, to)
        self._number += 1
        return made_by.fill(Filling(keys, self._number, to.credential, self._assigned.__getitem__))

    def key_of(self, message: Received) -> str | None:
        """The key of a message, which is kept in it, as its own id is; ``None`` for none."""
        rules, value = self._rules, message.value
        if rules.assigned and rules.answered and rules.accepted and rules.accepted(value):
            self._learn(rules.assigned, rules.answered, value)
        if rules.ignored is not None and rules.ignored(value):
            return None
        key = rules.key.text(value)
        if key is not None and rules.assigned is not None:
            key = self._keys.get(key)
        if key is None:
            return None
        message.key = key
        if self._own_id is not None:
            self._own_id(message)  # here, where its value is at hand
        return key

    def _learn(self, assigned: Found, answered: Found, value: Any) -> None:
        """What the server calls a key from now on: on a new connection, something else."""
        name = assigned.text(value)
        if name is None:
            return
        for key in answered.texts(value):
            self._keys[name] = key
            self._assigned[key] = assigned.value(value)

    def acknowledged(self, message: Received) -> Any:
        """What a message answers, see ``ChannelSpec``."""
        rules, value = self._rules, message.value
        if rules.acknowledged is not None:
            return rules.acknowledged(value)
        verdict: Any = None
        if rules.refused is not None and rules.refused(value):
            verdict = SubscriptionRefused(f"the server answered {_shown(message.data)}")
        elif rules.accepted is not None and rules.accepted(value):
            verdict = True
        if verdict is None:
            return None
        keys = [] if rules.answered is None else rules.answered.texts(value)
        return dict.fromkeys(keys, verdict) if keys else verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec(ChannelSpec):
    """How channels are asked for, by a ``Venue`` of its own for each socket.

    Attributes:
        rules: What the config says.
    """

    rules: VenueRules

    @classmethod
    def of(
        cls, rules: VenueRules, acknowledged_within: float | None, stale_after: float | None
    ) -> VenueSpec:
        """Make one; see ``ChannelSpec`` for the seconds.

        Raises:
            TypeError: If a function of the user's takes the wrong arguments.
            ValueError: If something does not go together.
        """
        return cls(
            **_functions(rules),
            acknowledged_within=acknowledged_within,
            stale_after=stale_after,
            rules=rules,
        )

    def arguments(self) -> dict[str, Any]:
        return {**ChannelSpec.arguments(self), **_functions(self.rules)}


def _functions(rules: VenueRules) -> dict[str, Any]:
    venue = Venue(rules)
    return {
        "subscribe": venue.subscribe,
        "unsubscribe": None if rules.unsubscribe is None else venue.unsubscribe,
        "by": venue.key_of,
        "acknowledged": venue.acknowledged if rules.tells_answers else None,
    }


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _shown(data: bytes) -> str:
    return printable(data.decode(errors="backslashreplace"), SHOWN)
