"""C36: what goes out keeps to the limits; receipts wait, order is kept, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from exchange import Exchange
from internals import MAX_BYTES, outbox_of
from scene import A, Make, Scene

from rxsocket import (
    IdentityChanged,
    Limits,
    NotConnected,
    QueueFull,
    Receipt,
    Sent,
    State,
    first_message,
    handover,
)
from rxsocket.testing import VirtualClock, accept


def numbers(it: Scene, count: int) -> list[Receipt[Sent]]:
    """The receipts of so many messages."""
    return [it.socket.send(str(number)) for number in range(count)]


def arrivals(exchange: Exchange) -> list[tuple[float, str]]:
    """When what came."""
    return [(round(one.at, 6), one.op) for one in exchange.arrivals]


def test_messages_are_apart_and_in_order(clock: VirtualClock, scene: Make) -> None:
    """5/s: each 0.2 s after the one before, and its receipt settles when it was written."""
    it = scene(limits=Limits(pace="5/s"))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    began = clock.time()
    receipts = numbers(it, 11)
    done: list[tuple[float, int]] = []
    for number, receipt in enumerate(receipts):
        receipt.subscribe(lambda _, number=number: done.append((clock.time() - began, number)))
    clock.advance(0.9)
    assert [number for _, number in done] == [0, 1, 2, 3, 4]
    clock.advance(5.0)
    expected = [(pytest.approx(number / 5), number) for number in range(11)]
    assert done == expected
    assert [(at - began, int(op)) for at, op in arrivals(exchange)] == expected


def test_a_burst_goes_at_once_within_the_pace(clock: VirtualClock, scene: Make) -> None:
    """In bursts of 3, and in no second more than 5."""
    it = scene(limits=Limits(pace="5/s", burst=3))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    began = clock.time()
    numbers(it, 20)
    clock.advance(10.0)
    times = [at - began for at, _ in arrivals(exchange)]
    assert len(times) == 20 and times[:3] == [0.0] * 3 and times[3] > 0.1
    assert times[-1] <= 4.0
    assert exchange.most_within(1.0 - 1e-6) == 5


def test_a_reconnect_does_not_refill_it(clock: VirtualClock, scene: Make) -> None:
    """What waited when the link was lost goes on at the same pace on the next connection."""
    it = scene(limits=Limits(pace="1/3s"))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    receipts = numbers(it, 3)
    clock.advance(0.1)
    it.peer.drop()
    clock.advance(20.0)
    assert [receipt.result().epoch for receipt in receipts] == [1, 2, 2]
    first, second, third = (at for at, _ in arrivals(exchange))
    assert second - first >= 3.0 - 1e-6 and third - second == pytest.approx(3.0)


def test_what_waits_without_a_connection_has_its_time(clock: VirtualClock, scene: Make) -> None:
    """C21: ``queue_for`` counts while there is none, and not while a message waits for its turn."""
    it = scene(limits=Limits(pace="1/4s"), queue_for=5.0)
    clock.advance(1.0)
    receipts = numbers(it, 4)
    clock.advance(8.5)  # three are written, and the last waits for over 5 s
    it.peer.default = accept().delay(60.0)
    it.peer.drop()
    clock.advance(4.5)
    assert not receipts[3].done
    clock.advance(1.0)
    with pytest.raises(NotConnected, match="waited 5 s"):
        receipts[3].result()
    assert [receipt.result().epoch for receipt in receipts[:3]] == [1, 1, 1]


def test_what_a_channel_asks_for_goes_before_what_waited(clock: VirtualClock, scene: Make) -> None:
    """C19: on a new connection; on one that is open, after what was sent before it."""
    it = scene(limits=Limits(pace="5/s"))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    numbers(it, 3)
    it.socket.channel(subscribe="S", match=bool).subscribe()
    late = numbers(it, 3)
    clock.advance(0.9)
    assert [op for _, op in arrivals(exchange)] == ["0", "1", "2", "S", "0"]
    it.peer.drop()
    clock.advance(5.0)
    assert [op for _, op in arrivals(exchange)][5:] == ["S", "1", "2"]
    assert [receipt.result().epoch for receipt in late] == [1, 2, 2]


def test_leaving_waits_for_what_was_sent(clock: VirtualClock, scene: Make) -> None:
    """C1: ``send`` connects until its receipt settles, also while it waits for its turn."""
    it = scene(watch=False, limits=Limits(pace="1/s"))
    receipts = numbers(it, 4)
    clock.advance(2.5)
    assert it.socket.state.value is State.OPEN
    clock.advance(2.0)
    assert [receipt.result().epoch for receipt in receipts] == [1] * 4
    assert it.socket.state.value is State.IDLE


def test_what_waits_is_not_sent_as_somebody_else(clock: VirtualClock, scene: Make) -> None:
    """C14: it fails with the change, and a renewal of the same identity takes it along."""
    it = scene(auth="mine", identity=lambda value: value[0], limits=Limits(pace="1/s"))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    receipts = numbers(it, 4)
    clock.advance(1.1)
    it.socket.set_auth("mine, renewed")
    clock.advance(1.0)
    it.socket.set_auth("yours")
    clock.advance(5.0)
    assert [(one.number, one.op) for one in exchange.arrivals] == [(1, "0"), (1, "1"), (2, "2")]
    with pytest.raises(IdentityChanged):
        receipts[3].result()


def test_closing_says_what_was_not_sent(clock: VirtualClock, scene: Make) -> None:
    """C20: written once, or reported failed; and no timer is left (C26)."""
    it = scene(limits=Limits(pace="1/s"))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    receipts = numbers(it, 3)
    clock.advance(1.1)
    it.socket.close()
    clock.advance(5.0)
    assert [op for _, op in arrivals(exchange)] == ["0", "1"]
    with pytest.raises(NotConnected, match="closed"):
        receipts[2].result()


def test_what_waits_for_its_turn_is_bounded(clock: VirtualClock, scene: Make) -> None:
    """C21: by the bytes alone, as what the transport does not take."""
    it = scene(limits=Limits(pace="1/h"))
    clock.advance(1.0)
    numbers(it, 300)
    big = [it.socket.send("x" * (MAX_BYTES // 2)) for _ in range(2)]
    clock.advance(1.0)
    assert not big[0].done
    with pytest.raises(QueueFull, match="wait for their turn"):
        big[1].result()


def test_what_waits_is_explained(clock: VirtualClock, scene: Make) -> None:
    """C3: whoever wonders at a receipt that stays open is told why."""
    it = scene(limits=Limits(pace="1/s"))
    clock.advance(1.0)
    assert it.socket.explain().next == ""
    numbers(it, 4)
    it.socket.channel(subscribe="S", match=bool).subscribe()
    because = "each in its turn: limits= has pace='1/s'"
    assert it.socket.explain().next == f"what channels ask for and 3 messages, {because}"
    clock.advance(3.5)
    assert it.socket.explain().next == f"what channels ask for, {because}"
    clock.advance(1.0)
    assert it.socket.explain().next == ""


def test_a_fragmented_message_is_one(clock: VirtualClock, scene: Make) -> None:
    """It waits for its turn as others do, and takes one."""
    it = scene(limits=Limits(pace="5/s"))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    began = clock.time()
    for message in ("a", ["b", "c"], ["d", "e"], "f"):
        it.socket.send(message)
    clock.advance(5.0)
    assert [(at - began, op) for at, op in arrivals(exchange)] == [
        (pytest.approx(0.0), "a"),
        (pytest.approx(0.2), "bc"),
        (pytest.approx(0.4), "de"),
        (pytest.approx(0.6), "f"),
    ]


def test_what_is_no_message_of_the_users_does_not_count(clock: VirtualClock, scene: Make) -> None:
    """The credential's message, pings, and the close frame go at once."""
    it = scene(
        auth="secret", carrier=first_message(str), limits=Limits(pace="1/h"), ping_interval=1.0
    )
    clock.advance(0.1)
    sent = it.socket.send("mine")
    clock.advance(5.0)
    assert sent.result().epoch == 1
    assert [message for _, message in it.peer.received] == ["secret", "mine"]
    assert it.socket.latency.value is not None
    it.socket.close()
    clock.advance(1.0)
    assert it.peer.closes[-1].code == 1000


def test_a_handover_takes_the_pace_along(clock: VirtualClock, scene: Make) -> None:
    """Both connections share it, and what waits is written to the one that delivers."""
    it = scene(
        auth=A,
        identity=lambda _: "me",
        on_auth_change=handover(),
        limits=Limits(pace="2/s"),
    )
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    it.socket.channel(subscribe="S", match=bool).subscribe()
    receipts = numbers(it, 6)
    clock.advance(0.6)
    it.socket.set_auth({"token": "b"})
    clock.advance(10.0)
    assert {receipt.result().epoch for receipt in receipts} == {1, 2}
    assert [op for _, op in arrivals(exchange) if op != "S"] == list("012345")
    assert exchange.most_within(1.0 - 1e-6) == 2


def test_without_limits_nobody_is_asked(scene: Make) -> None:
    """What writes is the same as ever."""
    kinds = [type(outbox_of(scene(watch=False, **one).socket)) for one in ({}, LIMITED, UNPACED)]
    assert kinds[0] is kinds[2] is not kinds[1]


LIMITED: dict[str, Any] = {"limits": Limits(pace=5)}
UNPACED: dict[str, Any] = {"limits": Limits(batch=5)}


def test_limits_are_an_object(scene: Make) -> None:
    with pytest.raises(TypeError, match=r"^limits: pass Limits such as"):
        scene(watch=False, limits="5/s")
