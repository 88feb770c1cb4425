"""Messages on real connections: every kind of frame, floods, and what comes with the handshake."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest
from deadlines import stretched, within
from internals import websockets_transport
from reactivex import Observable
from reactivex import operators as ops

from rxsocket import (
    Cause,
    Closed,
    InEffect,
    Message,
    Opened,
    Request,
    Sent,
    Signal,
    Socket,
    State,
    Verdict,
)
from rxsocket.testing import accept, server

from .wire_helpers import BINARY, CLOSE, CONTINUATION, TEXT, Inbox, Peer, Watch, frame, quick, raw

pytestmark = pytest.mark.usefixtures("each_loop")

MIB = 2**20


def test_text_and_binary() -> None:
    """Text arrives as str and binary as bytes, empty ones too, in order."""
    sent = ("", b"", "snowman ☃ \U0001f600", b"\x00\xff", "end")
    with server(accept().send(*sent)) as peer:
        socket = Socket(peer.url)
        messages = Inbox()
        socket.messages.subscribe(messages)
        assert tuple(messages.wait(len(sent))) == sent
        socket.close().result(5)


def test_echo() -> None:
    """What is sent comes back as it was, big and small, and each receipt says the epoch."""
    with server(accept().echo()) as peer:
        socket = Socket(peer.url)
        messages = Inbox()
        socket.messages.subscribe(messages)
        peer.wait_for(lambda peer: peer.connections == 1)
        socket.state.subscribe(states := Inbox())
        states.until(lambda values: State.OPEN in values)
        out = ["text", b"binary", "x" * 70_000, b"y" * 200_000]
        receipts = [socket.send(data) for data in out]
        assert messages.wait(4) == out
        assert [receipt.result(5) for receipt in receipts] == [Sent(1)] * 4
        socket.close().result(5)


def test_one_mebibyte() -> None:
    """A message of exactly max_size arrives; its default is 1 MiB."""
    with server(accept().send("a" * MIB, b"b" * MIB)) as peer:
        socket = Socket(peer.url)
        messages = Inbox()
        socket.messages.subscribe(messages)
        text, binary = messages.wait(2)
        assert text == "a" * MIB
        assert binary == b"b" * MIB
        socket.close().result(5)


def test_fragments() -> None:
    """Fragments are joined, also when a character is cut, and pings between them are answered."""
    snowman = "☃".encode()
    ping = b"\x89\x02hi"

    def play(peer: Peer) -> None:
        peer.send(peer.answer)
        peer.send(frame(b"one " + snowman[:1], TEXT, fin=False))
        peer.send(ping + frame(snowman[1:2], CONTINUATION, fin=False))
        peer.send(frame(snowman[2:], CONTINUATION))
        peer.send(frame(b"", BINARY, fin=False) + frame(b"two", CONTINUATION))
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, close_timeout=0.1)
        messages = Inbox()
        socket.messages.subscribe(messages)
        assert messages.wait(2) == ["one ☃", b"two"]
        socket.close().result(5)


def test_one_read_is_one_batch() -> None:
    """C31: what came in one segment is one list; a frame that is not whole is of a later one."""
    written = threading.Event()

    def play(peer: Peer) -> None:
        whole = frame(b"one") + frame(b"two", BINARY) + frame(b"three")
        peer.send(peer.answer + whole + frame(b"four")[:3])
        written.wait(8)
        peer.send(frame(b"four")[3:] + frame(b"five"))
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, close_timeout=0.1)
        batches = Inbox()
        socket.batches.subscribe(batches)
        assert batches.wait(1) == [["one", b"two", "three"]]
        written.set()
        assert batches.wait(2)[1] == ["four", "five"]
        socket.close().result(5)


def test_a_message_of_a_mebibyte_in_many_reads() -> None:
    """The largest message that is accepted arrives whole, whatever its reads are."""
    text, data = "☃" * (MIB // 3), bytes(range(256)) * (MIB // 256)

    def play(peer: Peer) -> None:
        peer.send(peer.answer)
        for message in (frame(text.encode()), frame(data, BINARY), frame(b"end")):
            for at in range(0, len(message), 50_001):
                peer.send(message[at : at + 50_001])
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, close_timeout=0.1)
        messages = Inbox()
        socket.messages.subscribe(messages)
        assert messages.wait(3) == [text, data, "end"]
        socket.close().result(5)


def test_byte_by_byte() -> None:
    """The handshake's answer and the frames may come one byte at a time."""

    def play(peer: Peer) -> None:
        for byte in peer.answer + frame(b"slow") + frame(b"x" * 200, BINARY):
            peer.send(bytes((byte,)))
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, close_timeout=0.1)
        messages = Inbox()
        socket.messages.subscribe(messages)
        assert messages.wait(2) == ["slow", b"x" * 200]
        socket.close().result(5)


def test_messages_in_the_segment_of_the_handshake() -> None:
    """What comes in the segment of the handshake's answer is not lost, and follows Opened."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer + b"".join(frame(b"%d" % number) for number in range(40)))
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, close_timeout=0.1)
        watch = Watch(socket)
        watch.wait(Message, 40)
        assert watch.names == ["Connecting", "Opened", *["Message"] * 40]
        assert [event.data for event in watch.of(Message)] == [str(number) for number in range(40)]
        socket.close().result(5)


def test_a_whole_life_in_one_segment() -> None:
    """Answer, messages, close frame and FIN in one segment: all of it is told, in order."""

    def play(peer: Peer) -> None:
        end = frame(b"\x03\xe8bye", CLOSE)
        peer.send(peer.answer + frame(b"hello") + frame(b"\x01", BINARY) + end)

    with raw(play) as peer:
        watch = Watch(Socket(peer.url))
        watch.ended()
        assert watch.names == ["Connecting", "Opened", "Message", "Message", "Closed", "Ended"]
        assert watch.of(Closed)[0].reason == "bye"
        assert watch.completed


def test_invalid_utf_8() -> None:
    """Invalid UTF-8 is answered with 1007, delivers nothing more, and the link is made anew."""
    closes: list[bytes] = []
    greeted: list[Peer] = []

    def play(peer: Peer) -> None:
        bad = frame(b"bad \xff") + frame(b"too late") if not greeted else b""
        greeted.append(peer)
        peer.send(peer.answer + frame(b"good") + bad)
        closes.append(peer.drain())

    with raw(play) as peer:
        socket = Socket(peer.url, backoff=quick(), close_timeout=0.2)
        watch = Watch(socket)
        closed = watch.wait(Closed)
        assert (closed.sent, closed.verdict) == (1007, Verdict.RECONNECT)
        watch.wait(Message, 2)
        assert [event.data for event in watch.of(Message)] == ["good", "good"]
        socket.close().result(5)
    assert closes[0][0] == 0x80 | CLOSE


def test_utf_8_that_is_cut_by_a_fragment_only() -> None:
    """A text whose last character is never finished is invalid too."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"a\xe2", fin=False) + frame(b"\x98", CONTINUATION))
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, backoff=quick(), close_timeout=0.1)
        watch = Watch(socket)
        assert watch.wait(Closed).sent == 1007
        assert not watch.of(Message)
        socket.close().result(5)


def test_more_than_sixteen_unread() -> None:
    """More messages than a queue of websockets holds, with a busy observer: none is lost."""
    with server() as peer:
        socket = Socket(peer.url)
        messages, release, busy = Inbox(), threading.Event(), threading.Event()

        def slow(message: str) -> None:
            messages(message)
            if message == "0":
                busy.set()
                release.wait(5)

        socket.messages.subscribe(slow)
        peer.wait_for(lambda peer: peer.connections == 1)
        peer.push(*map(str, range(500)))
        assert busy.wait(5)
        peer.wait_for(lambda peer: sum("sent text" in line for line in peer.history) == 500)
        release.set()
        assert messages.wait(500) == [str(number) for number in range(500)]
        socket.close().result(5)


def flood(peer: Peer) -> None:
    """Send as fast as it goes, until the client is gone."""
    block = frame(b"x" * 100) * 500
    peer.send(peer.answer)
    with suppress(OSError):
        while True:
            peer.send(block)


def test_a_change_under_flood() -> None:
    """C5: a server that sends as fast as it can holds up neither the change nor the close."""
    with raw(flood) as peer:
        socket = Socket(peer.url, auth="a")
        messages = Inbox()
        opens, closes = Inbox(), Inbox()
        socket.on_open(opens)
        socket.on_close(closes)
        socket.on_message(lambda: messages() if not messages.values else None)
        messages.wait(1)
        with within(1.5):
            outcome = socket.set_auth("b")
            opens.wait(2)
        assert outcome.result(stretched(5)) == InEffect(2)
        closed = closes.wait(1)[0]
        assert (closed.epoch, closed.cause) == (1, Cause.AUTH_CHANGED)
        assert b"token=b" in peer.requests[1]
        peer.stop()
        socket.close().result(stretched(5))


def test_no_message_of_the_old_under_flood() -> None:
    """C5: between Closed and the next Opened no message comes, also when the old peer goes on."""
    tail: list[str] = []
    with raw(flood) as peer:
        socket = Socket(peer.url, auth="a", close_timeout=0.3)
        enough, again = threading.Event(), threading.Event()

        def note(event: object) -> None:
            name = type(event).__name__
            # On a busy machine a flood's observer may hold the loop for long: true, but no matter.
            if name != "SlowConsumer" and (not tail or tail[-1] != name):
                tail.append(name)
            if name == "Message":
                (again if tail.count("Opened") == 2 else enough).set()

        socket.events.subscribe(note)
        assert enough.wait(stretched(5))
        socket.set_auth("b")
        assert again.wait(stretched(5))
        socket.close().result(stretched(5))
    one = ["Connecting", "Opened", "Message", "Closed"]
    assert tail == [*one, *one, "Ended"]


def test_what_follows_a_failure_is_dropped() -> None:
    """After 1007 a peer that goes on sending costs no memory."""
    links: list[Any] = []

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"\xff"))
        with suppress(OSError):
            for _ in range(100):
                peer.send(frame(b"y" * 1000) * 50)

    def transport(request: Request) -> Observable[Signal]:
        return websockets_transport(request).pipe(ops.do_action(links.append))

    with raw(play) as peer:
        socket = Socket(peer.url, transport=transport, close_timeout=0.3)
        watch = Watch(socket)
        watch.wait(Closed)
        socket.close().result(5)
        assert not links[0]._connection._early
        assert not watch.of(Message)


def test_close_in_the_middle_of_a_message() -> None:
    """A link that is cut within a frame delivers no part of it."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"whole") + frame(b"x" * 100)[:50])

    with raw(play) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        closed = watch.wait(Closed)
        assert closed.cause is Cause.LOST
        watch.wait(Opened, 2)
        assert {event.data for event in watch.of(Message)} == {"whole"}
        socket.close().result(5)
