"""What may come as an answer to the handshake: from servers, proxies, and neither."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from extras import needs
from internals import tcp

from rxsocket import (
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    HandshakeInvalid,
    HandshakeRefused,
    Message,
    PeerClosed,
    RedirectRefused,
    Rejected,
    Socket,
    Verdict,
    Waiting,
)

from .test_links import dialled, run
from .wire_helpers import BINARY, CLOSE, CONTINUATION, PING, PONG, Peer, Watch, frame, quick, raw

LATER = b"HTTP/1.1 503 Unavailable\r\nRetry-After: 60\r\n"
REFUSED = {
    "no body, kept open": LATER + b"\r\n",
    "half a body": LATER + b"Content-Length: 9\r\n\r\nabc",
    "a body that does not end": LATER + b"\r\nabc",
    "a packed body": LATER + b"Transfer-Encoding: gzip, chunked\r\n\r\n\x1f\x8b",
    "HTTP/1.0": LATER.replace(b"1.1", b"1.0") + b"\r\n",
    "not even a space after the status": LATER.replace(b" Unavailable", b"") + b"\r\n",
    "no reason phrase": LATER.replace(b"Unavailable", b"") + b"\r\n",
    "lines that end with LF": LATER.replace(b"\r\n", b"\n") + b"\n",
    "HTTP/1.2": LATER.replace(b"1.1", b"1.2") + b"\r\n",
    "9 KiB of headers": LATER + b"X-Large: " + b"x" * 9216 + b"\r\n\r\n",
    "200 headers": LATER + b"X-Many: x\r\n" * 200 + b"\r\n",
    "two lengths": LATER + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "103 before it": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LATER + b"\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_status_line_and_headers_decide(name: str, transport: str) -> None:
    """C16: whatever follows them is not waited for."""

    def play(peer: Peer) -> None:
        peer.send(REFUSED[name])
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                with pytest.raises(HandshakeRefused) as failed:
                    await asyncio.wait_for(made.link, 2)
        assert (failed.value.status, failed.value.retry_after) == (503, "60")

    run(main)


HEADERS = b"HTTP/1.1 401 Unauthorized\r\n"
BODIES = {
    "a body": (HEADERS + b"Content-Length: 9\r\n\r\nno token.", "no token."),
    "half a body": (HEADERS + b"Content-Length: 9\r\n\r\nno ", "no "),
    "one that does not end": (HEADERS + b"\r\nno ", "no "),
    "none yet": (HEADERS + b"Content-Length: 9\r\n\r\n", ""),
    "chunks": (
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nno \r\n6\r\ntoken.\r\n0\r\n\r\n",
        "no token.",
    ),
    "half a chunk": (HEADERS + b"Transfer-Encoding: chunked\r\n\r\nff\r\nno", "no"),
    "no chunks": (HEADERS + b"Transfer-Encoding: chunked\r\n\r\nno token", ""),
    "packed": (HEADERS + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b", ""),
    "no text": (HEADERS + b"\r\n\0\1\2", ""),
    "no UTF-8": (HEADERS + b"\r\nn\xf6", "n\N{REPLACEMENT CHARACTER}"),
    "100 KiB": (HEADERS + b"\r\n" + b"x" * 102400, "x" * 1024),
    "after 103": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEADERS + b"\r\nno", "no"),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_at_hand_of_a_body(name: str, transport: str) -> None:
    """C9: its first KiB is kept; nobody waits for it."""
    answer, body = BODIES[name]

    def play(peer: Peer) -> None:
        peer.send(answer)
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                with pytest.raises(HandshakeRefused) as failed:
                    await asyncio.wait_for(made.link, 2)
        assert failed.value.body == body

    run(main)


def test_a_refusal_in_full(transport: str) -> None:
    """C9, C28: what the server says, and where the credential went, and not the credential."""

    def play(peer: Peer) -> None:
        peer.send(HEADERS + b"\r\n{'hint': 'no X-Api-Key, but s3cret-canary'}")

    with raw(play) as peer:
        socket = Socket(peer.url, auth="s3cret-canary")
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        [rejected] = watch.of(Rejected)
        said = "{'hint': 'no X-Api-Key, but ***'}"
        assert str(rejected.error) == (
            f"the server refused the handshake with HTTP 401 {said!r}; the credential went as the "
            "query parameter 'token'"
        )
        assert repr(said) in str(socket.explain())
        socket.close().result(5)


def test_a_redirect_that_sets_the_cookie_that_it_wants(transport: str) -> None:
    """No cookie of a server's is kept: the error says so, and what to do instead."""

    def play(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: seen=1\r\n\r\n")

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                with pytest.raises(RedirectRefused, match=r"is not sent: carry it with cookie\(\)"):
                    await asyncio.wait_for(made.link, 5)

    run(main)


ACCEPTED = {
    "no reason phrase": (b"", b""),
    "another connection option": (b"", b""),
    "lines that end with LF": (b"", b""),
    "an empty subprotocol": (b"", b"Sec-WebSocket-Protocol: \r\n"),
    "100 before it": (b"HTTP/1.1 100 Continue\r\n\r\n", b""),
    "103 before it": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b""),
    "9 KiB of headers": (b"", b"X-Large: " + b"x" * 9216 + b"\r\n"),
    "200 headers": (b"", b"X-Many: x\r\n" * 200),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_answer_that_opens(name: str, transport: str) -> None:
    """Interim answers and headers of others are passed over."""
    before, headers = ACCEPTED[name]

    def play(peer: Peer) -> None:
        answer = peer.answer
        if name == "no reason phrase":
            answer = answer.replace(b" Switching Protocols", b"")
        if name == "another connection option":
            answer = answer.replace(b"Connection: ", b"Connection: keep-alive, ")
        if name == "lines that end with LF":
            peer.send(answer.replace(b"\r\n", b"\n") + frame(b"first"))
            peer.drain()
        peer.send(before + answer[:-2] + headers + b"\r\n" + frame(b"first"))
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                await asyncio.wait_for(made.link, 2)
                await asyncio.wait_for(made.something.wait(), 2)
                assert made.seen == ["first"]

    run(main)


@pytest.mark.parametrize(
    "banner", [b"SSH-2.0-OpenSSH_9.6\r\n", b"220 mail.example ESMTP\r\n", b"\0"]
)
def test_a_peer_that_is_no_http(banner: bytes, transport: str) -> None:
    """It fails at once, and says why."""

    def play(peer: Peer) -> None:
        peer.send(banner)
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                with pytest.raises(HandshakeInvalid, match="not HTTP"):
                    await asyncio.wait_for(made.link, 2)

    run(main)


@pytest.mark.only("websockets")
def test_a_compression_that_is_not_understood() -> None:
    """RFC 7692 allows a window of 8 bits, zlib has none: the text says what to do about it."""

    def play(peer: Peer) -> None:
        chosen = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8"
        peer.send(peer.answer[:-2] + chosen + b"\r\n\r\n")
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, backoff=quick())
        failed = Watch(socket).wait(ConnectFailed)
        assert isinstance(failed.error, HandshakeInvalid)
        assert "compression=None" in str(failed.error)
        socket.close().result(5)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 101 Swit"])
def test_a_link_that_ends_without_an_answer(sent: bytes) -> None:
    """C16: that is the network's; it is retried without a limit."""

    def play(peer: Peer) -> None:
        peer.send(sent)

    with raw(play) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        for number in range(1, 8):
            failed = watch.wait(ConnectFailed, number)
            assert isinstance(failed.error, ConnectionError)
            assert failed.verdict is Verdict.RECONNECT
        socket.close().result(5)


def proxied(peer: Any, scheme: str = "http") -> dict[str, Any]:
    """What makes a socket go through a peer."""
    return {"proxy": peer.url.replace("ws://", f"{scheme}://me:S3cretPass@"), "backoff": quick()}


@pytest.mark.parametrize("status", [502, 503, 504, 429])
def test_a_proxy_that_cannot_reach_the_server(status: int) -> None:
    """C16: its status counts like a server's, its Retry-After, too; its address is named."""

    def play(peer: Peer) -> None:
        peer.send(f"HTTP/1.1 {status} No\r\nRetry-After: 60\r\n\r\n".encode())

    with raw(play) as peer:
        socket = Socket("ws://example.test/", **proxied(peer))
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, HandshakeRefused)
        assert failed.error.status == status
        assert failed.verdict is Verdict.RECONNECT
        shown = peer.url.replace("ws://", "http://").rstrip("/")
        assert failed.error.proxy == shown
        assert shown in str(failed.error) and "S3cret" not in str(failed.error)
        assert watch.wait(Waiting).retry_after == 60
        socket.close().result(5)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_proxy_that_will_not(status: int) -> None:
    """Its refusal says nothing about the credential."""

    def play(peer: Peer) -> None:
        peer.send(f"HTTP/1.1 {status} No\r\n\r\n".encode())

    with raw(play) as peer:
        socket = Socket("ws://example.test/", auth="a", **proxied(peer))
        failed = Watch(socket).wait(ConnectFailed)
        assert isinstance(failed.error, HandshakeInvalid) and str(status) in str(failed.error)
        socket.close().result(5)


def http_hangs_up(peer: Peer) -> None:
    """A proxy that goes away."""


def socks_refuses(peer: Peer) -> None:
    """A SOCKS proxy whose target refused."""
    peer.send(b"\x05\x02")
    peer.read_some()
    peer.send(b"\x01\x00")
    peer.read_some()
    peer.send(b"\x05\x05\x00\x01" + bytes(6))


class SocksServer:
    """A peer that reads no HTTP request first."""

    def __init__(self, play: Callable[[Peer], object]) -> None:
        self._listening = sockets.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._play = play

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                tcp_socket, _ = self._listening.accept()
                with tcp_socket, suppress(OSError):
                    peer = Peer(tcp_socket)
                    peer.read_some()
                    self._play(peer)

    def close(self) -> None:
        self._listening.shutdown(sockets.SHUT_RDWR)
        self._listening.close()


@pytest.mark.parametrize(
    ("scheme", "play"),
    [
        ("http", http_hangs_up),
        pytest.param("socks5h", http_hangs_up, marks=needs("python_socks")),
        pytest.param("socks5h", socks_refuses, marks=needs("python_socks")),
    ],
)
def test_a_proxy_that_fails_like_the_network(scheme: str, play: Callable[[Peer], object]) -> None:
    """C16: it is retried without a limit, and says which proxy it was."""
    from threading import Thread

    peer = SocksServer(play)
    thread = Thread(target=peer.serve, daemon=True)
    thread.start()
    socket = Socket("ws://example.test/", **proxied(peer, scheme))
    watch = Watch(socket)
    failed = watch.wait(ConnectFailed, 7)
    assert isinstance(failed.error, ConnectionError)
    assert failed.verdict is Verdict.RECONNECT
    assert f"{scheme}://127.0.0.1" in str(failed.error)
    assert "S3cret" not in str(watch.events)
    socket.close().result(5)
    peer.close()
    thread.join(5)


def test_a_proxy_that_is_not_there() -> None:
    """The error says that it was the proxy, and which."""
    socket = Socket("ws://example.test/", proxy="http://me:S3cretPass@127.0.0.1:9", backoff=quick())
    failed = Watch(socket).wait(ConnectFailed)
    assert isinstance(failed.error, ConnectionRefusedError)
    assert "through the proxy http://127.0.0.1:9" in str(failed.error)
    assert "S3cret" not in str(failed.error)
    socket.close().result(5)


BLACK_HOLE = "203.0.113.1"


def test_the_first_address_is_a_black_hole(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: the next one is tried after 250 ms."""
    looked_up = sockets.getaddrinfo

    def two(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host != "two.test":
            return looked_up(host, port, *args, **options)
        kind = (sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_TCP, "")
        return [(*kind, (BLACK_HOLE, port)), (*kind, ("127.0.0.1", port))]

    connect = tcp.connect_address

    async def swallow(found: tcp.AddressInfo) -> sockets.socket:
        if found[4][0] == BLACK_HOLE:
            await asyncio.Event().wait()
        return await connect(found)

    monkeypatch.setattr(sockets, "getaddrinfo", two)
    monkeypatch.setattr(tcp, "connect_address", swallow)

    def play(peer: Peer) -> None:
        peer.send(peer.answer)
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            start = time.monotonic()
            async with dialled(transport, peer.url.replace("127.0.0.1", "two.test")) as made:
                await asyncio.wait_for(made.link, 5)
                assert 0.2 < time.monotonic() - start < 1.5
            await asyncio.sleep(0)
            assert len(asyncio.all_tasks()) == 1

    run(main)


def test_a_close_frame_between_fragments(transport: str) -> None:
    """RFC 6455, section 5.4: control frames may come there, so the peer's code counts."""

    def play(peer: Peer) -> None:
        closing = frame(b"\x11\x31expired", CLOSE)
        peer.send(peer.answer + frame(b"begun", fin=False) + closing)
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                await asyncio.wait_for(made.over, 5)
                ended = made.seen[-1]
                assert isinstance(ended, PeerClosed)
                assert (ended.code, ended.reason, ended.sent) == (4401, "expired", None)

    run(main)


def test_a_control_frame_between_fragments(transport: str) -> None:
    """RFC 6455, section 5.4: it is no part of the message, so not of its size either."""

    def play(peer: Peer) -> None:
        begun, end = frame(b"x" * 999, fin=False), frame(b"y", CONTINUATION)
        peer.send(peer.answer + begun + frame(b"p" * 125, PING) * 2 + end)
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url, max_size=1000) as made:
                await asyncio.wait_for(made.something.wait(), 5)
                assert made.seen == ["x" * 999 + "y"]

    run(main)


def test_a_message_in_many_pieces(transport: str) -> None:
    """Bytes bound a message, not the number of its fragments."""

    def play(peer: Peer) -> None:
        begun, end = frame(b"x", fin=False), frame(b"y", CONTINUATION)
        peer.send(peer.answer + begun + frame(b"", CONTINUATION, fin=False) * 5000 + end)
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                await asyncio.wait_for(made.something.wait(), 5)
                assert made.seen == ["xy"]

    run(main)


def test_a_length_that_cannot_be(transport: str) -> None:
    """RFC 6455, section 5.2: its highest bit is 0; it is refused at once, whatever max_size."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer + b"\x82\x7f" + b"\xff" * 8)
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url, max_size=None) as made:
                await asyncio.wait_for(made.over, 5)
                ended = made.seen[-1]
                assert isinstance(ended, PeerClosed) and ended.sent == 1002

    run(main)


def test_codes_are_plain_numbers(transport: str) -> None:
    """They are no enums of a library, whoever sent them."""

    def without(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"", CLOSE))
        peer.drain()

    def too_big(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"x" * 2000, BINARY))
        peer.drain()

    async def main() -> None:
        for play, attribute, code in ((without, "code", 1005), (too_big, "sent", 1009)):
            with raw(play) as peer:
                async with dialled(transport, peer.url, max_size=1000) as made:
                    await asyncio.wait_for(made.over, 5)
                    seen = getattr(made.seen[-1], attribute)
                    assert (type(seen), seen) == (int, code)

    run(main)


def test_a_pong_for_the_newest_ping(transport: str) -> None:
    """RFC 6455, section 5.5.3: it answers those before it, too."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer)
        got = b""
        while len(got) < 2 * PING_SIZE[transport]:
            got += peer.read_some()
        newest = got[PING_SIZE[transport] :]
        mask, masked = newest[2:6], newest[6:]
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))
        peer.send(frame(payload, PONG))
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                link = await made.link
                await asyncio.wait_for(asyncio.gather(link.ping(), link.ping()), 5)

    run(main)


PING_SIZE = {"websockets": 10, "picows": 14}
"""Bytes of a ping that we send."""


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.slow
def test_bytes_are_a_sign_of_life(transport: str, stalls: bool) -> None:
    """C17: a pong behind a large message that comes slowly ends nothing, silence does."""

    def play(peer: Peer) -> None:
        message = frame(b"x" * 60)
        peer.send(peer.answer)
        for at in range(len(message)):
            if stalls and at == 30:
                peer.drain()
            peer.send(message[at : at + 1])
            time.sleep(0.02)
        peer.drain()

    with raw(play) as peer:
        options: dict[str, Any] = {"ping_interval": 0.1, "ping_timeout": 0.3, "backoff": quick()}
        socket = Socket(peer.url, transport=transport, **options)
        watch = Watch(socket)
        if stalls:
            assert watch.wait(Closed).cause is Cause.SILENT
        else:
            assert watch.wait(Message).data == "x" * 60
            assert not watch.of(Closed)
        assert all(event.uptime > 0.5 for event in watch.of(Closed))
        socket.close().result(5)


def test_a_bad_frame_is_no_line_on_stderr(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    """The socket says what happened; the library's own words are for DEBUG."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"x", 3))
        peer.drain()

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                await asyncio.wait_for(made.over, 5)

    run(main)
    assert not [one for one in caplog.records if one.levelno > logging.DEBUG]


def test_pings_of_a_peer_that_does_not_read(transport: str) -> None:
    """RFC 6455, section 5.5.3: above the high-water mark, only the newest is answered."""
    stop = asyncio.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sent = 0

        def flood(tcp_socket: sockets.socket) -> None:
            nonlocal sent
            peer = Peer(tcp_socket)
            peer.read_request()
            peer.send(peer.answer)
            tcp_socket.settimeout(9)
            pings = frame(b"p" * 125, 9) * 1000
            with suppress(OSError):
                while sent < 8_000_000:
                    tcp_socket.sendall(pings)
                    sent += len(pings)
            loop.call_soon_threadsafe(stop.set)

        def serve() -> None:
            tcp_socket, _ = listening.accept()
            with tcp_socket:
                tcp_socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
                flood(tcp_socket)
                looked_at.wait(60)

        looked_at = threading.Event()
        with sockets.create_server(("127.0.0.1", 0)) as listening:
            host, port = listening.getsockname()
            serving = loop.run_in_executor(None, serve)
            try:
                async with dialled(transport, f"ws://{host}:{port}/") as made:
                    link: Any = await made.link
                    await asyncio.wait_for(stop.wait(), 9)
                    connection = getattr(link, "_connection", link)
                    writer = (
                        connection.transport
                        if transport == "websockets"
                        else (connection._transport.underlying_transport)
                    )
                    assert sent >= 8_000_000
                    assert 0 < writer.get_write_buffer_size() < 2_000_000
            finally:
                looked_at.set()
                await serving

    run(main)
