"""C27: conflate, latest and buffer_up_to, for consumers that cannot keep up."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex.scheduler import EventLoopScheduler
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxsocket import BufferOverflow
from rxsocket.operators import Drops, buffer_up_to, concat_map_async, conflate, latest
from rxsocket.testing import VirtualClock

on_next, on_completed, on_error = (
    ReactiveTest.on_next,
    ReactiveTest.on_completed,
    ReactiveTest.on_error,
)
Operator = Callable[[Observable[Any]], Observable[Any]]
EVERY: list[Operator] = [
    latest(),
    conflate(lambda value: value),
    buffer_up_to(5, overflow="error"),
]


def letter(value: str) -> str:
    return value[0]


def marbles(operator: Operator, *messages: Any, disposed: float = 1000) -> list[Any]:
    """What an operator makes of a hot source: when, rounded to hundreds, what kind, and what."""
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(*messages)
    result = scheduler.start(lambda: source.pipe(operator), disposed=disposed)
    assert source.subscriptions[0].unsubscribe <= disposed
    return [(round(told.time, -2), told.value.kind, _what(told.value)) for told in result.messages]


def _what(told: Any) -> object:
    return told.exception if told.kind == "E" else getattr(told, "value", None)


def same_instant(*values: str) -> list[Any]:
    return [on_next(300, value) for value in values]


def test_latest_delivers_the_newest_of_a_burst() -> None:
    """Of values that come before the observer's turn, only the newest is delivered."""
    told = marbles(latest(), *same_instant("1", "2", "3"), on_next(400, "4"), on_completed(500))
    assert told == [(300, "N", "3"), (400, "N", "4"), (500, "C", None)]


def test_conflate_delivers_the_newest_of_each_key() -> None:
    """In the order in which the keys came; each key's values stay in order."""
    told = marbles(conflate(letter), *same_instant("a1", "b1", "a2", "b2", "a3"), on_completed(400))
    assert told == [(300, "N", "a3"), (300, "N", "b2"), (400, "C", None)]


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop_oldest", ["3", "4"]), ("drop_newest", ["1", "2"])]
)
def test_buffer_up_to_drops_by_its_policy(overflow: Any, kept: list[str]) -> None:
    """At the limit one value goes: the one that waited longest, or the one that came."""
    drops = Drops()
    operator = buffer_up_to(2, overflow=overflow, drops=drops)
    told = marbles(operator, *same_instant("1", "2", "3", "4"), on_completed(400))
    assert told == [(300, "N", kept[0]), (300, "N", kept[1]), (400, "C", None)]
    assert drops.value == 2


def test_buffer_up_to_fails_after_what_waited() -> None:
    """With ``error`` nothing is dropped silently: what waited comes, then ``BufferOverflow``."""
    told = marbles(buffer_up_to(2, overflow="error"), *same_instant("1", "2", "3", "4"))
    assert told[:2] == [(300, "N", "1"), (300, "N", "2")]
    (when, kind, error) = told[2]
    assert (when, kind) == (300, "E")
    assert isinstance(error, BufferOverflow)
    assert error.count == 2


def test_a_source_within_the_limit_loses_nothing() -> None:
    """Values that come apart are delivered one by one."""
    apart = [on_next(300 + 10 * n, n) for n in range(5)]
    for operator in EVERY:
        assert [value for _, _, value in marbles(operator, *apart)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("operator", EVERY)
def test_an_error_comes_after_what_waited(operator: Operator) -> None:
    """Nothing that came before the error is lost to it."""
    told = marbles(operator, on_next(300, "1"), on_error(300, RuntimeError("x")))
    assert [kind for _, kind, _ in told] == ["N", "E"]


@pytest.mark.parametrize("operator", EVERY)
def test_an_empty_source_completes(operator: Operator) -> None:
    """Without a value there is only the end."""
    assert marbles(operator, on_completed(300)) == [(300, "C", None)]


@pytest.mark.parametrize("operator", EVERY)
def test_nothing_comes_after_a_dispose(operator: Operator) -> None:
    """What waits is let go, also between a value and its delivery."""
    assert marbles(operator, on_next(300, "1"), on_next(400, "2"), disposed=400) == [
        (300, "N", "1")
    ]


def test_a_key_that_raises_is_an_error() -> None:
    """What ``key`` raises ends the result, after what waited, and leaves the source."""
    told = marbles(
        conflate(lambda value: {"a": 1}[value]),
        on_next(300, "a"),
        on_next(300, "b"),
        on_next(310, "a"),
    )
    assert told[0] == (300, "N", "a")
    assert isinstance(told[1][2], KeyError)
    assert len(told) == 2


def test_the_source_may_emit_within_subscribe() -> None:
    """A cold source that is over at once is delivered all the same."""
    scheduler = TestScheduler()
    result = scheduler.start(lambda: reactivex.of(1, 2, 3).pipe(buffer_up_to(5, overflow="error")))
    assert [message.value.kind for message in result.messages] == ["N", "N", "N", "C"]


def test_each_subscriber_has_a_line_of_its_own(clock: VirtualClock) -> None:
    """Two subscribers of one pipeline share nothing but the counter."""
    source: Subject[int] = Subject()
    drops = Drops()
    pipeline = source.pipe(latest(drops=drops))
    first: list[int] = []
    second: list[int] = []
    pipeline.subscribe(first.append)
    pipeline.subscribe(second.append)
    source.on_next(1)
    source.on_next(2)
    clock.advance(0)
    assert (first, second, drops.value) == ([2], [2], 2)


def test_the_loop_does_other_things_between_two_values(clock: VirtualClock) -> None:
    """Each value is a turn of the loop on which they came: what else is due comes in between."""
    source: Subject[int] = Subject()
    story: list[Any] = []
    source.pipe(buffer_up_to(9, overflow="error")).subscribe(story.append)
    source.on_next(1)
    source.on_next(2)
    clock.call_soon(story.append, "other")
    assert story == []
    clock.advance(0)
    assert story == [1, "other", 2]


def test_what_comes_in_while_the_observer_is_busy_waits(clock: VirtualClock) -> None:
    """A value emitted from inside ``on_next`` is delivered after it, never in the middle."""
    source: Subject[int] = Subject()
    story: list[Any] = []

    def busy(value: int) -> None:
        story.append(value)
        if value == 1:
            for following in (2, 3, 4):
                source.on_next(following)
        story.append("done")

    source.pipe(latest()).subscribe(busy)
    source.on_next(1)
    clock.advance(0)
    assert story == [1, "done", 4, "done"]


def test_an_observer_that_raises_is_detached(clock: VirtualClock) -> None:
    """Its exception goes to the loop, the source is left, and what waits is let go."""
    source: Subject[int] = Subject()
    got: list[int] = []

    def fail(value: int) -> None:
        got.append(value)
        raise LookupError("no")

    source.pipe(buffer_up_to(9, overflow="error")).subscribe(fail)
    source.on_next(1)
    source.on_next(2)
    with pytest.raises(LookupError):
        clock.advance(0)
    assert not source.observers
    source.on_next(3)
    clock.advance(0)
    assert got == [1]


def test_the_context_of_the_subscriber_is_kept(clock: VirtualClock) -> None:
    """Deliveries see the context of the emission: for a socket that of the ``subscribe`` (C24)."""
    variable = contextvars.ContextVar("variable", default="")
    source: Subject[int] = Subject()
    seen: list[str] = []
    source.pipe(latest()).subscribe(lambda _: seen.append(variable.get()))

    def emit() -> None:
        variable.set("mine")
        source.on_next(1)

    contextvars.copy_context().run(emit)
    clock.advance(0)
    assert seen == ["mine"]


def test_a_scheduler_of_ones_own_is_used() -> None:
    """With ``scheduler=`` the observer runs there, and a slow one holds up nobody."""
    source: Subject[int] = Subject()
    drops = Drops()
    threads: set[str] = set()
    got: list[int] = []
    entered, go_on, over = threading.Event(), threading.Event(), threading.Event()

    def slow(value: int) -> None:
        threads.add(threading.current_thread().name)
        got.append(value)
        entered.set()
        assert go_on.wait(5)

    scheduler = EventLoopScheduler()
    source.pipe(latest(drops=drops, scheduler=scheduler)).subscribe(slow, on_completed=over.set)
    source.on_next(0)
    assert entered.wait(5)
    for value in range(1, 100):
        source.on_next(value)
    source.on_completed()
    go_on.set()
    assert over.wait(5)
    scheduler.dispose()
    assert (got, drops.value) == ([0, 99], 98)
    assert threading.current_thread().name not in threads


def test_without_a_loop_a_thread_delivers() -> None:
    """Where no loop runs and no scheduler is given, ``on_next`` of the source does not wait."""
    source: Subject[int] = Subject()
    delivered = threading.Event()
    threads: list[threading.Thread] = []

    def observe(value: int) -> None:
        threads.append(threading.current_thread())
        delivered.set()

    source.pipe(latest()).subscribe(observe)
    source.on_next(1)
    assert delivered.wait(5)
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize("make", ["latest", "conflate", "drop_oldest", "drop_newest"])
def test_drops_are_counted_exactly_from_many_threads(make: str, full: bool) -> None:
    """4 threads emit thousands of values: delivered + dropped = emitted, in order for each key."""
    each = 20_000 if full else 5_000
    drops = Drops()
    operator: Operator = {
        "latest": latest(drops=drops),
        "conflate": conflate(lambda value: value[0], drops=drops),
        "drop_oldest": buffer_up_to(100, overflow="drop_oldest", drops=drops),
        "drop_newest": buffer_up_to(100, overflow="drop_newest", drops=drops),
    }[make]
    source: Subject[tuple[int, int]] = Subject()
    got: list[tuple[int, int]] = []
    over = threading.Event()
    random = Random(7)

    def observe(value: tuple[int, int]) -> None:
        got.append(value)
        if random.random() < 0.01:
            time.sleep(0.001)  # what a consumer does, now and then

    source.pipe(operator).subscribe(observe, on_completed=over.set)

    def emit(key: int) -> None:
        for number in range(each):
            source.on_next((key, number))

    emitting = [threading.Thread(target=emit, args=(key,)) for key in range(4)]
    for thread in emitting:
        thread.start()
    for thread in emitting:
        thread.join()
    source.on_completed()
    assert over.wait(20)
    assert len(got) + drops.value == 4 * each
    for key in range(4):
        numbers = [number for of, number in got if of == key]
        assert numbers == sorted(numbers)
    if make == "conflate":
        assert {key: dict(got)[key] for key in range(4)} == dict.fromkeys(range(4), each - 1)


def test_drops_can_be_read_and_observed() -> None:
    """The current count first, then each change; several operators may share one counter."""
    drops = Drops()
    drops.add(2)
    seen: list[int] = []
    watching = drops.subscribe(seen.append)
    drops.add(0)
    drops.add(1)
    watching.dispose()
    drops.add(1)
    assert (seen, drops.value, repr(drops)) == ([2, 3], 4, "<Drops: 4>")


def test_an_observer_of_drops_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; the values and the other observers of the count go on."""
    scheduler = TestScheduler()
    drops = Drops()

    def fail(count: int) -> None:
        if count:
            raise LookupError("no")

    drops.subscribe(fail)
    source = scheduler.create_hot_observable(*same_instant("1", "2", "3"))
    result = scheduler.start(lambda: source.pipe(latest(drops=drops)))
    assert [message.value.value for message in result.messages] == ["3"]
    assert drops.value == 2
    assert "an observer of dropped values raised and was detached" in caplog.text


def test_an_async_consumer_is_ready_when_it_has_returned(clock: VirtualClock) -> None:
    """Directly in front of ``concat_map_async``, values are taken when the one before is done."""
    source: Subject[str] = Subject()
    stored: list[tuple[float, str]] = []

    async def store(value: str) -> None:
        await asyncio.sleep(1.0)
        stored.append((clock.time(), value))

    drops = Drops()
    source.pipe(conflate(letter, drops=drops), concat_map_async(store)).subscribe()
    for value in ("a1", "b1", "a2", "b2", "a3"):
        source.on_next(value)
    clock.advance(1.5)
    source.on_next("b3")
    clock.advance(3)
    assert stored == [(1.0, "a1"), (2.0, "b2"), (3.0, "a3"), (4.0, "b3")]
    assert drops.value == 2


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: conflate(None), TypeError, r"conflate\(key\): pass a function"),  # type: ignore[arg-type]
        (lambda: buffer_up_to(0, overflow="error"), ValueError, "pass 1 or more, not 0"),
        (lambda: buffer_up_to(True, overflow="error"), TypeError, "pass a whole number, not bool"),
        (lambda: buffer_up_to(2.5, overflow="error"), TypeError, "whole number, not float"),
        (lambda: buffer_up_to(1, overflow="block"), ValueError, "pass one of drop_oldest, "),
        (lambda: latest(drops=[]), TypeError, r"drops: pass a Drops\(\), not list"),
    ],
)
def test_bad_arguments_fail_at_once(make: Any, error: type[Exception], text: str) -> None:
    """The error names the argument and says what to pass."""
    with pytest.raises(error, match=text):
        make()
