"""The transports agree: any bytes a server may send, in any pieces, mean the same on both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from internals import transport_for

from rxsocket import Link, Options, PeerClosed, Request, Signal, Transport

from .frame_streams import (
    CLOSE,
    MAX_SIZE,
    PING,
    PONG,
    TEXT,
    VIOLATIONS,
    FrameStream,
    frame,
    streams,
)
from .wire_helpers import answer_to

pytest.importorskip("picows")
pytestmark = pytest.mark.only("websockets")  # these compare it with the other one


@dataclass
class Received:
    """What came of a stream.

    Attributes:
        messages: What the transport emitted.
        ended: Its last value.
        close: Code of the close frame that the server got first; 1005 for an empty one.
        pongs: What the server got as pongs.
    """

    messages: list[str | bytes] = field(default_factory=list)
    ended: PeerClosed | None = None
    close: int | None = None
    pongs: list[bytes] = field(default_factory=list)


class Player(asyncio.Protocol):
    """The server's end: answers the handshake, plays a stream, and reads what the client sends.

    The bytes are right and wrong ones, in pieces of any size; the test kit sends whole frames.
    """

    def __init__(self, stream: FrameStream, heard: Received) -> None:
        self._stream = stream
        self._heard = heard
        self._data = b""
        self._shaken = False
        self.closed = asyncio.Event()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._shaken:
            self._read_frames()
            return
        head, end, self._data = self._data.partition(b"\r\n\r\n")
        assert end, "a handshake fits in one segment"
        self._shaken = True
        self._playing = asyncio.get_running_loop().create_task(self._play(answer_to(head)))

    def eof_received(self) -> bool:
        self.closed.set()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set()
        self.gone.set()

    async def _play(self, answer: bytes) -> None:
        for chunk in self._stream.chunks(answer):
            self._transport.write(chunk)
            for _ in range(3):  # turns of the loop in which the client reads just this
                await asyncio.sleep(0)
        frames = self._stream.frames
        if self._stream.broken or any(one[0] & 15 == CLOSE for one in frames):
            await self.closed.wait()
        self._transport.close()

    def _read_frames(self) -> None:
        while len(self._data) >= 6:
            opcode, size = self._data[0] & 15, self._data[1] & 127
            assert self._data[1] & 128, "clients mask"
            assert size < 126
            if len(self._data) < 6 + size:
                return
            mask, payload = self._data[2:6], self._data[6 : 6 + size]
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
            self._data = self._data[6 + size :]
            if opcode == PONG and self._heard.close is None:
                self._heard.pongs.append(payload)
            elif opcode == CLOSE and self._heard.close is None:
                self._heard.close = int.from_bytes(payload[:2]) if payload else 1005
                self.closed.set()


async def play(stream: FrameStream, transport: Transport) -> Received:
    """Let a transport dial a server that plays a stream."""
    loop = asyncio.get_running_loop()
    heard = Received()
    players: list[Player] = []
    links: list[Link] = []

    def met() -> Player:
        players.append(Player(stream, heard))
        return players[-1]

    server = await loop.create_server(met, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    request = Request(
        url=f"ws://{host}:{port}/",
        options=Options(compression=None, max_size=MAX_SIZE, proxy=None),
    )
    over: asyncio.Future[None] = loop.create_future()

    def on_next(signal: Signal) -> None:
        if isinstance(signal, list):
            assert heard.ended is None
            heard.messages += signal
        elif isinstance(signal, PeerClosed):
            heard.ended = signal
        else:
            assert not isinstance(signal, (str, bytes)), "messages come in lists"
            links.append(signal)

    subscription = transport(request).subscribe(
        on_next, over.set_exception, lambda: over.set_result(None)
    )
    try:
        async with asyncio.timeout(5):
            await over
            await players[0].closed.wait()
            await links[0].wait_closed()
            await players[0].gone.wait()
    finally:
        subscription.dispose()
        server.close()
        await server.wait_closed()
    return heard


def meaning(heard: Received, stream: FrameStream) -> object:
    """What must be the same on every transport; the words of a failure may differ."""
    ended = heard.ended
    assert ended is not None
    said = "" if ended.sent or ended.lost else ended.reason
    pongs = None if stream.broken else heard.pongs
    return heard.messages, (ended.code, said, ended.sent, ended.lost), heard.close, pongs


@pytest.mark.parametrize("each_byte", [False, True], ids=["in one piece", "byte by byte"])
@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation(name: str, each_byte: bool) -> None:
    """RFC 6455, sections 5, 7.4: what came before is delivered, and the code says what broke."""
    code, data = VIOLATIONS[name]
    stream = FrameStream((frame(TEXT, b"before"), data, frame(TEXT, b"after")), (), each_byte, True)
    for transport in ("websockets", "picows"):
        heard = asyncio.run(play(stream, transport_for(transport)))
        assert heard.messages == ["before"]
        assert heard.ended is not None
        assert (heard.ended.code, heard.ended.sent, heard.close) == (1006, code, code)


@pytest.mark.parametrize("examples", [50, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_any_stream_in_any_pieces(examples: int) -> None:
    """Any frames, good or bad, in any pieces: the same messages, end, pongs and close code."""
    each = {name: transport_for(name) for name in ("websockets", "picows")}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(stream=streams())
    @example(  # refused while the handshake is still being handed on
        stream=FrameStream((frame(TEXT, b"x"), frame(TEXT, b"y" * (MAX_SIZE + 1))), (), False, True)
    )
    @example(
        stream=FrameStream((frame(PING, b"p"), frame(TEXT, b"y", mask=b"abcd")), (), True, True)
    )
    def agree(stream: FrameStream) -> None:
        found = {
            name: meaning(asyncio.run(play(stream, transport)), stream)
            for name, transport in each.items()
        }
        assert found["picows"] == found["websockets"]

    agree()
