"""The server of the bench: raw TCP in a process of its own, so that it is never the bottleneck.

It knows as much of WebSocket as it needs: the opening handshake, frames that were made before, and
an answer to a close frame. The path of the request says what it does:

- ``/flood?frames=kind&count=n`` writes ``n`` frames of a kind as fast as they are taken.
- ``/paced?frames=kind&rate=n`` writes ``n`` of them a second, for as long as they are read.
- ``/channels?count=n`` writes ``n`` messages of the topics that the first message names, in turn.
- ``/echo`` answers each message with the same one.
- ``/sink?bytes=n`` reads ``n`` bytes of frames and says "done".
- ``/ticks`` writes the number of each millisecond, the same on every connection.
- ``/idle`` does nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import os
import socket as sockets
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Peer", "allow_files", "frame", "messages", "peer", "pin"]

MIB = 2**20
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


def messages(kind: str) -> list[str]:
    """What is sent over and over: ``raw-64``, ``json-1024``, or ``topics-100`` of 100 topics."""
    name, number = kind.split("-")
    if name == "raw":
        return ["x" * int(number)]
    quote = {"symbol": "ABCD", "price": 101.25, "volume": 1200, "note": ""}
    if name == "topics":
        return [_json({"topic": f"quotes/{one}", "data": quote}) for one in range(int(number))]
    quote["note"] = "n" * (int(number) - len(_json(quote)))
    return [_json(quote)]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


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
            left = sum(len(chunk) for chunk in _chunks(kind, count))
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
    pin(1)
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


def pin(core: int) -> None:
    """Stay on one core, if there are several and the system can do that."""
    if hasattr(os, "sched_setaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, {cores[core]})


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
                for chunk in _chunks(query["frames"], int(query["count"])):
                    tcp.sendall(chunk)
            elif path == "/paced":
                _pace(tcp, query["frames"], int(query["rate"]))
            elif path == "/channels":
                _write_channels(tcp, int(query["count"]))
            elif path == "/ticks":
                _tick(tcp)
                return
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


def _chunks(kind: str, count: int) -> Iterator[bytes]:
    """So many frames of a kind, about a MiB at a time."""
    frames = [frame(TEXT, message.encode()) for message in messages(kind)]
    cycles = max(1, MIB // sum(map(len, frames)))
    chunk, many = b"".join(frames) * cycles, len(frames) * cycles
    while count >= many:
        yield chunk
        count -= many
    whole, rest = divmod(count, len(frames))
    yield b"".join(frames * whole + frames[:rest])


def _pace(tcp: sockets.socket, kind: str, rate: int) -> None:
    """Write so many frames of a kind a second, those of 10 ms at once."""
    each = max(1, rate // 100)
    chunk, start, sent = b"".join(_chunks(kind, each)), time.perf_counter(), 0
    while True:
        tcp.sendall(chunk)
        sent += each
        time.sleep(max(0.0, sent / rate - (time.perf_counter() - start)))


def _write_channels(tcp: sockets.socket, count: int) -> None:
    """Wait for ``{"sub": [topic, ...]}``, then write so many messages of these."""
    data, asked = b"", None
    while asked is None:
        data += tcp.recv(MIB)
        asked = next(
            (json.loads(body) for opcode, body, _ in _frames(data) if opcode == TEXT), None
        )
    quote = json.loads(messages("topics-1")[0])
    frames = [frame(TEXT, _json({**quote, "topic": topic}).encode()) for topic in asked["sub"]]
    chunk = b"".join(frames)
    whole, rest = divmod(count, len(frames))
    cycles = max(1, MIB // len(chunk))
    for _ in range(whole // cycles):
        tcp.sendall(chunk * cycles)
    tcp.sendall(chunk * (whole % cycles) + b"".join(frames[:rest]))


def _tick(tcp: sockets.socket) -> None:
    """Write the number of each millisecond, until a close frame comes; answer that, and pings."""
    tcp.setblocking(False)
    last = _now()
    while True:
        now = _now()
        tcp.sendall(b"".join(frame(TEXT, b"%d" % number) for number in range(last + 1, now + 1)))
        last = now
        try:
            data = tcp.recv(MIB)
        except BlockingIOError:
            time.sleep(0.0005)
            continue
        for opcode, body, _ in _frames(data):
            if opcode == PING:
                tcp.sendall(frame(PONG, body))
            elif opcode == CLOSE:
                tcp.sendall(frame(CLOSE, body))
                return
        if not data:
            return


def _now() -> int:
    return time.monotonic_ns() // 1_000_000


def _echo(tcp: sockets.socket) -> None:
    """Answer messages with themselves, pings with nothing, and a close frame with another."""
    data = b""
    while chunk := tcp.recv(MIB):
        data += chunk
        whole = 0
        for opcode, body, end in _frames(data):
            whole = end
            if opcode != PING:
                tcp.sendall(frame(opcode, body))
            if opcode == CLOSE:
                return
        data = data[whole:]


def _frames(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The whole frames of a client that some bytes begin with, unmasked, and where each ends."""
    at = 0
    while len(data) - at >= 6:
        size, start = data[at + 1] & 0x7F, at + 2
        if size == 126:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        end = start + 4 + size
        if len(data) < end:
            return
        masks = (data[start : start + 4] * (size // 4 + 1))[:size]
        plain = int.from_bytes(data[start + 4 : end], "big") ^ int.from_bytes(masks, "big")
        yield data[at] & 0x0F, plain.to_bytes(size, "big"), end
        at = end
