"""A connection of the real server, down to TCP."""

from __future__ import annotations

import asyncio
from typing import cast

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed

from rxsocket.testing.book import Book
from rxsocket.testing.handshake import Handshake
from rxsocket.testing.script import Accept, Payload
from rxsocket.testing.visit import Visit

__all__ = ["Door", "RealVisit"]


class Door(ServerConnection):
    """A connection that the server knows from its first byte on, to be able to cut it off."""

    server_doors: set[Door]
    script: Accept
    handshake_seen: Handshake
    visit: RealVisit | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TCP, and TLS if it is used, is there."""
        super().connection_made(transport)
        self.server_doors.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """TCP is gone."""
        super().connection_lost(exc)
        self.server_doors.discard(self)
        if self.visit is not None:
            self.visit.ended()


class RealVisit(Visit):
    """The server's end of an accepted connection."""

    def __init__(self, book: Book, door: Door) -> None:
        super().__init__(book, door.handshake_seen)
        self._door = door
        self._book = book
        self._farewell: asyncio.Task[None] | None = None
        # Its first step comes in the next turn of the loop, when the answer is on its way.
        self._player = self.loop.create_task(self.play(door.script.steps))

    def ended(self) -> None:
        """TCP is gone."""
        self._player.cancel()
        self.closing = True
        close = self._door.protocol.close_rcvd
        if close is not None:
            self._book.left(self, close.code, close.reason)
        elif not self.dropped:
            self._book.left(self, 1006, "")
        self._book.gone(self)

    def _deliver(self, message: Payload) -> None:
        broadcast([self._door], message)

    async def _send(self, message: Payload) -> bool:
        try:
            await self._door.send(message)
        except ConnectionClosed:
            return False
        return True

    def _close(self, code: int, reason: str) -> None:
        # websockets spells "a close frame without a code" None.
        sent = cast(int, None if code == 1005 else code)
        self._farewell = self.loop.create_task(self._door.close(sent, reason))

    def _drop(self) -> None:
        self._door.transport.abort()

    def _freeze(self) -> None:
        self._door.transport.pause_reading()
