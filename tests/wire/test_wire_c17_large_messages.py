"""C17 on real connections: bytes on their way are a sign of life, and nothing else is."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from deadlines import took

from rxsocket import Cause, Closed, Opened, Socket, State

from .wire_helpers import BINARY, PING, PONG, Inbox, Peer, Watch, frame, quick, raw

MB = 10**6


class SlowSender:
    """A peer that sends one large message slowly, and whose pongs are behind it.

    Args:
        size: Bytes of the message.
        rate: Bytes a second.
        stops_at: After how many of them it falls silent; left out, it answers pings after all.
    """

    def __init__(self, size: int, rate: float = 1.0 * MB, stops_at: int | None = None) -> None:
        self._size = size
        self._rate = rate
        self._stops_at = stops_at
        self.frozen_at: float | None = None
        self._frozen = threading.Event()

    def freeze(self) -> None:
        """From now on answer nothing."""
        self.frozen_at = self.frozen_at or time.monotonic()
        self._frozen.set()

    def __call__(self, peer: Peer) -> None:
        peer.send(peer.answer)
        with suppress(OSError):  # given up: the client is gone
            if self._send_message(peer):
                self._answer_pings(peer)
            else:
                self.freeze()
            while peer.read_some():  # TCP stays up
                pass

    def _send_message(self, peer: Peer) -> bool:
        """Send it; return whether it was all of it."""
        peer.send(struct.pack("!BBQ", 0x80 | BINARY, 127, self._size))
        chunk, began, sent = b"x" * int(self._rate / 50), time.monotonic(), 0
        while sent < self._size:
            if self._stops_at is not None and sent >= self._stops_at:
                return False
            part = chunk[: self._size - sent]
            peer.send(part)
            sent += len(part)
            time.sleep(max(0.0, began + sent / self._rate - time.monotonic()))
        return True

    def _answer_pings(self, peer: Peer) -> None:
        while not self._frozen.is_set():
            data = peer.read_some()
            if not data:
                return
            for payload in _pings(data):
                if not self._frozen.is_set():
                    peer.send(frame(payload, PONG))


def _pings(data: bytes) -> Iterator[bytes]:
    """The payloads of the pings in what a client sent: short frames, all of them whole."""
    while data:
        opcode, size, mask = data[0] & 0x0F, data[1] & 0x7F, data[2:6]
        payload = data[6 : 6 + size]
        if opcode == PING:
            yield bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        data = data[6 + size :]


SIZES = [
    pytest.param(3 * MB, 0.3, 0.8, id="3 MB"),
    pytest.param(50 * MB, 5.0, 5.0, id="50 MB", marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
]


@pytest.mark.parametrize(("size", "interval", "patience"), SIZES)
def test_a_link_over_which_bytes_arrive_lives(size: int, interval: float, patience: float) -> None:
    """At 1 MB/s no pong comes in time, and the message does; then it is silent, and found so."""
    sender = SlowSender(size)
    with raw(sender) as peer:
        socket = Socket(
            peer.url,
            ping_interval=interval,
            ping_timeout=patience,
            max_size=None,
            compression=None,
            backoff=quick(),
        )
        watch, inbox, latencies = Watch(socket), Inbox(), Inbox()
        socket.latency.subscribe(latencies)
        socket.messages.subscribe(inbox)
        watch.wait(Opened)
        [message] = inbox.wait(1, timeout=3.0 * size / MB + 5.0)
        assert message == b"x" * size
        [_, first, *_] = latencies.wait(2)
        assert first > patience  # it was behind the message, and ended nothing
        assert watch.of(Closed) == [] and socket.state.value is State.OPEN
        sender.freeze()
        closed = watch.wait(Closed, timeout=interval + patience + 5.0)
        assert closed.cause is Cause.SILENT
        assert sender.frozen_at is not None
        took(time.monotonic() - sender.frozen_at, interval + patience + 1.0)
        socket.close().result(5)


@pytest.mark.slow
def test_a_peer_that_falls_silent_within_a_message_is_found() -> None:
    """What has arrived of it is no sign of life for longer than ping_timeout."""
    sender = SlowSender(3 * MB, stops_at=MB)
    with raw(sender) as peer:
        socket = Socket(
            peer.url,
            ping_interval=0.3,
            ping_timeout=0.8,
            max_size=None,
            compression=None,
            backoff=quick(),
        )
        watch = Watch(socket)
        closed = watch.wait(Closed, timeout=10.0)
        assert closed.cause is Cause.SILENT and closed.uptime > 0.8
        assert sender.frozen_at is not None
        took(time.monotonic() - sender.frozen_at, 0.3 + 0.8 + 1.0)
        socket.close().result(5)
