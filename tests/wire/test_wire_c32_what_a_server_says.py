"""C32 on real connections: one line of plain text, no flood of the log, nor of the memory."""

from __future__ import annotations

import logging
import struct
from contextlib import suppress

import pytest

from rxsocket import (
    AwaitingAuth,
    Closed,
    ConnectFailed,
    DecodeFailed,
    ObserverFailed,
    Socket,
    first_message,
    history,
    json,
)
from rxsocket.testing import accept, server

from .wire_helpers import BINARY, CLOSE, Peer, Watch, frame, quick, raw

ODD = "bye\r\n2026-11-30 ERROR forged\x00\x1b[2J\u202e\u2028"
FORGED = "\n2026-11-30 ERROR forged"


def _is_plain(caplog: pytest.LogCaptureFixture, watch: Watch) -> bool:
    socket = watch.socket
    texts = [one.getMessage() for one in caplog.records if one.name == "rxsocket"]
    texts += [line for line in str(socket.explain()).splitlines() if line]
    texts += [repr(history(socket)), *map(repr, watch.events)]
    texts += socket._repr_mimebundle_()["text/plain"].splitlines()
    return all(map(str.isprintable, texts)) and FORGED not in caplog.text


def test_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    """C32: a reason with line breaks and escape sequences forges no line of the log."""
    caplog.set_level(logging.DEBUG, "rxsocket")

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(struct.pack("!H", 4401) + ODD.encode(), CLOSE))
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, auth="a", backoff=quick())
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        assert watch.wait(Closed).reason.startswith("bye\\r\\n2026-11-30 ERROR forged\\x00")
        assert _is_plain(caplog, watch)
        socket.close().result(5)


def test_a_retry_after(caplog: pytest.LogCaptureFixture) -> None:
    """C32: so is a header, however long."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    header = f"\x1b[2J{'x' * 9000}"

    def play(peer: Peer) -> None:
        peer.send(f"HTTP/1.1 503 No\r\nRetry-After: {header}\r\n\r\n".encode("latin-1"))

    with raw(play) as peer:
        socket = Socket(peer.url, auth="a", backoff=quick())
        watch = Watch(socket)
        error = watch.wait(ConnectFailed).error
        assert str(getattr(error, "retry_after", "")).startswith("\\x1b[2Jxxx")
        assert len(getattr(error, "retry_after", "")) < 510
        assert _is_plain(caplog, watch)
        socket.close().result(5)


def test_an_observer_that_quotes_a_message(caplog: pytest.LogCaptureFixture) -> None:
    """C32: its line and its traceback in the log hold no line break of the server's."""
    caplog.set_level(logging.DEBUG, "rxsocket")

    def bad(message: object) -> None:
        raise ValueError(f"cannot read {message}")

    with server(accept().send(ODD).stay()) as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        socket.messages.subscribe(bad)
        failed = watch.wait(ObserverFailed)
        assert str(failed.error) == f"cannot read {ODD}"  # the exception is the user's
        assert "ValueError: cannot read bye\\r\\n2026" in caplog.text
        assert FORGED not in caplog.text
        socket.close().result(5)


def test_messages_that_do_not_decode(caplog: pytest.LogCaptureFixture) -> None:
    """C32: a thousand are two lines."""
    caplog.set_level(logging.WARNING, "rxsocket")
    with server(accept().send(*["{"] * 1000).close(1000)) as peer:
        socket = Socket(peer.url, codec=json())
        watch = Watch(socket)
        watch.wait(DecodeFailed, 1000)
        watch.ended()
    # Not what asyncio says of a busy machine in development mode.
    lines = [one.getMessage() for one in caplog.records if one.name == "rxsocket"]
    # On a busy machine a thousand may hold the loop for long: true, but no matter.
    lines = [line for line in lines if "held the loop for" not in line]
    assert len(lines) == 2 and "999 more like this one" in lines[1]


def test_a_flood_before_the_connection_is_ready() -> None:
    """C32: past 16 MiB the attempt fails; a server cannot have more than that read."""
    sent: list[int] = []

    def play(peer: Peer) -> None:
        block = frame(b"x" * 2**16, BINARY) * 16
        peer.send(peer.answer)
        with suppress(OSError):
            while True:
                peer.send(block)
                sent.append(len(block))

    with raw(play) as peer:
        carrier = first_message(str, accepted=lambda _: False, timeout=60.0)
        socket = Socket(peer.url, auth="a", carrier=carrier, backoff=quick(), max_attempts=1)
        watch = Watch(socket)
        error = watch.wait(ConnectFailed).error
        assert "too many messages came before" in str(error)
        watch.ended()
    assert 16 <= len(sent) < 64
