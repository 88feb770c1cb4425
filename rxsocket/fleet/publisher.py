"""The streams of a fleet, and what is told on them (C41); on its loop unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeAlias

from rxsocket.events import Closed, Dropped, ObserverFailed, Problem, SlowConsumer, SourceFailed
from rxsocket.fleet.events import Capped, FleetEvent, ShardFailed, Throttled
from rxsocket.fleet.hubs import FleetChannelHub, FleetMessagesHub
from rxsocket.fleet.log import FleetLog, learnt_in_words
from rxsocket.publishing.publisher import is_problem
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.iteration import Consumer, Pausable, ReadGate
from rxsocket.streams.multicast import Connect, Hub
from rxsocket.streams.slow_consumers import SlowConsumerDetector
from rxsocket.texts import change_texts

MOST_LEARNT = 10
"""How many of the things that were learnt are told by ``explain()``."""
ONCE_IN = 1.0
"""Seconds in which what every socket says about a source is told once."""

FleetProblem: TypeAlias = Problem | ShardFailed
"""What ``fleet.errors`` emits."""


class FleetPublisher:
    """The one place that feeds the streams of a fleet.

    Args:
        loop: Where observers are called.
        connect: Keeps the fleet running; given to the streams that start it.
        label: What the fleet is called in the log, without secrets.
        masked: Masks secrets in texts; from any thread.
        reading: What is paused for ``async for``.
        on_messages_needed: Called when ``messages`` is observed, or is not any more.
        dedupe: What the same message has over two sockets.

    Attributes:
        messages, events: Streams that start the fleet.
        errors: One that only looks.
        observed: The channels that somebody observes.
        read_gate: Pauses reading for ``async for`` (C27).
        detector: Names observers that hold the loop.
        learnt: What was learnt last, in words.
    """

    def __init__(
        self,
        loop: SocketLoop,
        connect: Connect,
        label: str,
        masked: Callable[[str], str],
        reading: Pausable,
        on_messages_needed: Callable[[], None],
        dedupe: Callable[[Any], Hashable | None] | None,
    ) -> None:
        self.loop = loop
        self.connect = connect
        self.masked = masked
        self.read_gate = gate = ReadGate(loop, self)
        gate.add_link(reading)
        report = self.report  # one for all of them
        self.messages = FleetMessagesHub(
            loop, report, self._on_dropped, connect, gate, on_messages_needed
        )
        self.events: Hub[FleetEvent] = Hub("events", loop, report, connect)
        self.errors: Hub[FleetProblem] = Hub("errors", loop, report)
        self.observed: dict[Hashable, FleetChannelHub] = {}
        self.detector = SlowConsumerDetector(loop, self._on_slow_consumer)
        self.learnt: tuple[str, ...] = ()
        self._log = FleetLog(label)
        self._reports: tuple[ObserverFailed, ...] = ()
        self._said: tuple[str, float] = "", 0.0
        self._dedupe = dedupe
        self._failed: set[str] = set()

    def report(
        self, observer: str, stream: str, error: BaseException, *, detached: bool = True
    ) -> None:
        """An observer, or another function of the user's, raised (C23)."""
        failed = ObserverFailed(
            observer=observer,
            stream=self.masked(stream),
            error=error,
            detached=detached,
            at=self.loop.wall_time(),
        )
        self._reports = (*self._reports, failed)
        self.loop.run(self._publish_reports)  # when everybody has had the value that it raised at
        self.loop.exit_later(error)

    def tell(self, event: FleetEvent) -> None:
        """Let it be known what happened to channels, or to a shard."""
        self._log.write(event)
        if isinstance(event, (Throttled, Capped)):
            self.learnt = (*self.learnt, learnt_in_words(event))[-MOST_LEARNT:]
        with self.loop.turn():
            self.events.emit(event)
            if isinstance(event, ShardFailed):
                self.errors.emit(event)

    def publish(self, problem: FleetProblem) -> None:
        """Let it be known what went wrong."""
        with self.loop.turn():
            self.errors.emit(problem)

    def on_problem(self, event: Problem) -> None:
        """A socket says what went wrong; what all of them say of a source, once."""
        if isinstance(event, SlowConsumer):
            return  # it is about the fleet itself, whose observers are timed here
        if isinstance(event, Closed) and not is_problem(event):
            return
        if isinstance(event, SourceFailed):
            text = f"{event.argument}: {type(event.error).__name__}: {event.error}"
            said, at = self._said
            if text == said and event.at - at < ONCE_IN:
                return
            self._said = text, event.at
        self.publish(event)

    def source_failed(self, argument: str, error: Exception) -> None:
        """An Observable failed, or gave something unusable; from any thread."""
        event = SourceFailed(error=error, argument=argument, at=self.loop.wall_time())
        self.loop.run(partial(self._publish_own, event))

    def end(self, error: Exception | None) -> None:
        """End every stream: what is about channels fails with ``error``, if there is one."""
        with self.loop.turn():
            self.messages.drop_held()
            observed, self.observed = tuple(self.observed.values()), {}
            for hub in observed:
                hub.end(error)
            self.messages.end(error)
            self.events.end(error)
            self._publish_reports()  # while errors is still there
            self.errors.end()

    def key_of(self, message: Any) -> Hashable | None:
        """What ``dedupe`` says of a message; what it raises is told once."""
        if self._dedupe is None:
            return None
        try:
            key = self._dedupe(message)
            hash(key)
        except BaseException as error:
            self._report_once("dedupe", "messages", error)
            return None
        return key

    def weight_failed(self, error: BaseException) -> None:
        """``weight`` raised, which is told once."""
        self._report_once("weight", "channels", error)

    def _report_once(self, function: str, stream: str, error: BaseException) -> None:
        if function in self._failed:
            self.loop.exit_later(error)
        else:
            self._failed.add(function)
            self.report(function, stream, error, detached=False)

    def _publish_reports(self) -> None:
        reports, self._reports = self._reports, ()
        for event in reports:
            self._publish_own(event)

    def _publish_own(self, event: Problem) -> None:
        """Let it be known what went wrong here, and not on a socket, which tells by itself."""
        error: object = getattr(event, "error", None)
        if isinstance(error, BaseException):  # it may quote a credential
            change_texts(error, self.masked)
        self._log.write_problem(event)
        self.publish(event)

    def _on_dropped(self, count: int, reason: str) -> None:
        if not self.observed:
            at = self.loop.wall_time()
            self._publish_own(Dropped(epoch=0, count=count, reason=reason, at=at))

    def _on_slow_consumer(self, observer: str, stream: str, seconds: float) -> None:
        stream, at = self.masked(stream), self.loop.wall_time()
        slow = SlowConsumer(observer=observer, stream=stream, seconds=seconds, at=at)
        self._publish_own(slow)

    # --- who hears messages, for the gate

    @property
    def observer_count(self) -> int:
        """How many observers get messages; what only looks is none."""
        return sum(hub.audience_size for hub in (self.messages, *self.observed.values()))

    def on_reading(self, *, is_paused: bool) -> None:
        """The sockets count that, each its own."""

    def on_paused(self, consumer: Consumer, seconds: float) -> None:
        """Somebody who reads with ``async for`` holds up others."""
        slow = SlowConsumer(
            observer=consumer.name,
            stream=self.masked(consumer.stream),
            seconds=seconds,
            waiting=consumer.waiting,
            at=self.loop.wall_time(),
        )
        self._publish_own(slow)
