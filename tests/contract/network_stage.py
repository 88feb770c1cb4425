"""A socket on a network of fakes, and what happened; see the fixture ``stage``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from scene import known

from rxsocket import ConnectFailed, Event, Socket
from rxsocket.testing import VirtualClock, fake


class Stage:
    """A socket on a network of fakes, and what happened."""

    def __init__(self, clock: VirtualClock, url: Any, *scripts: Any, **options: Any) -> None:
        self.clock = clock
        self.network = fake(*scripts)
        self.socket = Socket(url, transport=self.network, backoff=known(), **options)
        self.entries: list[tuple[float, Event]] = []
        self.socket.events.subscribe(
            lambda event: self.entries.append((clock.time(), event)), on_error=lambda _: None
        )

    @property
    def hosts(self) -> list[str]:
        """The host of each handshake."""
        return [handshake.host for handshake in self.network.handshakes]

    def of(self, kind: type) -> list[Any]:
        """The events of a kind."""
        return [event for _, event in self.entries if isinstance(event, kind)]

    @property
    def failures(self) -> list[str]:
        """What attempts failed with."""
        return [str(event.error) for event in self.of(ConnectFailed)]

    def end(self) -> None:
        """Leave nothing."""
        self.socket.close()
        self.clock.advance(2.0)


MakeStage: TypeAlias = Callable[..., Stage]
