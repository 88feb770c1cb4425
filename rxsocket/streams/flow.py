"""Reading from the network, stopped and continued as lossless consumers ask for it (C27)."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Brake"]


class Paused(Protocol):
    """What stops while nothing is read: a link, and who watches it for signs of life."""

    def pause(self) -> None:
        """Nothing is read for now."""
        ...

    def resume(self) -> None:
        """It is read again."""
        ...


class Brake:
    """Pauses the connections of a socket while at least one consumer holds it.

    ::

        first     ----hold-----------release---
        second    ---------hold---release------
        reading   ====||||||||||||||||||=======

    While it is held, no ping times out: that pongs are not read is our own doing. A connection that
    opens meanwhile begins paused; one that ends is resumed, so that its closing handshake is read.
    Its methods are called on the socket's loop.
    """

    def __init__(self) -> None:
        self._holding: dict[object, None] = {}
        self._links: dict[Paused, Paused] = {}

    def opened(self, link: Paused, watching: Paused) -> None:
        """A connection can be read from."""
        self._links[link] = watching
        if self._holding:
            self._pause(link)

    def over(self, link: Paused) -> None:
        """A connection is being closed, or gone: whatever it still says is read and discarded."""
        if link in self._links:
            del self._links[link]
            if self._holding:
                link.resume()

    def hold(self, consumer: object) -> None:
        """Read no more, until this consumer and all others have released."""
        first = not self._holding
        self._holding[consumer] = None
        if first:
            for link in self._links:
                self._pause(link)

    def release(self, consumer: object) -> None:
        """As far as this consumer goes, read on."""
        if consumer not in self._holding:
            return
        del self._holding[consumer]
        if not self._holding:
            for link, watching in self._links.items():
                link.resume()
                watching.resume()

    def _pause(self, link: Paused) -> None:
        link.pause()
        self._links[link].pause()
