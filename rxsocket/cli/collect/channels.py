"""From ``[channel]`` to how channels are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rxsocket.cli.collect.functions import is_name
from rxsocket.cli.collect.making import Making
from rxsocket.cli.collect.paths import FoundBy, Match, Places
from rxsocket.cli.collect.positions import KeyPath
from rxsocket.cli.collect.schema import ChannelTable
from rxsocket.cli.collect.templates import Template, is_about_keys
from rxsocket.cli.collect.venue import Found, VenueRules, VenueSpec
from rxsocket.limits import Limits
from rxsocket.validation import is_list


def channel_of(making: Making, table: ChannelTable, limits: Limits | None) -> VenueSpec | None:
    """How channels are asked for; ``None`` if something is wrong, which was collected."""
    at = "channel"
    subscribe = _message(making, (at, "subscribe"), table.subscribe)
    unsubscribe = None
    if table.unsubscribe is not None:
        unsubscribe = _message(making, (at, "unsubscribe"), table.unsubscribe)
    if isinstance(subscribe, Template):
        _check_subscribe(making, subscribe, limits)
    key = _found(making, (at, "key"), table.key)
    if key is None:
        return None
    rules = VenueRules(
        subscribe=subscribe,
        unsubscribe=unsubscribe,
        key=key,
        id=_found(making, (at, "id"), table.id),
        accepted=_looks(making, (at, "accepted"), table.accepted),
        refused=_looks(making, (at, "refused"), table.refused),
        answered=_found(making, (at, "answered"), table.answered),
        assigned=_found(making, (at, "assigned"), table.assigned),
        ignored=_looks(making, (at, "ignored"), table.ignored),
        acknowledged=(
            None
            if table.acknowledged is None
            else making.function((at, "acknowledged"), table.acknowledged)
        ),
    )
    _check_answers(making, table)
    if making.problems:
        return None
    return making.of_library(
        ("channel",),
        lambda: VenueSpec.of(rules, table.acknowledged_within, table.stale_after),
    )


def _message(making: Making, key: KeyPath, given: Any) -> Any:
    if not isinstance(given, str):
        return making.at(key, lambda: Template(given))
    if is_name(given):
        return making.function(key, given)
    making.problems.add(
        key, "pass the message as a table or a list, or 'module:function' for what makes it"
    )
    return None


def _check_subscribe(making: Making, subscribe: Template, limits: Limits | None) -> None:
    key: KeyPath = ("channel", "subscribe")
    if not any(map(is_about_keys, subscribe.names)):
        making.problems.add(key, 'has no {key}; such as in {op = "subscribe", args = ["{key}"]}')
    elif subscribe.is_for_one_key and limits is not None and limits.batch > 1:
        making.problems.add(
            ("limits", "batch"),
            f"the subscribe message is for one key, so leave this at 1, not {limits.batch}; "
            'in a list, as in ["{key}"], a key is there once for each',
        )


def _check_answers(making: Making, table: ChannelTable) -> None:
    for name in ("answered", "assigned"):
        if getattr(table, name) is not None and table.accepted is None:
            making.problems.add(("channel", name), "goes with accepted, the answer that has it")
    if table.assigned is not None and table.answered is None:
        making.problems.add(
            ("channel", "assigned"), "goes with answered, where the answer says which key it is"
        )
    if table.acknowledged is not None:
        for name in ("accepted", "refused", "answered", "assigned"):
            if getattr(table, name) is not None:
                making.problems.add(
                    ("channel", name), "the function in acknowledged says that; leave it out"
                )


def _found(making: Making, key: KeyPath, given: str | list[str] | None) -> Found | None:
    if given is None:
        return None
    if isinstance(given, str) and is_name(given):
        function = making.function(key, given)
        return None if function is None else FoundBy(function)
    if not given:
        making.problems.add(key, "pass at least one place")
    return making.at(key, lambda: Places([given] if isinstance(given, str) else given))


def _looks(making: Making, key: KeyPath, given: Any) -> Match | None:
    if given is None:
        return None
    if not given or (is_list(given) and not all(given)):
        making.problems.add(key, 'is empty; pass what the message has, or {field = "*"}')
    return making.at(key, lambda: Match(given))


def weight_of(
    making: Making, table: ChannelTable, limits: Limits | None
) -> Callable[[Any], float] | None:
    """The bytes a second that are expected of a channel."""
    if table.weight is None:
        if limits is not None and limits.bytes is not None:
            making.problems.add(
                ("limits", "bytes"), "goes with channel.weight, the bytes of one channel"
            )
        return None
    if limits is not None and limits.bytes is None:
        making.problems.add(("channel", "weight"), "goes with limits.bytes, which it is counted by")
    if isinstance(table.weight, str):
        function: Callable[[Any], float] | None = making.function(
            ("channel", "weight"), table.weight
        )
        return function
    return ConstantWeight(table.weight)


@dataclass(frozen=True, slots=True)
class ConstantWeight:
    """The same weight for every channel; it can be pickled."""

    weight: float

    def __call__(self, key: Any) -> float:
        return self.weight
