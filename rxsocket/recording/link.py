"""The connection of a recording, which leads to nobody."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence

from rxsocket.errors import ConnectionLost
from rxsocket.transports.seam import Fragments

__all__ = ["RecordedLink"]


class RecordedLink:
    """A ``Link`` of the seam to nobody: what is sent is taken, and goes nowhere.

    Attributes:
        over: Whether the connection has ended.
    """

    def __init__(self, subprotocol: str | None) -> None:
        self._subprotocol = subprotocol
        self.over = False

    @property
    def subprotocol(self) -> str | None:
        """What the server chose."""
        return self._subprotocol

    def write(self, messages: Sequence[str | bytes]) -> bool:
        """Take messages; there is always room for more."""
        self._check()
        return True

    async def drain(self) -> None:
        """Return at once."""

    async def send(self, data: str | bytes | Fragments) -> None:
        """Take a message."""
        self._check()
        if isinstance(data, AsyncIterable):
            async for _ in data:
                pass

    def pause(self) -> None:
        """Do nothing: what comes is not read from a network."""

    def resume(self) -> None:
        """Do nothing, likewise."""

    async def ping(self) -> float:
        """Answer at once."""
        self._check()
        return 0.0

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close."""
        self.over = True

    async def answered(self) -> None:
        """Return at once: the answer is there."""

    async def wait_closed(self) -> None:
        """Return at once."""

    def abort(self) -> None:
        """Close."""
        self.over = True

    def _check(self) -> None:
        if self.over:
            raise ConnectionLost("the recorded connection has ended")
