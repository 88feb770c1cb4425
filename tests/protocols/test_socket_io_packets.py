"""C48: packets of Socket.IO on the wire and back, also from whatever a server sends."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rxsocket.errors import HandshakeInvalid
from rxsocket.protocols.socket_io_packets import (
    MOST_ATTACHMENTS,
    NO_PACKET,
    Kind,
    Packet,
    PacketCodec,
    PacketWire,
    joined,
)

CODEC = PacketCodec()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMESPACES = st.sampled_from(["/", "/admin", "/a/b-1", "/ü"])
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
KEYS = TEXTS.filter(lambda key: key != "_placeholder")


def values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What has a form in JSON, with these in it."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    )


IDS = st.none() | st.integers(0, 10**9)
ARGUMENTS = st.lists(values(LEAVES | st.binary(max_size=8)), max_size=4)
PACKETS = st.one_of(
    st.builds(
        lambda name, args, where, id: Packet(Kind.EVENT, where, [name, *args], id),
        TEXTS,
        ARGUMENTS,
        NAMESPACES,
        IDS,
    ),
    st.builds(
        lambda args, where, id: Packet(Kind.ACK, where, args, id), ARGUMENTS, NAMESPACES, IDS
    ),
    st.builds(
        lambda kind, where, data: Packet(kind, where, data),
        st.sampled_from([Kind.CONNECT, Kind.CONNECT_ERROR]),
        NAMESPACES,
        st.none() | st.dictionaries(KEYS, values(LEAVES), max_size=3),
    ),
    st.builds(lambda where: Packet(Kind.DISCONNECT, where), NAMESPACES),
    st.sampled_from([Kind.CLOSE, Kind.PING, Kind.PONG, Kind.NOOP]).map(Packet),
)


def on_the_wire(packet: Packet) -> list[str | bytes]:
    """The messages of a packet."""
    return [*PacketWire("/").sent(CODEC.encode(packet))]


def read(*messages: str | bytes, wire: PacketWire | None = None) -> list[Packet | str]:
    """The packets of messages; what does not decode is ``"undecodable"``."""
    found: list[Packet | str] = []
    wire = wire or PacketWire("/")
    for message in messages:
        for each in wire.received(message):
            try:
                found.append(CODEC.decode(each))
            except NO_PACKET:
                found.append("undecodable")
    return found


@given(st.lists(PACKETS, max_size=4))
def test_packets_come_back_as_they_were(packets: list[Packet]) -> None:
    """One after the other on one link, bytes included."""
    messages = [message for packet in packets for message in on_the_wire(packet)]
    assert read(*messages) == packets


@given(st.lists(st.text(max_size=12) | st.binary(max_size=12), max_size=6), PACKETS)
@example(["42[", "451-[1]", b""], Packet(Kind.PING))
@example(['452-["a"]', b"1"], Packet(Kind.EVENT, "/", ["b", b"2"]))
@example(['451-["a",{"_placeholder":true,"num":7}]', b"1"], Packet(Kind.PING))
def test_whatever_comes_nothing_else_is_lost(garbage: list[str | bytes], packet: Packet) -> None:
    """Garbage is undecodable, and no other exception; the packet behind it is read."""
    assert read(*garbage, *on_the_wire(packet))[-1] == packet


def test_the_text_is_that_of_the_protocol() -> None:
    """Of each kind one, as the reference implementation writes it."""
    texts = {
        '40{"token":"a"}': Packet(Kind.CONNECT, "/", {"token": "a"}),
        "40/admin,": Packet(Kind.CONNECT, "/admin"),
        "41/admin,": Packet(Kind.DISCONNECT, "/admin"),
        '42["a",1]': Packet(Kind.EVENT, "/", ["a", 1]),
        '42/admin,12["a"]': Packet(Kind.EVENT, "/admin", ["a"], 12),
        "4312[]": Packet(Kind.ACK, "/", [], 12),
        '44{"message":"no"}': Packet(Kind.CONNECT_ERROR, "/", {"message": "no"}),
        "2": Packet(Kind.PING),
    }
    assert {text: CODEC.decode(text) for text in texts} == texts
    assert [CODEC.encode(packet) for packet in texts.values()] == [*texts]
    packet = Packet(Kind.EVENT, "/admin", ["a", {"b": b"x"}, [b"y"]], 3)
    assert on_the_wire(packet) == [
        '452-/admin,3["a",{"b":{"_placeholder":true,"num":0}},[{"_placeholder":true,"num":1}]]',
        b"x",
        b"y",
    ]


def test_a_packet_whose_bytes_do_not_come() -> None:
    """What breaks it off is read; the packet is reported, once, and so are bytes of none."""
    half = '452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    packet = Packet(Kind.EVENT, "/", ["b"])
    assert read(half, b"x", '42["b"]', b"y", '42["b"]') == [
        "undecodable",
        packet,
        "undecodable",
        packet,
    ]


def test_no_server_makes_it_wait_for_ever() -> None:
    """Nor keep more than a packet may have."""
    assert read(f'45{MOST_ATTACHMENTS + 1}-["a"]', b"x") == ["undecodable"] * 2
    assert read('450-["a"]', '4599999999999-["a"]', '45["a"]') == ["undecodable"] * 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "47",
        "9",
        "2probe",
        '42{"a":1}',
        "42[]",
        "42[null]",
        "43{}",
        "41[]",
        "42",
        '40["a"]',
    ],
)
def test_what_is_no_packet(text: str) -> None:
    with pytest.raises(NO_PACKET, match=r"pack|data|truncated|malformed"):
        CODEC.decode(text)


def test_only_packets_are_sent() -> None:
    with pytest.raises(TypeError, match="pass a Packet, not str"):
        CODEC.encode("42[]")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="object"):
        CODEC.encode(Packet(Kind.EVENT, "/", ["a", object()]))


@pytest.mark.parametrize("first", ["40", "hello", "", "0", "0[]", '0{"sid":"a"}', b"\x00", "2"])
def test_another_protocol_is_told_by_its_first_message(first: str | bytes) -> None:
    with pytest.raises(HandshakeInvalid, match=r"no packet of Engine.IO 4; check the URL"):
        PacketWire("/").check(first)


def test_the_server_says_how_often_it_pings() -> None:
    wire = PacketWire("/")
    wire.check('0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000}')
    assert wire.patience == 45.0


def test_the_end_of_the_main_namespace_is_the_end() -> None:
    wire = PacketWire("/chat")
    assert read("41", "41/admin,", wire=wire) and wire.left is None
    read("41/chat,", wire=wire)
    assert wire.left == "the server disconnected the namespace /chat"


def test_bytes_that_look_like_a_packet_are_bytes() -> None:
    """What a server sends cannot pass for what the link has joined."""
    forged = joined('42["a"]')
    assert read(forged) == ["undecodable"]
    assert msgspec.msgpack.decode(forged) == ['42["a"]']
