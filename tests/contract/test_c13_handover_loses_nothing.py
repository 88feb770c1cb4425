"""C13: where a handover switches, on servers that attach their feed late, greet, or fall silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scene import A, B, C, Make

from rxsocket import Event, State, handover, in_band, reconnect
from rxsocket.testing import VirtualClock, accept

TICK = 0.001


def same(_: Any) -> str:
    """One and the same identity, whatever the credential."""
    return "the same"


def number(message: str) -> int | None:
    """The key of a numbered message; a greeting has none."""
    return int(message) if message.isdigit() else None


@pytest.mark.parametrize("ready", ["open", "message"])
@pytest.mark.parametrize("attached_after", [0, 5, 50, 500], ids="{} ms".format)
@pytest.mark.parametrize("greets", [False, True], ids=["no greeting", "greeting"])
def test_nothing_is_missing_whenever_the_feed_is_attached(
    clock: VirtualClock, scene: Make, ready: Any, attached_after: int, greets: bool
) -> None:
    """1,000 messages a second; each new connection gets them from some ticks after its 101 on."""
    strategy = handover(ready=ready, dedupe=number)
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    ages: dict[int, int] = {1: attached_after}
    for step in range(6000):
        if step in (1000, 3000):
            it.socket.set_auth({"token": str(step)})
        clock.advance(TICK)
        for visit in it.peer.visits:
            age = ages[visit.number] = ages.get(visit.number, -1) + 1
            if visit.closing:
                continue
            if age == 0 and greets:
                visit.deliver("hello")
            if age >= attached_after:
                visit.deliver(str(step))
    clock.advance(1.0)
    numbers = [int(message) for message in received if message.isdigit()]
    assert it.names.count("Opened") == 3
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] == 5999


def test_a_new_one_that_stays_silent_never_takes_over(clock: VirtualClock, scene: Make) -> None:
    """A server that feeds one of two: the old one goes on, and ``RenewalFailed`` says so."""
    strategy = handover(dedupe=number, timeout=5.0)
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    for step in range(100):
        clock.advance(0.1)
        it.peer.visits[0].deliver(str(step))
    clock.advance(0.1)
    assert "RenewalFailed" in it.names
    assert it.names.count("Message") == 100
    assert it.names.count("Closed") == 0


def test_an_old_one_that_fell_silent_is_left(clock: VirtualClock, scene: Make) -> None:
    """A server that moves its feed to the newest: after 2 s of silence of the old one."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(0.5)
    it.peer.visits[1].deliver("1")
    clock.advance(1.4)
    assert it.names.count("Closed") == 0
    clock.advance(0.2)
    assert it.names[-3:] == ["Closed", "Opened", "Message"]


def test_both_silent_are_switched(clock: VirtualClock, scene: Make) -> None:
    """With ``dedupe`` and not a message, the switch comes after 2 s."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(5.0)
    assert it.story == [(10.0, "Connecting"), (12.0, "Closed"), (12.0, "Opened")]


def test_without_dedupe_an_old_one_that_talks_waits_for_the_new_one(
    clock: VirtualClock, scene: Make
) -> None:
    """The first message of the new one says that it is attached; until then the old one goes on."""
    it = scene(auth=A, on_auth_change=handover(), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    for step in range(20):
        clock.advance(0.05)
        it.peer.visits[0].deliver(str(step))
    assert it.names.count("Closed") == 0
    it.peer.visits[1].deliver("20")
    clock.advance(0.1)
    assert it.names[-3:] == ["Closed", "Opened", "Message"]


ENDS: dict[str, Callable[[Any], object]] = {
    "close": lambda socket: socket.close(),
    "log out": lambda socket: socket.set_auth(None),
    "another identity": lambda socket: socket.set_auth(C),
    "reconnect": lambda socket: socket.reconnect(),
}
STRATEGIES: dict[str, Callable[[], Any]] = {
    "reconnect": reconnect,
    "handover": lambda: handover(dedupe=number),
    "handover, ready with a message": lambda: handover(ready="message", dedupe=number),
    "in band": lambda: in_band(lambda value: "auth", accepted=lambda message: message == "yes"),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_dial_has_an_owner_that_ends_it(
    clock: VirtualClock, scene: Make, strategy: str, how: str
) -> None:
    """The socket ends at its n-th event, from an observer; then no connection is left (C2, C26)."""
    n, more = 0, True
    while more:
        n += 1
        more = _ends_at(clock, scene, n, STRATEGIES[strategy](), ENDS[how])
    assert n > 5


def _ends_at(
    clock: VirtualClock, scene: Make, n: int, strategy: Any, end: Callable[[Any], object]
) -> bool:
    """Whether there was an n-th event, at which the socket ended as told."""

    def identity(value: Any) -> str:
        return "C" if value == C else "the same"

    scripts = [accept().wait(0.2).send("1").wait(0.2).send("yes")] * 12
    it = scene(
        *scripts, watch=False, auth=A, on_auth_change=strategy, identity=identity, max_age=6.0
    )
    seen: list[Event] = []

    def on_event(event: Event) -> None:
        seen.append(event)
        if len(seen) == n:
            end(it.socket)

    subscription = it.socket.events.subscribe(on_event)
    for token in ("x", "y", "z"):
        clock.advance(1.03)
        it.socket.set_auth({"token": token})
        clock.advance(0.07)
        if len(seen) < n:
            it.socket.set_auth({"token": token + token})
    clock.advance(8.0)
    was_reached = len(seen) >= n
    closed = it.socket.close()
    subscription.dispose()
    clock.advance(3.0)
    assert closed.done
    assert it.peer.connections == 0
    assert it.socket.state.value is State.CLOSED
    return was_reached
