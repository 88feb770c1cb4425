"""Where events go: the state, the streams that are about them, the log (C2, C23).

Messages go round the event objects, one read from the network at a time::

    recv ─ data_received ─ Cutter.feed ─ life.on_next ─ deliver ─ pour ─ context.run ─ _pour
                            |  each frame: cut, decode                        each message: |
                            `─ [message, …]                          the observer's on_next ┘

What stands before ``each`` is done once for a read: the turn, the observer's context, the guard
against what it raises. For a message there remain its bytes, its ``str``, the call of the observer,
and a look at whether anything was asked for meanwhile. If something was, it is carried out before
the next message (C24), and if that ended the connection there is no next message (C5).

So it is while one observer looks at ``messages`` and nobody at ``events`` or a session; else each
message takes the longer way, and an event object is made only when somebody looks at ``events``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from rxsocket.auth.changes import Changes
from rxsocket.auth.credentials import Credential
from rxsocket.events import (
    LEADS_TO,
    Cause,
    Closed,
    ConnectFailed,
    Dropped,
    Event,
    Message,
    ObserverFailed,
    Opened,
    Problem,
    Rejected,
    SendFailed,
    SourceFailed,
    State,
)
from rxsocket.held import BatchStream, HoldingStream, Session
from rxsocket.logs import Narrator
from rxsocket.runtime import Home
from rxsocket.streams import Hold, Stream, ValueStream

__all__ = ["Publisher"]


class Publisher:
    """The streams of one socket, and the one place that feeds them.

    Args:
        home: Where observers are called.
        hold: Keeps the socket connected; given to the streams that connect (C1).
        shown: The socket's address, without secrets.
        credential: The credential to begin with.
    """

    def __init__(self, home: Home, hold: Hold, shown: str, credential: Credential) -> None:
        self._home = home
        self._narrator = Narrator(shown)
        self._epoch = 0
        self._delivers: int | None = None
        self._session: Session[Any] | None = None
        self._reports: deque[ObserverFailed] = deque()
        self.changes = Changes(home, self.report)
        self.events: Stream[Event] = Stream("events", home, self.report, hold)
        self.opens: Stream[Opened] = Stream("opens", home, self.report, hold)
        self.closes: Stream[Closed] = Stream("closes", home, self.report, hold)
        self.sessions: Stream[Session[Any]] = Stream("sessions", home, self.report, hold)
        self.messages: HoldingStream[Any] = HoldingStream(
            "messages", home, self.report, self._dropped, hold
        )
        self.batches: BatchStream[Any] = BatchStream(
            "batches", home, self.report, self.messages, hold
        )
        self.errors: Stream[Problem] = Stream("errors", home, self.report)
        self.state: ValueStream[State] = ValueStream("state", home, self.report, State.IDLE)
        self.auth: ValueStream[Credential] = ValueStream("auth", home, self.report, credential)

    def publish(self, event: Event) -> None:
        """Let an event be known: first the state it leads to, then the event."""
        with self._home.turn():
            self._narrator.tell(event)
            self.enter(LEADS_TO.get(type(event)) or self.state.value)
            self.events.emit(event)
            match event:
                case Opened():
                    self._open(event)
                case Closed():
                    self.closes.emit(event)
                    self._close(event)
                case ConnectFailed() | Rejected() | ObserverFailed():
                    self.errors.emit(event)
                case SourceFailed() | SendFailed() | Dropped():
                    self.errors.emit(event)
                case _:
                    pass
            self.changes.observe(event)

    def enter(self, state: State) -> None:
        """Be in a state."""
        if state is not self.state.value:
            self.state.emit(state)

    def deliver(self, batch: list[Any]) -> None:
        """Let messages of the connection that is open be known: those of one read."""
        home, epoch, asked = self._home, self._delivers, self._home.asked
        messages, more = iter(batch), True
        with home.turn():
            if self.batches.observed:
                self.batches.emit(batch.copy())
                home.catch_up()
            while more and self._delivers == epoch:
                if self._looked_at():
                    more = self._show(messages)
                else:
                    more = not self.messages.pour(messages, asked)
                if asked:
                    home.catch_up()

    def _looked_at(self) -> bool:
        """Whether anything but ``messages`` is to know of a message."""
        return self.events.observed or self._session is not None or self.changes.awaiting_message

    def _show(self, messages: Iterator[Any]) -> bool:
        """Let the next message be known; return whether there was one."""
        for data in messages:
            if self.events.observed:
                self.events.emit(Message(epoch=self._epoch, data=data, at=self._home.wall_time()))
            if self._session is not None:
                self._session.emit(data)
            self.messages.emit(data)
            if self.changes.awaiting_message:
                self.changes.observe(Message(epoch=self._epoch, data=None))
            return True
        return False

    def credential(self, credential: Credential) -> None:
        """Show which credential is in use."""
        with self._home.turn():
            if credential != self.auth.value:
                self.changes.overtake(credential)
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
                self.batches,
            )
            looking: tuple[Stream[Any], ...] = (self.errors, self.state, self.auth)
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
        self._epoch = self._delivers = event.epoch
        payloads = (self.events, self.sessions, self.messages, self.batches)
        if not any(stream.observed for stream in payloads):
            self.messages.hold()
        if self.sessions.observed:
            self._session = Session(event.epoch, self._home, self.report, self._dropped)
            self._session.hold()
        self.opens.emit(event)
        if self._session is not None:
            self.sessions.emit(self._session)

    def _close(self, event: Closed) -> None:
        self._delivers = None
        session, self._session = self._session, None
        if session is not None:
            session.end()
        if event.cause in (Cause.AUTH_CHANGED, Cause.LOGGED_OUT):
            self.messages.let_go("the credential changed before anybody subscribed")  # C5, C14
        failed = event.cause in (Cause.LOST, Cause.SILENT, Cause.REFUSED)
        wrong = failed or event.code not in (None, 1000)
        if wrong:
            self.errors.emit(event)

    def _dropped(self, count: int, reason: str) -> None:
        at = self._home.wall_time()
        self.publish(Dropped(epoch=self._epoch, count=count, reason=reason, at=at))
