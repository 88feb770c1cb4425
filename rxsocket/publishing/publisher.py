"""Where events go: the state, the streams that are about them, the log (C2, C23).

Messages go round the event objects, one read from the network at a time::

    recv ── FrameReader.feed ─┐                                             each message: ┐
            each frame   ├─ Life.on_next ── decode ── deliver ── pour ── context.run ─┴─ on_next
    recv ── on_ws_frame ─┘   [message, …]   if there   turn     one guard            the observer's
            each frame       one a read     is a codec

What is between the network and ``each message`` is done once for a read: the turn, the observer's
context, the guard against what it raises. For a message there remain its bytes, its ``str``, the
call of the observer, and a look at whether anything was asked for meanwhile. If something was, it
is carried out before the next message (C24), and if that ended the connection there is no next
message (C5).

So it is while nobody looks at ``events`` or a session and nothing is held; else each message takes
the longer way, and an event object is made only when somebody looks at ``events``.
What nobody switched on is not asked about: what listens to a connection
(``Connection.listen``) makes it go message by message,
a codec and interceptors are asked about once a read.


What feeds the streams of a socket, each made when somebody first asks for it.

Most sockets are asked for one or two of ten. A stream that nobody asked for has no observers, so
what is emitted on it goes nowhere and costs nothing; it has no past that it would have to know.

Who looks at ``events`` first gets what was held for whoever comes first (C4)::

    connection        --hello--a--------b--
    late to events             |hello,a-b--      as Message events, with the times that they came
    late to messages                |---b--      somebody was there before
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context, copy_context
from typing import Any, TypeVar

from rxsocket.auth.credentials import PENDING, Credential
from rxsocket.auth.outcomes import Changes
from rxsocket.errors import Undecodable
from rxsocket.events import (
    FAULTS,
    Cause,
    Closed,
    ConnectFailed,
    DecodeFailed,
    Dropped,
    Event,
    Message,
    ObserverFailed,
    Opened,
    Problem,
    Rejected,
    RenewalFailed,
    SendFailed,
    SlowConsumer,
    SourceFailed,
    TopicFailed,
)
from rxsocket.lazy import lazy, made
from rxsocket.publishing.history import History
from rxsocket.publishing.log import EventLog
from rxsocket.runtime.loop import SocketLoop
from rxsocket.state import State, States
from rxsocket.streams.iteration import ReadGate
from rxsocket.streams.multicast import Connect, Hub, ReplayHub, ValueHub
from rxsocket.streams.replay import MessageHub, Session, SessionHub
from rxsocket.streams.slow_consumers import SlowConsumerDetector

__all__ = ["Feeds", "Publisher"]

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

    def __init__(self, loop: SocketLoop, hold: Connect) -> None:
        self._loop = loop
        self._hold = hold
        self._report = report = self.report  # one for all of them
        self.read_gate = ReadGate()
        self.messages: MessageHub[Any] = MessageHub(
            "messages", loop, report, self, hold, self.read_gate
        )
        self.state: ValueHub[State] = ValueHub("state", loop, report, State.IDLE)
        self.auth: ValueHub[Credential] = ValueHub("auth", loop, report, PENDING)

    @lazy
    def events(self) -> Hub[Event]:
        """Everything that happens."""
        return self._welcoming("events", self.earlier)

    @lazy
    def opens(self) -> Hub[Opened]:
        """One value for each connection."""
        return self._connecting("opens")

    @lazy
    def closes(self) -> Hub[Closed]:
        """One value for each of these when it is over."""
        return self._connecting("closes")

    @lazy
    def sessions(self) -> Hub[Session[Any]]:
        """The messages of each connection, as a stream of its own."""
        return self._connecting("sessions")

    @lazy
    def batches(self) -> Hub[list[Any]]:
        """The messages in lists; the first list is what was held."""
        return self._welcoming("batches", self.messages.release_whole)

    @lazy
    def errors(self) -> Hub[Problem]:
        """What went wrong."""
        return Hub("errors", self._loop, self._report)

    @lazy
    def latency(self) -> ValueHub[float | None]:
        """How long the last ping and its pong took."""
        return ValueHub("latency", self._loop, self._report, None)

    def _connecting(self, name: str) -> Hub[Any]:
        return Hub(name, self._loop, self._report, self._hold, self.read_gate)

    def _welcoming(self, name: str, earlier: Callable[[], Iterable[T]]) -> Hub[T]:
        return ReplayHub(name, self._loop, self._report, earlier, self._hold, self.read_gate)

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


PAYLOADS = ("events", "messages", "batches")
"""Streams on which messages are heard."""


class Publisher(Feeds):
    """The one place that feeds the streams of a socket.

    Args:
        home: Where observers are called.
        hold: Keeps the socket connected; given to the streams that connect (C1).
        shown: The socket's address, without secrets.

    Attributes:
        delivers: The epoch whose messages are to be known, while there is one.
    """

    def __init__(self, loop: SocketLoop, hold: Connect, shown: str) -> None:
        super().__init__(loop, hold)
        self.delivers: int | None = None
        self._log = EventLog(shown)
        self._states = States()
        self._epoch = 0
        self._session: SessionHub[Any] | None = None
        self._reports: list[tuple[ObserverFailed, Context]] = []
        self.intercepted: tuple[Callable[[Any], Any], ...] = ()
        self.history = History()

    @lazy
    def changes(self) -> Changes:
        """The changes of the credential that somebody waits for."""
        return Changes(self._loop, self._report)

    @lazy
    def _slow_consumers(self) -> SlowConsumerDetector:
        return SlowConsumerDetector(self._loop, self._slow)

    def publish(self, event: Event, context: Context | None = None) -> None:
        """Let an event be known: first the state it leads to, then the event.

        Args:
            event: What happened.
            context: Where to log it; left out, here.
        """
        with self._loop.turn():
            self.history.remember(event)
            if context is None:
                self._log.tell(event)
            else:
                context.run(self._log.tell, event)
            self.enter(self._states.after(event) or self.state.value)
            self.emit("events", event)
            match event:
                case Opened():
                    self._open(event)
                case Closed():
                    self.emit("closes", event)
                    self._close(event)
                case ConnectFailed() | Rejected() | ObserverFailed():
                    self.emit("errors", event)
                case RenewalFailed() | SourceFailed() | SendFailed() | DecodeFailed():
                    self.emit("errors", event)
                case Dropped() | SlowConsumer() | TopicFailed():
                    self.emit("errors", event)
                case _:
                    pass
            self._observe(event)

    def enter(self, state: State) -> None:
        """Be in a state."""
        if state is not self.state.value:
            self.state.emit(state)

    def deliver(
        self,
        batch: list[Any],
        came: Sequence[str | bytes] | None = None,
        at: float | None = None,
    ) -> None:
        """Let messages of the connection that is open be known: those of one read.

        Args:
            batch: Their values.
            came: What these were decoded from, if they were.
            at: When they came, if that is not now.
        """
        if not self._slow_consumers.running:
            self._slow_consumers.start()
        loop, epoch, asked = self._loop, self.delivers, self._loop.pending
        with loop.turn():
            if self.intercepted:
                batch, came = self._intercept(batch, batch if came is None else came)
            if batch and self.observed("batches"):
                self.batches.emit(batch.copy())
                loop.run_pending()
            messages, sources, more = iter(batch), None if came is None else iter(came), True
            while more and self.delivers == epoch:
                if self._looked_at():
                    more = self._show(messages, sources, at)
                else:
                    more = not self.messages.pour(messages, asked)
                if asked:
                    loop.run_pending()

    def _intercept(
        self, batch: list[Any], came: Sequence[str | bytes]
    ) -> tuple[list[Any], list[str | bytes]]:
        """What interceptors make of messages; those that one raises at are left out."""
        values: list[Any] = []
        sources: list[str | bytes] = []
        for value, source in zip(batch, came, strict=True):
            try:
                for interceptor in self.intercepted:
                    value = interceptor(value)
            except Exception as error:
                self.report("after_receive", "messages", error)
            else:
                values.append(value)
                sources.append(source)
        return values, sources

    def _looked_at(self) -> bool:
        """Whether anything but observers of ``messages`` is to know of a message."""
        return (
            self.observed("events")
            or self._session is not None
            or self._awaiting_message
            or self.messages.holding
        )

    def _show(
        self, messages: Iterator[Any], sources: Iterator[str | bytes] | None, at: float | None
    ) -> bool:
        """Let the next message be known; return whether there was one.

        Sources are for who holds a message (C4), and nobody does once it has been poured.
        """
        for data in messages:
            source = None if sources is None else next(sources, None)
            if self.observed("events"):
                at = self._loop.wall_time() if at is None else at
                self.events.emit(Message(epoch=self._epoch, data=data, at=at))
            if self._session is not None:
                self._session.emit(data, source)
            self.messages.emit(data, source)
            if self._awaiting_message:
                self.changes.observe(Message(epoch=self._epoch, data=None))
            return True
        return False

    def undecodable(self, error: Undecodable, excerpt: str) -> None:
        """A message of the connection that is open has no value."""
        at = self._loop.wall_time()
        with self._loop.turn():
            self.publish(DecodeFailed(epoch=self._epoch, error=error, excerpt=excerpt, at=at))
            self._observe(Message(epoch=self._epoch, data=None))

    def measured(self, latency: float) -> None:
        """Show how long a ping and its pong took."""
        with self._loop.turn():
            self.latency.emit(latency)

    def begin(self, credential: Credential) -> None:
        """Show which credential the socket was made with."""
        self.history.used(credential, 0.0)  # before whatever happens
        self.auth.emit(credential)

    def credential(self, credential: Credential) -> None:
        """Show which credential is in use."""
        with self._loop.turn():
            if credential != self.auth.value:
                if (changes := made(self, "changes")) is not None:
                    changes.overtake(credential)
                self.history.used(credential, self._loop.wall_time())
                self.auth.emit(credential)

    def end(self, error: Exception | None) -> None:
        """End every stream: what is about connections fails with ``error``, if there is one."""
        with self._loop.turn():
            self.messages.let_go()
            self.end_connected(error)
            self._tell()  # while errors is still there
            self.end_looking()

    def abandon(self) -> None:
        """The last one left: nobody hears what is held, and changes wait for the next start."""
        if (changes := made(self, "changes")) is not None:
            changes.abandon()
        self.messages.let_go()

    def report(self, observer: str, stream: str, error: Exception) -> None:
        """An observer raised and was detached (C23)."""
        at = self._loop.wall_time()
        failed = ObserverFailed(observer=observer, stream=stream, error=error, at=at)
        self._reports.append((failed, copy_context()))  # in a notebook, that of its cell
        self._loop.run(self._tell)  # when everybody has had the value that it raised at

    def _tell(self) -> None:
        while self._reports:
            self.publish(*self._reports.pop(0))

    def _open(self, event: Opened) -> None:
        self.messages.let_go()  # of the epoch before
        self._epoch = self.delivers = event.epoch
        if (stopwatch := made(self, "_slow_consumers")) is not None:
            stopwatch.reset()
        taken = self.observed("sessions")  # a session holds by itself
        if not taken and not any(self.attended(name) for name in PAYLOADS):
            self.messages.hold()
        if taken:
            self._session = SessionHub(event.epoch, self._loop, self._report, self, self.read_gate)
            self._session.hold()
        self.emit("opens", event)
        if self._session is not None:
            self.emit("sessions", Session(self._session))

    def _close(self, event: Closed) -> None:
        if event.epoch == self.delivers:
            self.delivers = None
        session, self._session = self._session, None
        if session is not None:
            session.end()
        if event.cause in (Cause.AUTH_CHANGED, Cause.LOGGED_OUT):
            self.messages.let_go("the credential changed before anybody subscribed")  # C5, C14
        failed = event.cause in FAULTS
        wrong = failed or event.code not in (None, 1000)
        if wrong:
            self.emit("errors", event)

    def _observe(self, event: Event) -> None:
        if (changes := made(self, "changes")) is not None:
            changes.observe(event)

    @property
    def _awaiting_message(self) -> bool:
        changes = made(self, "changes")
        return changes is not None and changes.awaiting_message

    def _slow(self, observer: str, stream: str, seconds: float) -> None:
        at = self._loop.wall_time()
        self.publish(SlowConsumer(observer=observer, stream=stream, seconds=seconds, at=at))

    def earlier(self) -> list[Event]:
        """What was held for whoever comes first."""
        held = self.messages.hand_out()
        return [Message(epoch=self._epoch, data=data, at=at) for data, at in held]

    def dropped(self, count: int, reason: str) -> None:
        """Messages that were held were let go."""
        at = self._loop.wall_time()
        self.publish(Dropped(epoch=self._epoch, count=count, reason=reason, at=at))
