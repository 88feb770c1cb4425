"""Where events go: the state, the streams that are about them, the log (C2, C23).

Messages go round the event objects: they are pushed straight to who listens to payloads, and an
event object is made only when somebody looks at ``events``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rxsocket.auth.changes import Changes
from rxsocket.auth.credentials import PENDING, Credential
from rxsocket.errors import Undecodable
from rxsocket.events import (
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
from rxsocket.flow import Brake
from rxsocket.held import Session
from rxsocket.logs import Narrator
from rxsocket.past import Past
from rxsocket.runtime import Home
from rxsocket.slowness import Stopwatch
from rxsocket.states import State, States
from rxsocket.streams import Hold, Stream, ValueStream
from rxsocket.welcome import EventStream, MessageStream

__all__ = ["Publisher"]

FAULTS = frozenset(
    (Cause.LOST, Cause.SILENT, Cause.BLOCKED, Cause.STALE, Cause.HEARTBEAT, Cause.REFUSED)
)
"""Ends that nobody wanted."""


class Publisher:
    """The streams of one socket, and the one place that feeds them.

    Args:
        home: Where observers are called.
        hold: Keeps the socket connected; given to the streams that connect (C1).
        shown: The socket's address, without secrets.
    """

    def __init__(self, home: Home, hold: Hold, shown: str) -> None:
        self._home = home
        self._narrator = Narrator(shown)
        self._states = States()
        self._epoch = 0
        self._session: Session[Any] | None = None
        self._reports: deque[ObserverFailed] = deque()
        self.brake = Brake()
        self._stopwatch = Stopwatch(home, self._slow)
        self.intercepted: tuple[Callable[[Any], Any], ...] = ()
        self.past = Past()
        self.changes = Changes(home, self.report)
        self.events: Stream[Event] = EventStream(
            "events", home, self.report, hold, self.brake, self._earlier
        )
        self.opens: Stream[Opened] = Stream("opens", home, self.report, hold, self.brake)
        self.closes: Stream[Closed] = Stream("closes", home, self.report, hold, self.brake)
        self.sessions: Stream[Session[Any]] = Stream(
            "sessions", home, self.report, hold, self.brake
        )
        self.messages: MessageStream[Any] = MessageStream(
            "messages", home, self.report, self._dropped, hold, self.brake
        )
        self.errors: Stream[Problem] = Stream("errors", home, self.report)
        self.state: ValueStream[State] = ValueStream("state", home, self.report, State.IDLE)
        self.latency: ValueStream[float | None] = ValueStream("latency", home, self.report, None)
        self.auth: ValueStream[Credential] = ValueStream("auth", home, self.report, PENDING)

    def publish(self, event: Event) -> None:
        """Let an event be known: first the state it leads to, then the event."""
        with self._home.turn():
            self.past.remember(event)
            self._narrator.tell(event)
            self.enter(self._states.after(event) or self.state.value)
            self.events.emit(event)
            match event:
                case Opened():
                    self._open(event)
                case Closed():
                    self.closes.emit(event)
                    self._close(event)
                case ConnectFailed() | Rejected() | ObserverFailed():
                    self.errors.emit(event)
                case RenewalFailed() | SourceFailed() | SendFailed() | DecodeFailed():
                    self.errors.emit(event)
                case Dropped() | SlowConsumer() | TopicFailed():
                    self.errors.emit(event)
                case _:
                    pass
            self.changes.observe(event)

    def enter(self, state: State) -> None:
        """Be in a state."""
        if state is not self.state.value:
            self.state.emit(state)

    def deliver(self, data: Any, raw: str | bytes | None = None, at: float | None = None) -> None:
        """Let a message of the connection that is open be known, and what it was decoded from.

        ``at`` is when it came, if that is not now.

        ::

            transport -> connection -> deliver -> each observer of messages
                                              `-> the session, events: only if somebody looks
        """
        if not self._stopwatch.running:
            self._stopwatch.start()
        with self._home.turn():
            for interceptor in self.intercepted:
                try:
                    data = interceptor(data)
                except Exception as error:
                    self.report("after_receive", "messages", error)
                    return
            if self.events.observed:
                at = self._home.wall_time() if at is None else at
                self.events.emit(Message(epoch=self._epoch, data=data, at=at))
            if self._session is not None:
                self._session.emit(data, raw)
            self.messages.emit(data, raw)
            if self.changes.awaiting_message:
                self.changes.observe(Message(epoch=self._epoch, data=None))

    def undecodable(self, error: Undecodable, excerpt: str) -> None:
        """A message of the connection that is open has no value."""
        at = self._home.wall_time()
        with self._home.turn():
            self.publish(DecodeFailed(epoch=self._epoch, error=error, excerpt=excerpt, at=at))
            self.changes.observe(Message(epoch=self._epoch, data=None))

    def measured(self, latency: float) -> None:
        """Show how long a ping and its pong took."""
        with self._home.turn():
            self.latency.emit(latency)

    def begin(self, credential: Credential) -> None:
        """Show which credential the socket was made with."""
        self.past.used(credential, 0.0)  # before whatever happens
        self.auth.emit(credential)

    def credential(self, credential: Credential) -> None:
        """Show which credential is in use."""
        with self._home.turn():
            if credential != self.auth.value:
                self.changes.overtake(credential)
                self.past.used(credential, self._home.wall_time())
                self.auth.emit(credential)

    def end(self, error: Exception | None) -> None:
        """End every stream: what is about connections fails with ``error``, if there is one."""
        with self._home.turn():
            self.messages.let_go()
            connected: tuple[Stream[Any], ...] = (
                self.events,
                self.opens,
                self.closes,
                self.sessions,
                self.messages,
            )
            looking: tuple[Stream[Any], ...] = (self.errors, self.state, self.latency, self.auth)
            for stream in connected:
                stream.end(error)
            self._tell()  # while errors is still there
            for stream in looking:
                stream.end()

    def report(self, observer: str, stream: str, error: Exception) -> None:
        """An observer raised and was detached (C23)."""
        at = self._home.wall_time()
        self._reports.append(ObserverFailed(observer=observer, stream=stream, error=error, at=at))
        self._home.run(self._tell)  # when everybody has had the value that it raised at

    def _tell(self) -> None:
        while self._reports:
            self.publish(self._reports.popleft())

    def _open(self, event: Opened) -> None:
        self.messages.let_go()  # of the epoch before
        self._epoch = event.epoch
        self._stopwatch.reset()
        if not (self.events.attended or self.sessions.observed or self.messages.observed):
            self.messages.hold()
        if self.sessions.observed:
            self._session = Session(event.epoch, self._home, self.report, self._dropped, self.brake)
            self._session.hold()
        self.opens.emit(event)
        if self._session is not None:
            self.sessions.emit(self._session)

    def _close(self, event: Closed) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end()
        if event.cause in (Cause.AUTH_CHANGED, Cause.LOGGED_OUT):
            self.messages.let_go("the credential changed before anybody subscribed")  # C5, C14
        failed = event.cause in FAULTS
        wrong = failed or event.code not in (None, 1000)
        if wrong:
            self.errors.emit(event)

    def _slow(self, observer: str, stream: str, seconds: float) -> None:
        at = self._home.wall_time()
        self.publish(SlowConsumer(observer=observer, stream=stream, seconds=seconds, at=at))

    def _earlier(self) -> list[Event]:
        """What was held for whoever comes first."""
        held = self.messages.hand_out()
        return [Message(epoch=self._epoch, data=data, at=at) for data, at in held]

    def _dropped(self, count: int, reason: str) -> None:
        at = self._home.wall_time()
        self.publish(Dropped(epoch=self._epoch, count=count, reason=reason, at=at))
