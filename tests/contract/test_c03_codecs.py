"""C3: with a codec, a message that does not decode is a value, and nothing else is lost."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from scene import Make

from rxsocket import (
    Closed,
    DecodeFailed,
    Event,
    Message,
    ObserverFailed,
    Sent,
    State,
    Undecodable,
    json,
    messagepack,
)
from rxsocket.testing import VirtualClock, accept


class Trade(msgspec.Struct):
    price: float


TRADES = json(type=Trade)


def test_payloads_are_values_everywhere(clock: VirtualClock, scene: Make) -> None:
    """``messages``, the session and ``Message.data`` carry the same decoded object."""
    it = scene(accept().wait(1.0).send('{"price":1}'), codec=TRADES)
    messages: list[Trade] = []
    in_sessions: list[Trade] = []
    it.socket.messages.subscribe(messages.append)
    it.socket.sessions.subscribe(lambda session: session.subscribe(in_sessions.append))
    clock.advance(2.0)
    (event,) = [event for event in it.events if isinstance(event, Message)]
    assert messages == [Trade(1.0)]
    assert messages[0] is in_sessions[0] is event.data


def test_a_bad_message_is_an_event_and_the_next_one_arrives(
    clock: VirtualClock, scene: Make
) -> None:
    """It is on ``errors`` and ``events`` with its epoch; connection and streams stay (C3)."""
    script = accept().send('{"price":1}', '{"price":"s3cret"}', "s3cret", '{"price":2}')
    it = scene(accept().drop(), script, codec=TRADES)
    got: list[Trade] = []
    problems: list[object] = []
    it.socket.messages.subscribe(got.append)
    it.socket.errors.subscribe(problems.append)
    clock.advance(5.0)
    failed = [problem for problem in problems if isinstance(problem, DecodeFailed)]
    assert got == [Trade(1.0), Trade(2.0)]
    assert [event for event in it.events if isinstance(event, DecodeFailed)] == failed
    assert [(event.epoch, event.excerpt) for event in failed] == [
        (2, '{"xxxxx":"x0xxxx"}'),
        (2, "x0xxxx"),
    ]
    assert str(failed[0].error) == (
        "a text message of 18 characters does not decode: "
        "Expected `float`, got `str` - at `$.price`"
    )
    assert it.socket.state.value is State.OPEN


def test_nothing_of_a_bad_message_is_shown(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the event, nor in the error, its chain or traceback, nor in the log (C28)."""

    class Quoting:
        def encode(self, value: str) -> str:
            return value

        def decode(self, data: str | bytes) -> str:
            raise ValueError(f"cannot read {data!r}") from KeyError(data)

    caplog.set_level(logging.DEBUG)
    it = scene(accept().send("s3cret"), codec=Quoting())
    clock.advance(1.0)
    (failed,) = [event for event in it.events if isinstance(event, DecodeFailed)]
    error = failed.error
    assert isinstance(error, Undecodable)
    assert str(error) == "a text message of 6 characters does not decode: ValueError"
    assert error.__traceback__ is error.__cause__ is error.__context__ is None
    assert "s3cret" not in repr(failed) + caplog.text


def test_the_first_bad_message_of_a_connection_is_a_warning(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C32: a feed of nothing but bad messages does not fill the log; the others are counted."""
    caplog.set_level(logging.WARNING, "rxsocket")
    scene(accept().send("?", "?", "?").drop(), accept().send("?", "?"), codec=TRADES)
    clock.advance(5.0)
    told = [record.message for record in caplog.records if "does not decode" in record.message]
    assert [("2 more like this one" in line) for line in told] == [False, True, False]


def test_a_text_message_is_no_messagepack(clock: VirtualClock, scene: Make) -> None:
    """A text frame where MessagePack is expected does not decode, and binary ones do."""
    codec = messagepack(type=list[int])
    it = scene(accept().send("text", b"\x92\x01\x02"), codec=codec)
    got: list[list[int]] = []
    it.socket.messages.subscribe(got.append)
    clock.advance(1.0)
    (failed,) = [event for event in it.events if isinstance(event, DecodeFailed)]
    assert got == [[1, 2]]
    assert "a bytes-like object is required" in str(failed.error)


def test_send_encodes(clock: VirtualClock, scene: Make) -> None:
    """JSON goes out as text, MessagePack as binary."""
    as_json = scene(codec=json())
    packed = scene(codec=messagepack())
    clock.advance(1.0)
    sent = clock.run(_sent(as_json.socket.send({"op": "subscribe"})))
    clock.run(_sent(packed.socket.send({"a": 1})))
    clock.advance(0)
    assert sent == Sent(1)
    assert [text for _, text in as_json.peer.received] == ['{"op":"subscribe"}']
    assert [data for _, data in packed.peer.received] == [b"\x81\xa1a\x01"]


async def _sent(receipt: Any) -> Any:
    return await receipt


def test_what_cannot_be_encoded_raises_in_the_caller(clock: VirtualClock, scene: Make) -> None:
    """At once, and nothing is sent."""
    it = scene(codec=json())
    clock.advance(1.0)
    with pytest.raises(TypeError, match="Encoding objects of type object"):
        it.socket.send(object())
    with pytest.raises(TypeError, match="such as json"):
        scene(watch=False).socket.send({"op": "subscribe"})
    clock.advance(1.0)
    assert it.peer.received == []


def test_rejected_sees_the_message_as_it_came(clock: VirtualClock, scene: Make) -> None:
    """``rejected=`` is asked before anything is decoded (C9)."""
    asked: list[object] = []

    def rejected(message: str | bytes) -> bool:
        asked.append(message)
        return message == "denied"

    it = scene(accept().send('{"price":1}', "denied"), codec=TRADES, rejected=rejected)
    clock.advance(1.0)
    assert asked == ['{"price":1}', "denied"]
    assert it.socket.state.value is State.AWAITING_AUTH
    assert not [event for event in it.events if isinstance(event, DecodeFailed)]


def test_held_messages_are_measured_as_they_came(clock: VirtualClock, scene: Make) -> None:
    """The limit of 1 MiB is about bytes on the wire, whatever they decode to (C4)."""
    half = '{"price":1' + " " * (2**19 - 11) + "}"
    it = scene(accept().send(half, half).wait(1.0).send('{"price":1}'), watch=False, codec=TRADES)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.connect()
    clock.advance(0.5)
    assert problems == []
    clock.advance(1.0)
    assert [(problem.count, "1048576 bytes" in problem.reason) for problem in problems] == [
        (3, True)
    ]


def test_an_observer_that_raises_is_not_taken_for_a_bad_message(
    clock: VirtualClock, scene: Make
) -> None:
    """What an observer raises is an ``ObserverFailed``, with a codec as without (C23)."""
    it = scene(accept().send('{"price":1}'), codec=TRADES)

    def fail(trade: Trade) -> None:
        raise ValueError("no")

    it.socket.messages.subscribe(fail)
    clock.advance(1.0)
    kinds = [type(event) for event in it.events]
    assert ObserverFailed in kinds
    assert DecodeFailed not in kinds


def test_a_bad_message_settles_a_change_of_credential(clock: VirtualClock, scene: Make) -> None:
    """That a message came says that the credential is in effect, whatever the message."""
    it = scene(accept(), accept().send("?"), codec=TRADES, auth="a")
    clock.advance(1.0)
    changed = it.socket.set_auth("b")
    clock.advance(0.1)
    assert changed.done


def test_reconnecting_goes_on_decoding(clock: VirtualClock, scene: Make) -> None:
    """Each connection of the socket has the codec."""
    script = accept().send('{"price":1}').drop()
    it = scene(script, script, codec=TRADES)
    got: list[Trade] = []
    it.socket.messages.subscribe(got.append)
    clock.advance(4.0)
    closed: list[Event] = [event for event in it.events if isinstance(event, Closed)]
    assert (got, len(closed)) == ([Trade(1.0), Trade(1.0)], 2)
