"""Plays a recording: as events, as a socket that emits them, or as a transport."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.auth.credentials import Credential
from rxsocket.codecs import Codec, codec_or_none
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
from rxsocket.recording.format import AuthSeen, Entry, EventValue, recorded_credential
from rxsocket.recording.player import (
    RecordedConnections,
    Speed,
    play,
    scheduler_or_default,
    speed_of,
)
from rxsocket.recording.reader import read_entries, read_header
from rxsocket.recording.replay_transport import RecordedLink, ReplayTransport
from rxsocket.socket import Socket
from rxsocket.tables.dataframes import Library, library_or_default, table, to_parquet
from rxsocket.tables.rows import Arrival
from rxsocket.transports.base import Request, Signal


class Replay:
    """A recording to play, and a transport. Made by :func:`replay`.

    Attributes:
        path: Its first file.
        url: The recorded address, without user info or query values.
        receives_only: Whether that is an event stream's (rule C50, server-sent events).
    """

    def __init__(
        self,
        path: Path,
        speed: float | None,
        scheduler: abc.SchedulerBase | None,
        partial: bool,
    ) -> None:
        self.path = path
        self._speed = speed
        first = read_header(path)
        self.url, self._began = first.url, first.at
        self.receives_only = first.url.startswith("http")
        self._scheduler = scheduler
        self._partial = partial
        if not partial:
            for _ in read_entries(path):  # raises now, not in the middle
                pass

    def __call__(self, request: Request) -> Observable[Signal]:
        """The next recorded connection; see ``rxsocket.transports.base``."""
        return self._transport.dial(request)

    @property
    def auth(self) -> Observable[Credential]:
        """For ``Socket(auth=)``: a credential that changes when the recorded one did.

        Its values stand for the recorded ones, which are not in the file: equal for equal ones, and
        under the same names.
        """
        return self._transport.auth

    @property
    def events(self) -> Observable[Event]:
        """The recorded events, value for value, ``at`` included; cold, from the start.

        ::

            recorded   --C-O-a---b---X--W-------C-O--|      at speed 1.0
            speed=2.0  -CO-a-b-X-W---CO|
            "max"      (COabXWCO|)

        Observers are called on the scheduler; without one, on the loop that runs at ``subscribe``.
        Without a loop: on this thread for ``"max"``, else on a thread of its own.
        """

        def subscribe(
            observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(entry: Entry) -> None:
                if isinstance(entry, Event):
                    observer.on_next(entry)

            return play(
                self._entries(),
                scheduler_or_default(self._scheduler or scheduler, blocking=self._speed is None),
                self._speed,
                on_next,
                observer.on_completed,
            )

        return Observable(subscribe)

    def messages(self) -> Iterator[Any]:
        """What was delivered, one after the other, without waits and without a loop.

        Raises:
            BadRecording: At a line that cannot be read; not with ``partial``.

        Examples:
            >>> sum(trade["size"] for trade in replay("session.jsonl").messages())
        """
        return (entry.data for entry in self._entries() if isinstance(entry, Message))

    def socket(self, *, loop: asyncio.AbstractEventLoop | None = None) -> Socket:
        """A socket whose streams emit the recorded events, value for value.

        That includes the waits of the backoff and the masked changes of the credential. It does not
        dial, and drops messages that are sent. At the end of the recording it ends as recorded; if
        no end was recorded, it completes. It lives where other sockets do (rule C24, delivery).

        Args:
            loop: The asyncio loop to live on, instead of the one chosen.

        Examples:
            >>> socket = replay("session.jsonl", speed=10).socket()
            >>> socket.messages.subscribe(print)
            >>> socket.wait()
        """
        return _ReplaySocket(
            self.url, self._began, self._entries, self._speed, self._scheduler, loop
        )

    def frame(
        self,
        *,
        library: Library | None = None,
        codec: Codec[Any, Any] | Literal["auto"] | None = "auto",
    ) -> Any:
        """All recorded messages as a table, at once.

        It has a column for each field, ``arrived``, the recorded time in UTC, and ``connection``,
        the number of the connection. All of them are in memory.

        Args:
            library: ``"pandas"``, ``"polars"`` or ``"arrow"``; left out, the first of these that is
                installed.
            codec: What makes values of recorded text and bytes; ``"auto"`` decodes text that is
                JSON, and ``None`` nothing. A message that does not decode stays as it was recorded.

        Raises:
            BadRecording: At a line that cannot be read; not with ``partial``.
            ModuleNotFoundError: If the library is not installed.

        Examples:
            >>> replay("session.jsonl").frame().groupby("symbol")["price"].mean()
        """
        chosen = library_or_default("frame", library)
        return table(list(self.arrivals(codec)), chosen)

    def to_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        codec: Codec[Any, Any] | Literal["auto"] | None = "auto",
    ) -> None:
        """Write all recorded messages to a Parquet file, with the columns of :meth:`frame`.

        Raises:
            BadRecording: At a line that cannot be read; not with ``partial``.
            ModuleNotFoundError: If there is neither polars nor pyarrow.
            OSError: If the file cannot be written.

        Examples:
            >>> replay("session.jsonl").to_parquet("session.parquet")
        """
        to_parquet(self.arrivals(codec), path)

    def arrivals(
        self, codec: Codec[Any, Any] | Literal["auto"] | None = "auto"
    ) -> Iterator[Arrival]:
        """All recorded messages, with the time and the connection of each, without waits.

        Args:
            codec: As for :meth:`frame`.

        Raises:
            BadRecording: At a line that cannot be read; not with ``partial``.
        """
        checked = codec_or_none(codec)
        for entry in self._entries():
            if isinstance(entry, Message):
                value = entry.data
                if checked is not None and isinstance(value, (str, bytes)):
                    with suppress(Exception):  # it stays as it is
                        value = checked.decode(value)
                yield Arrival(entry.at, entry.epoch, value)

    def __repr__(self) -> str:
        speed = "max" if self._speed is None else self._speed
        return f"<Replay {self.path.name}, speed={speed}>"

    @cached_property
    def _transport(self) -> ReplayTransport:
        return ReplayTransport(self._entries(), self._speed, self._scheduler)

    def _entries(self) -> Iterator[Entry]:
        return read_entries(self.path, partial=self._partial)


def replay(
    path: str | os.PathLike[str],
    speed: Speed = 1.0,
    scheduler: abc.SchedulerBase | None = None,
    *,
    partial: bool = False,
) -> Replay:
    """Play a recording of :func:`record`. All of its files, rotated or compressed, are read as one.

    There are three ways to use it:

    - ``replay(path).events``: the recorded events, value for value.
    - ``replay(path).socket()``: a socket whose streams emit them, for everything that works on a
      socket. It decides nothing again, so it is the same each time.
    - ``Socket(url, transport=replay(path))``: a socket of yours that is *served* the recorded
      connections, one for each dial: it opens, gets messages, is closed and refused as recorded;
      its policy, its backoff and its credentials are its own. ``auth=recording.auth`` makes the
      recorded changes of the credential, too. Where the recorded socket closed of its own accord
      and this one does not, the peer closes: with 1012, and 1000 at the end of the recording. One
      replay serves one socket.

    Args:
        path: The file; of a rotated recording, the first.
        speed: Factor to the recorded speed, or ``"max"`` for no waits.
        scheduler: Plays the entries; left out, the running loop (with ``clock()``, in virtual
            time). A ``TestScheduler`` without a loop is for ``events``; a socket has a loop, and
            takes that of ``clock()``.
        partial: Whether to play the whole lines of a file that is cut, damaged or being written.

    Raises:
        BadRecording: If it cannot be read; with the number of the line.
        OSError: If the file cannot be opened.

    Examples:
        >>> scheduler = TestScheduler()
        >>> replay("session.jsonl", "max", scheduler).events.subscribe(print)
        >>> scheduler.start()
    """
    return Replay(Path(path), speed_of(speed), scheduler, partial)


class _ReplayClock:
    """The recorded wall time: at the speed of the replay while it plays, else at that of real time.

    ::

        real time       10:00:00 ------- 10:00:01 ------- 10:00:02 -------
        speed=10        07:30:00 ------- 07:30:10 ------- 07:30:20 -------

    Args:
        began: The wall time of the start of the recording.
        speed: Factor to the recorded speed; ``None`` stops the clock between two entries.
        now: Returns the real time.
    """

    def __init__(self, began: float, speed: float | None, now: Callable[[], float]) -> None:
        self._now = now
        self._speed = 0.0 if speed is None else speed
        self._known = began, now(), 0.0  # replaced as a whole: other threads read it

    def __call__(self) -> float:
        at, since, speed = self._known
        return at + max(0.0, self._now() - since) * speed

    def set(self, at: float) -> None:
        self._known = at, self._now(), self._speed

    def run_freely(self) -> None:
        """Go on at the speed of real time."""
        self._known = self(), self._now(), 1.0


class _ReplaySocket(Socket):
    """See :meth:`Replay.socket`; ``entries`` opens the recording, at each start.

    ::

        recording    Connecting ── Opened ── a ── b ── Closed ── Waiting ── Connecting ── …
        events       Connecting ── Opened ── a ── b ── Closed ── Waiting ── Connecting ── …
        messages     ───────────────────── a ── b ─────────────────────────────────────── …
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
        first = RecordedConnections(entries()).first_credential
        transport = _DialsNobody(url)
        super().__init__(url, auth=recorded_credential(first), transport=transport, loop=loop)
        self._entries = entries
        self._speed = speed
        self._replay_scheduler = scheduler
        socket_loop = self._engine.loop
        self._clock = socket_loop.replay_time = _ReplayClock(began, speed, socket_loop.real_time)

    def _connections(self) -> Observable[Event]:
        def subscribe(
            observer: abc.ObserverBase[Event], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            playback = _Playback(self._engine, self._clock, self.url, observer)
            playing = play(
                self._entries(),
                scheduler_or_default(self._replay_scheduler or scheduler),
                self._speed,
                playback.on_next,
                playback.on_completed,
            )
            return CompositeDisposable(playing, Disposable(playback.dispose))

        return Observable(subscribe)


class _Playback:
    """The recording, played once from the start to its end."""

    def __init__(
        self, engine: Engine, clock: _ReplayClock, url: str, observer: abc.ObserverBase[Event]
    ) -> None:
        self._clock = clock
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._outbox = engine.outbox
        self._run_state = engine.run_state
        self._observer = observer
        self._url = url
        self._epochs_before = engine.run_state.epoch  # an epoch is never used again (C2)
        self._dialling: set[int] = set()
        self._open: set[int] = set()
        self._ended = False

    def on_next(self, entry: Entry) -> None:
        with self._loop.turn():
            self._clock.set(entry.at)
            if isinstance(entry, AuthSeen):
                self._publisher.set_credential(recorded_credential(entry))
            elif isinstance(entry, EpochEvent):
                self._on_epoch_event(entry)
            elif isinstance(entry, Event):
                self._emit(entry)

    def on_completed(self) -> None:
        if not self._ended:
            with self._loop.turn():
                cause = Cause.RECORDING_OVER
                ended = Ended(verdict=Verdict.COMPLETE, cause=cause, at=self._loop.wall_time())
                self._end_epochs(StopReason(cause))
                self._emit(ended)
        self._clock.run_freely()

    def dispose(self) -> None:
        if not self._ended:
            self._ended = True
            self._end_epochs(self._run_state.stop_reason)
        self._clock.run_freely()

    def _on_epoch_event(self, event: EpochEvent) -> None:
        event = replace(event, epoch=event.epoch + self._epochs_before)
        epoch, at = event.epoch, event.at
        self._run_state.epoch = max(self._run_state.epoch, epoch)
        if isinstance(event, Connecting):
            self._dialling.add(epoch)
        elif epoch not in self._dialling | self._open:  # it started before the recording
            cause = Cause.STARTED
            self._emit(Connecting(epoch=epoch, cause=cause, attempt=1, url=self._url, at=at))
            self._dialling.add(epoch)
        if isinstance(event, (Message, Closed)) and epoch in self._dialling:
            self._open_epoch(Opened(epoch=epoch, at=at))
        if isinstance(event, Message):
            value = event.data
            if isinstance(value, EventValue):
                self._publisher.deliver([value.value], [value.source], at=at)
            else:
                self._publisher.deliver([value], at=at)
        elif isinstance(event, Opened):
            self._open_epoch(event)
        else:
            if isinstance(event, EpochEnd):
                self._dialling.discard(epoch)
                self._open.discard(epoch)
                if not self._open:  # in a handover, another one is open already
                    self._outbox.close()
            self._emit(event)

    def _open_epoch(self, event: Opened) -> None:
        self._dialling.discard(event.epoch)
        self._open.add(event.epoch)
        self._outbox.open(RecordedLink(event.subprotocol), event.epoch)
        self._emit(event)

    def _emit(self, event: Event) -> None:
        self._ended = self._ended or isinstance(event, Ended)
        self._observer.on_next(event)

    def _end_epochs(self, why: StopReason) -> None:
        """Publish the missing ends straight to the streams, as this may have no observer."""
        at = self._loop.wall_time()
        for epoch in sorted(self._dialling):
            self._publisher.publish(Aborted(epoch=epoch, cause=why.cause, at=at))
        for epoch in sorted(self._open):
            self._publisher.publish(
                Closed(
                    epoch=epoch,
                    reason=why.reason,
                    sent=why.code,
                    cause=why.cause,
                    at=at,
                )
            )
        self._dialling.clear()
        self._open.clear()
        self._outbox.close()


class _DialsNobody:
    def __init__(self, url: str) -> None:
        self.receives_only = url.startswith("http")

    def __call__(self, request: Request) -> Observable[Signal]:
        raise RuntimeError("a replayed socket dials nobody")
