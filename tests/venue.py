"""A scripted venue that counts: channels, connects, connections and sends, each with its cap.

It speaks the protocol of :mod:`exchange`, feeds numbered messages of each channel to whoever is
subscribed to it, and records each cap that somebody went over. The same for virtual time
(:class:`VenueFake`) and on the wire (:class:`VenueServer`): only what is mixed in differs.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NamedTuple

from internals import Fake, PeerConnection, Script, Server
from websockets.datastructures import Headers
from websockets.protocol import State

from rxsocket import Limits
from rxsocket.testing import accept, hang, reject
from rxsocket.testing.clients import Handshake

ROUNDING = 1e-5
"""Seconds that clocks are off by."""


@dataclass(frozen=True, kw_only=True)
class Caps:
    """What a venue allows, and what it does to who takes more; ``None`` is for no cap.

    Attributes:
        channels: Channels a connection.
        connects: Handshakes of one address, refused ones included: ``"10/s"``.
        connections: Connections of one address, until they are gone.
        credential: Connections with one credential.
        sends: Messages over one connection: ``"5/s"``.
        over_channels: A channel too many is accepted and says nothing, not accepted and says
            nothing, refused, or the end of its connection.
        over_connections: Status of a refusal, or the code that it is closed with once it is open.
        retry_after: What a 429 says, in seconds.
        slack: Seconds that the network may bunch up what was sent evenly.
    """

    channels: int | None = None
    connects: str | None = None
    connections: int | None = None
    credential: int | None = None
    sends: str | None = None
    over_channels: Literal["dead", "ignored", "refused", 1008] = "dead"
    over_connections: Literal[429, 403, 1008] = 429
    retry_after: int | None = None
    slack: float = ROUNDING


class Violation(NamedTuple):
    """Somebody took more than is allowed.

    Attributes:
        at: When, on the clock of the venue's loop.
        cap: Which attribute of :class:`Caps`; ``"twice"`` for a channel that a connection has.
        where: The address, the credential, or the number of the connection.
        count: How many there were.
    """

    at: float
    cap: str
    where: Any
    count: int


class Window:
    """Counts what came in the last stretch of time.

    Attributes:
        highest: The most there ever was in one.
    """

    def __init__(self, rate: str, slack: float) -> None:
        limit = Limits(pace=rate).rate
        assert limit is not None
        self.most, self._seconds = limit[0], limit[1] - slack
        self._times: deque[float] = deque()
        self.highest = 0

    def add(self, now: float) -> int:
        """How many there are with this one."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        self._times.append(now)
        self.highest = max(self.highest, len(self._times))
        return len(self._times)


@dataclass
class Client:
    """One connection, as the venue sees it."""

    connection: PeerConnection
    address: str
    credential: str | None
    sends: Window | None
    lag: float = 0.0
    channels: dict[str, None] = field(default_factory=dict[str, None])
    dead: dict[str, None] = field(default_factory=dict[str, None])

    def deliver(self, message: str) -> None:
        """Write without a line in the log: there are many."""
        connection = self.connection
        if connection.closing or connection.frozen:
            return
        if self.lag:
            connection.loop.call_later(self.lag, self._deliver_late, message)
        else:
            connection._write(message)

    def deliver_all(self, messages: list[str]) -> None:
        """Write many, with one call of the system where there is one."""
        tcp = getattr(self.connection, "_connection", None)
        if self.lag or tcp is None:
            for message in messages:
                self.deliver(message)
        elif tcp.protocol.state is State.OPEN and not self.connection.frozen:
            for message in messages:
                tcp.protocol.send_text(message.encode())
            tcp.send_data()

    def _deliver_late(self, message: str) -> None:
        if not (self.connection.closing or self.connection.frozen):
            self.connection._write(message)


class Venue:
    """Counts and feeds; mixed into a scripted server.

    Attributes:
        caps: What it allows; may be set anew at any time.
        violations: Each time that somebody took more.
        refused: Channels that it refuses.
        failing: The share of subscribes that fail, each with this probability.
        fails_by: Whether such a one is refused, or not heard of.
        is_ignored: Whether the handshake of a number has no answer.
        lag: Seconds between a message and its delivery on the connection of a number.
        keeps_times: Whether it remembers when each message was fed.
        asked: How many times each channel was asked for.
        most: How many connections ever had a channel at once.
        numbers: The number of the newest message of each channel.
    """

    def __init__(self, *arguments: Any, caps: Caps | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.caps = caps or Caps()
        self.violations: list[Violation] = []
        self.refused: Collection[str] = ()
        self.failing = 0.0
        self.fails_by: Literal["refusal", "silence"] = "silence"
        self.is_ignored: Callable[[int], bool] = lambda number: False
        self.lag: Callable[[int], float] = lambda number: 0.0
        self.keeps_times = False
        self.times: dict[str, list[float]] = {}
        self.asked: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.numbers: dict[str, int] = {}
        self.windows: dict[str, Window] = {}
        self._random = Random(1)
        self._guard = threading.RLock()
        self._dialled: dict[int, tuple[str, str | None, bool]] = {}
        self._clients: dict[int, Client] = {}
        self._listening: dict[str, dict[int, Client]] = {}
        self._feed: asyncio.Task[None] | None = None
        self._rate: tuple[float, float] | None = None
        self._log_message = self.log.add_message  # type: ignore[attr-defined]
        self.log.add_message = self._on_message  # type: ignore[attr-defined]

    # --- what tests ask

    @property
    def channels(self) -> dict[int, set[str]]:
        """The channels of each open connection that it hears from, or is to."""
        with self._guard:
            return {
                number: set(client.channels)
                for number, client in self._clients.items()
                if not client.connection.closing
            }

    @property
    def placed(self) -> dict[str, list[int]]:
        """The open connections that have each channel."""
        found: dict[str, list[int]] = {}
        for number, keys in self.channels.items():
            for key in keys:
                found.setdefault(key, []).append(number)
        return found

    @property
    def tokens_of_open(self) -> dict[str | None, int]:
        """How many connections are open with each credential."""
        with self._guard:
            clients = list(self._clients.values())
        return Counter(one.credential for one in clients if not one.connection.closing)

    def has_exactly(self, keys: Iterable[str]) -> bool:
        """Whether each of these channels is on one connection, and no other is on any."""
        placed = self.placed
        return placed.keys() == set(keys) and all(len(where) == 1 for where in placed.values())

    def over(self, *caps: str) -> list[Violation]:
        """The violations, or those of some caps."""
        with self._guard:
            return [one for one in self.violations if not caps or one.cap in caps]

    @property
    def most_connects(self) -> int:
        """The most handshakes of an address in a window of ``caps.connects``."""
        return max((window.highest for window in self.windows.values()), default=0)

    # --- what tests do

    def feed(self, rate: float = 1.0, tick: float = 0.1) -> None:
        """From the first subscription on, feed each channel that was ever asked for.

        Args:
            rate: Messages a second of each channel; those of a tick are spread over the channels.
            tick: Seconds.
        """
        self._rate = rate, tick

    def quiet(self) -> None:
        """Feed no more; on the loop of the venue, or where it has stopped."""
        self._rate = None
        if self._feed is not None:
            self._feed.cancel()

    def say(self, key: str) -> None:
        """Feed the next message of one channel; on the loop of the venue."""
        self._say(key, lambda client, message: client.deliver(message))

    def _say(self, key: str, deliver: Callable[[Client, str], None]) -> None:
        number = self.numbers[key] = self.numbers.get(key, 0) + 1
        if self.keeps_times:
            self.times.setdefault(key, []).append(asyncio.get_running_loop().time())
        listening = self._listening.get(key)
        if listening:
            message = f'{{"key": {json.dumps(key)}, "seq": {number}}}'
            for client in listening.values():
                deliver(client, message)

    def drop_some(self, *numbers: int) -> None:
        """Cut some connections; on the loop of the venue."""
        for number in numbers:
            if number in self._clients:
                self._clients[number].connection.drop()

    # --- connections

    def accept_dial(self, target: str, headers: Headers) -> tuple[Handshake | None, Script]:
        address = headers.get("X-Forwarded-For", "here")
        now = asyncio.get_running_loop().time()
        is_over = self._counts_connect(address, now)
        handshake, script = super().accept_dial(target, headers)  # type: ignore[misc]
        if handshake is None:
            return handshake, script
        if is_over:
            return handshake, self._refusal(429)
        if self.is_ignored(handshake.number):
            return handshake, hang()
        if script != accept():
            return handshake, script
        too_many = self._is_full(address, handshake.credential, now)
        self._dialled[handshake.number] = address, handshake.credential, too_many
        if too_many and self.caps.over_connections != 1008:
            return handshake, self._refusal(self.caps.over_connections)
        return handshake, script

    def _refusal(self, status: int) -> Script:
        wait = self.caps.retry_after
        return reject(status, {} if wait is None else {"Retry-After": str(wait)})

    def _counts_connect(self, address: str, now: float) -> bool:
        if self.caps.connects is None:
            return False
        window = self.windows.get(address)
        if window is None:
            window = self.windows[address] = Window(self.caps.connects, self.caps.slack)
        count = window.add(now)
        if count > window.most:
            self._violated(now, "connects", address, count)
        return count > window.most

    def _is_full(self, address: str, credential: str | None, now: float) -> bool:
        with self._guard:
            clients = list(self._clients.values())
        here = sum(client.address == address for client in clients) + 1
        same = sum(client.credential == credential for client in clients) + 1
        for cap, where, count in (
            ("connections", address, here),
            ("credential", credential, same),
        ):
            most = getattr(self.caps, cap)
            if most is not None and count > most:
                self._violated(now, cap, where, count)
                return True
        return False

    def add_connection(self, connection: PeerConnection) -> None:
        address, credential, too_many = self._dialled.pop(connection.number, ("here", None, False))
        caps = self.caps
        sends = None if caps.sends is None else Window(caps.sends, caps.slack)
        client = Client(connection, address, credential, sends, self.lag(connection.number))
        with self._guard:
            self._clients[connection.number] = client
        super().add_connection(connection)  # type: ignore[misc]
        if too_many:
            connection.loop.call_soon(connection.close, 1008, "too many connections")

    def remove_connection(self, connection: PeerConnection) -> None:
        with self._guard:
            client = self._clients.pop(connection.number, None)
            for key in () if client is None else client.channels:
                del self._listening[key][connection.number]
        super().remove_connection(connection)  # type: ignore[misc]

    def _violated(self, at: float, cap: str, where: Any, count: int) -> None:
        with self._guard:
            self.violations.append(Violation(at, cap, where, count))

    # --- channels

    def _on_message(self, number: int, message: Any) -> None:
        self._log_message(number, message)
        client = self._clients.get(number)
        if client is None or client.connection.closing:
            return
        now = client.connection.loop.time()
        if client.sends is not None and (count := client.sends.add(now)) > client.sends.most:
            self._violated(now, "sends", number, count)
            client.connection.close(1008, "too many messages")
            return
        try:
            asked = json.loads(message)
            op, keys = asked["op"], asked["args"]
        except (ValueError, TypeError, KeyError):
            return
        with self._guard:
            if op == "sub":
                self._subscribe(client, keys, now)
            elif op == "unsub":
                self._unsubscribe(client, keys)

    def _subscribe(self, client: Client, keys: list[str], now: float) -> None:
        taken: list[str] = []
        refused: list[str] = []
        for key in keys:
            self.asked[key] += 1
            self.numbers.setdefault(key, 0)
            failed = self.failing > 0 and self._random.random() < self.failing
            if key in self.refused or (failed and self.fails_by == "refusal"):
                refused.append(key)
            elif failed:
                continue
            elif key in client.channels:
                self._violated(now, "twice", client.connection.number, 2)
                taken.append(key)
            elif not self._has_room(client, key, now):
                match self.caps.over_channels:
                    case "dead":
                        client.dead[key] = None
                        taken.append(key)
                    case "refused":
                        refused.append(key)
                    case 1008:
                        client.connection.close(1008, "too many channels")
                        return
            else:
                taken.append(key)
                client.channels[key] = None
                listening = self._listening.setdefault(key, {})
                listening[client.connection.number] = client
                self.most[key] = max(self.most[key], len(listening))
        if taken or refused:
            said = {"re": "sub", "ok": taken, "no": refused}
            client.connection.deliver(json.dumps(said))
        if self._rate is not None and self._feed is None:
            self._feed = client.connection.loop.create_task(self._run_feed())

    def _has_room(self, client: Client, key: str, now: float) -> bool:
        most, count = self.caps.channels, len(client.channels) + len(client.dead) + 1
        if key in client.dead:
            return False
        if most is not None and count > most:
            self._violated(now, "channels", client.connection.number, count)
            return False
        return True

    def _unsubscribe(self, client: Client, keys: list[str]) -> None:
        for key in keys:
            client.dead.pop(key, None)
            if key in client.channels:
                del client.channels[key]
                del self._listening[key][client.connection.number]
        client.connection.deliver(json.dumps({"re": "unsub", "ok": keys, "no": []}))

    async def _run_feed(self) -> None:
        """Feed each channel in turn, so many of them a tick."""
        loop = asyncio.get_running_loop()
        began, fed, place = loop.time(), 0.0, 0
        while self._rate is not None:
            rate, tick = self._rate
            await asyncio.sleep(tick)
            keys = list(self.numbers)
            elapsed, began = loop.time() - began, loop.time()
            fed += rate * len(keys) * elapsed
            waiting: dict[int, tuple[Client, list[str]]] = {}

            def put(
                client: Client,
                message: str,
                waiting: dict[int, tuple[Client, list[str]]] = waiting,
            ) -> None:
                waiting.setdefault(id(client), (client, []))[1].append(message)

            for _ in range(int(fed)):
                self._say(keys[place % len(keys)], put)
                place += 1
            fed -= int(fed)
            for client, messages in waiting.values():
                client.deliver_all(messages)


class VenueFake(Venue, Fake):
    """In virtual time."""

    def __init__(self, caps: Caps | None = None, *, latency: float = 0.0) -> None:
        super().__init__((), None, latency, caps=caps)


class VenueServer(Venue, Server):
    """On the wire."""

    def __init__(self, caps: Caps | None = None) -> None:
        super().__init__((), None, None, "127.0.0.1", None, caps=caps)


class Ledger:
    """What somebody got of a venue: numbered messages of many channels.

    Attributes:
        count: How many messages came.
        newest: The number of the newest message of each channel.
        missing: What did not come: channel, first and last number.
        late: What came again, or after a later one: channel and number.
    """

    def __init__(self) -> None:
        self.count = 0
        self.newest: dict[str, int] = {}
        self.missing: list[tuple[str, int, int]] = []
        self.late: list[tuple[str, int]] = []

    def __call__(self, message: str) -> None:
        """Take a message; answers of the venue are no messages of a channel."""
        said = json.loads(message)
        if "seq" not in said:
            return
        self.count += 1
        self.take(said["key"], said["seq"])

    def take(self, key: str, number: int) -> None:
        """Compare a number with those that came before."""
        newest = self.newest.get(key)
        if newest is not None and number <= newest:
            self.late.append((key, number))
            return
        if newest is not None and number > newest + 1:
            self.missing.append((key, newest + 1, number - 1))
        self.newest[key] = number

    def forget(self, key: str) -> None:
        """It is not wanted any more: what comes next is the first message."""
        self.newest.pop(key, None)


def sequence(message: str) -> tuple[str, int] | None:
    """``dedupe`` for it: the channel and the number."""
    said = json.loads(message)
    return (said["key"], said["seq"]) if "seq" in said else None
