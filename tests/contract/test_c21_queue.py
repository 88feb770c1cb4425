"""C21: while not open, messages wait; C14: for whoever they were sent as; C1: a send connects."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from internals import MAX_BYTES, MAX_MESSAGES
from scene import A, B, Make
from test_c20_receipts import outcome

from rxsocket import (
    Cause,
    IdentityChanged,
    NotConnected,
    QueueFull,
    SendFailed,
    Sent,
    State,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def jwt(subject: str, number: int) -> dict[str, str]:
    """A credential that is a JSON Web Token."""
    part = base64.urlsafe_b64encode(json.dumps({"sub": subject, "n": number}).encode())
    return {"token": f"e30.{part.decode().rstrip('=')}.x"}


def test_messages_wait_for_the_connection_in_order(clock: VirtualClock, scene: Make) -> None:
    """Up in 4 s: sent, in order, before ``Opened`` is announced (C19)."""
    it = scene(accept().delay(4.0), watch=False, auth=A)
    arrived_at_open: list[int] = []
    receipts = [it.socket.send(str(number)) for number in range(5)]
    it.socket.on_open(lambda: arrived_at_open.append(sum(receipt.done for receipt in receipts)))
    clock.advance(3.9)
    assert [outcome(receipt) for receipt in receipts] == [None] * 5
    clock.advance(0.2)
    assert [outcome(receipt) for receipt in receipts] == [Sent(1)] * 5
    assert [message for _, message in it.peer.received] == ["0", "1", "2", "3", "4"]
    assert arrived_at_open == [5]


def test_a_message_fails_when_it_has_waited_long_enough(clock: VirtualClock, scene: Make) -> None:
    """At ``queue_for`` seconds each, and it never goes out afterwards."""
    it = scene(accept().delay(6.0), auth=A)
    early = it.socket.send("early")
    clock.advance(2.0)
    late = it.socket.send("late")
    clock.advance(2.9)
    assert not early.done
    clock.advance(0.2)
    assert outcome(early) is NotConnected and not late.done
    clock.advance(2.0)
    assert outcome(late) == Sent(1)
    assert it.peer.received == [(1, "late")]
    assert [type(e).__name__ for e in it.events if isinstance(e, SendFailed)] == ["SendFailed"]


def test_the_time_of_waiting_begins_when_the_link_is_lost(clock: VirtualClock, scene: Make) -> None:
    """A message of the turn in which the link is lost waits as long as any other.

    The first one of a turn is written at once, before that is known.
    """
    it = scene(accept(), *[unreachable()] * 5, auth=A)
    clock.advance(60.0)
    it.peer.drop()
    assert outcome(it.socket.send("first")) == Sent(1)
    receipt = it.socket.send("x")
    clock.advance(4.9)
    assert not receipt.done
    clock.advance(0.2)
    assert outcome(receipt) is NotConnected
    assert it.peer.received == []


def test_with_zero_it_fails_at_once(clock: VirtualClock, scene: Make) -> None:
    """``queue_for=0``: a message is for the connection of the moment, or for none."""
    it = scene(unreachable(), auth=A, queue_for=0)
    receipt = it.socket.send("x")
    assert outcome(receipt) is NotConnected
    clock.advance(10.0)
    assert it.peer.received == []


def test_the_queue_is_bounded_by_number(clock: VirtualClock, scene: Make) -> None:
    """The new one fails, at once; those that wait are sent."""
    it = scene(accept().delay(1.0), auth=A)
    receipts = [it.socket.send(str(number)) for number in range(MAX_MESSAGES + 1)]
    assert outcome(receipts[-1]) is QueueFull
    clock.advance(2.0)
    assert {outcome(receipt) for receipt in receipts[:-1]} == {Sent(1)}
    assert len(it.peer.received) == MAX_MESSAGES


def test_the_queue_is_bounded_by_size(clock: VirtualClock, scene: Make) -> None:
    """Two megabytes wait, not a byte more; a smaller one still finds room."""
    it = scene(accept().delay(1.0), auth=A)
    half = b"x" * (MAX_BYTES // 2)
    receipts = [it.socket.send(data) for data in (half, half[1:], b"yy", b"z")]
    assert [outcome(receipt) for receipt in receipts] == [None, None, QueueFull, None]
    clock.advance(2.0)
    assert [outcome(receipt) for receipt in receipts] == [Sent(1), Sent(1), QueueFull, Sent(1)]


@pytest.mark.parametrize("queue_for", [-1, float("inf"), "5", None, True])
def test_queue_for_is_a_number_of_seconds(scene: Make, queue_for: Any) -> None:
    """Anything else fails at once and names the argument."""
    with pytest.raises((TypeError, ValueError), match=r"^queue_for: "):
        scene(watch=False, queue_for=queue_for)


def test_what_waits_keeps_the_socket_connected(clock: VirtualClock, scene: Make) -> None:
    """C1: the last subscriber leaves while a message waits: it is sent, then it is closed."""
    it = scene(accept().delay(1.0), watch=False, auth=A)
    left = it.socket.messages.subscribe()
    receipt = it.socket.send("x")
    left.dispose()
    clock.advance(0.5)
    assert it.socket.state.value is State.CONNECTING
    clock.advance(1.0)
    assert outcome(receipt) == Sent(1)
    assert it.socket.state.value is State.IDLE


def test_what_waited_in_vain_lets_the_socket_go(clock: VirtualClock, scene: Make) -> None:
    """C1: nothing opened in time, and nobody else is there: the attempts end."""
    it = scene(*[unreachable()] * 20, watch=False, auth=A)
    receipt = it.socket.send("x")
    clock.advance(5.1)
    assert outcome(receipt) is NotConnected
    assert it.socket.state.value is State.IDLE
    dials = it.peer.dials
    clock.advance(60.0)
    assert it.peer.dials == dials


# --- C14


def test_another_identity_drops_what_was_queued(clock: VirtualClock, scene: Make) -> None:
    """Its receipts fail with the reason; what is sent afterwards goes out as the new one."""
    it = scene(*[unreachable()] * 2, auth=A)
    ours = [it.socket.send(text) for text in "ab"]
    clock.advance(0.5)
    it.socket.set_auth(B)
    theirs = it.socket.send("c")
    assert [outcome(receipt) for receipt in ours] == [IdentityChanged] * 2
    clock.advance(4.0)
    assert outcome(theirs) == Sent(epoch=3)
    assert [message for _, message in it.peer.received] == ["c"]
    assert it.credentials[-1] == "b"


def test_a_renewal_keeps_what_was_queued(clock: VirtualClock, scene: Make) -> None:
    """A token of the same subject is the same somebody."""
    it = scene(reject(401), auth=jwt("ann", 1))
    clock.advance(0.5)
    receipt = it.socket.send("x")
    clock.advance(0.5)
    it.socket.set_auth(jwt("ann", 2))
    clock.advance(0.5)
    assert outcome(receipt) == Sent(2)


def test_logging_out_drops_what_was_queued(clock: VirtualClock, scene: Make) -> None:
    """What was sent as somebody is not sent as whoever logs in next."""
    it = scene(unreachable(), auth=A)
    receipt = it.socket.send("x")
    clock.advance(0.5)
    it.socket.set_auth(None)
    it.socket.set_auth(A)
    clock.advance(4.0)
    assert outcome(receipt) is IdentityChanged
    assert it.peer.received == []


def test_what_is_sent_before_a_login_waits_for_it(clock: VirtualClock, scene: Make) -> None:
    """Nobody was logged in when it was sent: there is nobody it could be taken from."""
    it = scene(auth=None)
    clock.advance(0.5)
    receipt = it.socket.send("x")
    clock.advance(1.0)
    it.socket.set_auth(A)
    clock.advance(1.0)
    assert outcome(receipt) == Sent(epoch=1)


def test_what_was_sent_on_an_idle_socket_is_dropped_too(clock: VirtualClock, scene: Make) -> None:
    """The change comes in the same turn as the send, before anything was dialled."""
    it = scene(watch=False, auth=A, latency=0.5)
    receipt = it.socket.send("x")
    it.socket.set_auth(B)
    clock.advance(3.0)
    assert outcome(receipt) is IdentityChanged
    assert it.peer.received == []
    assert it.socket.state.value is State.IDLE


def test_a_reconnect_keeps_what_was_queued(clock: VirtualClock, scene: Make) -> None:
    """The same credential, another connection."""
    it = scene(unreachable(), auth=A)
    receipt = it.socket.send("x")
    clock.advance(0.5)
    it.socket.reconnect()
    clock.advance(3.0)
    assert outcome(receipt) == Sent(2)
    assert Cause.RECONNECT in {getattr(event, "cause", None) for event in it.events}
