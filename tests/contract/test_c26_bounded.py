"""C26: shutdown is bounded in every state, whatever the peer or the user's function does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from scene import Make, Scene

from rxsocket import State, first_message, handover, heartbeat, in_band
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable


async def _never() -> str:
    await asyncio.Event().wait()
    raise AssertionError


def _open(clock: VirtualClock, make: Make) -> Scene:
    mine = make(accept().stay())
    clock.advance(1.0)
    return mine


def _frozen(clock: VirtualClock, make: Make) -> Scene:
    mine = _open(clock, make)
    mine.peer.freeze()
    return mine


def _pinging(clock: VirtualClock, make: Make) -> Scene:
    mine = make(accept().freeze(), ping_interval=10.0, ping_timeout=600.0)
    clock.advance(11.0)  # a ping is on its way
    return mine


def _beating(clock: VirtualClock, make: Make) -> Scene:
    beat = heartbeat(send="hb", expect="hb", interval=10.0, timeout=600.0)
    mine = make(accept().freeze(), heartbeat=beat, stale_after=5.0)
    clock.advance(11.0)
    return mine


def _flooded(clock: VirtualClock, make: Make) -> Scene:
    mine = make(accept().send(*["x"] * 5000).stay())
    mine.socket.messages.subscribe(lambda _: None)
    clock.advance(0.0)
    return mine


def _hanging(clock: VirtualClock, make: Make) -> Scene:
    mine = make(hang(), open_timeout=None)
    clock.advance(100.0)
    return mine


def _in_a_provider(clock: VirtualClock, make: Make) -> Scene:
    mine = make(auth=_never, auth_timeout=None)
    clock.advance(100.0)
    return mine


def _asking_again(clock: VirtualClock, make: Make) -> Scene:
    answers = iter(["first"])

    async def token() -> str:
        return next(answers, None) or await _never()

    mine = make(reject(401), auth=token, auth_timeout=None)
    clock.advance(100.0)
    return mine


def _waiting(clock: VirtualClock, make: Make) -> Scene:
    mine = make(*[unreachable()] * 100)
    clock.advance(100.0)
    return mine


def _told_to_wait(clock: VirtualClock, make: Make) -> Scene:
    mine = make(reject(503, {"Retry-After": "299"}))
    clock.advance(1.0)
    clock.jump(30.0)
    clock.advance(2.0)
    return mine


def _parked(clock: VirtualClock, make: Make) -> Scene:
    mine = make(tokens={"good"}, auth="bad")
    clock.advance(100.0)
    return mine


def _changing(clock: VirtualClock, make: Make) -> Scene:
    mine = make(auth="a")
    clock.advance(1.0)
    mine.peer.freeze()
    mine.socket.set_auth("b")
    return mine


def _at_the_doorstep(clock: VirtualClock, make: Make) -> Scene:
    mine = make(auth="a", carrier=first_message(str, accepted=bool, timeout=600.0))
    clock.advance(100.0)
    mine.peer.freeze()
    return mine


def _handing_over(clock: VirtualClock, make: Make) -> Scene:
    ready = handover(ready="message", timeout=600.0)
    mine = make(auth="a", on_auth_change=ready, identity=lambda _: "me")
    clock.advance(10.0)
    mine.socket.set_auth("b")
    clock.advance(1.0)
    assert mine.peer.connections == 2
    mine.peer.freeze()
    return mine


def _dialling_beside(clock: VirtualClock, make: Make) -> Scene:
    how = handover(timeout=600.0)
    mine = make(accept(), hang(), auth="a", on_auth_change=how, identity=lambda _: "me")
    clock.advance(10.0)
    mine.socket.set_auth("b")
    clock.advance(1.0)
    return mine


def _asking_in_band(clock: VirtualClock, make: Make) -> Scene:
    how = in_band(str, accepted=bool, timeout=600.0)
    mine = make(accept().freeze(), auth="a", on_auth_change=how, identity=lambda _: "me")
    clock.advance(10.0)
    mine.socket.set_auth("b")
    clock.advance(1.0)
    return mine


def _lingering(clock: VirtualClock, make: Make) -> Scene:
    mine = make(accept().freeze(), watch=False, linger=600.0)
    holding = mine.socket.connect()
    clock.advance(1.0)
    holding.dispose()
    clock.advance(1.0)
    return mine


def _things_wait_to_be_sent(clock: VirtualClock, make: Make) -> Scene:
    mine = make(*[unreachable()] * 100, queue_for=600.0)
    clock.advance(1.0)
    for number in range(200):
        mine.socket.send(str(number))
    clock.advance(10.0)
    return mine


STATES: dict[str, tuple[Callable[[VirtualClock, Make], Scene], State]] = {
    "open": (_open, State.OPEN),
    "open, the peer frozen": (_frozen, State.OPEN),
    "a ping on its way": (_pinging, State.OPEN),
    "a heartbeat on its way": (_beating, State.OPEN),
    "flooded": (_flooded, State.OPEN),
    "a handshake that hangs": (_hanging, State.CONNECTING),
    "inside a provider": (_in_a_provider, State.CONNECTING),
    "asking a provider again": (_asking_again, State.AWAITING_AUTH),
    "waiting": (_waiting, State.WAITING),
    "told to wait, time jumped": (_told_to_wait, State.WAITING),
    "awaiting a credential": (_parked, State.AWAITING_AUTH),
    "changing the credential": (_changing, State.WAITING),
    "the first message unanswered": (_at_the_doorstep, State.CONNECTING),
    "handing over": (_handing_over, State.OPEN),
    "a handover that hangs": (_dialling_beside, State.OPEN),
    "an answer in band awaited": (_asking_in_band, State.OPEN),
    "lingering": (_lingering, State.OPEN),
    "with a full queue": (_things_wait_to_be_sent, State.WAITING),
}


@pytest.mark.parametrize("name", STATES)
def test_close_is_bounded(clock: VirtualClock, scene: Make, name: str) -> None:
    """C26: within close_timeout (2 s) the receipt settles, and no task or timer is left."""
    reach, state = STATES[name]
    mine = reach(clock, scene)
    # A change may have been taken further already: what is tested is that it can be closed there.
    assert mine.socket.state.value in (state, State.CONNECTING)
    began = clock.time()
    clock.run(_awaited(mine.socket.close()), within=2.0)
    assert clock.time() - began <= 2.0
    clock.advance(0.0)
    assert clock.pending == 0 and not clock.tasks
    assert mine.socket.state.value is State.CLOSED
    before = len(mine.entries)
    clock.advance(3600.0)
    assert len(mine.entries) == before and mine.peer.live == 0


async def _awaited(receipt: Any) -> None:
    await receipt
