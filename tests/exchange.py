"""A server of many keys, which counts what is asked of it; on a ``server()`` or a ``fake()``."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from rxsocket.testing.clients import PeerConnection
from rxsocket.testing.scripted_server import ScriptedServer


@dataclass
class Arrival:
    """A message that came.

    Attributes:
        at: When, on the clock of the server's loop.
        number: Over which connection.
        op: ``"sub"``, ``"unsub"``, or what else it was.
        keys: The keys that it was about.
    """

    at: float
    number: int
    op: str
    keys: list[str]


@dataclass
class Exchange:
    """Takes ``{"op": "sub", "args": [key, ...]}`` and ``"unsub"``, and answers with what it took.

    Args:
        peer: The scripted server.
        refused: Keys that it refuses.
        ignored: Keys of which it takes no notice, as often as it says, when they are asked for.
        answers: Whether it says what it took.

    Attributes:
        arrivals: Everything that came.
        live: How many subscriptions of each key a connection has.
        most: The largest number of them there ever was for one key.
    """

    peer: ScriptedServer
    refused: Collection[str] = ()
    ignored: Counter[str] = field(default_factory=Counter[str])
    answers: bool = True
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    live: dict[int, Counter[str]] = field(default_factory=dict[int, Counter[str]])
    most: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        log = self.peer.log
        self._log = log.add_message
        log.add_message = self._on_message  # type: ignore[method-assign]

    def _on_message(self, number: int, message: Any) -> None:
        connection = next(one for one in self.peer.visits if one.number == number)
        try:
            asked = json.loads(message)
            op, keys = asked["op"], asked.get("args", [])
        except (ValueError, TypeError, KeyError):
            op, keys = str(message), []
        with self._lock:
            self.arrivals.append(Arrival(connection.loop.time(), number, op, keys))
            if op in ("sub", "unsub"):
                self._take(connection, op, keys)
        self._log(number, message)

    def _take(self, connection: PeerConnection, op: str, keys: list[str]) -> None:
        live = self.live.setdefault(connection.number, Counter())
        noticed = keys
        if op == "sub":
            noticed = [key for key in keys if not self.ignored[key]]
            self.ignored -= Counter(keys)
        taken = [key for key in noticed if key not in self.refused]
        for key in taken:
            live[key] += 1 if op == "sub" else -1
            self.most = max(self.most, live[key])
        if self.answers and noticed:
            said = {"re": op, "ok": taken, "no": [key for key in noticed if key not in taken]}
            connection.deliver(json.dumps(said))

    def say(self, *keys: str) -> None:
        """A message of each of these keys, to whoever has it."""
        for connection in self.peer.visits:
            live = self.live.get(connection.number, Counter())
            for key in keys:
                if live[key] > 0:
                    said = json.dumps({"key": key})
                    connection.loop.call_soon_threadsafe(connection.deliver, said)

    def of(self, number: int, op: str = "sub") -> list[list[str]]:
        """What keys were in each message of a connection."""
        with self._lock:
            return [one.keys for one in self.arrivals if (one.number, one.op) == (number, op)]

    def live_on(self, number: int) -> set[str]:
        """The keys that a connection is subscribed to."""
        with self._lock:
            return {key for key, count in self.live.get(number, Counter()).items() if count > 0}

    def most_within(self, seconds: float) -> int:
        """The largest number of messages that came in any stretch of time, over all connections."""
        with self._lock:
            times = sorted(one.at for one in self.arrivals)
        return max(
            (
                sum(at <= other < at + seconds for other in times[index:])
                for index, at in enumerate(times)
            ),
            default=0,
        )


def subscribe(keys: Iterable[str]) -> dict[str, Any]:
    """Ask such a server for keys."""
    return {"op": "sub", "args": keys}


def unsubscribe(keys: Iterable[str]) -> dict[str, Any]:
    """Let go of them."""
    return {"op": "unsub", "args": keys}


def acknowledged(message: str) -> dict[str, bool] | None:
    """What it says to a subscription."""
    said = json.loads(message)
    if said.get("re") != "sub":
        return None
    return dict.fromkeys(said["ok"], True) | dict.fromkeys(said["no"], False)


def key_of(message: str) -> str | None:
    """Which key a message of it is about."""
    key: str | None = json.loads(message).get("key")
    return key


MANY: dict[str, Any] = {
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "by": key_of,
    "acknowledged": acknowledged,
}
"""The arguments of ``channels`` for it."""
