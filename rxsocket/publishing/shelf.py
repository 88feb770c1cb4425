"""The streams of a socket, each made when somebody first asks for it.

Most sockets are asked for one or two of ten. A stream that nobody asked for has no observers, so
what is emitted on it goes nowhere and costs nothing; it has no past that it would have to know.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rxsocket.auth.credentials import PENDING, Credential
from rxsocket.events import Closed, Event, Opened, Problem
from rxsocket.lazy import lazy, made
from rxsocket.publishing.welcome import EventStream, MessageStream
from rxsocket.runtime.home import Home
from rxsocket.states import State
from rxsocket.streams.flow import Brake
from rxsocket.streams.held import BatchStream, Session
from rxsocket.streams.stream import Hold, Stream, ValueStream

__all__ = ["Shelf"]

CONNECTED = ("events", "opens", "closes", "sessions", "messages", "batches")
"""Streams that keep the socket connected (C1)."""
LOOKING = ("errors", "state", "latency", "auth")
"""Streams that only look."""


class Shelf(ABC):
    """The streams of one socket.

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
        self.messages: MessageStream[Any] = MessageStream(
            "messages", home, report, self, hold, self.brake
        )
        self.state: ValueStream[State] = ValueStream("state", home, report, State.IDLE)
        self.auth: ValueStream[Credential] = ValueStream("auth", home, report, PENDING)

    @lazy
    def events(self) -> Stream[Event]:
        """Everything that happens."""
        return EventStream("events", self._home, self._report, self._hold, self.brake, self.earlier)

    @lazy
    def opens(self) -> Stream[Opened]:
        """One value for each connection."""
        return Stream("opens", self._home, self._report, self._hold, self.brake)

    @lazy
    def closes(self) -> Stream[Closed]:
        """One value for each of these when it is over."""
        return Stream("closes", self._home, self._report, self._hold, self.brake)

    @lazy
    def sessions(self) -> Stream[Session[Any]]:
        """The messages of each connection, as a stream of its own."""
        return Stream("sessions", self._home, self._report, self._hold, self.brake)

    @lazy
    def batches(self) -> BatchStream[Any]:
        """The messages in lists."""
        return BatchStream(
            "batches", self._home, self._report, self.messages, self._hold, self.brake
        )

    @lazy
    def errors(self) -> Stream[Problem]:
        """What went wrong."""
        return Stream("errors", self._home, self._report)

    @lazy
    def latency(self) -> ValueStream[float | None]:
        """How long the last ping and its pong took."""
        return ValueStream("latency", self._home, self._report, None)

    # --- what the streams tell

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
        if (stream := made(self, name)) is not None:
            stream.emit(value)

    def observed(self, name: str) -> bool:
        """Whether anybody is subscribed to a stream."""
        stream = made(self, name)
        return stream is not None and stream.observed

    def end_connected(self, error: Exception | None) -> None:
        """End what is about connections, with a failure if there is one."""
        for name in CONNECTED:
            if (stream := made(self, name)) is not None:
                stream.end(error)

    def end_looking(self) -> None:
        """End what is about the socket."""
        for name in LOOKING:
            if (stream := made(self, name)) is not None:
                stream.end()
