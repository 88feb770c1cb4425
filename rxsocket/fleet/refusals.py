"""Sockets that were refused for something else than their credential: what to try, and when (C42).

::

    403, others open              ──►  dial once more      another 403: a cap of connections
    1008, channels were live      ──►  dial again          more slowly, or with fewer channels
    1008, nothing was, others do  ──►  dial again          another 1008: a cap
    1008, nothing was, alone      ──►  dial, ask nothing   refused again: it is the credential

A socket by itself awaits another credential then. What the answers teach is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from rxsocket.events import AwaitingAuth, Cause, Closed, Event, Opened, Rejected
from rxsocket.fleet.dial_learning import FORBIDDEN
from rxsocket.fleet.learning import POLICY_VIOLATION, SOON
from rxsocket.fleet.learnt import LearntCaps
from rxsocket.fleet.orders import Redial
from rxsocket.fleet.plan import SocketId
from rxsocket.fleet.sockets import FleetSocket, FleetSockets

AGAIN = 3
"""How many times in a row a connection is made anew that was closed for what it asked for."""


@dataclass(slots=True)
class _Refused:
    """How a socket was refused of late.

    Attributes:
        is_forbidden: Whether with 403 while others were open, for the first time.
        was_tried_again: Whether it has dialled once more for that.
        closes: How many times in a row it was closed with 1008.
        is_unheard: Whether no channel was live then.
        is_probing: Whether it connects without asking for anything.
        is_due: Whether it does so if another one that does is not refused.
        was_probed: Whether it was not refused then.
        opened_at: When it had a connection last.
    """

    is_forbidden: bool = False
    was_tried_again: bool = False
    closes: int = 0
    is_unheard: bool = False
    is_probing: bool = False
    is_due: bool = False
    was_probed: bool = False
    opened_at: float = 0.0


class Refusals:
    """Says which sockets dial once more; on the loop.

    Args:
        sockets: The sockets of the fleet, in all places.
        learnt: What was learnt of caps.
    """

    def __init__(self, sockets: FleetSockets, learnt: LearntCaps) -> None:
        self._sockets = sockets
        self._learnt = learnt
        self._refused: dict[SocketId, _Refused] = {}
        self._is_credential = False  # a probe was refused, too

    def on_answered(self) -> None:
        """The server has taken channels: the credential is not refused."""
        self._is_credential = False

    def forget(self, socket: SocketId) -> None:
        """It is gone."""
        self._refused.pop(socket, None)

    def on_event(self, socket: FleetSocket, event: Event, now: float) -> None:
        """Something happened to a socket, which its state and what was learnt do not show yet.

        Args:
            socket: The socket.
            event: What.
            now: The time.
        """
        match event:
            case Opened():
                if (found := self._refused.get(socket.id)) is not None:
                    found.is_forbidden = found.was_tried_again = False
                    found.opened_at = now
            case Rejected(status=status) if status == FORBIDDEN and not socket.is_open:
                found = self._refused.setdefault(socket.id, _Refused())
                found.is_forbidden = not found.was_tried_again and self._is_any_open(socket.id)
            case Closed(cause=cause) if cause is not Cause.HANDED_OVER:
                self._on_closed(socket, event, now)
            case AwaitingAuth() if socket.id in self._refused:
                self._on_awaiting(socket, self._refused[socket.id], now)
            case _:
                pass

    def on_probed(self, socket: SocketId) -> None:
        """A connection on which nothing was asked for was not refused."""
        found = self._refused.setdefault(socket, _Refused())
        found.is_probing, found.was_probed = False, True
        self._is_credential = False
        for other, refused in self._refused.items():
            if refused.is_due:
                self._probe(other, refused)

    def _on_closed(self, socket: FleetSocket, event: Closed, now: float) -> None:
        if event.code != POLICY_VIOLATION:
            self._refused.pop(socket.id, None)
            return
        found = self._refused.setdefault(socket.id, _Refused())
        found.is_unheard = not self._learnt.count(socket.id, now)
        if not found.is_unheard and now - found.opened_at > SOON:
            found.closes = 0
        found.closes += 1
        if found.is_probing:
            found.is_probing, self._is_credential = False, True

    def _on_awaiting(self, socket: FleetSocket, found: _Refused, now: float) -> None:
        if found.is_forbidden:  # another refusal says that it is a cap
            found.is_forbidden, found.was_tried_again = False, True
            self._dial(socket.id)
        elif (
            0 < found.closes <= AGAIN
            and (not found.is_unheard or self._learnt.others(socket.id, now))
        ) or (found.was_probed and self._learnt.can_be_halved(socket.id)):
            self._dial(socket.id)
        elif found.closes == 1 and not self._is_credential:
            found.is_due = any(one.is_probing for one in self._refused.values())
            if not found.is_due:
                self._probe(socket.id, found)

    def _probe(self, socket: SocketId, found: _Refused) -> None:
        found.is_probing, found.is_due = True, False
        self._dial(socket, asks=False)

    def _dial(self, socket: SocketId, *, asks: bool = True) -> None:
        self._sockets.give(socket.place, Redial(socket.number, asks))

    def _is_any_open(self, but: SocketId) -> bool:
        return any(one.is_open for one in self._sockets.by_id.values() if one.id != but)
