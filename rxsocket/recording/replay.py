"""Plays a recording: as events, as a socket that emits them, or as a transport."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from reactivex import Observable, abc

from rxsocket.auth.credentials import Credential
from rxsocket.events import Event
from rxsocket.recording.format import Entry
from rxsocket.recording.player import Speed, play, scheduler_or_default, speed_of
from rxsocket.recording.reader import read_entries, read_header
from rxsocket.recording.replay_socket import ReplaySocket
from rxsocket.recording.replay_transport import ReplayTransport
from rxsocket.socket import Socket
from rxsocket.transports.base import Request, Signal


class Replay:
    """A recording to play, and a transport. Made by :func:`replay`.

    Attributes:
        path: Its first file.
        url: The recorded address, without user info or query values.
    """

    def __init__(
        self,
        path: Path,
        speed: float | None,
        scheduler: abc.SchedulerBase | None,
        partial: bool,
    ) -> None:
        self.path = path
        first = read_header(path)
        self.url, self._began = first.url, first.at
        self._speed = speed
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

    def socket(self, *, loop: asyncio.AbstractEventLoop | None = None) -> Socket:
        """A socket whose streams emit the recorded events, value for value.

        That includes the waits of the backoff and the masked changes of the credential. It does not
        dial, and drops messages that are sent. At the end of the recording it ends as recorded; if
        no end was recorded, it completes. It lives where other sockets do (C24).

        Args:
            loop: The asyncio loop to live on, instead of the one chosen.

        Examples:
            >>> socket = replay("session.jsonl", speed=10).socket()
            >>> socket.messages.subscribe(print)
            >>> socket.wait()
        """
        return ReplaySocket(
            self.url, self._began, self._entries, self._speed, self._scheduler, loop
        )

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
