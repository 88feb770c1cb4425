"""A socket, its fake peer, and what happened when; see the fixture ``scene``."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

from internals import Fake, Script

from rxsocket import Backoff, Cause, Closed, Connecting, Event, Opened, Socket
from rxsocket.testing import VirtualClock, accept, fake, reject

URL = "ws://fake.test/"
A, B, C = {"token": "a"}, {"token": "b"}, {"token": "c"}
WENT = "; the credential went as the query parameter 'token'"

NO_CREDENTIALS: dict[str, Any] = {
    "a number": 7,
    "an object": object(),
    "a list": ["a"],
    "bytes": b"a",
    "an object in a mapping": {"token": object()},
    "a number as a name": {1: "a"},
    "an empty name": {"": "a"},
    "a line break": "s3cret\r\nb",
    "a line break in a mapping": {"token": "s3cret\nx"},
    "half a surrogate": "\ud800",
}
"""What a source or a provider may not give."""


class _Longest(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def known() -> Backoff:
    """A backoff without chance: 2, 4, 8, 16, 32, 40, 40, ... seconds; a refusal is final."""
    return Backoff(random=_Longest(), refused_retry=None)


class Capped(Fake):
    """A fake peer that refuses whoever comes while it has as many connections as it allows."""

    def __init__(self, most: int, status: int = 429, latency: float = 0.1) -> None:
        super().__init__((), None, latency)
        self._most, self._status = most, status

    def accept_dial(self, target: str, headers: Any) -> Any:
        is_full = self.connections >= self._most
        self.default = reject(self._status) if is_full else accept()
        return super().accept_dial(target, headers)


class Scene:
    """A socket with its fake peer.

    Attributes:
        entries: Each event with the virtual time it came at.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *scripts: Script,
        watch: bool = True,
        tokens: set[str] | None = None,
        latency: float = 0.0,
        peer: Fake | None = None,
        **options: Any,
    ) -> None:
        self._clock = clock
        self.peer = peer or fake(*scripts, tokens=tokens, latency=latency)
        options = {"transport": self.peer, "backoff": known(), **options}
        self.socket = Socket(options.pop("url", self.peer.url), **options)
        self.entries: list[tuple[float, Event]] = []
        if watch:
            self.watch()

    def watch(self) -> None:
        """Subscribe to ``events``, which connects."""
        self.socket.events.subscribe(
            lambda event: self.entries.append((self._clock.time(), event)),
            on_error=lambda _: None,
        )

    @property
    def events(self) -> list[Event]:
        """What came, without the times."""
        return [event for _, event in self.entries]

    @property
    def names(self) -> list[str]:
        """The kinds of what came."""
        return [type(event).__name__ for event in self.events]

    @property
    def story(self) -> list[tuple[float, str]]:
        """When what kind of event came."""
        return [(at, type(event).__name__) for at, event in self.entries]

    @property
    def credentials(self) -> list[str | None]:
        """The credential of each handshake."""
        return [handshake.credential for handshake in self.peer.handshakes]

    @property
    def dials(self) -> list[tuple[float, str | None]]:
        """When each handshake came to the peer, and its credential."""
        return [(handshake.at, handshake.credential) for handshake in self.peer.handshakes]

    def since(self, event: Event) -> list[Event]:
        """What came from an event on."""
        events = self.events
        return events[events.index(event) :]

    def clear(self) -> None:
        """Forget what came so far."""
        self.entries.clear()

    def end(self) -> None:
        """Close the socket and let everything of it go."""
        self.socket.close()
        self._clock.advance(2.0)


Make: TypeAlias = Callable[..., Scene]


def connecting(epoch: int, cause: Cause = Cause.STARTED, attempt: int = 1) -> Connecting:
    return Connecting(epoch=epoch, cause=cause, attempt=attempt, url=URL)


def opened(
    epoch: int, cause: Cause = Cause.STARTED, gap: float | None = None, attempts: int = 1
) -> Opened:
    return Opened(epoch=epoch, cause=cause, gap=gap, attempts=attempts)


def left(epoch: int, cause: Cause, code: int = 1000) -> Closed:
    """A connection that we closed."""
    return Closed(epoch=epoch, sent=code, cause=cause)
