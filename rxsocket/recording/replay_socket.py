"""A socket to which happens again what was recorded: every stream tells it, and nothing is dialled.

::

    recording    Connecting ── Opened ── a ── b ── Closed ── Waiting ── Connecting ── …
    events       Connecting ── Opened ── a ── b ── Closed ── Waiting ── Connecting ── …
    messages     ───────────────────── a ── b ─────────────────────────────────────── …


What time it was then: wall time in a socket to which a recording happens again.

::

    real time       10:00:00 ------- 10:00:01 ------- 10:00:02 -------
    speed=10        07:30:00 ------- 07:30:10 ------- 07:30:20 -------
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.engine.engine import Engine
from rxsocket.engine.run_state import StopReason
from rxsocket.events import (
    Aborted,
    Cause,
    Closed,
    Connecting,
    Ended,
    EpochEnd,
    EpochEvent,
    Event,
    Message,
    Opened,
)
from rxsocket.policy.verdicts import Verdict
from rxsocket.recording.format import AuthSeen, Entry
from rxsocket.recording.player import Reel, play, recorded_credential, ticker
from rxsocket.recording.replay_transport import RecordedLink
from rxsocket.socket import Socket
from rxsocket.transports.base import Request, Signal

__all__ = ["Story", "Then"]


class Then:
    """From real time to recorded time.

    It runs at the speed of the replay while that plays, and at its own pace before and afterwards.

    Args:
        began: When the recording began, as wall time.
        speed: Times that of the recording; ``None`` where nothing waits: it stands still between
            two entries.
        now: Tells the real time.
    """

    def __init__(self, began: float, speed: float | None, now: Callable[[], float]) -> None:
        self._now = now
        self._speed = 0.0 if speed is None else speed
        self._known = began, now(), 0.0  # read and replaced whole: whoever asks may be elsewhere

    def __call__(self) -> float:
        """The recorded time."""
        at, since, speed = self._known
        return at + max(0.0, self._now() - since) * speed

    def told(self, at: float) -> None:
        """What was recorded at ``at`` is told now."""
        self._known = at, self._now(), self._speed

    def over(self) -> None:
        """Nothing more is told."""
        self._known = self(), self._now(), 1.0


class Story(Socket):
    """See ``Replay.socket``.

    Args:
        url: The recorded address, to show.
        began: When the recording began, as wall time.
        entries: Opens the recording; called at each start.
        speed: Times that of the recording; ``None`` for no waits.
        scheduler: What to play by, instead of the loop.
        loop: The loop to live on.
    """

    def __init__(
        self,
        url: str,
        began: float,
        entries: Callable[[], Iterator[Entry]],
        speed: float | None,
        scheduler: abc.SchedulerBase | None,
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        first = Reel(entries()).first
        super().__init__(url, auth=recorded_credential(first), transport=_nowhere, loop=loop)
        self._entries = entries
        self._speed = speed
        self._plays_on = scheduler
        socket_loop = self._engine.loop
        self._then = socket_loop.replay_time = Then(began, speed, socket_loop.real_time)

    def _connections(self) -> Observable[Event]:
        def subscribe(
            observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            telling = _Telling(self._engine, self._then, self.url, observer)
            time = ticker(self._plays_on or scheduler)
            playing = play(self._entries(), time, self._speed, telling.tell, telling.over)
            return CompositeDisposable(playing, Disposable(telling.dispose))

        return Observable(subscribe)


class _Telling:
    """One run of the story."""

    def __init__(
        self, engine: Engine, then: Then, url: str, observer: abc.ObserverBase[Event]
    ) -> None:
        self._then = then
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._outbox = engine.outbox
        self._run_state = engine.run_state
        self._observer = observer
        self._url = url
        self._shift = engine.run_state.epoch  # an epoch is never used again (C2)
        self._dialling: set[int] = set()
        self._open: set[int] = set()
        self._over = False

    def tell(self, entry: Entry) -> None:
        with self._loop.turn():
            self._then.told(entry.at)
            if isinstance(entry, AuthSeen):
                self._publisher.credential(recorded_credential(entry))
            elif isinstance(entry, EpochEvent):
                self._of_an_epoch(entry)
            elif isinstance(entry, Event):
                self._emit(entry)

    def over(self) -> None:
        """The recording ends: so does the socket, whatever state it is in."""
        if not self._over:
            with self._loop.turn():
                self._run_state.stop_reason = StopReason(Cause.RECORDING_OVER)
                at = self._loop.wall_time()
                ended = Ended(verdict=Verdict.COMPLETE, cause=Cause.RECORDING_OVER, at=at)
                self._close()
                self._emit(ended)
        self._then.over()

    def dispose(self) -> None:
        if not self._over:
            self._over = True
            self._close()
        self._then.over()

    def _of_an_epoch(self, event: EpochEvent) -> None:
        event = replace(event, epoch=event.epoch + self._shift) if self._shift else event
        epoch, at = event.epoch, event.at
        self._run_state.epoch = max(self._run_state.epoch, epoch)
        if isinstance(event, Connecting):
            self._dialling.add(epoch)
        elif epoch not in self._dialling | self._open:  # it began before the recording did
            cause = Cause.STARTED
            self._emit(Connecting(epoch=epoch, cause=cause, attempt=1, url=self._url, at=at))
            self._dialling.add(epoch)
        if isinstance(event, (Message, Closed)) and epoch in self._dialling:
            self._opened(Opened(epoch=epoch, at=at))
        if isinstance(event, Message):
            self._publisher.deliver([event.data], at=at)
        elif isinstance(event, Opened):
            self._opened(event)
        else:
            if isinstance(event, EpochEnd):
                self._dialling.discard(epoch)
                self._open.discard(epoch)
                if not self._open:  # one may have taken over from the other
                    self._outbox.close()
            self._emit(event)

    def _opened(self, event: Opened) -> None:
        self._dialling.discard(event.epoch)
        self._open.add(event.epoch)
        self._outbox.open(RecordedLink(event.subprotocol), event.epoch)
        self._emit(event)

    def _emit(self, event: Event) -> None:
        self._over = self._over or isinstance(event, Ended)
        self._observer.on_next(event)

    def _close(self) -> None:
        """Write the ends of what has none, straight to the streams: the observer may be gone."""
        stopped = self._run_state.stop_reason
        at = self._loop.wall_time()
        for epoch in sorted(self._dialling):
            self._publisher.publish(Aborted(epoch=epoch, cause=stopped.cause, at=at))
        for epoch in sorted(self._open):
            self._publisher.publish(
                Closed(
                    epoch=epoch,
                    reason=stopped.reason,
                    sent=stopped.code,
                    cause=stopped.cause,
                    at=at,
                )
            )
        self._dialling.clear()
        self._open.clear()
        self._outbox.close()


def _nowhere(request: Request) -> Observable[Signal]:
    raise RuntimeError("a recorded story dials nobody")
