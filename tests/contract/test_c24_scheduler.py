"""C24, in virtual time: operators in which time matters run on the socket's loop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
import reactivex
from internals import LoopScheduler, Script
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import HistoricalScheduler

from rxsocket import ObserverFailed, Socket
from rxsocket.operators import latest
from rxsocket.testing import VirtualClock, accept, fake, watch

Operator: TypeAlias = Callable[[LoopScheduler], Callable[[Observable[Any]], Observable[Any]]]

FIVE = accept().send("a").wait(1).send("b").wait(3).send("c").wait(1).send("d").wait(5)
"""Messages at 0, 1, 4 and 5 s; a close with 1000 at 10 s."""


def feed(*scripts: Script) -> Socket:
    """A socket on a scripted network without latency."""
    network = fake(*scripts)
    return Socket(network.url, transport=network)


def timed(clock: VirtualClock, stream: Observable[Any]) -> list[tuple[float, Any]]:
    """What a stream emits, and when; its end is ``"|"`` or the name of its error."""
    seen: list[tuple[float, Any]] = []

    def note(value: Any) -> None:
        seen.append((clock.time(), value))

    stream.subscribe(note, lambda error: note(type(error).__name__), lambda: note("|"))
    return seen


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (
            lambda s: ops.delay(0.5, s),
            [(0.5, "a"), (1.5, "b"), (4.5, "c"), (5.5, "d"), (10.5, "|")],
        ),
        (lambda s: ops.debounce(2, s), [(3, "b"), (7, "d"), (10, "|")]),
        (lambda s: ops.throttle_first(2, s), [(0, "a"), (4, "c"), (10, "|")]),
        (lambda s: ops.sample(3, s), [(3, "b"), (6, "d"), (12, "|")]),
        (lambda s: ops.timeout(2, scheduler=s), [(0, "a"), (1, "b"), (3, "Exception")]),
        (
            lambda s: ops.buffer_with_time(4.5, scheduler=s),
            [(4.5, ["a", "b", "c"]), (9, ["d"]), (10, []), (10, "|")],
        ),
        (lambda s: ops.take_with_time(4.5, s), [(0, "a"), (1, "b"), (4, "c"), (4.5, "|")]),
        (
            lambda s: ops.compose(ops.time_interval(s), ops.map(lambda i: i.interval)),
            [
                (0, timedelta(0)),
                (1, timedelta(seconds=1)),
                (4, timedelta(seconds=3)),
                (5, timedelta(seconds=1)),
                (10, "|"),
            ],
        ),
        (
            lambda s: latest(scheduler=s),
            [(0, "a"), (1, "b"), (4, "c"), (5, "d"), (10, "|")],
        ),
    ],
    ids=str.split(
        "delay debounce throttle_first sample timeout buffer_with_time take_with_time "
        "time_interval latest"
    ),
)
def test_an_operator_goes_by_the_loop(
    clock: VirtualClock, operator: Operator, expected: list[tuple[float, Any]]
) -> None:
    """Each operator that takes a scheduler emits at the virtual time it should (C24)."""
    socket = feed(FIVE.close(1000))
    seen = timed(clock, socket.messages.pipe(operator(socket.scheduler)))
    clock.advance(20)
    assert [value for _, value in seen] == [value for _, value in expected]
    assert [when for when, _ in seen] == pytest.approx([when for when, _ in expected], abs=1e-5)


def test_a_whole_pipeline_is_told_at_its_subscribe(clock: VirtualClock) -> None:
    """Operators without a scheduler of their own take the one given to ``subscribe``."""
    socket = feed(FIVE.close(1000))
    seen: list[tuple[float, str]] = []
    socket.messages.pipe(ops.debounce(2)).subscribe(
        lambda value: seen.append((clock.time(), value)), scheduler=socket.scheduler
    )
    clock.advance(20)
    assert seen == [(3, "b"), (7, "d")]


def test_a_timer_that_is_left_is_nowhere(clock: VirtualClock) -> None:
    """Disposing leaves nothing scheduled (C26), and nothing comes after it (C23)."""
    socket = feed(accept().send("a").stay())
    seen: list[str] = []
    subscription = socket.messages.pipe(ops.delay(5, socket.scheduler)).subscribe(seen.append)
    clock.advance(4)
    subscription.dispose()
    clock.advance(3)
    assert seen == []
    assert clock.pending == 0


def test_a_clock_that_is_set_moves_nothing(clock: VirtualClock) -> None:
    """What is scheduled goes by the loop's time; the wall clock may jump meanwhile."""
    socket = feed(FIVE.close(1000))
    seen = timed(clock, socket.messages.pipe(ops.delay(2, socket.scheduler), ops.take(2)))
    ticks = timed(clock, reactivex.interval(1.0, socket.scheduler).pipe(ops.take(3)))
    clock.advance(0.5)
    clock.jump(-3600)
    clock.advance(10)
    assert seen == [(2, "a"), (3, "b"), (3, "|")]
    assert ticks == [(1, 0), (2, 1), (3, 2), (3, "|")]


def test_an_absolute_time_is_wall_time(clock: VirtualClock) -> None:
    """``now`` is the wall time, and a timer may be given the time of day."""
    socket = feed()
    now = socket.scheduler.now
    assert now == datetime(2025, 1, 1, tzinfo=UTC)
    seen = timed(clock, reactivex.timer(now + timedelta(hours=1), scheduler=socket.scheduler))
    clock.advance(4000)
    assert seen == [(3600, 0), (3600, "|")]


def test_asking_for_it_does_not_connect(clock: VirtualClock) -> None:
    """A timer on the socket's scheduler starts no connection (C1)."""
    network = fake()
    socket = Socket(network.url, transport=network)
    reactivex.timer(1.0, scheduler=socket.scheduler).subscribe()
    clock.advance(2)
    assert network.dials == 0


def test_what_is_asked_in_an_action_waits_for_its_end(clock: VirtualClock) -> None:
    """A debounced observer that closes the socket is not interrupted by what follows (C24)."""
    socket = feed(accept().send("a").stay())
    order: list[str] = []
    socket.on_close(lambda: order.append("closed"))

    def leave(value: str) -> None:
        order.append(f"in {value}")
        socket.close()
        order.append(f"out {value}")

    socket.messages.pipe(ops.debounce(1, socket.scheduler)).subscribe(leave)
    clock.advance(5)
    assert order == ["in a", "out a", "closed"]


def test_what_an_observer_raises_is_told(clock: VirtualClock) -> None:
    """Behind a timer, too, a bad observer harms nobody, and each time is on ``errors`` (C23)."""
    socket = feed(accept().send("a").wait(3).send("b"))
    seen = watch(socket)

    def bad(value: str) -> None:
        raise ValueError(f"no {value}")

    with socket:
        socket.messages.pipe(ops.debounce(1, socket.scheduler)).subscribe(bad)
        clock.advance(5)
        told = [
            (str(event.error), event.stream, event.detached) for event in seen.of(ObserverFailed)
        ]
        explained = str(socket.explain())
    assert told == [("no a", "scheduler", False), ("no b", "scheduler", False)]
    assert seen.messages == ["a", "b"]
    assert "and gets nothing more" not in explained


def test_order_and_depth_of_what_is_scheduled(clock: VirtualClock) -> None:
    """Actions run in their order, each in a turn of its own, also those that actions schedule."""
    scheduler = feed().scheduler
    order: list[str] = []

    def outer(_: Any, name: Any) -> None:
        order.append(f"{name} begins")
        scheduler.schedule(lambda *_: order.append(f"inside {name}"))
        order.append(f"{name} ends")

    scheduler.schedule(outer, "first")
    scheduler.schedule(outer, "second")
    assert order == []
    clock.advance(0)
    assert order == [
        "first begins",
        "first ends",
        "second begins",
        "second ends",
        "inside first",
        "inside second",
    ]


# --- without a scheduler


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ([ops.delay(0.5)], [(0.5, "a"), (1.5, "b"), (4.5, "c"), (5.5, "d"), (10.5, "|")]),
        ([ops.debounce(2)], [(3, "b"), (7, "d"), (10, "|")]),
        ([ops.sample(3), ops.map(str.upper)], [(3, "B"), (6, "D"), (12, "|")]),
        ([ops.timeout(2)], [(0, "a"), (1, "b"), (3, "Exception")]),
        ([ops.debounce(2), ops.share()], [(3, "b"), (7, "d"), (10, "|")]),
        ([ops.debounce(2), latest()], [(3, "b"), (7, "d"), (10, "|")]),
        ([latest(), ops.debounce(2), ops.filter(bool)], [(3, "b"), (7, "d"), (10, "|")]),
        (
            [ops.flat_map(lambda value: reactivex.timer(2.0).pipe(ops.map(lambda _: value)))],
            [(2, "a"), (3, "b"), (6, "c"), (7, "d"), (10, "|")],
        ),
        (
            [ops.buffer_with_time(3)],
            [(3, ["a", "b"]), (6, ["c", "d"]), (9, []), (10, []), (10, "|")],
        ),
        ([ops.throttle_first(2)], [(0, "a"), (4, "c"), (10, "|")]),
        (
            [ops.delay(1), ops.map(str), ops.delay(1)],
            [(2, "a"), (3, "b"), (6, "c"), (7, "d"), (12, "|")],
        ),
    ],
    ids=str.split(
        "delay debounce sample timeout shared before-latest behind-latest inside-flat_map "
        "buffer_with_time throttle delays"
    ),
)
def test_streams_give_their_operators_the_loop(
    clock: VirtualClock,
    operators: list[Callable[[Observable[Any]], Observable[Any]]],
    expected: list[tuple[float, Any]],
) -> None:
    """Nothing has to be passed: what is piped behind a stream goes by the loop of its socket."""
    seen = timed(clock, feed(FIVE.close(1000)).messages.pipe(*operators))
    clock.advance(20.0)
    assert [(round(when, 6), what) for when, what in seen] == expected


@pytest.mark.parametrize("name", ["passive", "session", "listener", "request", "method"])
def test_each_stream_gives_its_operators_the_loop(clock: VirtualClock, name: str) -> None:
    """So do sessions, listeners, requests, and RxPY's methods that stand for operators."""
    message = '{"topic": "t", "data": "a"}'
    socket = feed(accept().wait(1).send(message).wait(9))
    half = ops.delay(0.5)
    streams: dict[str, Callable[[], Observable[Any]]] = {
        "passive": lambda: socket.messages.passive().pipe(half),
        "session": lambda: socket.sessions.pipe(ops.flat_map(lambda session: session.pipe(half))),
        "listener": lambda: socket.listener("t").pipe(half),
        "request": lambda: socket.request("?", match=bool).pipe(half),
        "method": lambda: socket.messages.delay(0.5),
    }
    socket.connect()
    seen = timed(clock, streams[name]())
    clock.advance(5.0)
    data = "a" if name == "listener" else message
    assert seen[0] == (1.5, data)
    socket.close()
    clock.advance(2.0)


def test_operators_without_a_time_are_called_at_once(clock: VirtualClock) -> None:
    """What needs no time is not put off to another turn of the loop, and keeps its order."""
    socket = feed(accept().send("a", "b").wait(9))
    story: list[Any] = []
    doubled = ops.flat_map(lambda value: reactivex.of(value, value.upper()))
    socket.messages.pipe(ops.start_with("first"), doubled).subscribe(story.append)
    assert story == ["first", "FIRST"]
    socket.messages.subscribe(story.append)
    clock.advance(1.0)
    assert story[2:] == ["a", "A", "a", "b", "B", "b"]
    socket.close()
    clock.advance(2.0)


def test_behind_latest_each_value_has_a_turn_of_its_own(clock: VirtualClock) -> None:
    """The scheduler of the stream does not call an observer in the middle of an emission."""
    socket = feed(accept().send("a", "b").wait(9))
    story: list[str] = []
    socket.messages.pipe(latest(), ops.filter(bool)).subscribe(lambda value: story.append(value))
    socket.messages.subscribe(lambda value: story.append(f"direct {value}"))
    clock.advance(1.0)
    assert story == ["direct a", "direct b", "b"]
    socket.close()
    clock.advance(2.0)


def test_a_scheduler_that_is_given_is_used(clock: VirtualClock) -> None:
    """To an operator, or for all of them to ``subscribe``."""
    other = HistoricalScheduler()
    socket = feed(FIVE.close(1000))
    seen: list[str] = []
    socket.messages.pipe(ops.delay(1.0, other)).subscribe(seen.append)
    socket.messages.pipe(ops.delay(1.0)).subscribe(seen.append, scheduler=other)
    clock.advance(3.0)
    assert seen == []
    other.advance_by(1.0)
    assert sorted(seen) == ["a", "a", "b", "b"]
    clock.advance(20.0)
