"""C34: servers that tell a client to leave, each as it does; the user's part is a line or two."""

from __future__ import annotations

from typing import Any

from reactivex import operators as ops
from scene import A, Capped, Make

from rxsocket import Cause, Closed, Opened, State, handover, json
from rxsocket.testing import VirtualClock, accept


def test_slack_warns_before_it_disconnects(clock: VirtualClock, scene: Make) -> None:
    """Socket Mode says ``disconnect`` with the reason ``warning`` some 10 s before it closes."""
    warning = {"type": "disconnect", "reason": "warning", "debug_info": {"host": "applink"}}
    first = accept().send('{"type": "hello"}').wait(60.0).send(dumped(warning)).wait(10.0)
    it = scene(first.close(1000), auth=A, codec=json(), on_auth_change=handover())
    it.peer.default = accept().send('{"type": "hello"}').stay()

    told = it.socket.messages.pipe(ops.filter(lambda message: message["type"] == "disconnect"))
    told.subscribe(lambda message: it.socket.renew(within=10.0, why=message["reason"]))

    clock.advance(120.0)
    closed, opened = of(it, Closed)[0], of(it, Opened)[1]
    assert (closed.cause, closed.reason) == (Cause.HANDED_OVER, "warning")
    assert (opened.cause, opened.gap, opened.epoch) == (Cause.RENEW, 0.0, 2)
    assert it.socket.state.value is State.OPEN and it.peer.dials == 2


def test_gemini_goes_away_and_allows_one(clock: VirtualClock, scene: Make) -> None:
    """``goAway`` with ``timeLeft`` of 2 s; a second session beside the first is refused."""
    it = scene(peer=Capped(1), auth=A, codec=json())

    told = it.socket.messages.pipe(ops.filter(lambda message: "goAway" in message))
    told.subscribe(lambda message: it.socket.renew(within=seconds(message), why="goAway"))

    clock.advance(60.0)
    it.peer.push('{"goAway": {"timeLeft": "2s"}}')
    clock.advance(2.0)
    assert [event.cause for event in of(it, Closed)] == [Cause.RENEW]
    assert it.socket.state.value is State.OPEN
    assert (it.peer.dials, it.peer.most_open) == (2, 1)


def seconds(message: Any) -> float:
    return float(message["goAway"]["timeLeft"].removesuffix("s"))


def dumped(value: Any) -> str:
    import json

    return json.dumps(value)


def of(it: Any, kind: Any) -> list[Any]:
    """The events of a kind."""
    return [event for event in it.events if isinstance(event, kind)]
