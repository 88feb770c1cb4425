"""A recording as a transport: a socket receives what was recorded."""

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
from rxsocket.recording.format import AuthSeen, Entry, recorded_credential
from rxsocket.recording.player import RecordedConnections, play, scheduler_or_default
from rxsocket.transports.base import Fragments, PeerClosed, Request, Signal

RECORDING_OVER = "the recording is over"


class RecordedLink:
    """A ``Link`` without a peer: messages sent on it are dropped."""

    def __init__(self, subprotocol: str | None) -> None:
        self.subprotocol = subprotocol
        self.is_closed = False

    @property
    def reads(self) -> int:
        return 0  # every ping is answered

    def write(self, messages: Sequence[str | bytes]) -> bool:
        self._check_open()
        return True

    async def drain(self) -> None:
        pass

    async def send(self, data: str | bytes | Fragments) -> None:
        self._check_open()
        if isinstance(data, AsyncIterable):
            async for _ in data:
                pass

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    async def ping(self) -> float:
        self._check_open()
        return 0.0

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.is_closed = True

    async def answered(self) -> None:
        pass

    async def wait_closed(self) -> None:
        pass

    def abort(self) -> None:
        self.is_closed = True

    def _check_open(self) -> None:
        if self.is_closed:
            raise ConnectionLost("the recorded connection has ended")


class ReplayTransport:
    """Serves the recorded connections, one for each dial.

    Attributes:
        connections: The recorded connections that are not served yet.
        auth: The recorded credential, and its changes.
    """

    def __init__(
        self, entries: Iterator[Entry], speed: float | None, scheduler: abc.SchedulerBase | None
    ) -> None:
        self.connections = RecordedConnections(entries)
        self.speed = speed
        self._scheduler = scheduler
        self._seen = self.connections.first_credential
        self._credential = recorded_credential(self._seen)
        self._refused: set[Credential] = set()
        self._copies = 0
        self._changes: Subject[Credential] = Subject()
        self._between = SerialDisposable()
        self.auth: Observable[Credential] = Observable(self._follow_auth)

    def dial(self, request: Request) -> Observable[Signal]:
        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _ServedConnection(self, observer).playing

        return Observable(subscribe)

    @property
    def scheduler(self) -> abc.SchedulerBase:
        return scheduler_or_default(self._scheduler)

    def next_connection(self) -> Generator[EpochEvent | AuthSeen, None, None]:
        self._between.disposable = Disposable()  # it is dialled earlier than recorded
        return self.connections.entries_of(self.connections.next_epoch())

    @property
    def auth_is_followed(self) -> bool:
        return bool(self._changes.observers)

    def change_credential(self, seen: AuthSeen) -> None:
        self._seen = seen
        self._credential = recorded_credential(seen)
        if self._credential in self._refused and self.connections.dials_next:
            self._replace_refused()
        else:
            self._changes.on_next(self._credential)

    def mark_refused(self) -> None:
        self._refused.add(self._credential)

    def play_between(self, since: float) -> None:
        """Play the changes of the credential between two connections."""
        if self.auth_is_followed:
            self._between.disposable = play(
                self.connections.between_connections(),
                self.scheduler,
                self.speed,
                self._on_entry_between,
                lambda: None,
                since=since,
            )

    def _on_entry_between(self, entry: Entry) -> None:
        if isinstance(entry, AuthSeen):
            self.change_credential(entry)
        elif (
            isinstance(entry, Connecting)
            and entry.cause is Cause.RECONNECT
            and self._credential in self._refused
        ):
            self._replace_refused()

    def _replace_refused(self) -> None:
        # A refused credential was tried again because reconnect() was called. In a replay it is
        # not, so the credential has to be another one.
        self._copies += 1
        self._credential = recorded_credential(self._seen, self._copies)
        self._changes.on_next(self._credential)

    def _follow_auth(
        self, observer: abc.ObserverBase[Credential], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        observer.on_next(self._credential)

        def stop_timer() -> None:
            if not self.auth_is_followed:  # no timer outlives the socket (C26)
                self._between.disposable = Disposable()

        return CompositeDisposable(self._changes.subscribe(observer), Disposable(stop_timer))


class _ServedConnection:
    """One dial. Recorded attempts that were aborted are skipped, unless a credential followed."""

    def __init__(self, transport: ReplayTransport, observer: abc.ObserverBase[Signal]) -> None:
        self._transport = transport
        self._observer = observer
        self._link = RecordedLink(None)
        self._opened = self._ended = False
        self.playing = SerialDisposable()
        self._play_next()

    def _play_next(self) -> None:
        entries, transport = self._transport.next_connection(), self._transport
        playing = play(
            entries, transport.scheduler, transport.speed, self._on_entry, self._on_recording_over
        )
        self.playing.disposable = CompositeDisposable(playing, Disposable(entries.close))

    def _on_entry(self, entry: Entry) -> None:
        match entry:
            case Opened(subprotocol=subprotocol):
                self._emit_link(subprotocol)
            case Message(data=data):
                self._emit_link(None)
                if isinstance(data, (str, bytes)):
                    self._observer.on_next(data)
            case ConnectFailed(error=error) | Rejected(error=error):
                self._ended = True
                if isinstance(entry, Rejected):
                    self._transport.mark_refused()
                self._transport.play_between(entry.at)
                self._observer.on_error(error)
            case Aborted():
                self._on_aborted(entry)
            case Closed():
                self._emit_link(None)
                self._on_closed(entry)
            case AuthSeen():
                if self._opened and self._transport.auth_is_followed:
                    self._transport.change_credential(entry)
            case _:
                pass

    def _emit_link(self, subprotocol: str | None) -> None:
        if not self._opened:
            self._opened = True
            self._link = RecordedLink(subprotocol)
            self._observer.on_next(self._link)

    def _on_aborted(self, event: Aborted) -> None:
        if self._transport.auth_is_followed:
            self._ended = True
            # The next credential makes the socket give up, too.
            self._transport.play_between(event.at)
        else:
            self._play_next()

    def _on_closed(self, event: Closed) -> None:
        self._ended = True
        if event.verdict is Verdict.AWAIT_AUTH:
            self._transport.mark_refused()
        match event.cause:
            case Cause.PEER | Cause.LOST | Cause.SILENT:
                lost = event.cause is not Cause.PEER
                end = PeerClosed(event.code or 1006, event.reason, event.sent, lost)
                self._emit_end(end, event.at)
            case Cause.REFUSED:
                self._emit_end(PeerClosed(3000, event.reason), event.at)
            case Cause.AUTH_CHANGED | Cause.LOGGED_OUT if self._transport.auth_is_followed:
                self._transport.play_between(event.at)
            case _:
                self._emit_end(self._close_of_peer(event.cause), event.at)

    def _close_of_peer(self, cause: Cause) -> PeerClosed:
        # The recorded socket closed of its own accord; in a replay the peer closes.
        if self._transport.connections.has_more:
            return PeerClosed(1012, f"recorded: {cause.value}")
        return PeerClosed(1000, RECORDING_OVER)

    def _on_recording_over(self) -> None:
        if not self._ended:
            self._emit_link(None)
            self._emit_end(PeerClosed(1000, RECORDING_OVER), None)

    def _emit_end(self, end: PeerClosed, at: float | None) -> None:
        self._link.is_closed = True
        if at is not None:
            self._transport.play_between(at)
        self._observer.on_next(end)
        self._observer.on_completed()
