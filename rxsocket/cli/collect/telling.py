"""What happens to a fleet and its messages, in lines for people; a flood of them is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

from rxsocket.cli.output import OutputItem, in_words, style
from rxsocket.explain.causes import describe
from rxsocket.explain.format import amount, span
from rxsocket.fleet.events import (
    AnswerMissing,
    Capped,
    Lost,
    Moved,
    Placed,
    Restored,
    ShardFailed,
    Throttled,
)
from rxsocket.sinks import Failed

NAMED = 3
"""Channels that are named in a line."""
MOST = 5
"""Lines of one kind in an interval; further ones are counted."""
_CAPS = {
    "channels": "channels a connection",
    "connections": "connections an address",
    "connections_per_credential": "connections a credential",
}
_STYLES: dict[type[Any], str] = {
    Placed: "green",
    Restored: "green",
    Moved: "dim",
    Throttled: "yellow",
    AnswerMissing: "yellow",
    Capped: "yellow",
    Lost: "yellow",
    ShardFailed: "red",
    Failed: "red",
}


def words_of(item: Any) -> str:
    """What happened, in words."""
    match item:
        case Placed(keys=keys, shard=shard, socket=socket):
            return f"{_keys(keys)} live on {shard}/{socket}"
        case Moved(keys=keys, shard=shard, socket=socket):
            before = f"{item.from_shard}/{item.from_socket}"
            return f"{_keys(keys)} moved from {before} to {shard}/{socket}"
        case Lost(keys=keys, shard=shard, socket=socket, why=why):
            return f"{_keys(keys)} lost on {shard}/{socket}: {why}"
        case Restored(keys=keys, shard=shard, socket=socket, gap=gap):
            missing = f"what was sent in {span(gap)} is missing"
            return f"{_keys(keys)} back on {shard}/{socket}; {missing}"
        case AnswerMissing(keys=keys, shard=shard, socket=socket, seconds=seconds):
            return f"{_keys(keys)}: no answer on {shard}/{socket} for {span(seconds)}"
        case Throttled(shard=shard, what=what, rate=rate, retry_after=wait, why=why):
            then = "" if rate is None else f"; {rate:.3g} {what} a second from now on"
            pause = "" if wait is None else f"; none for {span(wait)}"
            return f"{shard}: fewer {what}: {why}{pause}{then}"
        case Capped(what=what, cap=cap, why=why, shard=shard):
            return f"{shard}: the server takes {cap:,} {_CAPS[what]}: {why}"
        case ShardFailed(shard=shard, error=error, restarts=restarts):
            then = "it is started again" if restarts else "it is not started again"
            return f"{shard} failed, {then}: {describe(error)}"
        case Failed(id=id, key=key, error=error):
            return f"not stored: {id or key or 'a message'}: {describe(error)}"
        case _:
            return in_words(item)


def style_of(item: object) -> str:
    return _STYLES.get(type(item)) or style(item)


def _keys(keys: Sequence[Hashable]) -> str:
    named = ", ".join(str(key) for key in keys[:NAMED])
    more = f", and {len(keys) - NAMED:,} more," if len(keys) > NAMED else ""
    return f"{amount(len(keys), 'channel')} ({named}{more.rstrip(',')})"


class Damper:
    """Lets few lines of a kind through in an interval, and counts the others."""

    def __init__(self) -> None:
        self._shown: Counter[str] = Counter()

    def lets(self, item: OutputItem | Any) -> bool:
        """Whether it is to be shown."""
        name = type(item).__name__
        self._shown[name] += 1
        return self._shown[name] <= MOST

    def rest(self) -> list[str]:
        """Begin another interval: what was not shown in the last one, in words."""
        shown, self._shown = self._shown, Counter()
        return [f"{count - MOST:,} more {name}" for name, count in shown.items() if count > MOST]
