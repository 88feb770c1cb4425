"""Codecs on real connections (C3): both directions, and a message that does not decode."""

from __future__ import annotations

import msgspec
import pytest

from rxsocket import Codec, DecodeFailed, Sent, Socket, State, json, messagepack
from rxsocket.testing import accept, server

from .wire_helpers import Inbox


class Trade(msgspec.Struct):
    symbol: str
    price: float


@pytest.mark.parametrize(
    ("codec", "frame"), [(json(type=Trade), str), (messagepack(type=Trade), bytes)]
)
def test_values_there_and_back(codec: Codec[Trade, Trade], frame: type) -> None:
    """What is sent to an echo comes back equal, as text for JSON and binary for MessagePack."""
    with server(accept().echo()) as peer:
        socket = Socket(peer.url, codec=codec)
        trades = Inbox()
        socket.messages.subscribe(trades)
        socket.state.subscribe(states := Inbox())
        states.until(lambda values: State.OPEN in values)
        sent = [Trade("A", 1.5), Trade("Ü", -2.0)]
        assert [socket.send(trade).result(5) for trade in sent] == [Sent(1), Sent(1)]
        assert trades.wait(2) == sent
        assert [type(message) for _, message in peer.received] == [frame, frame]
        socket.close().result(5)


def test_a_bad_message_costs_nothing_else() -> None:
    """The next one arrives on the same connection, and the bad one is on ``errors`` (C3, C28)."""
    script = accept().send('{"symbol":"A","price":"s3cret"}', b"\xff", '{"symbol":"A","price":1}')
    with server(script) as peer:
        socket = Socket(peer.url, codec=json(type=Trade))
        trades, problems = Inbox(), Inbox()
        socket.errors.subscribe(problems)
        socket.messages.subscribe(trades)
        assert trades.wait(1) == [Trade("A", 1.0)]
        failed = problems.wait(2)
        assert all(isinstance(event, DecodeFailed) for event in failed)
        assert [(event.epoch, event.excerpt) for event in failed] == [
            (1, '{"xxxxxx":"x","xxxxx":"x0xxxx"}'),
            (1, ""),
        ]
        assert "s3cret" not in repr(failed)
        assert len(peer.handshakes) == 1
        socket.close().result(5)
