"""The pulse of a loop (C17): one timer whatever listens, and none when nobody does."""

from __future__ import annotations

import asyncio

import pytest

from rxsocket import Socket
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.loop_monitor import loop_monitor
from rxsocket.testing import VirtualClock, fake


class RecordingListener:
    def __init__(self) -> None:
        self.what: list[tuple[str, float]] = []

    def on_blocked(self, seconds: float) -> None:
        self.what.append(("blocked", seconds))

    def on_jumped(self, seconds: float) -> None:
        self.what.append(("jumped", seconds))


def test_it_beats_only_while_somebody_listens(clock: VirtualClock) -> None:
    """Two listeners share one timer; leaving twice does no harm."""
    pulse, told, other = loop_monitor(clock), RecordingListener(), RecordingListener()
    assert clock.pending == 0
    pulse.add(told)
    pulse.add(other)
    assert clock.pending == 1
    clock.advance(100.0)
    assert clock.pending == 1 and told.what == []
    pulse.remove(told)
    pulse.remove(told)
    assert clock.pending == 1
    pulse.remove(other)
    assert clock.pending == 0


def test_a_hundred_sockets_have_one_pulse(clock: VirtualClock) -> None:
    """An open socket costs one timer, its keepalive; the pulse is one more for all of them."""
    network = fake()
    sockets = [Socket(network.url, transport=network) for _ in range(100)]
    held = [socket.connect() for socket in sockets]
    clock.advance(1.0)
    assert network.connections == 100 and clock.pending == 101
    for hold in held:
        hold.dispose()
    clock.advance(2.0)
    assert clock.pending == 0


@pytest.mark.parametrize(
    ("block", "jump", "what"),
    [
        (0.0, 0.0, []),
        (0.9, 0.0, []),
        (2.5, 0.0, ["blocked"]),
        (0.0, 2.9, []),
        (0.0, 3.1, ["jumped"]),
        (0.0, -9.0, []),
        (2.5, 9.0, ["jumped"]),
        (2.5, -9.0, ["blocked"]),
    ],
)
def test_what_it_tells(clock: VirtualClock, block: float, jump: float, what: list[str]) -> None:
    """Late by 1 s is a block, ahead by more than 3 s is a jump; each is told once."""
    pulse, told = loop_monitor(clock), RecordingListener()
    pulse.add(told)
    clock.advance(0.5)
    clock.jump(jump)
    clock.block(block)
    clock.advance(60.0)
    assert [kind for kind, _ in told.what] == what
    pulse.remove(told)


def test_it_remembers_the_last_block_while_it_beats(clock: VirtualClock) -> None:
    """Who waited through a block learns of it, during and after; who came later does not."""
    pulse, told = loop_monitor(clock), RecordingListener()
    pulse.add(told)
    clock.advance(0.5)
    began = clock.time()
    clock.block(10.0)
    assert pulse.blocked_since(began) == pytest.approx(9.5)
    clock.advance(5.0)
    assert pulse.blocked_since(began) == pytest.approx(9.5)
    assert pulse.blocked_since(clock.time()) == 0.0
    pulse.remove(told)
    assert pulse.blocked_since(began) == 0.0


def test_a_loop_that_is_unbound_in_between_is_not_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """C24: another thread unbinds it while this one, which has no loop, asks if it is its own."""
    bound = asyncio.new_event_loop()
    loop = SocketLoop(bound)
    loop.bind()
    monkeypatch.setattr("rxsocket.runtime.loop.running_loop", loop._unbind)
    assert not loop.is_current
    bound.close()
