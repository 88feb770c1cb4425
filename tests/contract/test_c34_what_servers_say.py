"""C34: servers that tell a client to leave, each as it does; the user's part is a line or two."""

from __future__ import annotations

from typing import Any

from network_stage import MakeStage
from reactivex import operators as ops
from scene import A, Capped, Make

from rxsocket import (
    Cause,
    Closed,
    Ended,
    Opened,
    State,
    endpoint,
    first_message,
    handover,
    json,
)
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


def test_twitch_closes_the_old_one_when_the_new_one_is_welcome(
    clock: VirtualClock, stage: MakeStage
) -> None:
    """``session_reconnect`` has a ``reconnect_url``; the old one delivers until the welcome."""
    url, moved = "ws://eventsub.test/ws", "ws://eventsub.test/ws?challenge=7"
    welcome = '{"metadata": {"message_type": "session_welcome"}}'
    told = {
        "metadata": {"message_type": "session_reconnect"},
        "payload": {"session": {"reconnect_url": moved}},
    }
    strategy = handover(ready=lambda message: kind(message) == "session_welcome")
    on = stage(url, accept().send(welcome), codec=json(), on_auth_change=strategy)
    on.network.default = accept().delay(0.3).send(welcome)

    reconnects = on.socket.messages.pipe(ops.filter(lambda m: kind(m) == "session_reconnect"))
    reconnects.subscribe(
        lambda m: on.socket.renew(within=30.0, url=m["payload"]["session"]["reconnect_url"])
    )

    clock.advance(60.0)
    on.network.push(dumped(told))
    while len(on.network.handshakes) < 2 and clock.time() < 90.0:
        clock.advance(0.1)
    clock.advance(on.network.handshakes[1].at + 0.3 - clock.time() - 0.001)
    on.network.visits[0].close(1000, "")  # the welcome is on its way
    clock.advance(1.0)
    assert [dict(handshake.query) for handshake in on.network.handshakes] == [
        {},
        {"challenge": "7"},
    ]
    assert on.of(Closed)[0].code == 1000
    assert clock.time() < 90.0
    opened = on.of(Opened)[-1]
    assert (opened.cause, opened.epoch) == (Cause.RENEW, 2)
    assert on.of(Ended) == [] and on.socket.state.value is State.OPEN


def test_discord_resumes_elsewhere(clock: VirtualClock, stage: MakeStage) -> None:
    """Op 7 says reconnect: at ``resume_gateway_url``, from the last sequence number on."""
    ready = {
        "op": 0,
        "s": 1,
        "t": "READY",
        "d": {"resume_gateway_url": "ws://us-east1.gateway.test/"},
    }
    identify = first_message(
        lambda token, seq: dumped({"op": 6 if seq else 2, "d": {"token": token, "seq": seq}})
    )
    first = (
        accept().expect(lambda it: '"op": 2' in it).send(dumped(ready)).send('{"op": 0, "s": 2}')
    )
    on = stage(
        endpoint("ws://gateway.test/", subdomains=True),
        first.wait(60.0).send('{"op": 7}'),
        auth="abc",
        carrier=identify,
        codec=json(),
        cursor=lambda message: message.get("s"),
    )
    resumed = accept().expect(lambda it: '"op": 6' in it and '"seq": 2' in it)
    on.network.default = resumed.send('{"op": 0, "t": "RESUMED", "s": 3}')

    sessions = on.socket.messages.pipe(ops.filter(lambda m: m.get("t") == "READY"))
    op_7 = on.socket.messages.pipe(ops.filter(lambda m: m["op"] == 7))
    op_7.pipe(ops.with_latest_from(sessions)).subscribe(
        lambda both: on.socket.renew(url=both[1]["d"]["resume_gateway_url"], code=4000)
    )

    clock.advance(70.0)
    assert on.hosts == ["gateway.test", "us-east1.gateway.test"]
    assert on.network.closes == [(1, 4000, "")]  # after 1000 nothing could be resumed
    assert on.socket.state.value is State.OPEN


def kind(message: Any) -> str:
    return str(message["metadata"]["message_type"])


def seconds(message: Any) -> float:
    return float(message["goAway"]["timeLeft"].removesuffix("s"))


def dumped(value: Any) -> str:
    import json

    return json.dumps(value)


def of(it: Any, kind: Any) -> list[Any]:
    """The events of a kind."""
    return [event for event in it.events if isinstance(event, kind)]
