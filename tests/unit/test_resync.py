"""resync: a snapshot and its deltas, anew for each session (C18)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler
from recording_observer import RecordingObserver

from rxsocket import BufferOverflow, Session, Socket, json
from rxsocket.operators import resync
from rxsocket.testing import VirtualClock, accept, fake

on_next, on_completed, on_error = (
    ReactiveTest.on_next,
    ReactiveTest.on_completed,
    ReactiveTest.on_error,
)


def append(state: str, delta: str) -> str:
    return state + delta


class Snapshots:
    """Fetches that take some seconds each, and are numbered."""

    def __init__(self, clock: VirtualClock, *seconds: float) -> None:
        self._clock = clock
        self._seconds = list(seconds)
        self.begun: list[float] = []
        self.cancelled: list[float] = []

    async def __call__(self) -> str:
        self.begun.append(self._clock.time())
        number = len(self.begun)
        try:
            await asyncio.sleep(self._seconds.pop(0))
        except asyncio.CancelledError:
            self.cancelled.append(self._clock.time())
            raise
        return f"s{number}:"


def test_as_marbles() -> None:
    """Deltas wait for the snapshot; each session begins anew; both ends complete the result."""
    scheduler = TestScheduler()
    first = scheduler.create_hot_observable(
        on_next(220, "a"), on_next(230, "b"), on_next(260, "c"), on_completed(290)
    )
    second = scheduler.create_hot_observable(on_next(330, "d"), on_completed(400))
    sessions = scheduler.create_hot_observable(
        on_next(210, first), on_next(310, second), on_completed(350)
    )
    snapshots = [
        scheduler.create_cold_observable(on_next(30, "1:"), on_completed(30)),
        scheduler.create_cold_observable(on_next(10, "2:"), on_completed(10)),
    ]
    result = scheduler.start(
        lambda: sessions.pipe(resync(lambda: snapshots.pop(0), append)), disposed=1000
    )
    assert [
        (told.time, told.value.kind, getattr(told.value, "value", None)) for told in result.messages
    ] == [
        (240, "N", "1:"),
        (240, "N", "1:a"),
        (240, "N", "1:ab"),
        (260, "N", "1:abc"),
        (320, "N", "2:"),
        (330, "N", "2:d"),
        (400, "C", None),
    ]


def test_a_drop_during_the_fetch(clock: VirtualClock) -> None:
    """The fetch is cancelled, nothing comes of its session, and the next one begins anew (C18)."""
    network = fake(
        accept().send('"a"').wait(1.0).drop(), accept().send('"b"').wait(2.0).send('"c"')
    )
    socket = Socket(network.url, transport=network, codec=json(type=str))
    snapshots = Snapshots(clock, 5.0, 1.0)
    told = RecordingObserver(socket.sessions.pipe(resync(snapshots, append)))
    clock.advance(20)
    socket.close()
    clock.advance(2)
    assert told.values == ["s2:", "s2:b", "s2:bc"]
    assert (snapshots.cancelled, len(snapshots.begun)) == ([1.0], 2)
    assert told.completed


def test_a_drop_after_the_fetch(clock: VirtualClock) -> None:
    """Each connection has a snapshot of its own; no delta of one is applied to the other's."""
    network = fake(
        accept().send('"a"').wait(2.0).send('"b"').drop(), accept().send('"c"'), latency=0.1
    )
    socket = Socket(network.url, transport=network, codec=json(type=str))
    told = RecordingObserver(socket.sessions.pipe(resync(Snapshots(clock, 1.0, 1.0), append)))
    clock.advance(20)
    socket.close()
    clock.advance(2)
    assert told.values == ["s1:", "s1:a", "s1:ab", "s2:", "s2:c"]


def test_dispose_cancels_the_fetch(clock: VirtualClock) -> None:
    """Leaving lets go of session and fetch."""
    sessions: Subject[Observable[str]] = Subject()
    deltas: Subject[str] = Subject()
    snapshots = Snapshots(clock, 5.0)
    told = RecordingObserver(sessions.pipe(resync(snapshots, append)))
    sessions.on_next(deltas)
    clock.advance(1)
    told.subscription.dispose()
    clock.advance(10)
    assert (told.values, snapshots.cancelled, deltas.observers) == ([], [1.0], [])


def test_a_new_session_cancels_the_fetch_of_the_one_before(clock: VirtualClock) -> None:
    """Also when the one before has not completed."""
    sessions: Subject[Observable[str]] = Subject()
    first: Subject[str] = Subject()
    second: Subject[str] = Subject()
    snapshots = Snapshots(clock, 5.0, 1.0)
    told = RecordingObserver(sessions.pipe(resync(snapshots, append)))
    sessions.on_next(first)
    first.on_next("a")
    clock.advance(1)
    sessions.on_next(second)
    first.on_next("b")
    second.on_next("c")
    clock.advance(10)
    assert (told.values, snapshots.cancelled) == (["s2:", "s2:c"], [1.0])


def test_the_fetch_may_ask_for_the_session(clock: VirtualClock) -> None:
    """A function of one argument gets the session, whose ``epoch`` says which connection it is."""
    network = fake(accept().wait(1.0).drop(), accept())
    socket = Socket(network.url, transport=network)

    async def fetch(session: Session[Any]) -> int:
        return session.epoch

    told = RecordingObserver(socket.sessions.pipe(resync(fetch, lambda state, delta: state)))
    clock.advance(5)
    socket.close()
    clock.advance(2)
    assert told.values == [1, 2]


def test_a_fetch_that_is_cancelled_before_its_first_step(clock: VirtualClock) -> None:
    """A connection that is lost in the instant it opened leaves nothing of its fetch."""
    network = fake(accept().drop(), accept())
    socket = Socket(network.url, transport=network)
    told = RecordingObserver(socket.sessions.pipe(resync(Snapshots(clock, 1.0), append)))
    clock.advance(5)
    socket.close()
    clock.advance(2)
    assert told.values == ["s1:"]


def test_a_fetch_that_was_cancelled_elsewhere_is_an_error(clock: VirtualClock) -> None:
    """It does not end the stream in silence."""

    async def give_up() -> str:
        raise asyncio.CancelledError

    told = RecordingObserver(reactivex.of(reactivex.never()).pipe(resync(give_up, append)))
    clock.advance(0)
    assert "was cancelled" in str(told.error)


def test_the_end_of_the_loop_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A fetch that runs when ``asyncio.run`` ends is cancelled without noise (C26)."""
    told: list[RecordingObserver] = []

    async def fetch() -> str:
        await asyncio.sleep(3600)
        return ""

    async def main() -> None:
        told.append(RecordingObserver(reactivex.of(reactivex.never()).pipe(resync(fetch, append))))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert (told[0].error, told[0].values, caplog.text) == (None, [], "")


async def raises() -> str:
    raise LookupError("no")


def raises_at_once() -> Awaitable[str]:
    raise LookupError("no")


@pytest.mark.parametrize("fetch", [raises, raises_at_once, lambda: reactivex.throw(LookupError())])
def test_a_fetch_that_fails_is_an_error(clock: VirtualClock, fetch: Callable[[], Any]) -> None:
    """However it fails."""
    told = RecordingObserver(reactivex.of(reactivex.never()).pipe(resync(fetch, append)))
    clock.advance(0)
    assert isinstance(told.error, LookupError)


def test_an_apply_that_raises_is_an_error(clock: VirtualClock) -> None:
    """It ends the result and leaves the session."""
    deltas: Subject[str] = Subject()

    def apply(state: str, delta: str) -> str:
        raise LookupError(delta)

    told = RecordingObserver(reactivex.of(deltas).pipe(resync(lambda: reactivex.just("s"), apply)))
    deltas.on_next("a")
    assert isinstance(told.error, LookupError)
    assert (told.values, deltas.observers) == (["s"], [])


def test_an_observable_without_a_value_is_an_error() -> None:
    """A snapshot that does not come is not silence."""
    told = RecordingObserver(reactivex.of(reactivex.never()).pipe(resync(reactivex.empty, append)))
    assert told.error is not None


def test_the_deltas_that_wait_are_bounded(clock: VirtualClock) -> None:
    """One more is a BufferOverflow, and the fetch is cancelled (C27)."""
    deltas: Subject[str] = Subject()
    snapshots = Snapshots(clock, 5.0)
    told = RecordingObserver(reactivex.of(deltas).pipe(resync(snapshots, append, max_waiting=2)))
    for delta in "abc":
        clock.advance(0)
        deltas.on_next(delta)
    clock.advance(10)
    assert isinstance(told.error, BufferOverflow)
    assert (told.values, len(snapshots.cancelled)) == ([], 1)


def test_a_delta_from_inside_an_observer_keeps_the_order() -> None:
    """What an observer causes is applied after what waited."""
    deltas: Subject[str] = Subject()
    snapshot: Subject[str] = Subject()
    values: list[str] = []

    def observe(state: str) -> None:
        values.append(state)
        if state == "s":
            deltas.on_next("c")

    reactivex.of(deltas).pipe(resync(lambda: snapshot, append)).subscribe(observe)
    deltas.on_next("a")
    deltas.on_next("b")
    snapshot.on_next("s")
    assert values == ["s", "sa", "sab", "sabc"]


def test_without_a_loop_it_says_what_to_do() -> None:
    """An async fetch needs a loop where the sessions arrive."""
    told = RecordingObserver(reactivex.of(reactivex.never()).pipe(resync(raises, append)))
    assert "return an Observable" in str(told.error)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: resync(7, append), TypeError, "fetch: pass a function"),  # type: ignore[arg-type]
        (lambda: resync(raises, 7), TypeError, "apply: pass a function"),  # type: ignore[arg-type]
        (lambda: resync(raises, append, max_waiting=0), ValueError, "max_waiting: pass 1 or more"),
    ],
)
def test_bad_arguments_fail_at_once(make: Any, error: type[Exception], text: str) -> None:
    """The error names the argument and says what to pass."""
    with pytest.raises(error, match=text):
        make()


def test_a_fetch_that_returns_a_plain_value_is_refused() -> None:
    """The error says what to pass."""
    told = RecordingObserver(reactivex.of(reactivex.never()).pipe(resync(lambda: 7, append)))  # type: ignore[arg-type, return-value]
    assert "fetch: pass an async function" in str(told.error)
