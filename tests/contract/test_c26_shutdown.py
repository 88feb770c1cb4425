"""C26: closing is idempotent and bounded, in every state; nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from internals import Fake
from reactivex import abc

from rxsocket import Receipt, Socket, State
from rxsocket.testing import VirtualClock, accept, fake, hang, reject, unreachable

BOUND = 2.0


class Case:
    """A socket that was brought into some state."""

    def __init__(self, virtual: VirtualClock, *scripts: Any, **options: Any) -> None:
        self.virtual = virtual
        self.peer: Fake = fake(*scripts)
        self.socket = Socket(self.peer.url, **{"transport": self.peer, "auth": "a", **options})
        self.holds: list[abc.DisposableBase] = []

    def start(self, seconds: float, state: State) -> Case:
        self.holds = [self.socket.messages.subscribe(), self.socket.connect()]
        self.virtual.advance(seconds)
        assert self.socket.state.value is state
        return self


def _never_started(virtual: VirtualClock) -> Case:
    return Case(virtual)


def _just_started(virtual: VirtualClock) -> Case:
    case = Case(virtual)
    case.holds = [case.socket.connect()]
    return case


def _dialling(virtual: VirtualClock) -> Case:
    return Case(virtual, hang()).start(1.0, State.CONNECTING)


def _in_a_slow_handshake(virtual: VirtualClock) -> Case:
    return Case(virtual, accept().delay(5)).start(1.0, State.CONNECTING)


def _open(virtual: VirtualClock) -> Case:
    return Case(virtual).start(1.0, State.OPEN)


def _open_and_frozen(virtual: VirtualClock) -> Case:
    return Case(virtual, accept().freeze()).start(1.0, State.OPEN)


def _pinging_a_frozen_peer(virtual: VirtualClock) -> Case:
    return Case(virtual, accept().freeze()).start(25.0, State.OPEN)


def _in_backoff(virtual: VirtualClock) -> Case:
    case = Case(virtual)
    case.peer.default = unreachable()
    return case.start(100.0, State.WAITING)


def _told_to_wait(virtual: VirtualClock) -> Case:
    return Case(virtual, reject(503, {"Retry-After": "300"})).start(1.0, State.WAITING)


def _awaiting_auth(virtual: VirtualClock) -> Case:
    return Case(virtual, reject(401)).start(1.0, State.AWAITING_AUTH)


def _logged_out(virtual: VirtualClock) -> Case:
    return Case(virtual, auth=None).start(1.0, State.AWAITING_AUTH)


def _in_a_provider(virtual: VirtualClock) -> Case:
    async def provider() -> str:
        await asyncio.sleep(3600.0)
        return "late"

    return Case(virtual, auth=provider, auth_timeout=None).start(1.0, State.CONNECTING)


def _in_a_provider_after_a_refusal(virtual: VirtualClock) -> Case:
    calls = 0

    async def provider() -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            await asyncio.sleep(3600.0)
        return "token"

    case = Case(virtual, accept().close(4401), auth=provider, auth_timeout=None)
    return case.start(1.0, State.AWAITING_AUTH)


def _with_a_provider_that_repeats_itself(virtual: VirtualClock) -> Case:
    return Case(virtual, reject(401), auth=lambda: "same").start(60.0, State.AWAITING_AUTH)


def _between_two_credentials(virtual: VirtualClock) -> Case:
    case = Case(virtual, accept().freeze()).start(1.0, State.OPEN)
    case.socket.set_auth("b")
    virtual.advance(0.02)
    return case


def _with_an_old_peer_departing(virtual: VirtualClock) -> Case:
    case = Case(virtual, accept().freeze()).start(1.0, State.OPEN)
    case.socket.set_auth("b")
    virtual.advance(1.0)
    assert case.socket.state.value is State.OPEN and case.peer.connections == 2
    return case


def _with_held_messages(virtual: VirtualClock) -> Case:
    case = Case(virtual, accept().send("held"))
    case.holds = [case.socket.connect()]
    virtual.advance(1.0)
    return case


def _with_a_session_nobody_reads(virtual: VirtualClock) -> Case:
    case = Case(virtual, accept().send("held"))
    case.holds = [case.socket.sessions.subscribe()]
    virtual.advance(1.0)
    return case


def _ended_by_the_peer(virtual: VirtualClock) -> Case:
    return Case(virtual, accept().close(1000)).start(1.0, State.CLOSED)


def _failed(virtual: VirtualClock) -> Case:
    return Case(virtual, reject(410)).start(1.0, State.CLOSED)


CASES = [
    _never_started,
    _just_started,
    _dialling,
    _in_a_slow_handshake,
    _open,
    _open_and_frozen,
    _pinging_a_frozen_peer,
    _in_backoff,
    _told_to_wait,
    _awaiting_auth,
    _logged_out,
    _in_a_provider,
    _in_a_provider_after_a_refusal,
    _with_a_provider_that_repeats_itself,
    _between_two_credentials,
    _with_an_old_peer_departing,
    _with_held_messages,
    _with_a_session_nobody_reads,
    _ended_by_the_peer,
    _failed,
]
Make = Callable[[VirtualClock], Case]
every_state = pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)


def check_nothing_left(case: Case) -> None:
    assert not case.virtual.tasks
    assert case.virtual.pending == 0
    assert case.peer.connections == 0


@every_state
def test_close(virtual: VirtualClock, make: Make) -> None:
    """``close()`` in every state: the receipt settles within 2 s, and nothing is left then."""
    case = make(virtual)
    receipt = case.socket.close()
    assert case.socket.state.value is State.CLOSED
    virtual.advance(BOUND)
    assert receipt.done and receipt.result() is None
    check_nothing_left(case)


@every_state
def test_close_again_and_again(virtual: VirtualClock, make: Make) -> None:
    """Closing twice, also while it closes and long after, does no harm."""
    case = make(virtual)
    completed: list[str] = []
    case.socket.messages.subscribe(None, None, lambda: completed.append("completed"))
    receipts = [case.socket.close(), case.socket.close(4000, "bye")]
    virtual.advance(0.5)
    receipts.append(case.socket.close())
    virtual.advance(1.5)
    receipts.append(case.socket.close())
    virtual.advance(0.0)
    assert all(receipt.done for receipt in receipts)
    assert completed == ["completed"]
    for hold in case.holds:
        hold.dispose()
    check_nothing_left(case)


@every_state
def test_dispose(virtual: VirtualClock, make: Make) -> None:
    """When the last one leaves, nothing is left within 2 s; disposing twice does no harm."""
    case = make(virtual)
    for hold in (*case.holds, *case.holds):
        hold.dispose()
    assert case.socket.state.value in (State.IDLE, State.CLOSED)
    virtual.advance(BOUND)
    check_nothing_left(case)
    for hold in case.holds:
        hold.dispose()
    assert case.socket.state.value in (State.IDLE, State.CLOSED)


@every_state
def test_dispose_then_close(virtual: VirtualClock, make: Make) -> None:
    """``close()`` while the last connection is on its way out waits for that one only."""
    case = make(virtual)
    for hold in case.holds:
        hold.dispose()
    virtual.advance(0.5)
    receipt = case.socket.close()
    virtual.advance(BOUND - 0.5)
    assert receipt.done
    check_nothing_left(case)


@every_state
def test_async_with(virtual: VirtualClock, make: Make) -> None:
    """Leaving ``async with`` in any state takes 2 s at most, and 0.5 s when it is by an error."""
    for error in (None, KeyboardInterrupt()):
        case = make(virtual)
        began = virtual.time()
        kind = None if error is None else type(error)
        virtual.run(case.socket.__aexit__(kind, error, None))
        took = virtual.time() - began
        assert took <= (BOUND if error is None else 0.5) + 1e-6
        virtual.advance(0.0)
        check_nothing_left(case)


@every_state
def test_the_socket_is_of_use_afterwards(virtual: VirtualClock, make: Make) -> None:
    """A socket that was closed can be subscribed again; a late ``set_auth`` is kept for then."""
    case = make(virtual)
    case.socket.close()
    virtual.advance(BOUND)
    case.socket.set_auth("fresh")
    case.socket.reconnect()
    virtual.advance(10.0)
    check_nothing_left(case)
    case.peer.default = accept().send("hello")
    case.peer.script(accept().send("hello"))
    messages: list[str] = []
    case.socket.messages.subscribe(messages.append)
    virtual.advance(60.0)
    assert messages == ["hello"]
    assert case.peer.handshakes[-1].credential == "fresh"
    case.socket.close()
    virtual.advance(BOUND)
    check_nothing_left(case)


@pytest.mark.parametrize("close_timeout", [0.0, 0.25, 2.0])
def test_a_frozen_peer_is_dropped_after_close_timeout(
    virtual: VirtualClock, close_timeout: float
) -> None:
    """A peer that does not answer our close is dropped after close_timeout, not before."""
    peer = fake(accept().freeze())
    socket = Socket(peer.url, transport=peer, close_timeout=close_timeout)
    socket.connect()
    virtual.advance(1.0)
    receipt = socket.close()
    virtual.run(_awaited(receipt))
    assert virtual.time() == pytest.approx(1.0 + close_timeout)
    assert peer.closes == [(1, 1006, "")]


async def _awaited(receipt: Receipt[None]) -> None:
    await receipt


def test_a_peer_that_answers_closes_at_once(virtual: VirtualClock) -> None:
    """The code and the text go out, and the receipt settles with the answer."""
    peer = fake(latency=0.1)
    socket = Socket(peer.url, transport=peer)
    socket.connect()
    virtual.advance(1.0)
    receipt = socket.close(4000, "bye")
    virtual.advance(0.05)
    assert not receipt.done
    virtual.advance(0.05)
    assert receipt.done
    assert peer.closes == [(1, 4000, "bye")]


@pytest.mark.parametrize("linger", [0.0, 30.0])
def test_linger_leaves_nothing(virtual: VirtualClock, linger: float) -> None:
    """A socket that lingers after its last subscriber leaves no timer when it is closed then."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, linger=linger)
    socket.connect().dispose()
    virtual.advance(1.0)
    socket.close()
    virtual.advance(BOUND)
    assert not virtual.tasks and virtual.pending == 0 and peer.connections == 0


def test_pending_receipts_settle(virtual: VirtualClock) -> None:
    """Nobody waits for ever: changes and messages on their way are settled when it closes."""
    peer = fake(accept().freeze(), hang())
    socket = Socket(peer.url, transport=peer, auth="a")
    socket.connect()
    virtual.advance(1.0)
    sending = socket.send("hello")
    changing = socket.set_auth("b")
    virtual.advance(0.5)
    again = socket.send("late")
    socket.close()
    virtual.advance(BOUND)
    assert sending.done and changing.done and again.done


def test_a_close_from_an_observer_of_the_end(virtual: VirtualClock) -> None:
    """``close()`` called in on_completed and at ``Closed`` is the same close."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    receipts: list[Receipt[None]] = []
    socket.messages.subscribe(None, None, lambda: receipts.append(socket.close()))
    socket.closes.subscribe(lambda _: receipts.append(socket.close()))
    virtual.advance(1.0)
    receipts.append(socket.close())
    virtual.advance(BOUND)
    assert len(receipts) == 3
    assert all(receipt.done for receipt in receipts)
