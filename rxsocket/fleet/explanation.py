"""What a fleet is doing, in numbers and in words (C41).

Both are made of a snapshot, and look only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rxsocket.explain.format import amount
from rxsocket.fleet.log import ANSWER
from rxsocket.fleet.unanswered import PATIENCE
from rxsocket.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStats:
    """A fleet in numbers, at one moment.

    Attributes:
        wanted: Channels that are wanted.
        live: Those that are live.
        waiting: Those that are not yet, or not at the moment.
        refused: Those that the server refused, or that could not be asked for.
        left_out: Those that do not fit into what the server allows.
        moving: Those that are on their way from one socket to another.
        sockets: The sockets that there are.
        open: Those that have a connection.
        generation: The number of the plan.
        states: How many sockets are in which state.
        messages_received: Messages that came on all sockets since the fleet was made, those of the
            server's own about channels among them.
        bytes_received: Their bytes, without compression.
        messages_sent: Messages that were sent.
        bytes_sent: Their bytes.

    Of sockets in other processes the last four are what was said last, which they do once in one
    or two seconds; what a process has counted after that is lost if it dies.
    """

    wanted: int = 0
    live: int = 0
    waiting: int = 0
    refused: int = 0
    left_out: int = 0
    moving: int = 0
    sockets: int = 0
    open: int = 0
    generation: int = 0
    states: dict[State, int] = field(default_factory=dict[State, int])
    messages_received: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetExplanation:
    """What a fleet is doing; ``str()`` of it is for people.

    Attributes:
        doing: What it is doing.
        sockets: A line for each socket.
        why: What is in the way, if anything is.
        learnt: What was learnt of the server's caps and pace.
        next: What comes next by itself.
        advice: What the user can do.
        stats: The same in numbers.
    """

    doing: str
    sockets: tuple[str, ...]
    why: tuple[str, ...]
    learnt: tuple[str, ...]
    next: str
    advice: str
    stats: FleetStats

    def __str__(self) -> str:
        lines = [self.doing, *(f"  {line}" for line in self.sockets)]
        lines.extend(f"why: {line}" for line in self.why)
        lines.extend(f"learnt: {line}" for line in self.learnt)
        if self.next:
            lines.append(f"next: {self.next}")
        if self.advice:
            lines.append(f"you can: {self.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is known of a fleet at one moment.

    Attributes:
        is_running: Whether it runs.
        has_ended: Whether it has ended.
        failure: What it ended with, in words.
        stats: The numbers.
        sockets: Of each socket its name, its state, and how many channels it has.
        impossible: Why not all that is wanted fits, in words.
        refused: Names of channels that were refused, and why, some of them.
        troubles: Of each socket that has no connection why, in words, if something went wrong.
        unanswered: Channels of open sockets that are not live yet.
        late: Those of them whose answer is late.
        learnt: What was learnt, in words.
    """

    is_running: bool
    has_ended: bool
    failure: str
    stats: FleetStats
    sockets: Sequence[tuple[str, State, int]]
    impossible: str
    refused: Sequence[str]
    troubles: Sequence[str]
    unanswered: int
    late: int
    learnt: Sequence[str]


MOST_LINES = 40
"""Sockets that have a line each; of more, each state has one."""

MOST_TROUBLES = 3
"""Reasons that are told of sockets that are not connected, those of most sockets first."""


def explain_fleet(snapshot: Snapshot) -> FleetExplanation:
    """Explain a fleet by what is known of it."""
    stats = snapshot.stats
    return FleetExplanation(
        doing=_doing(snapshot),
        sockets=_sockets(snapshot.sockets),
        why=_why(snapshot),
        learnt=tuple(snapshot.learnt),
        next=_next(snapshot),
        advice=_advice(snapshot),
        stats=stats,
    )


def _doing(snapshot: Snapshot) -> str:
    stats = snapshot.stats
    if not snapshot.is_running:
        wanted = f"; {amount(stats.wanted, 'channel')} wanted" if stats.wanted else ""
        if snapshot.failure:
            return f"ended with an error: {snapshot.failure}"
        return ("ended" if snapshot.has_ended else "idle: nobody is subscribed") + wanted
    if not stats.wanted:
        return "running; no channel is wanted"
    sockets = amount(stats.sockets, "socket")
    return (
        f"running: {stats.live:,} of {amount(stats.wanted, 'channel')} live on {sockets}, "
        f"{stats.open:,} of them open"
    )


def _sockets(sockets: Sequence[tuple[str, State, int]]) -> tuple[str, ...]:
    if len(sockets) <= MOST_LINES:
        return tuple(
            f"{name}: {state.value}, {amount(count, 'channel')}" for name, state, count in sockets
        )
    states = Counter(state for _, state, _ in sockets)
    return tuple(f"{amount(count, 'socket')} {state.value}" for state, count in states.items())


def _why(snapshot: Snapshot) -> tuple[str, ...]:
    stats, lines = snapshot.stats, list[str]()
    if snapshot.impossible:
        lines.append(f"{amount(stats.left_out, 'channel')} left out: {snapshot.impossible}")
    if stats.refused:
        lines.append(f"{amount(stats.refused, 'channel')} refused: {'; '.join(snapshot.refused)}")
    if snapshot.late:
        channels = amount(snapshot.late, "channel")
        lines.append(f"no answer to {channels} for {PATIENCE:g} s or longer: {ANSWER}")
    if stats.moving:
        lines.append(f"{amount(stats.moving, 'channel')} moving from one socket to another")
    for trouble, count in Counter(snapshot.troubles).most_common(MOST_TROUBLES):
        lines.append(f"{amount(count, 'socket')} not connected: {trouble}")
    awaiting = stats.states.get(State.AWAITING_AUTH, 0)
    if awaiting:
        lines.append(f"{amount(awaiting, 'socket')} waiting for a credential")
    return tuple(lines)


def _next(snapshot: Snapshot) -> str:
    stats = snapshot.stats
    if not snapshot.is_running:
        return "nothing, until somebody subscribes"
    unanswered, others = snapshot.unanswered, stats.waiting - snapshot.unanswered
    parts: list[str] = []
    if unanswered:
        parts.append(f"{amount(unanswered, 'channel')} as they are asked for and answered")
    if others > 0:
        parts.append(f"{amount(others, 'channel')} as sockets open and the limits allow it")
    return ", ".join(parts)


def _advice(snapshot: Snapshot) -> str:
    stats = snapshot.stats
    if not snapshot.is_running:
        return "subscribe to messages, or call connect()"
    if not stats.wanted:
        return "call want(keys), or subscribe to channel(key)"
    if stats.states.get(State.AWAITING_AUTH, 0):
        return (
            "call set_auth(...) with another credential, or reconnect() to try the same one again"
        )
    if snapshot.impossible:
        return "want fewer channels, or allow more with limits="
    if stats.refused:
        return "subscribe to a refused channel again to ask anew"
    return ""
