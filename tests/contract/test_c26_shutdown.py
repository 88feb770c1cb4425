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

    def __init__(self, clock: VirtualClock, *scripts: Any, **options: Any) -> None:
        self.clock = clock
        self.peer: Fake = fake(*scripts)
        self.socket = Socket(self.peer.url, **{"transport": self.peer, "auth": "a", **options})
        self.holds: list[abc.DisposableBase] = []

    def start(self, seconds: float, state: State) -> Case:
        self.holds = [self.socket.messages.subscribe(), self.socket.connect()]
        self.clock.advance(seconds)
        assert self.socket.state.value is state
        return self


def _never_started(clock: VirtualClock) -> Case:
    return Case(clock)


def _just_started(clock: VirtualClock) -> Case:
    case = Case(clock)
    case.holds = [case.socket.connect()]
    return case


def _dialling(clock: VirtualClock) -> Case:
    return Case(clock, hang()).start(1.0, State.CONNECTING)


def _in_a_slow_handshake(clock: VirtualClock) -> Case:
    return Case(clock, accept().delay(5)).start(1.0, State.CONNECTING)


def _open(clock: VirtualClock) -> Case:
    return Case(clock).start(1.0, State.OPEN)


def _open_and_frozen(clock: VirtualClock) -> Case:
    return Case(clock, accept().freeze()).start(1.0, State.OPEN)


def _pinging_a_frozen_peer(clock: VirtualClock) -> Case:
    return Case(clock, accept().freeze()).start(25.0, State.OPEN)


def _in_backoff(clock: VirtualClock) -> Case:
    case = Case(clock)
    case.peer.default = unreachable()
    return case.start(100.0, State.WAITING)


def _told_to_wait(clock: VirtualClock) -> Case:
    return Case(clock, reject(503, {"Retry-After": "300"})).start(1.0, State.WAITING)


def _awaiting_auth(clock: VirtualClock) -> Case:
    return Case(clock, reject(401)).start(1.0, State.AWAITING_AUTH)


def _logged_out(clock: VirtualClock) -> Case:
    return Case(clock, auth=None).start(1.0, State.AWAITING_AUTH)


def _in_a_provider(clock: VirtualClock) -> Case:
    async def provider() -> str:
        await asyncio.sleep(3600.0)
        return "late"

    return Case(clock, auth=provider, auth_timeout=None).start(1.0, State.CONNECTING)


def _in_a_provider_after_a_refusal(clock: VirtualClock) -> Case:
    calls = 0

    async def provider() -> str:
        nonlocal calls
        calls += 1
        if calls > 1:
            await asyncio.sleep(3600.0)
        return "token"

    case = Case(clock, accept().close(4401), auth=provider, auth_timeout=None)
    return case.start(1.0, State.AWAITING_AUTH)


def _with_a_provider_that_repeats_itself(clock: VirtualClock) -> Case:
    return Case(clock, reject(401), auth=lambda: "same").start(60.0, State.AWAITING_AUTH)


def _between_two_credentials(clock: VirtualClock) -> Case:
    case = Case(clock, accept().freeze()).start(1.0, State.OPEN)
    case.socket.set_auth("b")
    clock.advance(0.02)
    return case


def _with_an_old_peer_departing(clock: VirtualClock) -> Case:
    case = Case(clock, accept().freeze()).start(1.0, State.OPEN)
    case.socket.set_auth("b")
    clock.advance(1.0)
    assert case.socket.state.value is State.OPEN and case.peer.connections == 2
    return case


def _with_held_messages(clock: VirtualClock) -> Case:
    case = Case(clock, accept().send("held"))
    case.holds = [case.socket.connect()]
    clock.advance(1.0)
    return case


def _with_a_session_nobody_reads(clock: VirtualClock) -> Case:
    case = Case(clock, accept().send("held"))
    case.holds = [case.socket.sessions.subscribe()]
    clock.advance(1.0)
    return case


def _ended_by_the_peer(clock: VirtualClock) -> Case:
    return Case(clock, accept().close(1000)).start(1.0, State.CLOSED)


def _failed(clock: VirtualClock) -> Case:
    return Case(clock, reject(410)).start(1.0, State.CLOSED)


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
    assert not case.clock.tasks
    assert case.clock.pending == 0
    assert case.peer.connections == 0


@every_state
def test_close(clock: VirtualClock, make: Make) -> None:
    """``close()`` in every state: the receipt settles within 2 s, and nothing is left then."""
    case = make(clock)
    receipt = case.socket.close()
    assert case.socket.state.value is State.CLOSED
    clock.advance(BOUND)
    assert receipt.done and receipt.result() is None
    check_nothing_left(case)


@every_state
def test_close_again_and_again(clock: VirtualClock, make: Make) -> None:
    """Closing twice, also while it closes and long after, does no harm."""
    case = make(clock)
    completed: list[str] = []
    case.socket.messages.subscribe(None, None, lambda: completed.append("completed"))
    receipts = [case.socket.close(), case.socket.close(4000, "bye")]
    clock.advance(0.5)
    receipts.append(case.socket.close())
    clock.advance(1.5)
    receipts.append(case.socket.close())
    clock.advance(0.0)
    assert all(receipt.done for receipt in receipts)
    assert completed == ["completed"]
    for hold in case.holds:
        hold.dispose()
    check_nothing_left(case)


@every_state
def test_dispose(clock: VirtualClock, make: Make) -> None:
    """When the last one leaves, nothing is left within 2 s; disposing twice does no harm."""
    case = make(clock)
    for hold in (*case.holds, *case.holds):
        hold.dispose()
    assert case.socket.state.value in (State.IDLE, State.CLOSED)
    clock.advance(BOUND)
    check_nothing_left(case)
    for hold in case.holds:
        hold.dispose()
    assert case.socket.state.value in (State.IDLE, State.CLOSED)


@every_state
def test_dispose_then_close(clock: VirtualClock, make: Make) -> None:
    """``close()`` while the last connection is on its way out waits for that one only."""
    case = make(clock)
    for hold in case.holds:
        hold.dispose()
    clock.advance(0.5)
    receipt = case.socket.close()
    clock.advance(BOUND - 0.5)
    assert receipt.done
    check_nothing_left(case)


@every_state
def test_async_with(clock: VirtualClock, make: Make) -> None:
    """Leaving ``async with`` in any state takes 2 s at most, and 0.5 s when it is by an error."""
    for error in (None, KeyboardInterrupt()):
        case = make(clock)
        began = clock.time()
        kind = None if error is None else type(error)
        clock.run(case.socket.__aexit__(kind, error, None))
        took = clock.time() - began
        assert took <= (BOUND if error is None else 0.5) + 1e-6
        clock.advance(0.0)
        check_nothing_left(case)


@every_state
def test_the_socket_is_of_use_afterwards(clock: VirtualClock, make: Make) -> None:
    """A socket that was closed can be subscribed again; a late ``set_auth`` is kept for then."""
    case = make(clock)
    case.socket.close()
    clock.advance(BOUND)
    case.socket.set_auth("fresh")
    case.socket.reconnect()
    clock.advance(10.0)
    check_nothing_left(case)
    case.peer.default = accept().send("hello")
    case.peer.script(accept().send("hello"))
    messages: list[str] = []
    case.socket.messages.subscribe(messages.append)
    clock.advance(60.0)
    assert messages == ["hello"]
    assert case.peer.handshakes[-1].credential == "fresh"
    case.socket.close()
    clock.advance(BOUND)
    check_nothing_left(case)


@pytest.mark.parametrize("close_timeout", [0.0, 0.25, 2.0])
def test_a_frozen_peer_is_dropped_after_close_timeout(
    clock: VirtualClock, close_timeout: float
) -> None:
    """A peer that does not answer our close is dropped after close_timeout, not before."""
    peer = fake(accept().freeze())
    socket = Socket(peer.url, transport=peer, close_timeout=close_timeout)
    socket.connect()
    clock.advance(1.0)
    receipt = socket.close()
    clock.run(_awaited(receipt))
    assert clock.time() == pytest.approx(1.0 + close_timeout)
    assert peer.closes == [(1, 1006, "")]


async def _awaited(receipt: Receipt[None]) -> None:
    await receipt


def test_a_peer_that_answers_closes_at_once(clock: VirtualClock) -> None:
    """The code and the text go out, and the receipt settles with the answer."""
    peer = fake(latency=0.1)
    socket = Socket(peer.url, transport=peer)
    socket.connect()
    clock.advance(1.0)
    receipt = socket.close(4000, "bye")
    clock.advance(0.05)
    assert not receipt.done
    clock.advance(0.05)
    assert receipt.done
    assert peer.closes == [(1, 4000, "bye")]


@pytest.mark.parametrize("linger", [0.0, 30.0])
def test_linger_leaves_nothing(clock: VirtualClock, linger: float) -> None:
    """A socket that lingers after its last subscriber leaves no timer when it is closed then."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, linger=linger)
    socket.connect().dispose()
    clock.advance(1.0)
    socket.close()
    clock.advance(BOUND)
    assert not clock.tasks and clock.pending == 0 and peer.connections == 0


def test_pending_receipts_settle(clock: VirtualClock) -> None:
    """Nobody waits for ever: changes and messages on their way are settled when it closes."""
    peer = fake(accept().freeze(), hang())
    socket = Socket(peer.url, transport=peer, auth="a")
    socket.connect()
    clock.advance(1.0)
    sending = socket.send("hello")
    changing = socket.set_auth("b")
    clock.advance(0.5)
    again = socket.send("late")
    socket.close()
    clock.advance(BOUND)
    assert sending.done and changing.done and again.done


def test_a_close_from_an_observer_of_the_end(clock: VirtualClock) -> None:
    """``close()`` called in on_completed and at ``Closed`` is the same close."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    receipts: list[Receipt[None]] = []
    socket.messages.subscribe(None, None, lambda: receipts.append(socket.close()))
    socket.closes.subscribe(lambda _: receipts.append(socket.close()))
    clock.advance(1.0)
    receipts.append(socket.close())
    clock.advance(BOUND)
    assert len(receipts) == 3
    assert all(receipt.done for receipt in receipts)
