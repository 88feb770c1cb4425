"""The server of the bench: raw TCP in a process of its own, so that it is never the bottleneck.

It knows as much of WebSocket as it needs: the opening handshake, frames that were made before, and
an answer to a close frame. The path of the request says what it does:

- ``/flood?frames=kind&count=n`` writes ``n`` frames of a kind as fast as they are taken.
- ``/echo`` answers each message with the same one.
- ``/sink?bytes=n`` reads ``n`` bytes of frames and says "done".
- ``/idle`` does nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import socket as sockets
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Peer", "frame", "payload", "peer"]

MIB = 2**20
TEXT, CLOSE, PING = 0x1, 0x8, 0x9


def payload(kind: str) -> str:
    """The message that is sent over and over: ``raw-64``, ``json-1024``, ..."""
    name, size = kind.split("-")
    if name == "raw":
        return "x" * int(size)
    quote = {"symbol": "ABCD", "price": 101.25, "volume": 1200, "note": ""}
    quote["note"] = "n" * (int(size) - len(json.dumps(quote, separators=(",", ":"))))
    return json.dumps(quote, separators=(",", ":"))


def frame(opcode: int, data: bytes) -> bytes:
    """A whole frame of a server."""
    size = len(data)
    if size < 126:
        return bytes([0x80 | opcode, size]) + data
    if size < 2**16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + data
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + data


class Peer:
    """The bench's side of the server."""

    def __init__(self, port: int, pipe: Connection) -> None:
        self.port = port
        self._pipe = pipe

    def url(self, path: str, **query: object) -> str:
        """The address of something it does."""
        values = "&".join(f"{name}={value}" for name, value in query.items())
        return f"ws://127.0.0.1:{self.port}/{path}?{values}"

    def cpu(self) -> float:
        """Seconds of processor time that the server's process has used."""
        self._pipe.send("cpu")
        used: float = self._pipe.recv()
        return used

    def rate(self, kind: str, count: int) -> float:
        """Messages a second that it writes to a client that only reads bytes."""
        with sockets.create_connection(("127.0.0.1", self.port)) as tcp:
            key = base64.b64encode(bytes(16)).decode()
            tcp.sendall(
                f"GET /flood?frames={kind}&count={count} HTTP/1.1\r\nHost: bench\r\n"
                f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            left = count * len(frame(TEXT, payload(kind).encode()))
            buffer = bytearray(MIB // 8)
            start = time.perf_counter()
            while left > 0:
                left -= tcp.recv_into(buffer)
            return count / (time.perf_counter() - start)


@contextmanager
def peer() -> Iterator[Peer]:
    """Start the server; it ends with the block."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs,), daemon=True
    )
    process.start()
    try:
        yield Peer(ours.recv(), ours)
    finally:
        ours.send("end")
        process.join()


def _serve(pipe: Connection) -> None:
    allow_files(4096)
    threading.stack_size(256 * 1024)  # there may be a thousand of them
    listener = sockets.create_server(("127.0.0.1", 0), backlog=1024)

    def accept() -> None:
        while True:
            tcp, _ = listener.accept()
            threading.Thread(target=_answer, args=(tcp,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    pipe.send(listener.getsockname()[1])
    while pipe.recv() == "cpu":
        pipe.send(time.process_time())


def allow_files(number: int) -> None:
    """Let this process have that many open files, where that can be said."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _answer(tcp: sockets.socket) -> None:
    tcp.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    try:
        path, query = _shake_hands(tcp)
        with tcp:
            if path == "/flood":
                _flood(tcp, query["frames"], int(query["count"]))
            elif path == "/sink":
                left = int(query["bytes"])
                while left > 0:
                    left -= len(tcp.recv(MIB))
                tcp.sendall(frame(TEXT, b"done"))
            _echo(tcp)
    except OSError:
        tcp.close()  # the client was done first


def _shake_hands(tcp: sockets.socket) -> tuple[str, dict[str, str]]:
    request = b""
    while b"\r\n\r\n" not in request:
        request += tcp.recv(MIB)
    first, *headers = request.decode().split("\r\n")
    key = next(line[19:] for line in headers if line.lower().startswith("sec-websocket-key: "))
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    tcp.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    address = urlsplit(first.split(" ")[1])
    return address.path, dict(parse_qsl(address.query))


def _flood(tcp: sockets.socket, kind: str, count: int) -> None:
    one = frame(TEXT, payload(kind).encode())
    many = max(1, MIB // len(one))
    chunk = one * many
    while count >= many:
        tcp.sendall(chunk)
        count -= many
    tcp.sendall(one * count)


def _echo(tcp: sockets.socket) -> None:
    """Answer messages with themselves, pings with nothing, and a close frame with another."""
    data = b""
    while chunk := tcp.recv(MIB):
        data += chunk
        while len(data) >= 6:
            size, start = data[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            end = start + 4 + size
            if len(data) < end:
                break
            mask, body = data[start : start + 4], data[start + 4 : end]
            masks = (mask * (size // 4 + 1))[:size]
            plain = (int.from_bytes(body, "big") ^ int.from_bytes(masks, "big")).to_bytes(
                size, "big"
            )
            opcode, data = data[0] & 0x0F, data[end:]
            if opcode != PING:
                tcp.sendall(frame(opcode, plain))
            if opcode == CLOSE:
                return
