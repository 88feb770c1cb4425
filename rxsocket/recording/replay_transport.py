"""A recording as a transport: a socket of one's own is served what was received then.

The connection of a recording, which leads to nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Generator, Iterator, Sequence

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.subject import Subject

from rxsocket.auth.credentials import Credential
from rxsocket.errors import ConnectionLost
from rxsocket.events import (
    Aborted,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    EpochEvent,
    Message,
    Opened,
    Rejected,
)
from rxsocket.policy.verdicts import Verdict
from rxsocket.recording.format import AuthSeen, Entry
from rxsocket.recording.player import Reel, play, recorded_credential, ticker
from rxsocket.transports.base import Fragments, PeerClosed, Request, Signal

__all__ = ["RecordedLink", "Served"]


class RecordedLink:
    """A ``Link`` of the seam to nobody: what is sent is taken, and goes nowhere.

    Attributes:
        over: Whether the connection has ended.
    """

    def __init__(self, subprotocol: str | None) -> None:
        self._subprotocol = subprotocol
        self.over = False

    @property
    def subprotocol(self) -> str | None:
        """What the server chose."""
        return self._subprotocol

    def write(self, messages: Sequence[str | bytes]) -> bool:
        """Take messages; there is always room for more."""
        self._check()
        return True

    async def drain(self) -> None:
        """Return at once."""

    async def send(self, data: str | bytes | Fragments) -> None:
        """Take a message."""
        self._check()
        if isinstance(data, AsyncIterable):
            async for _ in data:
                pass

    def pause(self) -> None:
        """Do nothing: what comes is not read from a network."""

    def resume(self) -> None:
        """Do nothing, likewise."""

    async def ping(self) -> float:
        """Answer at once."""
        self._check()
        return 0.0

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close."""
        self.over = True

    async def answered(self) -> None:
        """Return at once: the answer is there."""

    async def wait_closed(self) -> None:
        """Return at once."""

    def abort(self) -> None:
        """Close."""
        self.over = True

    def _check(self) -> None:
        if self.over:
            raise ConnectionLost("the recorded connection has ended")


OVER = "the recording is over"


class Served:
    """Serves the recorded connections, one for each dial.

    Args:
        entries: What was recorded.
        speed: Times that of the recording; ``None`` for no waits.
        scheduler: What to play by, instead of the loop.
    """

    def __init__(
        self, entries: Iterator[Entry], speed: float | None, scheduler: abc.SchedulerBase | None
    ) -> None:
        self.reel = Reel(entries)
        self.speed = speed
        self.scheduler = scheduler
        self._seen = self.reel.first
        self._credential = recorded_credential(self._seen)
        self._refused: set[Credential] = set()
        self._again = 0
        self._changes: Subject[Credential] = Subject()
        self._interlude = SerialDisposable()
        self.auth: Observable[Credential] = Observable(self._follow)

    def dial(self, request: Request) -> Observable[Signal]:
        """The next recorded connection."""

        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _Connection(self, observer).playing

        return Observable(subscribe)

    def begin(self) -> Generator[EpochEvent | AuthSeen, None, None]:
        """What is recorded of the next connection."""
        self._interlude.disposable = Disposable()  # it is dialled earlier than it was then
        return self.reel.take(self.reel.begin())

    @property
    def followed(self) -> bool:
        """Whether anybody follows the recorded credentials."""
        return bool(self._changes.observers)

    def change(self, seen: AuthSeen) -> None:
        """The credential changed."""
        self._seen = seen
        self._credential = recorded_credential(seen)
        if self._credential in self._refused and self.reel.dials:
            self._dialled_again()
        else:
            self._changes.on_next(self._credential)

    def _dialled_again(self) -> None:
        # A refused credential was tried again only because reconnect() was called; nobody calls it
        # now, so it has to be another one.
        self._again += 1
        self._credential = recorded_credential(self._seen, self._again)
        self._changes.on_next(self._credential)

    def refused(self) -> None:
        """The credential of this moment was refused."""
        self._refused.add(self._credential)

    def between(self, since: float) -> None:
        """A connection is over: play the changes of the credential before the next begins."""
        if self.followed:
            self._interlude.disposable = play(
                self.reel.until_next(),
                ticker(self.scheduler),
                self.speed,
                self._told,
                lambda: None,
                since=since,
            )

    def _told(self, entry: Entry) -> None:
        if isinstance(entry, AuthSeen):
            self.change(entry)
        elif (
            isinstance(entry, Connecting)
            and entry.cause is Cause.RECONNECT
            and self._credential in self._refused
        ):
            self._dialled_again()

    def _follow(
        self, observer: abc.ObserverBase[Credential], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        observer.on_next(self._credential)

        def leave() -> None:
            if not self.followed:  # no timer outlives the socket (C26)
                self._interlude.disposable = Disposable()

        return CompositeDisposable(self._changes.subscribe(observer), Disposable(leave))


class _Connection:
    """One dial: the recorded attempts up to the next that was not given up, and what came of it."""

    def __init__(self, served: Served, observer: abc.ObserverBase[Signal]) -> None:
        self._served = served
        self._observer = observer
        self._link = RecordedLink(None)
        self._opened = self._ended = False
        self.playing = SerialDisposable()
        self._begin()

    def _begin(self) -> None:
        entries, time = self._served.begin(), ticker(self._served.scheduler)
        playing = play(entries, time, self._served.speed, self._tell, self._over)
        self.playing.disposable = CompositeDisposable(playing, Disposable(entries.close))

    def _tell(self, entry: Entry) -> None:
        match entry:
            case Opened(subprotocol=subprotocol):
                self._open(subprotocol)
            case Message(data=data):
                self._open(None)
                if isinstance(data, (str, bytes)):
                    self._observer.on_next(data)
            case ConnectFailed(error=error) | Rejected(error=error):
                self._ended = True
                if isinstance(entry, Rejected):
                    self._served.refused()
                self._served.between(entry.at)
                self._observer.on_error(error)
            case Aborted():
                self._given_up(entry)
            case Closed():
                self._open(None)
                self._closed(entry)
            case AuthSeen():
                if self._opened and self._served.followed:
                    self._served.change(entry)
            case Connecting():
                pass
            case _:
                pass

    def _open(self, subprotocol: str | None) -> None:
        if not self._opened:
            self._opened = True
            self._link = RecordedLink(subprotocol)
            self._observer.on_next(self._link)

    def _given_up(self, event: Aborted) -> None:
        if self._served.followed:
            self._ended = True
            self._served.between(event.at)  # the next credential makes the socket give up, too
        else:
            self._begin()

    def _closed(self, event: Closed) -> None:
        self._ended = True
        if event.verdict is Verdict.AWAIT_AUTH:
            self._served.refused()
        match event.cause:
            case Cause.PEER | Cause.LOST | Cause.SILENT:
                lost = event.cause is not Cause.PEER
                self._end(PeerClosed(event.code or 1006, event.reason, event.sent, lost), event.at)
            case Cause.REFUSED:
                self._end(PeerClosed(3000, event.reason), event.at)
            case Cause.AUTH_CHANGED | Cause.LOGGED_OUT if self._served.followed:
                self._served.between(event.at)
            case _:
                self._end(self._left(event.cause), event.at)

    def _left(self, cause: Cause) -> PeerClosed:
        # What the socket did of its own accord then, it does not do now: its peer does.
        if self._served.reel.more:
            return PeerClosed(1012, f"recorded: {cause.value}")
        return PeerClosed(1000, OVER)

    def _over(self) -> None:
        """Nothing more was recorded, of this connection or at all."""
        if not self._ended:
            self._open(None)
            self._end(PeerClosed(1000, OVER), None)

    def _end(self, signal: PeerClosed, at: float | None) -> None:
        self._link.over = True
        if at is not None:
            self._served.between(at)
        self._observer.on_next(signal)
        self._observer.on_completed()
