"""C24: observers are called one at a time, in order, in the context of their subscribe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from reactivex import operators as ops

from rxsocket import Closed, Connecting, Message, Opened, Session, Socket, State
from rxsocket.testing import VirtualClock, accept, fake

who: ContextVar[str] = ContextVar("who", default="nobody")

STREAMS = ("events", "opens", "closes", "messages", "sessions", "errors", "state", "auth")
CALLBACKS = ("on_open", "on_close", "on_message", "on_error")


@pytest.mark.parametrize("name", [*STREAMS, *CALLBACKS])
def test_the_context_is_that_of_the_subscribe(clock: VirtualClock, name: str) -> None:
    """Each observer sees the variables as they were when it subscribed, every time."""
    peer = fake(accept().send("1", "2").wait(1).drop(), accept().send("3"))
    socket = Socket(peer.url, transport=peer, auth="a")
    seen: dict[str, list[str]] = {"ann": [], "bob": []}

    def observer(mine: list[str]) -> Callable[[object], None]:
        return lambda _: mine.append(who.get())

    for user, mine in seen.items():
        token = who.set(user)
        subscribe = getattr(socket, name)
        (subscribe.subscribe if name in STREAMS else subscribe)(observer(mine))
        who.reset(token)
    socket.connect()
    clock.advance(10.0)
    socket.set_auth("b")
    clock.advance(1.0)
    socket.close()
    clock.advance(2.0)
    for user, mine in seen.items():
        assert set(mine) == {user}


def test_the_end_comes_in_that_context_too(clock: VirtualClock) -> None:
    """on_completed is called in the same context, and so is an observer of a receipt."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="a")
    seen: list[str] = []
    token = who.set("ann")
    socket.messages.subscribe(None, None, lambda: seen.append(who.get()))
    clock.advance(1.0)
    socket.set_auth("b").subscribe(lambda _: seen.append(who.get()))
    who.reset(token)
    clock.advance(1.0)
    socket.close()
    clock.advance(2.0)
    assert seen == ["ann", "ann"]


def test_what_an_observer_sets_stays_in_its_context(clock: VirtualClock) -> None:
    """A variable that an observer sets is there the next time, and nowhere else."""
    peer = fake(accept().send("1", "2"))
    socket = Socket(peer.url, transport=peer)
    seen: list[str] = []

    def setting(message: str) -> None:
        seen.append(who.get())
        who.set(f"set at {message}")

    socket.messages.subscribe(setting)
    socket.messages.subscribe(lambda _: seen.append(who.get()))
    clock.advance(1.0)
    assert seen == ["nobody", "nobody", "set at 1", "nobody"]
    assert who.get() == "nobody"
    socket.close()
    clock.advance(2.0)


def test_in_the_order_of_subscribing(clock: VirtualClock) -> None:
    """Each value goes to the observers in the order in which they came."""
    peer = fake(accept().send("1", "2"))
    socket = Socket(peer.url, transport=peer)
    got: list[str] = []
    for name in "abc":
        socket.messages.subscribe(lambda message, name=name: got.append(name + message))
    clock.advance(1.0)
    assert got == ["a1", "b1", "c1", "a2", "b2", "c2"]
    socket.close()
    clock.advance(2.0)


def test_the_state_comes_before_its_event(clock: VirtualClock) -> None:
    """When an event is told, ``state.value`` is what it led to, for observers of any stream."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    seen: list[tuple[str, State]] = []
    socket.opens.subscribe(lambda _: seen.append(("opens", socket.state.value)))
    socket.closes.subscribe(lambda _: seen.append(("closes", socket.state.value)))
    clock.advance(1.0)
    peer.drop()
    clock.advance(0.0)
    assert seen == [("opens", State.OPEN), ("closes", State.WAITING)]
    socket.close()
    clock.advance(2.0)


def _push(socket: Socket, _: Any) -> None:
    socket.set_auth("b")


def _reconnect(socket: Socket, _: Any) -> None:
    socket.reconnect()


def _close(socket: Socket, _: Any) -> None:
    socket.close()


@pytest.mark.parametrize("action", [_push, _reconnect, _close])
@pytest.mark.parametrize("name", ["messages", "events", "opens", "sessions", "state"])
def test_calling_back_waits_for_the_emission(
    clock: VirtualClock, name: str, action: Callable[[Socket, Any], None]
) -> None:
    """What an observer asks for happens when every sibling has had the value it was called with."""
    peer = fake(accept().send("1"), accept().send("2"))
    socket = Socket(peer.url, transport=peer, auth="a")
    stream = getattr(socket, name)
    depth, deepest = 0, 0
    before: list[Any] = []
    after: list[Any] = []
    done = False

    def acting(value: Any) -> None:
        nonlocal depth, deepest, done
        depth += 1
        deepest = max(deepest, depth)
        before.append(value)
        wanted = {"messages": str, "events": Opened, "opens": Opened, "sessions": Session}
        if not done and isinstance(value, wanted.get(name, State)) and value is not State.IDLE:
            done = True
            action(socket, value)
        depth -= 1

    def counting(value: Any) -> None:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        after.append(value)
        depth -= 1

    stream.subscribe(acting)
    stream.subscribe(counting)
    socket.connect()
    clock.advance(5.0)
    assert deepest == 1
    assert before == after
    assert len(after) >= (1 if action is _close else 2)
    socket.close()
    clock.advance(2.0)


def test_a_change_from_on_next_comes_after_the_message(clock: VirtualClock) -> None:
    """``set_auth`` in ``on_next``: the siblings get the message first, then the close."""
    peer = fake(accept().send("1", "never"), accept().send("2"))
    socket = Socket(peer.url, transport=peer, auth="a")
    order: list[object] = []

    def acting(message: str) -> None:
        order.append(f"acting {message}")
        if message == "1":
            socket.set_auth("b")
            order.append(socket.state.value)

    socket.messages.subscribe(acting)
    socket.messages.subscribe(lambda message: order.append(f"sibling {message}"))
    socket.closes.subscribe(lambda _: order.append("closed"))
    clock.advance(1.0)
    assert order == ["acting 1", State.OPEN, "sibling 1", "closed", "acting 2", "sibling 2"]
    socket.close()
    clock.advance(2.0)


def test_a_subscriber_that_comes_during_an_emission(clock: VirtualClock) -> None:
    """One that subscribes in ``on_next`` gets what comes from the next value on."""
    peer = fake(accept().send("1", "2", "3"))
    socket = Socket(peer.url, transport=peer)
    late: list[str] = []

    def on_next(message: str) -> None:
        if message == "1":
            socket.messages.subscribe(late.append)

    socket.messages.subscribe(on_next)
    clock.advance(1.0)
    assert late == ["2", "3"]
    socket.close()
    clock.advance(2.0)


def test_close_at_connecting_dials_nothing(clock: VirtualClock) -> None:
    """An observer that closes at ``Connecting`` is obeyed before the dial."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    names: list[str] = []

    def on_next(event: object) -> None:
        names.append(type(event).__name__)
        if isinstance(event, Connecting):
            socket.close()

    socket.events.subscribe(on_next)
    clock.advance(2.0)
    assert names == ["Connecting", "Aborted", "Ended"]
    assert peer.live == 0


def test_starting_again_from_on_completed(clock: VirtualClock) -> None:
    """An observer may subscribe again when it is completed: the socket starts afresh."""
    peer = fake(accept().send("1").close(1000), accept().send("2"))
    socket = Socket(peer.url, transport=peer)
    got: list[str] = []
    states: list[State] = []

    def again() -> None:
        socket.messages.subscribe(got.append)

    socket.messages.subscribe(got.append, None, again)
    clock.advance(0.0)
    socket.state.subscribe(states.append)
    clock.advance(10.0)
    assert got == ["1", "2"]
    assert states[-1] is State.OPEN
    socket.close()
    clock.advance(2.0)


def test_many_changes_from_observers_end(clock: VirtualClock) -> None:
    """Changes made at each close settle one after the other, without recursion."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="0")
    count = 0

    def on_open(_: Opened) -> None:
        nonlocal count
        count += 1
        if count < 200:
            socket.set_auth(str(count))

    socket.opens.subscribe(on_open)
    closed: list[Closed] = []
    socket.closes.subscribe(closed.append)
    clock.advance(60.0)
    assert count == 200
    assert [event.epoch for event in closed] == list(range(1, 200))
    socket.close()
    clock.advance(2.0)


def test_on_the_running_loop(clock: VirtualClock) -> None:
    """With a running loop, observers are called on it; operators that take time live on it too."""
    peer = fake(accept().send("1"))
    socket = Socket(peer.url, transport=peer)
    loops: list[asyncio.AbstractEventLoop] = []
    socket.messages.subscribe(lambda _: loops.append(asyncio.get_running_loop()))
    late: list[tuple[float, str]] = []
    socket.messages.pipe(ops.delay(3.0, scheduler=clock.scheduler)).subscribe(
        lambda message: late.append((clock.time(), message))
    )
    clock.advance(5.0)
    assert loops == [clock]
    assert late == [(3.0, "1")]
    socket.close()
    clock.advance(5.0)


def test_events_and_payloads_agree(clock: VirtualClock) -> None:
    """The same message is told to ``events`` and ``messages`` in the same turn, in one order."""
    peer = fake(accept().send("1", "2"))
    socket = Socket(peer.url, transport=peer)
    order: list[object] = []
    socket.messages.subscribe(order.append)
    socket.events.pipe(ops.filter(lambda event: isinstance(event, Message))).subscribe(order.append)
    clock.advance(1.0)
    assert order == [Message(epoch=1, data="1"), "1", Message(epoch=1, data="2"), "2"]
    socket.close()
    clock.advance(2.0)
