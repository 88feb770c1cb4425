"""Which sockets of a fleet dial once more after they were refused, by itself (C42)."""

from __future__ import annotations

from typing import Any

import pytest

from rxsocket.errors import HandshakeRefused
from rxsocket.events import AwaitingAuth, Cause, Closed, Opened, Rejected
from rxsocket.fleet.learnt import LearntCaps
from rxsocket.fleet.orders import Redial
from rxsocket.fleet.plan import Place, SocketId
from rxsocket.fleet.refusals import Refusals
from rxsocket.fleet.sockets import FleetSockets
from rxsocket.limits import Limits
from rxsocket.policy.verdicts import Verdict


class Fleet:
    """Two places of one address, and what sockets there are told."""

    def __init__(self) -> None:
        places = [Place("one", "here"), Place("two", "here"), Place("other")]
        self.learnt = LearntCaps(places, Limits(), answers=True)
        self.orders: list[tuple[str, Any]] = []
        self.sockets = FleetSockets(self._give, self.learnt, unsubscribes=True)
        self.refusals = Refusals(self.sockets, self.learnt)
        self.now = 0.0

    def _give(self, place: str, order: Any) -> None:
        if isinstance(order, Redial):
            self.orders.append((place, order))

    def open(self, place: str, *keys: str) -> SocketId:
        socket = SocketId(place, 1)
        self.sockets.open(socket)
        self.happens(socket, Opened(epoch=1))
        if keys:
            self.ask(socket, *keys)
            self.learnt.on_live(socket, keys)
        return socket

    def ask(self, socket: SocketId, *keys: str) -> None:
        self.learnt.on_asked(socket, keys, self.now)

    def happens(self, socket: SocketId, *events: Any) -> None:
        for event in events:
            found = self.sockets.by_id[socket]
            self.refusals.on_event(found, event, self.now)
            found.take(event)
            if isinstance(event, Opened):
                self.learnt.on_opened(socket, self.now, is_handover=False)
            elif isinstance(event, Closed):
                self.learnt.on_closed(socket, event.code, self.now, 0.0)

    def is_forbidden(self, socket: SocketId) -> None:
        error = HandshakeRefused(403)
        rejected = Rejected(error=error, verdict=Verdict.AWAIT_AUTH, epoch=2, status=403)
        self.happens(socket, rejected, AWAITING)

    def is_closed(self, socket: SocketId) -> None:
        self.happens(socket, CLOSED, AWAITING)


AWAITING = AwaitingAuth(reason="refused", cause=Cause.REFUSED)
CLOSED = Closed(epoch=2, code=1008, verdict=Verdict.AWAIT_AUTH, cause=Cause.PEER)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_a_403_is_looked_into_when_a_socket_of_another_place_is_open(fleet: Fleet) -> None:
    fleet.sockets.open(SocketId("two", 1))
    fleet.is_forbidden(SocketId("two", 1))
    assert fleet.orders == []
    fleet.open("one")
    fleet.is_forbidden(SocketId("two", 1))
    fleet.is_forbidden(SocketId("two", 1))
    assert fleet.orders == [("two", Redial(1))]


def test_a_1008_is_looked_into_when_channels_are_live_at_the_same_address(fleet: Fleet) -> None:
    """Up to three times; elsewhere counts for nothing, as another address may have more."""
    fleet.open("other", "Z")
    socket = fleet.open("two")
    fleet.ask(socket, "A")
    fleet.is_closed(socket)
    assert fleet.orders == [("two", Redial(1, asks=False))], "alone"
    fleet.open("one", "B")
    for _ in range(5):
        fleet.is_closed(socket)
    assert fleet.orders[1:] == [("two", Redial(1))] * 2


def test_one_socket_finds_out_whether_it_is_the_credential(fleet: Fleet) -> None:
    """The others wait for that, and dial, too, if it is not."""
    sockets = [fleet.open(place) for place in ("one", "two")]
    for socket in sockets:
        fleet.ask(socket, "A", "B")
        fleet.is_closed(socket)
    assert fleet.orders == [("one", Redial(1, asks=False))]
    fleet.refusals.on_probed(sockets[0])
    assert fleet.orders[1:] == [("two", Redial(1, asks=False))]


def test_what_is_refused_without_being_asked_for_anything_has_a_bad_credential(
    fleet: Fleet,
) -> None:
    sockets = [fleet.open(place) for place in ("one", "two")]
    for socket in (sockets[0], sockets[0], sockets[1]):
        fleet.is_closed(socket)
    assert fleet.orders == [("one", Redial(1, asks=False))]
