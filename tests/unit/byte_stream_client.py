"""What a client makes of a stream of bytes, on a transport that writes nothing anywhere."""

from __future__ import annotations

import asyncio
import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from reactivex import Observer
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.uri import parse_uri
from websockets.utils import accept_key

from rxsocket.transports.base import PeerClosed
from rxsocket.transports.websockets_connection import WebSocketsConnection

LIMIT = 200
"""``max_size`` of every client here."""
EOF = "EOF"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes = b"", *, bits: int = 0x80, form: int = 0) -> bytes:
    """A frame of a server; ``form`` 126 or 127 asks for a longer form of the length."""
    length = len(payload)
    if length > 0xFFFF or form == 127:
        size = struct.pack("!BQ", 127, length)
    elif length > 125 or form == 126:
        size = struct.pack("!BH", 126, length)
    else:
        size = bytes([length])
    return bytes([bits | opcode]) + size + payload


def compressed(opcode: int, payload: bytes) -> bytes:
    """A whole message under permessage-deflate."""
    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(opcode, data[:-4], bits=0xC0)


@dataclass
class Outcome:
    """What was to be seen."""

    messages: list[str | bytes] = field(default_factory=list)
    written: list[bytes | str] = field(default_factory=list)
    received: tuple[int, str] | None = None
    sent: tuple[int, str] | None = None
    pong: bool = False
    end: PeerClosed | None = field(default=None, compare=False)
    reads: list[list[str | bytes]] = field(default_factory=list, compare=False)
    cut: bool = field(default=False, compare=False)


class _Transport(asyncio.Transport):
    def __init__(self, written: list[bytes | str]) -> None:
        super().__init__()
        self._written = written

    def write(self, data: Any) -> None:
        self._written.append(bytes(data))

    def write_eof(self) -> None:
        self._written.append(EOF)

    def can_write_eof(self) -> bool:
        return True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


async def _settled() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def _protocol(deflate: bool) -> ClientProtocol:
    extensions = [ClientPerMessageDeflateFactory()] if deflate else None
    return ClientProtocol(parse_uri("ws://localhost/"), max_size=LIMIT, extensions=extensions)


def _feed(connection: ClientConnection, data: bytes) -> None:
    """Give it bytes as an event loop does."""
    if isinstance(connection, asyncio.BufferedProtocol):
        connection.get_buffer(len(data))[: len(data)] = data
        connection.buffer_updated(len(data))
    else:
        connection.data_received(data)


async def _shake_hands(
    connection: ClientConnection,
    outcome: Outcome,
    deflate: bool,
    chunks: list[bytes] | None = None,
    place: int | None = None,
) -> None:
    """Open a connection; with ``place``, the answer and the first chunk are split there only."""
    connection.connection_made(_Transport(outcome.written))
    shaking = asyncio.ensure_future(connection.handshake())
    await _settled()
    outcome.written.clear()  # the request
    extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
    text = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(connection.protocol.key)}\r\n{extension}\r\n"
    )
    answer = text.encode()
    if place is None or not chunks:
        _feed(connection, answer)
    else:
        whole = answer + chunks.pop(0)
        for part in filter(None, (whole[:place], whole[place:])):
            _feed(connection, part)
    await shaking


async def _play(
    connection: ClientConnection, chunks: list[bytes], outcome: Outcome, ping: Any, eof: bool
) -> None:
    for chunk in chunks:
        _feed(connection, chunk)
        await _settled()
    if eof:
        connection.eof_received()
    await _settled()
    protocol = connection.protocol
    received, sent = protocol.close_rcvd, protocol.close_sent
    outcome.received = None if received is None else (int(received.code), received.reason)
    outcome.sent = None if sent is None else (int(sent.code), sent.reason)
    outcome.pong = ping.done() and ping.exception() is None
    connection.connection_lost(None)
    await _settled()
    if ping.done():
        ping.exception()


async def plain(stream: bytes, *, deflate: bool = False, eof: bool = False) -> Outcome:
    """A connection of ``websockets`` as it is, which gets one byte after the other."""
    outcome = Outcome()
    connection = ClientConnection(_protocol(deflate), ping_interval=None, max_queue=None)
    await _shake_hands(connection, outcome, deflate)

    async def read() -> None:
        with suppress(ConnectionClosed):
            while True:
                outcome.messages.append(await connection.recv())

    reading = asyncio.ensure_future(read())
    ping = await connection.ping(b"ours")
    await _settled()
    await _play(connection, [bytes([byte]) for byte in stream], outcome, ping, eof)
    await reading
    return outcome


async def pushing(
    chunks: list[bytes],
    *,
    deflate: bool = False,
    eof: bool = False,
    kind: type[WebSocketsConnection] = WebSocketsConnection,
    handshake: int | None = None,
) -> Outcome:
    """Our connection, which gets these chunks."""
    outcome = Outcome()
    connection = kind(_protocol(deflate), limit=LIMIT, ping_interval=None, max_queue=None)

    def on_next(signal: Any) -> None:
        if isinstance(signal, list):
            outcome.messages.extend(signal)
            outcome.reads.append(signal)
        elif isinstance(signal, PeerClosed):
            outcome.end = signal

    chunks = chunks.copy()
    await _shake_hands(connection, outcome, deflate, chunks, handshake)
    outcome.cut = connection._frame_reader is not None
    connection.start(Observer(on_next))
    ping = await connection.ping(b"ours")
    await _play(connection, chunks, outcome, ping, eof)
    return outcome
