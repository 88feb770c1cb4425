"""One client for both scripted servers: TCP for the real one, the seam for the fake one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from rxsocket.errors import HandshakeRefused
from rxsocket.testing import clock, fake, server
from rxsocket.testing.fake import Fake
from rxsocket.testing.scripted_server import ScriptedServer
from rxsocket.transports.base import Link, Options, PeerClosed, Request, Signal


class Client(Protocol):
    """What the scenarios do with a connection."""

    subprotocol: str | None

    async def recv(self) -> str | bytes | int:
        """The next message, or the code that the connection closed with."""
        ...

    async def send(self, message: str | bytes) -> None: ...
    async def ping(self) -> float: ...
    async def close(self, code: int = 1000, reason: str = "") -> None: ...
    def abort(self) -> None: ...


class SeamClient:
    """A subscription to a transport."""

    def __init__(self, network: Fake, request: Request) -> None:
        self.signals: asyncio.Queue[Signal | Exception] = asyncio.Queue()
        self.completed = False
        put = self.signals.put_nowait
        self.subscription = network(request).subscribe(put, put, self._complete)
        self.link: Link
        self.subprotocol: str | None = None

    def _complete(self) -> None:
        self.completed = True

    async def opened(self) -> SeamClient:
        first = await self.signals.get()
        if isinstance(first, Exception):
            raise first
        assert not isinstance(first, (str, bytes, PeerClosed))
        self.link, self.subprotocol = first, first.subprotocol
        return self

    async def recv(self) -> str | bytes | int:
        signal = await self.signals.get()
        if isinstance(signal, PeerClosed):
            return signal.code
        assert isinstance(signal, (str, bytes))
        return signal

    async def send(self, message: str | bytes) -> None:
        await self.link.send(message)

    async def ping(self) -> float:
        return await self.link.ping()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.link.close(code, reason)
        await self.link.answered()

    def abort(self) -> None:
        self.link.abort()


class TcpClient:
    """A connection of the websockets library."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.subprotocol: str | None = connection.subprotocol

    async def recv(self) -> str | bytes | int:
        try:
            return await self.connection.recv()
        except ConnectionClosed as error:
            return 1006 if error.rcvd is None else error.rcvd.code

    async def send(self, message: str | bytes) -> None:
        await self.connection.send(message)

    async def ping(self) -> float:
        return await (await self.connection.ping())

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.connection.close(code, reason)

    def abort(self) -> None:
        self.connection.transport.abort()


class Network:
    """A scripted server, and how one dials it."""

    def __init__(self, scripted: ScriptedServer, url: str) -> None:
        self.server = scripted
        self._url = url

    async def dial(
        self,
        target: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        subprotocols: tuple[str, ...] = (),
        open_timeout: float | None = 10.0,
    ) -> Client:
        url = self._url + target
        if isinstance(self.server, Fake):
            options = Options(subprotocols=subprotocols, open_timeout=open_timeout)
            request = Request(url=url, headers=headers, options=options)
            return await SeamClient(self.server, request).opened()
        try:
            connection = await connect(
                url,
                additional_headers=headers,
                subprotocols=[Subprotocol(name) for name in subprotocols] or None,
                open_timeout=open_timeout,
                ping_interval=None,
                close_timeout=0.2,
            )
        except InvalidStatus as error:
            retry_after = error.response.headers.get("Retry-After")
            raise HandshakeRefused(error.response.status_code, retry_after=retry_after) from None
        return TcpClient(connection)


Scenario = Callable[[Network], Coroutine[Any, Any, None]]
Play = Callable[..., None]


def over_tcp(scenario: Scenario, *scripts: Any, **options: Any) -> None:
    """Play a scenario against the real server."""

    async def main() -> None:
        async with server(*scripts, **options) as scripted:
            await scenario(Network(scripted, scripted.url))

    asyncio.run(main())


def over_the_seam(scenario: Scenario, *scripts: Any, **options: Any) -> None:
    """Play a scenario against the fake one, in virtual time."""
    with clock() as t:
        scripted = fake(*scripts, **options)
        t.run(scenario(Network(scripted, scripted.url)))
        scripted.check()
