"""What the tests on real connections share, besides the test kit: a server of raw bytes."""

from __future__ import annotations

import base64
import hashlib
import random
import socket as sockets
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from deadlines import stretched

from rxsocket import Backoff
from rxsocket.testing import Watch as Watch

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def quick() -> Backoff:
    """A backoff that does not make a test wait."""
    return Backoff(first=0.01, base=0.01, cap=0.02, spacing=0.0, random=random.Random(1))


class Inbox:
    """An observer of values, to be waited for on the thread of the test."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, value: Any = None) -> None:
        with self._changed:
            self._values.append(value)
            self._changed.notify_all()

    @property
    def values(self) -> list[Any]:
        """What came so far."""
        with self._changed:
            return list(self._values)

    def wait(self, count: int, timeout: float = 8.0) -> list[Any]:
        """Block until that many values came."""
        __tracebackhide__ = True
        return self.until(lambda values: len(values) >= count, timeout)

    def until(self, predicate: Callable[[list[Any]], object], timeout: float = 8.0) -> list[Any]:
        """Block until something is true of the values; it is asked whenever one comes."""
        __tracebackhide__ = True
        with self._changed:
            there = self._changed.wait_for(lambda: predicate(self._values), stretched(timeout))
        assert there, f"not within {timeout:g} s; {len(self.values)} came: {self.values[:20]!r}"
        return self.values


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """One frame as a server sends it (RFC 6455, section 5.2)."""
    first = (0x80 if fin else 0) | opcode
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, size)
    elif size < 2**16:
        head = struct.pack("!BBH", first, 126, size)
    else:
        head = struct.pack("!BBQ", first, 127, size)
    return head + payload


def answer_to(request: bytes) -> bytes:
    """The right answer to a handshake (RFC 6455, section 4.2.2)."""
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = (
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Peer:
    """One TCP connection of a raw server.

    Attributes:
        request: The client's handshake, from the request line to the empty line.
    """

    def __init__(self, tcp: sockets.socket) -> None:
        self._tcp = tcp
        self.request = b""

    @property
    def client(self) -> str:
        """Where the client connects from."""
        return str(self._tcp.getpeername()[0])

    def read_request(self) -> None:
        """Read the handshake."""
        while b"\r\n\r\n" not in self.request:
            data = self._tcp.recv(4096)
            if not data:
                raise ConnectionError
            self.request += data

    @property
    def answer(self) -> bytes:
        """The right answer to the handshake."""
        return answer_to(self.request)

    def send(self, data: bytes) -> None:
        """Write bytes."""
        self._tcp.sendall(data)

    def read_some(self) -> bytes:
        """Read what is there, or comes next."""
        return self._tcp.recv(65536)

    def cut(self) -> None:
        """Lose the connection, if it is there still; on whichever thread."""
        with suppress(OSError):
            self._tcp.shutdown(sockets.SHUT_RDWR)

    def drain(self) -> bytes:
        """Read until the client is gone."""
        data = b""
        while more := self._tcp.recv(65536):
            data += more
        return data


class Raw:
    """A server of raw bytes on a free port: each connection is played by a function.

    For what the test kit cannot send, because it always speaks WebSocket: wrong bytes, and none.
    """

    def __init__(self, play: Callable[[Peer], object]) -> None:
        self._play = play
        self._listening = sockets.create_server(("127.0.0.1", 0))
        self._open: list[sockets.socket] = []
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self.requests: list[bytes] = []
        self.url = f"ws://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def wait_for(self, predicate: Callable[[Raw], object], timeout: float = 8.0) -> None:
        """Block until something is true; it is asked at each request."""
        with self._changed:
            assert self._changed.wait_for(lambda: predicate(self), timeout)

    def _accept(self) -> None:
        while True:
            try:
                tcp, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(tcp,), daemon=True)
            self._open.append(tcp)
            self._threads.append(thread)
            thread.start()

    def _serve(self, tcp: sockets.socket) -> None:
        with suppress(OSError), tcp:
            peer = Peer(tcp)
            peer.read_request()
            with self._changed:
                self.requests.append(peer.request)
                self._changed.notify_all()
            self._play(peer)

    def cut(self) -> None:
        """Cut the connections that are open."""
        for tcp in self._open:
            with suppress(OSError):
                tcp.shutdown(sockets.SHUT_RDWR)

    def stop(self) -> None:
        """Cut everything; nothing is left afterwards."""
        with suppress(OSError):
            self._listening.shutdown(sockets.SHUT_RDWR)
        self._listening.close()
        self._acceptor.join()
        self.cut()
        for thread in self._threads:
            thread.join()


@contextmanager
def raw(play: Callable[[Peer], object]) -> Iterator[Raw]:
    """A server whose connections are played by a function, after the handshake was read."""
    served = Raw(play)
    try:
        yield served
    finally:
        served.stop()
