"""C45: what a socket has counted, whoever looks."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from reactivex.subject import BehaviorSubject, Subject
from scene import A, B, Make
from test_c27_async_for import Reader, feed

from rxsocket import (
    Limits,
    Socket,
    State,
    Stats,
    first_message,
    handover,
    heartbeat,
    in_band,
    json,
)
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable


def changed(socket: Socket[Any, Any]) -> dict[str, Any]:
    """What is not as it is in the beginning, but for times."""
    beginning = Socket("ws://fake.test/").stats
    return {
        field.name: getattr(socket.stats, field.name)
        for field in dataclasses.fields(Stats)
        if field.name not in ("at", "since", "latency")
        and getattr(socket.stats, field.name) != getattr(beginning, field.name)
    }


def test_looking_does_not_connect(clock: VirtualClock, scene: Make) -> None:
    """Nothing is counted before anything was asked for, and a snapshot is frozen."""
    it = scene(watch=False)
    stats = it.socket.stats
    assert stats == it.socket.stats
    assert stats.since is None and changed(it.socket) == {}
    clock.advance(10.0)
    assert it.peer.handshakes == [] and it.socket.stats.seconds_without_connection == 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.at = 1.0  # type: ignore[misc]


def test_messages_and_bytes_whoever_looks(clock: VirtualClock, scene: Make) -> None:
    """Text counts in UTF-8; it matters neither who observes messages nor that nobody does."""
    it = scene(accept().send("héllo", b"\xff\x00", "").wait(1.0).send("x"), watch=False)
    connected = it.socket.connect()
    clock.advance(0.5)
    assert (it.socket.stats.messages_received, it.socket.stats.bytes_received) == (3, 8)
    it.socket.messages.subscribe()
    clock.advance(1.0)
    assert (it.socket.stats.messages_received, it.socket.stats.bytes_received) == (4, 9)
    connected.dispose()


def test_what_is_not_delivered_is_counted_too(clock: VirtualClock, scene: Make) -> None:
    """The answer to a credential, that to a heartbeat, and what does not decode."""
    it = scene(
        accept().expect("a").send("ok", '"early"').expect("ping").send('"pong"', "{"),
        auth="a",
        carrier=first_message(str, accepted=lambda message: message == "ok"),
        heartbeat=heartbeat(send="ping", expect='"pong"', interval=1.0),
        codec=json(),
    )
    clock.advance(1.5)
    stats = it.socket.stats
    assert (stats.messages_received, stats.bytes_received) == (4, len('ok"early""pong"{'))
    assert (stats.messages_sent, stats.bytes_sent) == (2, len("aping"))
    assert stats.undecodable == 1


def test_an_outage_that_lasts(clock: VirtualClock, scene: Make) -> None:
    """It goes on from moment to moment, over all attempts; afterwards it stays what it was."""
    it = scene(accept().wait(10.0).drop(), *[unreachable()] * 3)
    clock.advance(10.0)
    assert changed(it.socket) == {"state": State.WAITING, "attempts": 1, "connections": 1}
    for second in range(1, 40):
        clock.advance(1.0)
        stats = it.socket.stats
        if stats.state is State.OPEN:
            break
        assert stats.outage == stats.seconds_without_connection == pytest.approx(second)
    assert changed(it.socket) == {
        "state": State.OPEN,
        "attempts": 5,
        "connections": 2,
        "failures": 3,
        "seconds_without_connection": pytest.approx(30.0),
    }
    clock.advance(100.0)
    assert it.socket.stats.seconds_without_connection == pytest.approx(30.0)
    assert it.socket.stats.since == pytest.approx(it.socket.stats.at - 100.0)


def test_the_first_connection_is_waited_for_as_well(clock: VirtualClock, scene: Make) -> None:
    """A socket that never connects has an outage, from its first subscriber on."""
    it = scene(hang(), watch=False, open_timeout=None)
    clock.advance(5.0)
    it.watch()
    clock.advance(7.0)
    assert it.socket.stats.outage == pytest.approx(7.0)


def test_what_nobody_wants_is_no_outage(clock: VirtualClock, scene: Make) -> None:
    """Idle, ended, gated, logged out, and before a source says anything."""
    gate = BehaviorSubject(True)
    it = scene(watch=False, auth=A, gate=gate)
    events = it.socket.events.subscribe()
    clock.advance(1.0)
    gate.on_next(False)
    clock.advance(10.0)
    assert it.socket.stats.state is State.GATED
    gate.on_next(True)
    clock.advance(1.0)
    it.socket.set_auth(None)
    clock.advance(10.0)
    assert it.socket.stats.state is State.AWAITING_AUTH
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.socket.stats.state is State.OPEN
    events.dispose()
    clock.advance(10.0)
    assert it.socket.stats.state is State.IDLE
    it.socket.close()
    clock.advance(10.0)
    assert it.socket.stats.state is State.CLOSED
    assert it.socket.stats.seconds_without_connection == 0.0

    silent = scene(auth=Subject[Any]())
    clock.advance(10.0)
    assert silent.socket.stats.state is State.AWAITING_AUTH
    assert silent.socket.stats.seconds_without_connection == 0.0


@pytest.mark.parametrize("script", [reject(401), accept().close(4401)], ids=["401", "4401"])
def test_a_refused_credential_is_an_outage(clock: VirtualClock, scene: Make, script: Any) -> None:
    """One refusal, and time without a connection until there is another credential."""
    it = scene(script, auth=A)
    clock.advance(60.0)
    assert it.socket.stats.refusals == 1
    assert it.socket.stats.outage == pytest.approx(60.0)
    it.socket.send("still waiting")  # nothing that happens meanwhile ends or begins it
    clock.advance(10.0)
    assert it.socket.stats.unsent == 1
    assert it.socket.stats.outage == pytest.approx(70.0)
    it.socket.set_auth(None)
    clock.advance(60.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.socket.stats.outage == 0.0
    assert it.socket.stats.seconds_without_connection == pytest.approx(70.0)


def test_counters_outlive_a_start_and_a_loop(clock: VirtualClock, scene: Make) -> None:
    """A socket that ended and is started again counts on."""
    it = scene(accept().send("1").wait(1.0).close(1000), accept().send("2").stay())
    clock.advance(5.0)
    assert it.socket.stats.state is State.CLOSED
    it.watch()
    clock.advance(1.0)
    assert changed(it.socket) == {
        "state": State.OPEN,
        "attempts": 2,
        "connections": 2,
        "messages_received": 2,
        "bytes_received": 2,
    }


def test_a_handover_is_a_renewal_without_an_outage(clock: VirtualClock, scene: Make) -> None:
    """Both connections count; early messages of the next one count once."""
    it = scene(
        accept().stream((str(n) for n in itertools.count(10)), rate=10.0),
        accept().stream((str(n) for n in itertools.count(10)), rate=10.0),
        auth=A,
        on_auth_change=handover(),
        identity=lambda _: "me",
    )
    clock.advance(2.05)
    it.socket.set_auth(B)
    clock.advance(2.0)
    stats = it.socket.stats
    delivered = sum(name == "Message" for name in it.names)
    assert stats.messages_received == delivered > 15
    assert stats.bytes_received == 2 * delivered
    assert (stats.attempts, stats.connections, stats.renewals) == (2, 2, 1)
    assert stats.seconds_without_connection == 0.0


def test_a_handover_that_is_refused_is_one_refusal(clock: VirtualClock, scene: Make) -> None:
    """The attempt was rejected, and with that the renewal failed: that is one."""
    it = scene(accept(), reject(401), auth=A, on_auth_change=handover(), identity=lambda _: "me")
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert "RenewalFailed" in it.names
    stats = it.socket.stats
    assert (stats.refusals, stats.renewals, stats.outage) == (1, 0, 0.0)


@pytest.mark.parametrize(("answer", "refusals", "renewals"), [("ok", 0, 1), ("no", 1, 0)])
def test_in_band(
    clock: VirtualClock, scene: Make, answer: str, refusals: int, renewals: int
) -> None:
    """What goes and what comes are messages; the answer is a renewal, or a refusal."""
    strategy = in_band(
        lambda value: f"auth {value['token']}",
        accepted=lambda message: message == "ok",
        rejected=lambda message: message == "no",
        otherwise="keep",
    )
    it = scene(
        accept().expect("auth b").send(answer).stay(),
        auth=A,
        on_auth_change=strategy,
        identity=lambda _: "me",
    )
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    stats = it.socket.stats
    assert (stats.refusals, stats.renewals) == (refusals, renewals)
    assert (stats.messages_sent, stats.bytes_sent) == (1, 6)
    assert (stats.messages_received, stats.bytes_received) == (1, 2)


def test_what_waits_and_what_was_sent(clock: VirtualClock, scene: Make) -> None:
    """Messages wait with their bytes until they are written; fragments count when they were."""

    async def parts() -> Any:
        yield "é"
        yield "b"

    it = scene(accept().delay(1.0))
    it.socket.send("é")
    it.socket.send(b"123")
    it.socket.send(parts())
    assert (it.socket.stats.waiting, it.socket.stats.waiting_bytes) == (3, 5)
    assert it.socket.stats.messages_sent == 0
    clock.advance(2.0)
    assert changed(it.socket) == {
        "state": State.OPEN,
        "attempts": 1,
        "connections": 1,
        "messages_sent": 3,
        "bytes_sent": 8,
        "seconds_without_connection": 1.0,
    }


def test_what_channels_ask_for_is_sent(clock: VirtualClock, scene: Make) -> None:
    """Also on the next connection, before it delivers."""
    it = scene(auth=A, on_auth_change=handover(), identity=lambda _: "me", limits=Limits(batch=10))
    trades = it.socket.channel(subscribe="trades", match=lambda message: False)
    trades.subscribe()
    clock.advance(1.0)
    assert (it.socket.stats.messages_sent, it.socket.stats.bytes_sent) == (1, 6)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert (it.socket.stats.messages_sent, it.socket.stats.bytes_sent) == (2, 12)


def test_a_pause_of_reading_that_lasts(clock: VirtualClock, scene: Make) -> None:
    """As long as there is a connection to read from, and somebody has too many waiting."""
    it = feed(scene)
    reader = Reader(clock, it.socket.messages, 1.0, high_water=4, low_water=1)
    clock.advance(0.45)
    assert it.socket.stats.seconds_paused == 0.0
    clock.advance(1.55)
    assert it.socket.stats.seconds_paused == pytest.approx(1.5)  # since 0.5, when "4" came
    clock.advance(2.0)
    assert it.socket.stats.seconds_paused > 2.6
    reader.task.cancel()
    clock.advance(10.0)
    paused = it.socket.stats.seconds_paused
    clock.advance(10.0)
    assert it.socket.stats.seconds_paused == paused


def test_messages_that_get_nowhere(clock: VirtualClock, scene: Make) -> None:
    """Without a subscriber they are dropped; numbers that are missing were missed."""
    it = scene(accept().send("1", "2").stay(), watch=False)
    it.socket.connect()
    clock.advance(6.0)
    assert it.socket.stats.dropped == it.socket.stats.messages_received == 2

    numbered = scene(accept().send("1", "4", "5").stay(), codec=json(), cursor=lambda value: value)
    clock.advance(1.0)
    assert numbered.socket.stats.missed == 2


def test_an_observer_sees_what_led_to_its_call(clock: VirtualClock, scene: Make) -> None:
    """A snapshot taken in a callback counts what it is called for."""
    it = scene(accept().send("1", "2").wait(1.0).drop(), unreachable(), watch=False)
    seen: list[tuple[str, Stats]] = []
    it.socket.state.subscribe(lambda state: seen.append((state.value, it.socket.stats)))
    it.socket.opens.subscribe(lambda _: seen.append(("opened", it.socket.stats)))
    it.socket.messages.subscribe(lambda message: seen.append((message, it.socket.stats)))
    clock.advance(3.5)
    by_name = dict(seen)
    assert by_name["opened"].connections == by_name["open"].connections == 1
    assert (by_name["1"].messages_received, by_name["2"].messages_received) == (1, 2)
    assert (by_name["waiting"].failures, by_name["connecting"].attempts) == (1, 2)


def test_explain_says_how_long_in_all_and_what_waits(clock: VirtualClock, scene: Make) -> None:
    """An outage of several attempts, and messages that wait for its end; not while it is open."""
    it = scene(accept().wait(10.0).drop(), *[unreachable()] * 3, queue_for=60.0)
    clock.advance(20.0)
    it.socket.send("1")
    assert it.socket.explain().notes == ("no connection for 10 s", "1 message waits to be sent")
    it.socket.send("2")
    clock.advance(5.0)
    assert it.socket.explain().notes == ("no connection for 15 s", "2 messages wait to be sent")
    clock.advance(20.0)
    assert it.socket.stats.state is State.OPEN and it.socket.explain().notes == ()
