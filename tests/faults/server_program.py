"""A server in a process of its own, told what to do through its standard input.

Each command is a JSON object in one line, and so is its answer. A *play* is what is done to one
connection: the plays that were queued come first, then everybody is served.

The test kit serves from a thread of the process that tests. This one can be killed, stopped and
started again, and sends bytes that no server should.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import sys
from collections import deque
from contextlib import suppress
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
OF_A_PROXY = ("answer", "cut", "hang", "refuse")
"""What can be done to a client that asks for a tunnel; anything else is done inside of it."""


class Peer:
    """The server: its plays, and what it has seen."""

    def __init__(self) -> None:
        self.plays: deque[dict[str, Any]] = deque()
        self.dials = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.protocols: dict[asyncio.StreamWriter, ServerProtocol] = {}
        self.requests: list[str] = []
        self.received: list[str] = []
        self.sources: list[int] = []
        self.answers: str | None = None
        self.served = 0
        self.every = 0.0
        self.server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        if self.server is not None:
            self.server.close()
        self.server = await asyncio.start_server(self.connected, host, port, backlog=256)
        number: int = self.server.sockets[0].getsockname()[1]
        return number

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dials += 1
        self.open.add(writer)
        try:
            await self.play(self.plays.popleft() if self.plays else {}, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            self.protocols.pop(writer, None)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def play(
        self, play: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if play.get("do") == "banner":  # speaks before it is spoken to
            writer.write(bytes.fromhex(play["hex"]))
            await reader.read()
            return
        if play.get("do") == "leave":  # without a byte
            return
        request = await reader.readuntil(b"\r\n\r\n")
        if request.startswith(b"CONNECT") and play.get("do") not in OF_A_PROXY:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            request = await reader.readuntil(b"\r\n\r\n")
        if self.answers is not None:  # for a while, to everybody
            play = {"do": "answer", "text": self.answers}
        self.requests.append(request.decode("latin-1").split(" ")[1])
        if "token=bad" in self.requests[-1]:
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        match play.get("do", "serve"):
            case "hang":
                await reader.read()
            case "cut":
                writer.transport.abort()
            case "answer":  # any bytes instead of a handshake
                writer.write(play["text"].encode())
                await writer.drain()
                if play.get("stays"):  # with a body that never ends
                    await reader.read()
            case "drip":
                for byte in answer(request):
                    writer.write(bytes((byte,)))
                    await writer.drain()
                    await asyncio.sleep(play["pause"])
                await reader.read()
            case "refuse":
                writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            case "bytes":  # a handshake, then any bytes, then silence
                writer.write(answer(request, play.get("extensions", "")))
                writer.write(bytes.fromhex(play["hex"]))
                await writer.drain()
                await reader.read()
            case "flood":
                writer.write(answer(request))
                while True:
                    writer.write(b"\x81\x7e" + struct.pack("!H", 1000) + b"x" * 1000)
                    await writer.drain()
            case _:
                await self.serve(play, request, reader, writer)

    async def serve(
        self,
        play: dict[str, Any],
        request: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Accept the handshake, then go on as a proper server does."""
        protocol = ServerProtocol()
        protocol.receive_data(request)
        [opening] = protocol.events_received()
        assert isinstance(opening, Request)
        protocol.send_response(protocol.accept(opening))
        for data in protocol.data_to_send():
            writer.write(data)
        self.served += 1
        number = self.served
        ticking = asyncio.create_task(self.tick(number, protocol, writer))
        try:
            await self.converse(number, protocol, reader, writer)
        finally:
            ticking.cancel()

    async def tick(
        self, number: int, protocol: ServerProtocol, writer: asyncio.StreamWriter
    ) -> None:
        """Send numbered messages, as long as there is to be one every so often."""
        count = 0
        while self.every and protocol.state is State.OPEN:
            count += 1
            protocol.send_text(f"tick {number} {count}".encode())
            for data in protocol.data_to_send():
                writer.write(data)
            await writer.drain()
            await asyncio.sleep(self.every)

    async def converse(
        self,
        number: int,
        protocol: ServerProtocol,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Answer what comes with the same, until the client leaves."""
        self.protocols[writer] = protocol
        while True:
            for data in protocol.data_to_send():
                if data:
                    writer.write(data)
                elif writer.can_write_eof():
                    writer.write_eof()
            await writer.drain()
            if data_end := await reader.read(65536):
                protocol.receive_data(data_end)
            else:
                return
            for event in protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    text = bytes(event.data).decode()
                    self.received.append(text)
                    self.sources.append(number)
                    if protocol.state is State.OPEN:
                        protocol.send_text(text.encode())

    async def do(self, command: dict[str, Any]) -> Any:
        match command["do"]:
            case "listen":
                return await self.listen(command["host"], command["port"])
            case "close":
                for writer, protocol in self.protocols.items():
                    if protocol.state is State.OPEN:
                        if command["code"] == 1005:
                            protocol.send_close()
                        else:
                            protocol.send_close(command["code"], "because")
                        for data in protocol.data_to_send():
                            writer.write(data)
                return None
            case "tick":
                self.every = command["every"]
                return None
            case "open":
                return len(self.open)
            case "answers":
                self.answers = command["text"]
                return None
            case "forget":
                self.plays.clear()
                self.answers = None
                return None
            case "play":
                self.plays.append(command["play"])
                return None
            case "plays":
                self.plays = deque(command["plays"])
                self.dials = 0
                self.requests.clear()
                self.received.clear()
                self.sources.clear()
                return None
            case "drop":
                for writer in list(self.open):
                    writer.transport.abort()
                return None
            case _:
                return {
                    "dials": self.dials,
                    "open": len(self.open),
                    "requests": self.requests,
                    "received": self.received,
                    "sources": self.sources,
                }


def answer(request: bytes, extensions: str = "") -> bytes:
    """The right answer to a handshake, but for the extensions."""
    lines = request.split(b"\r\n")
    key = next(
        line.split(b":", 1)[1].strip()
        for line in lines
        if line.lower().startswith(b"sec-websocket-key:")
    )
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    head += b"Sec-WebSocket-Accept: " + accept + b"\r\n"
    if extensions:
        head += b"Sec-WebSocket-Extensions: " + extensions.encode() + b"\r\n"
    return head + b"\r\n"


async def main() -> None:
    peer, loop = Peer(), asyncio.get_running_loop()
    commands = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        result = await peer.do(json.loads(line))
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
