"""Which subscriptions of a connection wait for the server's answer (C22, C37)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from rxsocket.validation import is_mapping

if TYPE_CHECKING:
    from rxsocket.topics.subscriptions import Subscription, SubscriptionGroup

Verdict: TypeAlias = bool | Exception
"""Accepted, refused, or refused because of that."""


class Unanswered:
    """The subscriptions that were asked for, each in one message with others or alone.

    ::

        asked       [A B C]  [D E]
        True        ✓ ✓ ✓                  the oldest message that is not answered
        {B: False}    ✗                    those that are named
        {"D", "E"}             ✓ ✓         those are accepted
    """

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[SubscriptionGroup, _Asked] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __contains__(self, subscription: Subscription) -> bool:
        asked = self._groups.get(subscription.group)
        return asked is not None and subscription.key in asked.waiting

    def __iter__(self) -> Iterator[Subscription]:
        for asked in self._groups.values():
            yield from asked.waiting.values()

    def groups(self) -> tuple[SubscriptionGroup, ...]:
        return tuple(self._groups)

    def add(self, subscriptions: Sequence[Subscription]) -> None:
        """These were asked for in one message."""
        group = subscriptions[0].group
        if group.acknowledged is None:
            return
        asked = self._groups.get(group)
        if asked is None:
            asked = self._groups[group] = _Asked()
        asked.drop_answered()
        asked.waiting.update((each.key, each) for each in subscriptions)
        asked.messages.append(subscriptions)

    def discard(self, subscription: Subscription) -> None:
        asked = self._groups.get(subscription.group)
        if asked is None:
            return
        asked.waiting.pop(subscription.key, None)
        if not asked.waiting:
            del self._groups[subscription.group]

    def resolve(self, group: SubscriptionGroup, answer: Any) -> list[tuple[Subscription, Verdict]]:
        """What an answer says about which of them; they wait no longer.

        Raises:
            TypeError: If it is nothing that an answer may be.
        """
        asked = self._groups.get(group)
        if asked is None or answer is None:
            return []
        found = asked.resolve(answer)
        if not asked.waiting:
            del self._groups[group]
        return found


class _Asked:
    """The messages of one group that are not answered, and what they asked for by its key."""

    __slots__ = ("messages", "waiting")

    def __init__(self) -> None:
        self.messages: deque[Sequence[Subscription]] = deque()
        self.waiting: dict[Any, Subscription] = {}

    def resolve(self, answer: Any) -> list[tuple[Subscription, Verdict]]:
        if isinstance(answer, (bool, Exception)):
            self.drop_answered()
            keys = [each.key for each in self.messages.popleft()]
            return self._take(dict.fromkeys(keys, answer))
        if is_mapping(answer):
            for verdict in answer.values():
                if verdict is not None and not isinstance(verdict, (bool, Exception)):
                    raise TypeError(f"{_WRONG} for a key, not {type(verdict).__name__}")
            return self._take(answer)
        if _is_collection(answer) and not isinstance(answer, (str, bytes)):
            try:
                accepted = dict.fromkeys(answer, True)
            except TypeError:
                text = f"{_WRONG}, or keys; what it returned holds some that cannot be looked up"
                raise TypeError(text) from None
            return self._take(accepted)
        raise TypeError(
            f"{_WRONG}, a mapping of keys to these, or keys; not {type(answer).__name__}"
        )

    def _take(self, verdicts: Mapping[Any, Any]) -> list[tuple[Subscription, Verdict]]:
        found: list[tuple[Subscription, Verdict]] = []
        for key, verdict in verdicts.items():
            if verdict is not None and (subscription := self.waiting.pop(key, None)) is not None:
                found.append((subscription, verdict))
        return found

    def drop_answered(self) -> None:
        """Let the oldest message be one of which something is not answered."""
        while self.messages and not any(each.key in self.waiting for each in self.messages[0]):
            self.messages.popleft()


def _is_collection(value: Any) -> TypeGuard[Collection[Any]]:
    return isinstance(value, Collection)


_WRONG = "acknowledged: return None, True, False or an exception"
