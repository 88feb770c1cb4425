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


def _open(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(accept().stay())
    virtual.advance(1.0)
    return mine


def _frozen(virtual: VirtualClock, make: Make) -> Scene:
    mine = _open(virtual, make)
    mine.peer.freeze()
    return mine


def _pinging(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(accept().freeze(), ping_interval=10.0, ping_timeout=600.0)
    virtual.advance(11.0)  # a ping is on its way
    return mine


def _beating(virtual: VirtualClock, make: Make) -> Scene:
    beat = heartbeat(send="hb", expect="hb", interval=10.0, timeout=600.0)
    mine = make(accept().freeze(), heartbeat=beat, stale_after=5.0)
    virtual.advance(11.0)
    return mine


def _flooded(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(accept().send(*["x"] * 5000).stay())
    mine.socket.messages.subscribe(lambda _: None)
    virtual.advance(0.0)
    return mine


def _hanging(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(hang(), open_timeout=None)
    virtual.advance(100.0)
    return mine


def _in_a_provider(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(auth=_never, auth_timeout=None)
    virtual.advance(100.0)
    return mine


def _asking_again(virtual: VirtualClock, make: Make) -> Scene:
    answers = iter(["first"])

    async def token() -> str:
        return next(answers, None) or await _never()

    mine = make(reject(401), auth=token, auth_timeout=None)
    virtual.advance(100.0)
    return mine


def _waiting(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(*[unreachable()] * 100)
    virtual.advance(100.0)
    return mine


def _told_to_wait(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(reject(503, {"Retry-After": "299"}))
    virtual.advance(1.0)
    virtual.jump(30.0)
    virtual.advance(2.0)
    return mine


def _parked(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(tokens={"good"}, auth="bad")
    virtual.advance(100.0)
    return mine


def _changing(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(auth="a")
    virtual.advance(1.0)
    mine.peer.freeze()
    mine.socket.set_auth("b")
    return mine


def _at_the_doorstep(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(auth="a", carrier=first_message(str, accepted=bool, timeout=600.0))
    virtual.advance(100.0)
    mine.peer.freeze()
    return mine


def _handing_over(virtual: VirtualClock, make: Make) -> Scene:
    ready = handover(ready="message", timeout=600.0)
    mine = make(auth="a", on_auth_change=ready, identity=lambda _: "me")
    virtual.advance(10.0)
    mine.socket.set_auth("b")
    virtual.advance(1.0)
    assert mine.peer.connections == 2
    mine.peer.freeze()
    return mine


def _dialling_beside(virtual: VirtualClock, make: Make) -> Scene:
    how = handover(timeout=600.0)
    mine = make(accept(), hang(), auth="a", on_auth_change=how, identity=lambda _: "me")
    virtual.advance(10.0)
    mine.socket.set_auth("b")
    virtual.advance(1.0)
    return mine


def _asking_in_band(virtual: VirtualClock, make: Make) -> Scene:
    how = in_band(str, accepted=bool, timeout=600.0)
    mine = make(accept().freeze(), auth="a", on_auth_change=how, identity=lambda _: "me")
    virtual.advance(10.0)
    mine.socket.set_auth("b")
    virtual.advance(1.0)
    return mine


def _lingering(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(accept().freeze(), watch=False, linger=600.0)
    holding = mine.socket.connect()
    virtual.advance(1.0)
    holding.dispose()
    virtual.advance(1.0)
    return mine


def _things_wait_to_be_sent(virtual: VirtualClock, make: Make) -> Scene:
    mine = make(*[unreachable()] * 100, queue_for=600.0)
    virtual.advance(1.0)
    for number in range(200):
        mine.socket.send(str(number))
    virtual.advance(10.0)
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
def test_close_is_bounded(virtual: VirtualClock, scene: Make, name: str) -> None:
    """C26: within close_timeout (2 s) the receipt settles, and no task or timer is left."""
    reach, state = STATES[name]
    mine = reach(virtual, scene)
    # A change may have been taken further already: what is tested is that it can be closed there.
    assert mine.socket.state.value in (state, State.CONNECTING)
    began = virtual.time()
    virtual.run(_awaited(mine.socket.close()), within=2.0)
    assert virtual.time() - began <= 2.0
    virtual.advance(0.0)
    assert virtual.pending == 0 and not virtual.tasks
    assert mine.socket.state.value is State.CLOSED
    before = len(mine.entries)
    virtual.advance(3600.0)
    assert len(mine.entries) == before and mine.peer.live == 0


async def _awaited(receipt: Any) -> None:
    await receipt
