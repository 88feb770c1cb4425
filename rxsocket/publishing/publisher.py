"""Where events go: the state, the streams that are about them, the log (C2, C23).

Messages do not become event objects on their way, one read from the network at a time::

    recv ── FrameReader.feed ─┐                                           each message: ┐
            each frame        ├─ Connection.on_next ── decode ── deliver ── emit_until ─┴─ on_next
    recv ── on_ws_frame ──────┘  [message, …]       if there    turn    one guard
            each frame           one a read         is a codec          one context

What is between the network and ``each message`` is done once for a read: the turn, the observer's
context, the guard against what it raises. For a message there remain its bytes, its ``str``, the
call of the observer, and a look at whether anything was asked for meanwhile. If something was, it
runs before the next message (C24), and if that ended the connection there is no next message (C5).

So it is while nobody observes ``events`` or a session and nothing is held; else each message takes
the longer way, and an event object is made only when somebody observes ``events``. What is not
switched on costs nothing: a filter of the connection makes it go message by message, a codec and
interceptors are asked for once a read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextvars import Context, copy_context
from typing import Any

from rxsocket.auth.credentials import PENDING, Credential
from rxsocket.auth.outcomes import AuthChanges
from rxsocket.errors import Undecodable
from rxsocket.events import (
    FAULTS,
    AwaitingAuth,
    Cause,
    Closed,
    DecodeFailed,
    Dropped,
    Event,
    Message,
    ObserverFailed,
    Opened,
    Problem,
    SlowConsumer,
)
from rxsocket.hooks import Hooks
from rxsocket.publishing.counters import Counters
from rxsocket.publishing.history import History
from rxsocket.publishing.log import EventLog
from rxsocket.runtime.loop import SocketLoop
from rxsocket.state import State, States
from rxsocket.streams.iteration import Consumer, ReadGate
from rxsocket.streams.multicast import Connect, Hub, ValueHub
from rxsocket.streams.replay import HoldingHub, ReplayHub, Session, SessionHub
from rxsocket.streams.slow_consumers import SlowConsumerDetector
from rxsocket.texts import change_texts


class Publisher:
    """The one place that feeds the streams of a socket.

    Args:
        loop: Where observers are called.
        connect: Keeps the socket connected; given to the streams that connect (C1).
        label: What the socket is called in the log, without secrets.
        hooks: What messages go through before any stream has them.

    Attributes:
        events, opens, closes, sessions, messages, batches: Streams that connect (C1).
        errors, state, latency, auth: Streams that only look.
        cursor: Another one, of a socket that was asked for it (C38).
        before: What gets each message before any stream does, where there is something like that.
        source: What came of the message that is delivered, while ``before`` is there.
        read_gate: Pauses reading for ``async for`` (C27).
        changes: The changes of the credential that somebody waits for.
        history: The last events.
        counters: What is counted, whoever looks (C45).
        delivering_epoch: The epoch whose messages are delivered, while there is one.
        has_ended: Whether the socket has ended, and was not started again.
        has_requests: Whether anything was asked: then messages without a subscriber are no news.
    """

    def __init__(self, loop: SocketLoop, connect: Connect, label: str, hooks: Hooks) -> None:
        report = self.report  # one for all of them
        self._loop = loop
        self._connect = connect
        self._hooks = hooks
        self._report = report
        self.counters = Counters()
        self.read_gate = gate = ReadGate(loop, self)
        self.messages: HoldingHub[Any] = HoldingHub(
            "messages", loop, report, self._held_dropped, connect, gate
        )
        self.events: Hub[Event] = ReplayHub(
            "events", loop, report, self.take_held_events, connect, gate
        )
        self.opens: Hub[Opened] = self._hub("opens")
        # Most sockets have no use for these: they are made when they are first asked for.
        self._batches: Hub[list[Any]] | None = None
        self._closes: Hub[Closed] | None = None
        self._sessions: Hub[Session[Any]] | None = None
        self._errors: Hub[Problem] | None = None
        self.state: ValueHub[State] = ValueHub("state", loop, report, State.IDLE)
        self.latency: ValueHub[float | None] = ValueHub("latency", loop, report, None)
        self.auth: ValueHub[Credential] = ValueHub("auth", loop, report, PENDING)
        self.cursor: ValueHub[Any] | None = None
        self.before: Hub[Any] | None = None
        self.source: Any = None
        self._lifecycle: Hub[Event] | None = None
        self.changes = AuthChanges(loop, report)
        self.history = History()
        self.delivering_epoch: int | None = None
        self.has_requests = self.has_ended = False
        self._log_failed = False
        self._log = EventLog(label)
        self._states = States()
        self._slow_consumers: SlowConsumerDetector | None = None  # made for the first messages
        self._epoch = 0
        self._session: SessionHub[Any] | None = None
        self._reports: tuple[tuple[ObserverFailed, Context], ...] = ()

    @property
    def batches(self) -> Hub[list[Any]]:
        with self._loop.lock:  # any thread may ask first
            if self._batches is None:
                earlier, connect = self.messages.take_held_batch, self._connect
                self._batches = ReplayHub(
                    "batches", self._loop, self._report, earlier, connect, self.read_gate
                )
            return self._batches

    @property
    def closes(self) -> Hub[Closed]:
        with self._loop.lock:
            self._closes = self._closes or self._hub("closes")
            return self._closes

    @property
    def sessions(self) -> Hub[Session[Any]]:
        with self._loop.lock:
            self._sessions = self._sessions or self._hub("sessions")
            return self._sessions

    @property
    def errors(self) -> Hub[Problem]:
        with self._loop.lock:
            self._errors = self._errors or Hub("errors", self._loop, self._report)
            return self._errors

    @property
    def lifecycle(self) -> Hub[Event]:
        """All events but messages: whoever looks at it does not make a message cost more."""
        with self._loop.lock:
            self._lifecycle = self._lifecycle or Hub("lifecycle", self._loop, self._report)
            return self._lifecycle

    def _hub(self, name: str) -> Hub[Any]:
        return Hub(name, self._loop, self._report, self._connect, self.read_gate)

    def publish(self, event: Event, context: Context | None = None) -> None:
        """Let an event be known: first the state it leads to, then the event.

        Args:
            event: What happened.
            context: Where to log it; left out, here.
        """
        error: object = getattr(event, "error", None)
        if isinstance(error, BaseException):  # it may quote what the server said
            change_texts(error, self.history.mask)
        with self._loop.turn():
            self.history.add_event(event)
            try:
                if context is None:
                    self._log.write(event)
                else:
                    context.run(self._log.write, event)
            except BaseException as error:  # of a handler of the user's
                self._on_log_failed(error)
            state = self._states.after(event) or self.state.value
            self.counters.on_event(event)
            self._count_state(state, event)
            self.enter(state)
            self.events.emit(event)
            if self._lifecycle is not None:
                self._lifecycle.emit(event)
            match event:
                case Opened():
                    self._open(event)
                case Closed():
                    if self._closes is not None:
                        self._closes.emit(event)
                    self._close(event)
                case _ if self._errors is not None and isinstance(event, Problem):
                    self._errors.emit(event)
                case _:
                    pass
            self.changes.on_event(event)

    def _on_log_failed(self, error: BaseException) -> None:
        if self._log_failed:
            self._loop.exit_later(error)
        else:
            self._log_failed = True  # said once: that is an event, which is logged, too
            self.report("a handler of the log", "log", error, detached=False)

    def enter(self, state: State) -> None:
        if state is not self.state.value:
            self._count_state(state)
            self.state.emit(state)

    def _count_state(self, state: State, event: Event | None = None) -> None:
        if state is not self.counters.state[0] or isinstance(event, AwaitingAuth):
            loop = self._loop
            self.counters.on_state(state, event, loop.time(), loop.wall_time())

    def on_read(self, messages: list[str | bytes], epoch: int) -> None:
        """Messages of one read came over a connection, whatever they are."""
        self.counters.on_read(messages)
        for on_read in self._hooks.on_read:
            on_read(messages, epoch)

    def on_sent(self, message: Any, epoch: int | None = None) -> None:
        """One message was sent that a part of the socket says by itself."""
        self.counters.on_sent(message)
        for on_written in self._hooks.on_written:
            on_written([message], epoch)

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
        detector = self._slow_consumers
        if detector is None:
            detector = SlowConsumerDetector(self._loop, self._on_slow_consumer)
            self._slow_consumers = detector
        if not detector.is_timing_burst:
            detector.start_burst()
        loop, epoch, asked = self._loop, self.delivering_epoch, self._loop.pending
        with loop.turn():
            if self._hooks.after_receive:
                batch, came = self._intercept(batch, batch if came is None else came)
            messages = iter(batch) if self.before is None else self._looked_at(batch, came)
            if batch and self._batches is not None and self._batches.observed:
                messages = iter(list(messages))
                if self.before is not None:
                    messages = self._with_sources(messages, batch if came is None else came)
                self._batches.emit(batch.copy())
                loop.run_pending()
            sources, more = None if came is None else iter(came), True
            while more and self.delivering_epoch == epoch:
                if self._takes_long_way():
                    more = self._emit_next(messages, sources, at)
                else:
                    more = not self.messages.emit_until(messages, asked)
                if asked:
                    loop.run_pending()

    def _looked_at(self, batch: list[Any], came: Sequence[str | bytes] | None) -> Iterator[Any]:
        """Let what only looks at a message have it, before any stream does."""
        for data in self._with_sources(batch, batch if came is None else came):
            if self.before is not None:
                self.before.emit(data)
            yield data

    def _with_sources(self, values: Iterable[Any], sources: Iterable[Any]) -> Iterator[Any]:
        for data, self.source in zip(values, sources, strict=True):
            yield data

    def _intercept(
        self, batch: list[Any], came: Sequence[str | bytes]
    ) -> tuple[list[Any], list[str | bytes]]:
        """What interceptors make of messages; those that one raises at are left out."""
        values: list[Any] = []
        sources: list[str | bytes] = []
        for value, source in zip(batch, came, strict=True):
            try:
                for interceptor in self._hooks.after_receive:
                    value = interceptor(value)
            except BaseException as error:
                self.report("after_receive", "messages", error, detached=False)
            else:
                values.append(value)
                sources.append(source)
        return values, sources

    def _takes_long_way(self) -> bool:
        """Whether anything but observers of ``messages`` gets a message."""
        return (
            self.events.observed
            or self._session is not None
            or self.changes.awaits_message
            or self.messages.is_holding
        )

    def _emit_next(
        self, messages: Iterator[Any], sources: Iterator[str | bytes] | None, at: float | None
    ) -> bool:
        """Let the next message be known; return whether there was one.

        A source is for a hub that holds the message (C4), which it does not after ``emit_until``.
        """
        for data in messages:
            source = None if sources is None else next(sources, None)
            if self.events.observed:
                at = self._loop.wall_time() if at is None else at
                self.events.emit(Message(epoch=self._epoch, data=data, at=at))
            if self._session is not None:
                self._session.emit(data, source)
            self.messages.emit(data, source)
            if self.changes.awaits_message:
                self.changes.on_event(Message(epoch=self._epoch, data=None))
            return True
        return False

    def publish_undecodable(self, error: Undecodable, excerpt: str) -> None:
        """A message of the connection that is open has no value."""
        at = self._loop.wall_time()
        with self._loop.turn():
            self.publish(DecodeFailed(epoch=self._epoch, error=error, excerpt=excerpt, at=at))
            self.changes.on_event(Message(epoch=self._epoch, data=None))

    def masked(self, value: Any) -> Any:
        """A text or a payload without secrets (C28)."""
        return self.history.mask(value)

    def show_latency(self, latency: float) -> None:
        """Show how long a ping and its pong took."""
        with self._loop.turn():
            self.latency.emit(latency)

    def begin(self, credential: Credential) -> None:
        self.history.add_credential(credential, 0.0)  # before whatever happens
        self.auth.emit(credential)

    def set_credential(self, credential: Credential) -> None:
        with self._loop.turn():
            if credential != self.auth.value:
                self.changes.on_use(credential)
                self.history.add_credential(credential, self._loop.wall_time())
                self.auth.emit(credential)

    def end(self, error: Exception | None) -> None:
        """End every stream: what is about connections fails with ``error``, if there is one."""
        with self._loop.turn():
            self._stop_detector()
            self.messages.drop_held()
            connecting = (self.events, self.opens, self._closes, self._sessions)
            for hub in (*connecting, self.messages, self._batches):
                if hub is not None:
                    hub.end(error)
            self._publish_reports()  # while errors is still there
            for looking in (self._errors, self.state, self.latency, self.auth, self.cursor):
                if looking is not None:
                    looking.end()

    def abandon(self) -> None:
        """The last one left: nobody hears what is held, and changes wait for the next start."""
        self._stop_detector()
        self.changes.on_stop()
        self.messages.drop_held()

    def report(
        self, observer: str, stream: str, error: BaseException, *, detached: bool = True
    ) -> None:
        """An observer, or another function of the user's, raised (C23)."""
        at = self._loop.wall_time()
        stream = self.history.as_read(stream)  # a topic may be named by a key
        failed = ObserverFailed(
            observer=observer, stream=stream, error=error, at=at, detached=detached
        )
        context = copy_context()  # in a notebook, that of its cell
        self._reports = (*self._reports, (failed, context))
        self._loop.run(self._publish_reports)  # when everybody has had the value that it raised at
        self._loop.exit_later(error)

    def _publish_reports(self) -> None:
        while self._reports:
            (event, context), *rest = self._reports
            self._reports = tuple(rest)
            self.publish(event, context)

    def _open(self, event: Opened) -> None:
        self.messages.drop_held()  # of the epoch before
        self._epoch = self.delivering_epoch = event.epoch
        if self._slow_consumers is not None:
            self._slow_consumers.abandon_burst()
        if self._sessions is None or not self._sessions.observed:
            payloads = (self.events, self.messages, self._batches)
            if not any(hub.audience_size for hub in payloads if hub is not None):
                self.messages.start_holding()  # a session holds by itself
        else:
            self._session = SessionHub(
                event.epoch, self._loop, self._report, self.publish_dropped, self.read_gate
            )
            self._session.start_holding()
        self.opens.emit(event)
        if self._session is not None and self._sessions is not None:
            self._sessions.emit(Session(self._session))

    def _close(self, event: Closed) -> None:
        if event.epoch == self.delivering_epoch:
            self.delivering_epoch = None
        session, self._session = self._session, None
        if session is not None:
            session.end()
        if event.cause in (Cause.AUTH_CHANGED, Cause.LOGGED_OUT):
            self.messages.drop_held("the credential changed before anybody subscribed")  # C5, C14
        if self._errors is not None and is_problem(event):
            self._errors.emit(event)

    def ignore_slow_consumers(self) -> None:
        """Name no observer that holds the loop: whoever observes it times its own."""
        self._slow_consumers = SlowConsumerDetector(self._loop, _tell_nobody)

    def _stop_detector(self) -> None:
        if self._slow_consumers is not None:
            self._slow_consumers.stop()

    def _on_slow_consumer(self, observer: str, stream: str, seconds: float) -> None:
        at, stream = self._loop.wall_time(), self.history.as_read(stream)
        self.publish(SlowConsumer(observer=observer, stream=stream, seconds=seconds, at=at))

    @property
    def observer_count(self) -> int:
        """How many observers get messages; what only looks is none."""
        hubs = (self.messages, self._batches, self.events, self._sessions, self._session)
        return sum(0 if hub is None else hub.audience_size for hub in hubs)

    def on_paused(self, consumer: Consumer, seconds: float) -> None:
        """Somebody who reads with ``async for`` holds up others."""
        slow = SlowConsumer(
            observer=consumer.name,
            stream=consumer.stream,
            seconds=seconds,
            waiting=consumer.waiting,
            at=self._loop.wall_time(),
        )
        self.publish(slow)

    def on_reading(self, *, is_paused: bool) -> None:
        """Reading from an open connection is paused, or goes on."""
        self.counters.on_reading(is_paused=is_paused, now=self._loop.time())

    def take_held_events(self) -> list[Event]:
        """The messages that were held for the first subscriber, as events (C4)."""
        held = self.messages.take_held()
        return [Message(epoch=self._epoch, data=data, at=at) for data, at, _ in held]

    def _held_dropped(self, count: int, reason: str) -> None:
        if not self.has_requests:
            self.publish_dropped(count, reason)

    def publish_dropped(self, count: int, reason: str) -> None:
        """Messages that were held were let go."""
        at = self._loop.wall_time()
        self.publish(Dropped(epoch=self._epoch, count=count, reason=reason, at=at))


def is_problem(event: Closed) -> bool:
    """Whether the end of a connection is told on ``errors``: it was neither wanted nor clean."""
    return event.cause in FAULTS or event.code not in (None, 1000)


def _tell_nobody(observer: str, stream: str, seconds: float) -> None:
    """Somebody else tells who holds the loop."""
