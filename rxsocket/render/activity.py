"""Records what a socket does, for pictures of it: in bounded memory, and redacted (C28).

::

    loop of the socket      message ── one append, one count            no more than that
    thread that draws       recorder.activity() ── a copy

Recording does not connect, and does not keep the socket connected (C1).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.subject import Subject

from rxsocket.auth.credentials import Credential
from rxsocket.engine.engine import Engine
from rxsocket.events import Event, Message
from rxsocket.hooks import without
from rxsocket.render.histogram import Bin, Histogram
from rxsocket.render.preview import Redact
from rxsocket.render.timeline_model import TimelineModel
from rxsocket.render.view import View
from rxsocket.state import State

T = TypeVar("T")

EXACT = 600
"""Messages whose own time is kept."""
PAYLOADS = 32
"""Messages whose payload is kept, for a preview."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The state of a recorder at one moment.

    Attributes:
        now: Its wall time.
        counting_since: When messages began to be recorded; ``None`` if they never were.
        recording_since: When the recording began that goes on; ``None`` if none does.
        model: Credentials, connections and pauses.
        arrivals: The times of the last messages, oldest first, and their connections.
        payloads: The payloads of the last of these.
        send_times: The times of the last messages that were sent.
        received: The number of messages over time.
        sent: The number of sent messages over time.
        received_count: The number of messages that were recorded.
        redact: Hides every secret that the server may repeat.
    """

    now: float
    counting_since: float | None
    recording_since: float | None
    model: TimelineModel
    arrivals: tuple[tuple[float, int], ...]
    payloads: tuple[Any, ...]
    send_times: tuple[float, ...]
    received: tuple[Bin, ...]
    sent: tuple[Bin, ...]
    received_count: int
    redact: Redact = field(compare=False, repr=False)


class ActivityRecorder:
    """Records what a socket does.

    Credentials and connections are read from the history of the socket. Messages are recorded while
    a picture shows them.

    Attributes:
        views: Pictures of the socket, so that each is made once however often its cell runs.
    """

    def __init__(self, engine: Engine) -> None:
        self._publisher = engine.publisher
        self._hooks = engine.hooks
        self._loop = engine.loop
        self.views: dict[Hashable, View] = {}
        self._lock = threading.Lock()
        self._users = 0
        self._changes: Subject[None] = Subject()
        self._subscription = SerialDisposable()
        self._counting_since: float | None = None
        self._recording_since: float | None = None
        self._model = TimelineModel()
        self._last_event: Event | None = None
        self._last_credential: tuple[float, Credential] | None = None
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=EXACT)
        self._payloads: deque[Any] = deque(maxlen=PAYLOADS)
        self._send_times: deque[float] = deque(maxlen=EXACT)
        self._received = Histogram()
        self._sent = Histogram()

    @property
    def is_recording(self) -> bool:
        return self._users > 0

    @property
    def state(self) -> State:
        return self._publisher.state.value

    def record_messages(self, on_change: Callable[[], None] | None = None) -> abc.DisposableBase:
        """Record messages until disposed; call back after each change, on the socket's loop."""
        notifying: abc.DisposableBase = Disposable()
        if on_change is not None:
            notifying = self._changes.subscribe(lambda _: on_change())
        with self._lock:
            self._users += 1
            first = self._users == 1
        if first:
            self._subscribe()
        return CompositeDisposable(notifying, Disposable(self._release))

    def activity(self, begin: float = 0.0) -> Activity:
        """A copy of what was recorded, with messages counted from ``begin`` on; thread safe."""
        with self._lock:
            self._read_history()
            now = self._loop.wall_time()
            return Activity(
                now=now,
                counting_since=self._counting_since,
                recording_since=self._recording_since,
                model=self._model.copy(),
                arrivals=tuple(self._arrivals),
                payloads=tuple(self._payloads),
                send_times=tuple(self._send_times),
                received=tuple(self._received.bins_between(begin, now)),
                sent=tuple(self._sent.bins_between(begin, now)),
                received_count=self._received.total,
                redact=self._publisher.history.mask,
            )

    def _release(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._users == 0
            if last:
                self._recording_since = None
        if last:
            self._subscription.disposable = Disposable()

    def _subscribe(self) -> None:
        now = self._loop.wall_time()
        self._counting_since = self._counting_since or now
        self._recording_since = self._recording_since or now
        publisher, hooks, on_written = self._publisher, self._hooks, self._on_written

        def remove_hook() -> None:
            hooks.on_written = without(hooks.on_written, on_written)

        hooks.on_written = (*hooks.on_written, on_written)
        self._subscription.disposable = CompositeDisposable(
            publisher.events.passive(audience=False).subscribe(
                self._on_event, lambda _: self._on_end(), self._on_end
            ),
            publisher.auth.passive().subscribe(lambda _: self._on_auth()),
            publisher.latency.passive().subscribe(lambda _: self._notify()),
            Disposable(remove_hook),
        )

    def _on_end(self) -> None:
        """Record a socket that is started again, too."""
        self._loop.run(self._resubscribe)

    def _resubscribe(self) -> None:
        self._subscription.disposable = Disposable()
        if self._users:
            self._subscribe()
        self._notify()

    # --- on the socket's loop

    def _on_event(self, event: Event) -> None:
        with self._lock:
            if type(event) is Message:
                self._received.add(event.at)
                self._arrivals.append((event.at, event.epoch))
                self._payloads.append(event.data)
            else:
                self._read_history()
        self._notify()

    def _on_auth(self) -> None:
        with self._lock:
            self._read_history()
        self._notify()

    def _on_written(self, messages: Sequence[Any], _: int | None) -> None:
        now, count = self._loop.wall_time(), len(messages)
        with self._lock:
            self._sent.add(now, count)
            self._send_times.extend([now] * min(count, EXACT))
        self._notify()

    def _notify(self) -> None:
        self._changes.on_next(None)

    def _read_history(self) -> None:
        history = self._publisher.history
        credentials = _newer_than(self._last_credential, history.credentials)
        events = _newer_than(self._last_event, history.events)
        if credentials:
            self._last_credential = credentials[-1]
        if events:
            self._last_event = events[-1]
        steps: list[tuple[float, Credential | Event]] = [*credentials]
        steps.extend((event.at, event) for event in events)
        for at, step in sorted(steps, key=lambda step: step[0]):
            if isinstance(step, Credential):
                self._model.on_credential(step, at)
            else:
                self._model.on_event(step)


def recorder_of(engine: Engine) -> ActivityRecorder:
    """The recorder of a socket; there is one, and it lives as long as the socket."""
    recorder = engine.hooks.attached.get(ActivityRecorder)
    if not isinstance(recorder, ActivityRecorder):
        recorder = engine.hooks.attached[ActivityRecorder] = ActivityRecorder(engine)
    return recorder


def _newer_than(last: T | None, items: tuple[T, ...]) -> tuple[T, ...]:
    """The items after the last known one; all of them if that one was dropped."""
    for index in range(len(items) - 1, -1, -1):
        if items[index] is last:
            return items[index + 1 :]
    return items
