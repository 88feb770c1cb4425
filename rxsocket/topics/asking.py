"""The arguments of ``channel`` and ``channels``, checked, and their groups (C22, C37)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from rxsocket.engine.engine import Engine
from rxsocket.topics.subscribing import NOTHING
from rxsocket.topics.subscriptions import (
    Answer,
    MakeFrame,
    SubscriptionGroup,
    Subscriptions,
    name_of_function,
)
from rxsocket.validation import callback, is_iterable, leaving_out_the_last, more_than_zero


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What one channel and many have in common."""

    subscribe: Any
    unsubscribe: Any
    by: Callable[[Any], Any] | None
    acknowledged: Answer | None
    acknowledged_within: float | None
    stale_after: float | None

    def check_answers(self) -> None:
        for name in ("by", "acknowledged"):
            if getattr(self, name) is not None:
                callback(name, getattr(self, name))
        for name in ("acknowledged_within", "stale_after"):
            more_than_zero(name, getattr(self, name))
        if self.acknowledged_within is not None and self.acknowledged is None:
            raise ValueError("acknowledged_within: goes with acknowledged=, which tells an answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelOptions(_Options):
    """The arguments of ``socket.channel``."""

    match: Callable[[Any], object] | None
    key: Hashable

    def __post_init__(self) -> None:
        if (self.match is None) == (self.key is None):
            raise ValueError(
                "match, key: pass one of them, to tell which messages are of a channel"
            )
        if self.by is not None and self.key is None:
            raise ValueError("by: pass key= with it, or match= instead of both")
        if self.match is not None:
            callback("match", self.match)
        self.check_answers()
        check_key("key", self.key)

    @property
    def name(self) -> str:
        if self.match is None:
            return name_of(self.key)
        return name_of_function(self.match)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyOptions(_Options):
    """The arguments of ``socket.channels``."""

    keys: tuple[Hashable, ...]

    def __post_init__(self) -> None:
        self.check_answers()


def name_of(key: Hashable) -> str:
    """What a channel is called by its key; nothing is escaped, so that it can be masked (C28)."""
    return f"'{key}'" if isinstance(key, str) else repr(key)


def keys_of(keys: Any) -> tuple[Hashable, ...]:
    """Check ``keys``; each counts once, where it came first.

    Raises:
        TypeError: If they are not several, or one cannot be looked up.
        ValueError: If there are none.
    """
    if isinstance(keys, (str, bytes)) or not is_iterable(keys):
        raise TypeError(f"keys: pass a list of keys, not {type(keys).__name__}")
    several = tuple(keys)
    for key in several:
        check_key("keys", key)
    found = tuple(dict.fromkeys(several))
    if not found:
        raise ValueError("keys: pass at least one key")
    if None in found:
        raise ValueError("keys: None is no key; it stands for a message that has none")
    return found


def check_key(name: str, key: Any) -> None:
    """Refuse a key that cannot be looked up."""
    try:
        hash(key)
    except TypeError:
        kind = type(key).__name__
        raise TypeError(
            f"{name}: pass what can be looked up, such as a str or a tuple, not {kind}"
        ) from None


def group_of_one(
    options: ChannelOptions, engine: Engine, subscriptions: Subscriptions
) -> SubscriptionGroup:
    """The group of a single channel; those with an equal subscribe message share it."""
    asking, same = _one("subscribe", options.subscribe, engine)
    ending = None
    if options.unsubscribe is not None:
        ending, _ = _one("unsubscribe", options.unsubscribe, engine)
    return subscriptions.group(same, lambda: _group(options, asking, ending))


def group_of_many(
    options: ManyOptions, engine: Engine, subscriptions: Subscriptions
) -> SubscriptionGroup:
    """The group of many keys; those with the same ``subscribe`` function share it."""
    asking = _many("subscribe", options.subscribe, engine)
    ending = None
    if options.unsubscribe is not None:
        ending = _many("unsubscribe", options.unsubscribe, engine)
    batch = engine.options.limits.batch
    return subscriptions.group(
        ("many", options.subscribe), lambda: _group(options, asking, ending, batch, is_many=True)
    )


def _group(
    options: _Options,
    asking: MakeFrame,
    ending: MakeFrame | None,
    batch: int = 1,
    *,
    is_many: bool = False,
) -> SubscriptionGroup:
    return SubscriptionGroup(
        asking,
        ending,
        options.acknowledged,
        options.acknowledged_within,
        options.stale_after,
        batch,
        is_many,
    )


def _one(name: str, value: Any, engine: Engine) -> tuple[MakeFrame, Hashable]:
    """What makes the message of a single channel, and what is the same for all that share it."""
    if callable(value):
        make = leaving_out_the_last(name, value, 0)
        return lambda to: _frame(name, make(to), engine), value
    if value is None:
        raise TypeError(f"{name}: pass the message, or a function that makes it, not None")
    fixed = _encoded(name, value, engine)  # raises if it cannot be sent
    return lambda _: _encoded(name, value, engine), fixed


def _many(name: str, value: Any, engine: Engine) -> MakeFrame:
    make = leaving_out_the_last(name, value, 1)

    return lambda to: _frame(name, make([*to.keys], to), engine)


def _frame(name: str, message: Any, engine: Engine) -> str | bytes | None:
    if message is None:  # null would be sent, and nobody would know why nothing comes
        raise TypeError(f"{name} returned None; return the message")
    if message is NOTHING:
        if name == "subscribe":
            raise TypeError("subscribe: returned nothing, which is for unsubscribe= alone")
        return None
    return _encoded(name, message, engine)


def _encoded(name: str, message: Any, engine: Engine) -> str | bytes:
    data, _ = engine.encode_value(message)
    if not isinstance(data, (str, bytes)):
        raise TypeError(f"{name}: pass one whole message, not fragments")
    return data
