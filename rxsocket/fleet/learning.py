"""What silence and closes teach of how many channels a connection takes.

::

    asked for    A B C D
    answered     A B C        D is asked for again, and again: nothing
    learnt       3 channels, and D goes somewhere else
    there        D is silent, too: it is D, and the cap is lifted

    asked for    A B C D  ──►  Closed(1008)              asked for more slowly
    asked for    A B C D  ──►  Closed(1008) once more    as many as were answered before that
    asked for    A B C D  ──►  Closed(1008), nothing answered, twice
                               others have as many        there are too many connections
                               none has as many           half as many

It knows of no socket, loop or clock; what it learns it says in words. Sockets are known by number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from rxsocket.explain.format import amount
from rxsocket.fleet.events import Capped

POLICY_VIOLATION = 1008
SOON = 5.0
"""Seconds after channels were asked for in which a close is about them."""
ASKED_FOR = 2
"""How many times channels are asked for without an answer until that is taken for silence."""
ASKED_FOR_ALONE = 3
"""Likewise, of fewer than ``SEVERAL``: answers get lost, too."""
SEVERAL = 3
CLOSED_UNHEARD = 2
"""How many closes in a row, before anything had an answer, say that something is too much."""
LASTS = 3600.0
"""Seconds for which a cap is believed."""


@dataclass(frozen=True, slots=True)
class ChannelCap:
    """A socket takes fewer channels.

    Attributes:
        event: That, with the reason.
        unheard: Those that it does not take.
    """

    event: Capped
    unheard: frozenset[Hashable] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SlowDown:
    """A connection was closed as it was asked for channels, which may have been too fast.

    Attributes:
        asked: For how many it was asked.
        seconds: In how much time, since it opened.
    """

    asked: int
    seconds: float


class _Connection:
    """What is known of the channels of one socket, since its connection opened."""

    __slots__ = (
        "asked_at",
        "closed_with",
        "heard",
        "is_asked",
        "opened_at",
        "unheard_closes",
        "waiting",
        "was_probed",
    )

    def __init__(self) -> None:
        self.heard: set[Hashable] = set()
        self.waiting: dict[Hashable, int] = {}  # how many times each was asked for in vain
        self.asked_at = self.opened_at = 0.0
        self.is_asked = False  # for anything, since it opened
        self.closed_with: int | None = None  # how many had an answer at the close before this one
        self.unheard_closes = 0  # closes in a row before anything had an answer
        self.was_probed = False  # without being asked for anything, it was not closed


@dataclass(slots=True)
class _Cap:
    """Why a socket takes no more than that."""

    cap: int
    at: float
    unheard: set[Hashable]
    by_silence: bool


class ChannelLearning:
    """What is known of the sockets of a shard.

    Args:
        shard: The name of the shard that its events have.
        answers: Whether the server says that it took a channel. If not, it is taken as answered
            when the connection has lasted ``SOON`` since it was asked for.
    """

    def __init__(self, shard: str = "", *, answers: bool = True) -> None:
        self._shard = shard
        self._answers = answers
        self._connections: defaultdict[int, _Connection] = defaultdict(_Connection)
        self._caps: dict[int, _Cap] = {}
        self._silent_on: defaultdict[Hashable, set[int]] = defaultdict(set)

    def connected(self, socket: int, now: float = 0.0) -> None:
        """A socket has a new connection: what it carries is asked for anew."""
        connection = self._connections[socket]
        connection.opened_at, connection.is_asked = now, False
        connection.waiting = dict.fromkeys((*connection.heard, *connection.waiting), 0)
        connection.heard = set()

    def asked(self, socket: int, keys: Iterable[Hashable], now: float) -> None:
        """Channels are asked for on a socket."""
        connection = self._connections[socket]
        connection.asked_at, connection.is_asked = now, True
        for key in keys:
            if key not in connection.heard:
                connection.waiting.setdefault(key, 0)

    def heard(self, socket: int, keys: Iterable[Hashable]) -> None:
        """Channels have had their answer, or their first message."""
        connection = self._connections[socket]
        for key in keys:
            if self._answers:
                connection.waiting.pop(key, None)
                connection.heard.add(key)
            self._silent_on.pop(key, None)

    def count(self, socket: int, now: float) -> int:
        """How many channels have had their answer on the connection that a socket has, or had."""
        connection = self._connections[socket]
        lasts = connection.is_asked and now - connection.asked_at > SOON
        if not self._answers and lasts:
            for key in [key for key, times in connection.waiting.items() if not times]:
                del connection.waiting[key]
                connection.heard.add(key)
        return len(connection.heard)

    def left(self, socket: int, keys: Iterable[Hashable]) -> None:
        """Channels were let go of on a socket, or refused."""
        connection = self._connections[socket]
        for key in keys:
            connection.waiting.pop(key, None)
            connection.heard.discard(key)

    def forget(self, socket: int) -> None:
        """A socket is closed for good."""
        self._connections.pop(socket, None)
        self._caps.pop(socket, None)

    def unanswered(self, socket: int, key: Hashable, now: float, at: float) -> ChannelCap | None:
        """A channel had no answer, and is asked for again; return what that teaches.

        Args:
            socket: The number of the socket.
            key: The channel.
            now: The time.
            at: The wall time, for the event.
        """
        connection = self._connections[socket]
        if key not in connection.waiting:
            return None
        connection.waiting[key] += 1
        asked_for = connection.waiting[key]
        several = sum(times >= ASKED_FOR for times in connection.waiting.values()) >= SEVERAL
        if asked_for < (ASKED_FOR if several else ASKED_FOR_ALONE):
            return None
        self._silent_on[key].add(socket)
        if len(self._silent_on[key]) > 1:
            self._acquit(key)
            return None
        silent = {other for other, times in connection.waiting.items() if times}
        count = self.count(socket, now)
        if count <= len(silent):
            return None  # that is no cap, but a server that does not answer
        why = (
            f"{_channels(len(silent))} had no answer, asked for {asked_for} times, while "
            f"{count} are live on the same connection"
        )
        return self._capped(socket, _Cap(count, now, silent, by_silence=True), why, at)

    def closed(
        self, socket: int, code: int | None, now: float, at: float, others: Iterable[int] = ()
    ) -> ChannelCap | SlowDown | Capped | None:
        """A connection has ended; return what that teaches.

        Args:
            socket: The number of the socket.
            code: The close code of the server's, if it gave one.
            now: The time.
            at: The wall time, for the event.
            others: How many channels the other connections of the address have, those with some.
        """
        count = self.count(socket, now)
        connection = self._connections[socket]
        is_soon = now - max(connection.asked_at, connection.opened_at) <= SOON
        if code != POLICY_VIOLATION or not is_soon or not (connection.waiting or not count):
            connection.closed_with, connection.unheard_closes = None, 0
            return None
        if not count:
            return self._closed_unheard(socket, [*others], now, at)
        before = connection.closed_with
        connection.closed_with, connection.unheard_closes = count, 0
        if before is None or count > before:  # the pace of asking, or it would be as many
            return SlowDown(count + len(connection.waiting), now - connection.opened_at)
        why = (
            f"the server closed the connection with {code}, twice within {SOON:g} s of being asked "
            f"for more than {_channels(before)}"
        )
        return self._capped(socket, _Cap(before, now, set(), by_silence=False), why, at)

    def _closed_unheard(
        self, socket: int, others: list[int], now: float, at: float
    ) -> ChannelCap | Capped | None:
        """Nothing had an answer: it is about connections, if others have as many channels."""
        connection = self._connections[socket]
        connection.closed_with = None
        connection.unheard_closes += 1
        if connection.was_probed:
            return self._halved(socket, now, at)
        if connection.unheard_closes < CLOSED_UNHEARD or not others:
            return None
        asked, times = len(connection.waiting), connection.unheard_closes
        why = f"the server closed a new connection with {POLICY_VIOLATION} {times} times in a row"
        if asked > max(others):
            return self._halved(socket, now, at)
        return Capped(
            shard=self._shard,
            socket=None,
            what="connections",
            cap=len(others),
            why=f"{why}, while {amount(len(others), 'other')} had as many channels",
            at=at,
        )

    def can_be_halved(self, socket: int) -> bool:
        """Whether fewer channels may be asked for, where nothing had an answer."""
        return len(self._connections[socket].waiting) > 1

    def probed(self, socket: int, now: float, at: float) -> ChannelCap | None:
        """A connection was not closed when it was asked for nothing; return what that teaches."""
        self._connections[socket].was_probed = True
        return self._halved(socket, now, at)

    def _halved(self, socket: int, now: float, at: float) -> ChannelCap | None:
        """What was asked for on a new connection is too much, and nothing says how much is not."""
        asked = len(self._connections[socket].waiting)
        if asked < 2:
            return None
        why = (
            f"the server closed a new connection with {POLICY_VIOLATION} when it was asked for "
            f"{_channels(asked)}"
        )
        return self._capped(socket, _Cap(asked // 2, now, set(), by_silence=False), why, at)

    # --- what the planner takes

    def channels(self, now: float) -> dict[int, int]:
        """How many channels each socket takes, as far as was learnt."""
        for socket in [s for s, cap in self._caps.items() if now >= cap.at + LASTS]:
            del self._caps[socket]
        return {socket: cap.cap for socket, cap in self._caps.items()}

    def channels_of_any(self, now: float) -> int | None:
        """How many any socket takes, once two of them have taught the same thing."""
        caps = self.channels(now).values()
        return max(caps) if len(caps) > 1 else None

    def unheard(self, socket: int) -> frozenset[Hashable]:
        """The channels that a socket does not take."""
        cap = self._caps.get(socket)
        return frozenset() if cap is None else frozenset(cap.unheard)

    def _capped(self, socket: int, cap: _Cap, why: str, at: float) -> ChannelCap | None:
        before = self._caps.get(socket)
        if before is not None:
            if before.cap == cap.cap and before.unheard >= cap.unheard:
                return None  # each of many that are silent says the same thing
            cap.unheard |= before.unheard
        self._caps[socket] = cap
        event = Capped(
            shard=self._shard, socket=socket, what="channels", cap=cap.cap, why=why, at=at
        )
        return ChannelCap(event, frozenset(cap.unheard))

    def _acquit(self, key: Hashable) -> None:
        """A channel is silent wherever it is: so it says nothing of these sockets."""
        for socket, cap in tuple(self._caps.items()):
            cap.unheard.discard(key)
            if cap.by_silence and not cap.unheard:
                del self._caps[socket]


def _channels(number: int) -> str:
    return "1 channel" if number == 1 else f"{number} channels"
