"""What feeds the streams of a socket, each made when somebody first asks for it.

Most sockets are asked for one or two of ten. A stream that nobody asked for has no observers, so
what is emitted on it goes nowhere and costs nothing; it has no past that it would have to know.

Who looks at ``events`` first gets what was held for whoever comes first (C4)::

    connection        --hello--a--------b--
    late to events             |hello,a-b--      as Message events, with the times that they came
    late to messages                |---b--      somebody was there before
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from rxsocket.auth.credentials import PENDING, Credential
from rxsocket.events import Closed, Event, Opened, Problem
from rxsocket.lazy import lazy, made
from rxsocket.runtime.home import Home
from rxsocket.states import State
from rxsocket.streams.feed import Feed, Hold, ValueFeed, WelcomingFeed
from rxsocket.streams.flow import Brake
from rxsocket.streams.held import MessageFeed, Session

__all__ = ["Feeds"]

T = TypeVar("T")

CONNECTED = ("events", "opens", "closes", "sessions", "messages", "batches")
"""Streams that keep the socket connected (C1)."""
LOOKING = ("errors", "state", "latency", "auth")
"""Streams that only look."""


class Feeds(ABC):
    """The feeds of one socket.

    Args:
        home: Where observers are called.
        hold: Keeps the socket connected; given to the streams that connect (C1).

    Attributes:
        brake: Pauses reading for who iterates over a stream.
        messages: The messages; there from the start, for it holds the first ones (C4).
        state: What the socket does.
        auth: The credential in use.
    """

    def __init__(self, home: Home, hold: Hold) -> None:
        self._home = home
        self._hold = hold
        self._report = report = self.report  # one for all of them
        self.brake = Brake()
        self.messages: MessageFeed[Any] = MessageFeed(
            "messages", home, report, self, hold, self.brake
        )
        self.state: ValueFeed[State] = ValueFeed("state", home, report, State.IDLE)
        self.auth: ValueFeed[Credential] = ValueFeed("auth", home, report, PENDING)

    @lazy
    def events(self) -> Feed[Event]:
        """Everything that happens."""
        return self._welcoming("events", self.earlier)

    @lazy
    def opens(self) -> Feed[Opened]:
        """One value for each connection."""
        return self._connecting("opens")

    @lazy
    def closes(self) -> Feed[Closed]:
        """One value for each of these when it is over."""
        return self._connecting("closes")

    @lazy
    def sessions(self) -> Feed[Session[Any]]:
        """The messages of each connection, as a stream of its own."""
        return self._connecting("sessions")

    @lazy
    def batches(self) -> Feed[list[Any]]:
        """The messages in lists; the first list is what was held."""
        return self._welcoming("batches", self.messages.release_whole)

    @lazy
    def errors(self) -> Feed[Problem]:
        """What went wrong."""
        return Feed("errors", self._home, self._report)

    @lazy
    def latency(self) -> ValueFeed[float | None]:
        """How long the last ping and its pong took."""
        return ValueFeed("latency", self._home, self._report, None)

    def _connecting(self, name: str) -> Feed[Any]:
        return Feed(name, self._home, self._report, self._hold, self.brake)

    def _welcoming(self, name: str, earlier: Callable[[], Iterable[T]]) -> Feed[T]:
        return WelcomingFeed(name, self._home, self._report, earlier, self._hold, self.brake)

    # --- what they tell

    @abstractmethod
    def report(self, observer: str, stream: str, error: Exception) -> None:
        """An observer raised and was detached (C23)."""

    @abstractmethod
    def earlier(self) -> list[Event]:
        """What was held for whoever comes first."""

    @abstractmethod
    def dropped(self, count: int, reason: str) -> None:
        """Messages that were held were let go."""

    # --- what they are told

    def emit(self, name: str, value: Any) -> None:
        """Emit on a stream; on one that was never asked for, nobody would hear it."""
        if (feed := made(self, name)) is not None:
            feed.emit(value)

    def observed(self, name: str) -> bool:
        """Whether anybody is subscribed to a stream."""
        feed = made(self, name)
        return feed is not None and feed.observed

    def attended(self, name: str) -> bool:
        """Whether anybody is subscribed to a stream who counts as audience (C4)."""
        feed = made(self, name)
        return feed is not None and feed.attended

    def end_connected(self, error: Exception | None) -> None:
        """End what is about connections, with a failure if there is one."""
        for name in CONNECTED:
            if (feed := made(self, name)) is not None:
                feed.end(error)

    def end_looking(self) -> None:
        """End what is about the socket."""
        for name in LOOKING:
            if (feed := made(self, name)) is not None:
                feed.end()
