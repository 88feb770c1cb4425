"""C50 in virtual time: what an event stream says between its messages, and where it goes on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

import pytest
from internals import event_text
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket import (
    Backoff,
    Cause,
    Closed,
    ConnectFailed,
    Event,
    Fresh,
    Missed,
    NoMoreEvents,
    NotAnEventStream,
    Opened,
    PeerClosed,
    Request,
    Signal,
    Socket,
    SocketFailed,
    Stale,
    StreamNotice,
    Verdict,
    Waiting,
    handover,
    json_codec,
)
from rxsocket.sse import event_id, last_event_id
from rxsocket.testing import VirtualClock

ENDED = PeerClosed(1005)


class QuietLink:
    """A link that nothing can be sent over."""

    subprotocol = None
    reads = 0

    def write(self, messages: Sequence[str | bytes]) -> bool:
        raise AssertionError("nothing is sent")

    async def drain(self) -> None: ...

    async def send(self, data: Any) -> None:
        raise AssertionError("nothing is sent")

    async def ping(self) -> float:
        raise AssertionError("nothing is sent")

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self, code: int = 1000, reason: str = "") -> None: ...

    async def answered(self) -> None: ...

    async def wait_closed(self) -> None: ...

    def abort(self) -> None: ...


class Streams:
    """A transport that only receives; what comes is what the test says."""

    receives_only = True

    def __init__(self, *failures: Exception | None) -> None:
        self.requests: list[Request] = []
        self._failures = deque(failures)
        self._observers: list[abc.ObserverBase[Signal]] = []

    def __call__(self, request: Request) -> Observable[Signal]:
        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self.requests.append(request)
            self._observers.append(observer)
            failure = self._failures.popleft() if self._failures else None
            loop = asyncio.get_running_loop()
            if failure is None:
                loop.call_soon(observer.on_next, QuietLink())
            else:
                loop.call_soon(observer.on_error, failure)
            return Disposable()

        return Observable(subscribe)

    def say(self, *signals: Signal, epoch: int = -1) -> None:
        """Let a connection say something."""
        observer = self._observers[epoch if epoch < 0 else epoch - 1]
        for signal in signals:
            observer.on_next(signal)

    @property
    def asked_after(self) -> list[str]:
        """The ``Last-Event-ID`` of each request."""
        return [request.last_event_id for request in self.requests]


class On:
    """A socket on such a transport, with all that it says."""

    def __init__(self, clock: VirtualClock, *failures: Exception | None, **options: Any) -> None:
        self.clock = clock
        self.streams = Streams(*failures)
        self.socket: Socket[Any] = Socket("https://fake.test/", transport=self.streams, **options)
        self.events: list[Event] = []
        self.messages: list[Any] = []
        self.error: Exception | None = None
        self.completed = False
        self.socket.events.subscribe(self.events.append, self._fail, self._complete)
        self.socket.messages.subscribe(self.messages.append, lambda _: None)
        clock.advance(0.1)

    def _fail(self, error: Exception) -> None:
        self.error = error

    def _complete(self) -> None:
        self.completed = True

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def end(self) -> None:
        self.socket.close()
        self.clock.advance(3.0)


def test_a_comment_is_life(clock: VirtualClock) -> None:
    """With ``stale_after`` silence is that of events and of comments; a comment ends it, too."""
    on = On(clock, stale_after=10.0)
    for _ in range(3):
        clock.advance(8.0)
        on.streams.say(StreamNotice())
    clock.advance(9.9)
    assert on.of(Stale) == []
    clock.advance(0.2)
    assert on.of(Stale) == [Stale(epoch=1, silence=10.0)]
    on.streams.say(StreamNotice())
    assert len(on.of(Fresh)) == 1 and on.messages == []
    on.end()


def test_without_life_it_is_made_anew(clock: VirtualClock) -> None:
    """``on_stale="reconnect"``: a half-open link is left."""
    on = On(clock, stale_after=10.0, on_stale="reconnect")
    clock.advance(15.0)
    (closed,) = on.of(Closed)
    assert closed.cause is Cause.STALE and len(on.of(Opened)) == 2
    on.end()


def test_the_reconnection_time_and_the_backoff(clock: VirtualClock) -> None:
    """Each next connection of the run waits for both, one after the other."""
    on = On(clock, backoff=Backoff(first=2.0, cap=2.0, base=2.0), stable_after=1.0)
    on.streams.say(StreamNotice(wait=5.0))
    for number in (1, 2):
        clock.advance(2.0)
        on.streams.say(ENDED)
        clock.advance(0.0)
        waiting = on.of(Waiting)[-1]
        assert 5.0 <= waiting.delay <= 7.0 and waiting.retry_after == 5.0
        clock.advance(8.0)
        assert len(on.of(Opened)) == number + 1
    on.end()


def test_the_reconnection_time_has_a_cap(clock: VirtualClock) -> None:
    """That of ``Retry-After``: a server may say a year."""
    on = On(clock, backoff=Backoff(first=0.0, spacing=0.0, retry_after_cap=60.0))
    on.streams.say(StreamNotice(wait=3e7), ENDED)
    clock.advance(0.0)
    assert [event.delay for event in on.of(Waiting)] == [60.0]
    on.end()


def test_it_goes_on_after_the_last_id(clock: VirtualClock) -> None:
    """Also after that of an event without data; an empty one is forgotten."""
    on = On(clock, backoff=Backoff(first=0.0, spacing=0.0, base=0.0, cap=0.0))
    assert on.socket.cursor.value is None
    for signals in (
        ([event_text("a", id="1"), event_text("b", id="2")], ENDED),
        (StreamNotice(place="3"), ENDED),
        (["c"], ENDED),
        ([event_text("d", id="3")], StreamNotice(place=""), ENDED),
        (ENDED,),
    ):
        on.streams.say(*signals)
        clock.advance(1.0)
    assert on.streams.asked_after == ["", "2", "3", "3", "", ""]
    on.end()


def test_the_last_id_is_forgotten_with_the_identity(clock: VirtualClock) -> None:
    """The stream of somebody else is another one (C14, C38)."""
    on = On(clock, auth="a", identity=lambda value: value[0], on_auth_change=handover())
    on.streams.say([event_text("x", id="7")])
    on.socket.set_auth("a2")
    clock.advance(5.0)
    on.socket.set_auth("b")
    clock.advance(5.0)
    assert on.streams.asked_after == ["", "7", ""]
    on.end()


def test_a_cursor_of_ones_own_goes_where_it_is_put(clock: VirtualClock) -> None:
    """Then the id of an event is not the place."""
    on = On(clock, cursor=len, backoff=Backoff(first=0.0, spacing=0.0))
    on.streams.say([event_text("abc", id="7")], ENDED)
    clock.advance(1.0)
    assert on.socket.cursor.value == 3 and on.streams.asked_after == ["", ""]
    on.end()


def test_ids_that_are_numbers(clock: VirtualClock) -> None:
    """With ``gaps`` one that did not come is told."""
    on = On(clock, cursor=last_event_id("4", gaps=True))
    on.streams.say([event_text("a", id="5"), event_text("b", id="8")])
    assert on.streams.asked_after == ["4"] and on.socket.cursor.value == 8
    assert [(event.first, event.last) for event in on.of(Missed)] == [(6, 7)]
    on.end()


def test_a_handover(clock: VirtualClock) -> None:
    """What both connections bring is delivered once."""
    on = On(clock, auth="a", identity=lambda _: "me", on_auth_change=handover(dedupe=event_id))
    on.streams.say([event_text("1", id="1"), event_text("2", id="2")])
    on.socket.set_auth("b")
    clock.advance(1.0)
    assert on.streams.asked_after == ["", "2"]
    on.streams.say([event_text("3", id="3")], epoch=1)
    on.streams.say([event_text("3", id="3"), event_text("4", id="4")], epoch=2)
    clock.advance(1.0)
    assert on.messages == ["1", "2", "3", "4"]
    assert on.of(Closed)[0].cause is Cause.HANDED_OVER
    on.end()


@pytest.mark.parametrize("codec", [None, json_codec()])
def test_a_late_listener_gets_what_was_held(clock: VirtualClock, codec: Any) -> None:
    """It knows the types of these events, too (C4)."""
    streams = Streams()
    socket: Socket[Any] = Socket("https://fake.test/", transport=streams, codec=codec)
    held = socket.connect()
    clock.advance(1.0)
    streams.say([event_text("1", "a"), event_text("2", "b"), "3"])
    found: list[Any] = []
    socket.listener("b").subscribe(found.append)
    clock.advance(0.1)
    streams.say([event_text("4", "b"), event_text("5", "a")])
    assert found == (["2", "4"] if codec is None else [2, 4])
    held.dispose()
    socket.close()
    clock.advance(3.0)


def test_batches_and_listeners(clock: VirtualClock) -> None:
    """Where batches are observed, each message keeps its type all the same."""
    on = On(clock, codec=json_codec())
    batches: list[Any] = []
    found: list[Any] = []
    on.socket.batches.subscribe(batches.append)
    on.socket.listener("a").subscribe(found.append)
    on.streams.say(
        [event_text("1", "a", "x"), event_text("2", "b", "y"), event_text("3", "a", "z")]
    )
    assert batches == [[1, 2, 3]] and found == [1, 3]
    assert on.socket.cursor.value == "z"
    on.end()


def test_mistakes_about_the_kind_of_address(clock: VirtualClock) -> None:
    """An id of an event is no place in a WebSocket; a function's address says its kind late."""
    with pytest.raises(ValueError, match=r"^cursor: last_event_id\(\) goes with an event stream"):
        Socket("wss://a.test/", cursor=last_event_id())
    socket = Socket(lambda: "https://a.test/events")
    errors: list[Any] = []
    socket.errors.subscribe(errors.append)
    with socket:
        clock.advance(0.5)
    assert "pass wss:// instead of https://, or transport='sse' if it is" in str(errors[0].error)


@pytest.mark.parametrize("clean_close", ["complete", "reconnect"])
def test_no_more_events(clock: VirtualClock, clean_close: str) -> None:
    """The streams complete, also after a stable connection, whatever a clean close means."""
    on = On(clock, None, NoMoreEvents(), stable_after=1.0, clean_close=clean_close)
    clock.advance(2.0)
    on.streams.say(ENDED)
    clock.advance(10.0)
    assert on.completed and on.error is None
    assert on.of(ConnectFailed)[0].verdict is Verdict.COMPLETE
    said = str(on.socket.explain())
    assert "no more events (HTTP 204)" in said and "clean_close" not in said


def test_another_content_type(clock: VirtualClock) -> None:
    """At first it is the end; once a connection was stable, it may be good again (C16)."""
    on = On(clock, NotAnEventStream("text/html"))
    clock.advance(1.0)
    assert isinstance(on.error, SocketFailed) and "text/html" in str(on.error)
    later = On(clock, None, NotAnEventStream("text/html"), stable_after=1.0)
    clock.advance(2.0)
    later.streams.say(ENDED)
    clock.advance(10.0)
    assert later.error is None and len(later.of(Opened)) == 2
    later.end()
