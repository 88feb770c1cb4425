"""Proxies that work, which the test kit has none of: HTTP CONNECT and SOCKS, on the test's loop."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class ProxyServer:
    """A proxy that passes on what it is asked to.

    Attributes:
        kind: Scheme of its address.
        port: Where it listens.
        asked: Host and port of each request, as the client named them.
        users: User name and password of each request that had them.
        clients: Where each client connects from.
    """

    kind: str
    port: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)
    users: list[tuple[str, str]] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, with the credentials it wants."""
        user = "me:" if self.kind.startswith("socks4") else "me:p%40ss"
        return f"{self.kind}://{user}@127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client, until either side has gone."""
        self.clients.append(writer.get_extra_info("peername")[0])
        try:
            if self.kind.startswith("http"):
                host, port = await self._http(reader, writer)
            elif self.kind.startswith("socks5"):
                host, port = await self._socks5(reader, writer)
            else:
                host, port = await self._socks4(reader, writer)
            self.asked.append((host, port))
            to_reader, to_writer = await asyncio.open_connection(host, port)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()
            return
        try:
            done, rest = await asyncio.wait(
                [
                    asyncio.ensure_future(_pass(reader, to_writer)),
                    asyncio.ensure_future(_pass(to_reader, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in rest:
                task.cancel()
            await asyncio.gather(*done, *rest, return_exceptions=True)
        finally:
            to_writer.close()
            writer.close()

    async def _http(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, int]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host, _, port = head.split(" ")[1].rpartition(":")
        for line in head.split("\r\n"):
            if line.lower().startswith("proxy-authorization: basic "):
                user, _, password = base64.b64decode(line.split(" ")[2]).decode().partition(":")
                self.users.append((user, password))
        writer.write(b"HTTP/1.1 200 Conn")
        await writer.drain()
        await asyncio.sleep(0.01)  # so that the answer comes in two segments
        writer.write(b"ection established\r\nX-A: b\r\n\r\n")
        return host, int(port)

    async def _socks5(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, int]:
        _, count = await reader.readexactly(2)
        assert 2 in await reader.readexactly(count)
        writer.write(b"\x05\x02")
        _, size = await reader.readexactly(2)
        user = (await reader.readexactly(size)).decode()
        (size,) = await reader.readexactly(1)
        self.users.append((user, (await reader.readexactly(size)).decode()))
        writer.write(b"\x01\x00")
        *_, kind = await reader.readexactly(4)
        if kind == 3:
            (size,) = await reader.readexactly(1)
            host = (await reader.readexactly(size)).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, await reader.readexactly(size))
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        return host, port

    async def _socks4(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, int]:
        _, _, port, address = struct.unpack("!BBH4s", await reader.readexactly(8))
        self.users.append(((await reader.readuntil(b"\0"))[:-1].decode(), ""))
        host = socket.inet_ntoa(address)
        if host.startswith("0.0.0."):
            host = (await reader.readuntil(b"\0"))[:-1].decode()
        writer.write(b"\x00\x5a" + bytes(6))
        return host, port


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def serving_proxy(
    kind: str, context: ssl.SSLContext | None = None
) -> AsyncIterator[ProxyServer]:
    """A proxy of a kind: ``http``, ``https``, ``socks4``, ``socks4a``, ``socks5``, ``socks5h``."""
    relay = ProxyServer(kind)
    serving: set[asyncio.Task[None]] = set()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(relay.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    listening = await asyncio.start_server(met, "127.0.0.1", 0, ssl=context)
    relay.port = listening.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        listening.close()
        await asyncio.gather(*serving, return_exceptions=True)
        await listening.wait_closed()
