"""How a shard elsewhere is reached: what a process and an actor of Ray have in common (C43).

::

    RemoteShard ── start, send, receive, stop, kill ──►  ShardLink  ── pipe, or calls of an actor
                ◄──────────────── LinkLost ────────────
"""

from __future__ import annotations

from typing import Any, Protocol

from rxsocket.fleet.orders import SetAuth
from rxsocket.fleet.questions import Sealed, Stop


class LinkLost(Exception):
    """The shard at the other end of a link is gone; the text says what is known of it.

    Args:
        text: That.
        is_final: Whether another one would end likewise.
    """

    def __init__(self, text: str, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.is_final = is_final


class ShardLink(Protocol):
    """How a shard elsewhere is reached."""

    async def start(self, first: Sealed | None, auth: SetAuth | None) -> bool:
        """Have a shard, which is not there.

        Args:
            first: The credential to begin with.
            auth: The credential that was set since, if one was.

        Returns:
            Whether there was one, with sockets and channels.

        Raises:
            LinkLost: If there is none.
        """
        ...

    async def send(self, items: list[Any], *, is_secret: bool) -> None:
        """Send; a secret goes by itself."""
        ...

    async def receive(self) -> bytes:
        """What the shard has for the fleet; returns in time if it has nothing.

        Raises:
            LinkLost: If it is gone.
        """
        ...

    async def stop(self, stop: Stop) -> None:
        """Have the shard close its sockets and end; wait for that, but not for ever."""
        ...

    async def kill(self) -> None:
        """End the shard as it is."""
        ...
