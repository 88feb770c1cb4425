"""The switch as marbles: only the newest Observable is heard, and the one before is disposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from reactivex import Observable, abc, create, never, of, throw
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import BehaviorSubject, Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxsocket.runtime.direct import switch_map

Project = Callable[[str], Observable[str]]
Switch = Callable[[Project], Callable[[Observable[str]], Observable[str]]]
on_next, on_completed, on_error = (
    ReactiveTest.on_next,
    ReactiveTest.on_completed,
    ReactiveTest.on_error,
)


def theirs(project: Project) -> Callable[[Observable[str]], Observable[str]]:
    """RxPY's own, to be compared with."""
    return lambda source: source.pipe(ops.map(project), ops.switch_latest())


def messages(marbles: str, begin: int) -> list[Any]:
    """One letter each 10 ticks; ``-`` for none, ``|`` for the end, ``#`` for a failure."""
    made = {"|": on_completed, "#": lambda at: on_error(at, ValueError("x"))}
    return [
        made[letter](begin + 10 * index) if letter in made else on_next(begin + 10 * index, letter)
        for index, letter in enumerate(marbles)
        if letter != "-"
    ]


def told(switch: Switch, source: str, a: str, b: str, disposed: int) -> list[object]:
    """What is told and when, and when each Observable was subscribed to and left."""
    scheduler = TestScheduler()
    outer = scheduler.create_hot_observable(messages(source, 210))
    inner = {
        name: scheduler.create_cold_observable(messages(m, 0)) for name, m in (("a", a), ("b", b))
    }
    results = scheduler.start(lambda: switch(inner.__getitem__)(outer), disposed=disposed)
    left = [[(s.subscribe, s.unsubscribe) for s in one.subscriptions] for one in inner.values()]
    return [[str(message) for message in results.messages], left]


@pytest.mark.parametrize("disposed", [235, 255, 1000])
@pytest.mark.parametrize(
    ("source", "a", "b"),
    [
        ("-a------b----|", "-1-2-3-4-5-6-7", "-8-9-|"),
        ("-a------b-|", "-1-2|", "-8-9-8-9|"),
        ("-a------b-----", "-1-2-#", "-8-9-|"),
        ("-a--------#", "-1-2-3-4-5-6-7-8", ""),
        ("-a-b-a-b-a-b|", "1-2-3|", "89|"),
        ("-a-----|", "1-2|", ""),
        ("-a-----b---|", "1-2|", "#"),
        ("-|", "1", "2"),
    ],
)
def test_it_does_what_rxpys_does(source: str, a: str, b: str, disposed: int) -> None:
    """Values, ends and subscriptions are those of RxPY's ``map`` and ``switch_latest``."""
    ours = told(switch_map, source, a, b, disposed)
    assert ours == told(theirs, source, a, b, disposed)
    assert ours[1]


def test_what_is_said_while_it_is_disposed_is_not_heard() -> None:
    """An Observable that emits when it is disposed speaks to nobody, at a switch and at the end."""
    heard: list[str] = []

    def last_words(name: str) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            observer.on_next(name)
            return Disposable(lambda: observer.on_next(f"{name} is disposed"))

        return create(subscribe)

    source = BehaviorSubject("a")
    subscription = source.pipe(switch_map(last_words)).subscribe(heard.append)
    source.on_next("b")
    subscription.dispose()
    source.on_next("c")
    assert heard == ["a", "b"]
    assert not source.observers


def test_another_value_while_one_is_being_subscribed_to() -> None:
    """The one that was overtaken on the way is disposed as soon as it has been subscribed to."""
    source, heard, disposed = Subject[str](), list[str](), list[str]()

    def project(name: str) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            if name == "a":
                source.on_next("b")
            observer.on_next(name)
            return Disposable(lambda: disposed.append(name))

        return create(subscribe)

    source.pipe(switch_map(project)).subscribe(heard.append)
    source.on_next("a")
    assert (heard, disposed) == (["b"], ["a"])


def test_disposed_while_one_is_being_subscribed_to() -> None:
    """Its observer may leave at the first value: nothing is left of it then."""
    source, disposed = BehaviorSubject("a"), list[str]()

    def project(name: str) -> Observable[str]:
        return of(1, 2).pipe(
            ops.map(str), ops.concat(never()), ops.finally_action(lambda: disposed.append(name))
        )

    taken = source.pipe(switch_map(project), ops.take(1)).pipe(ops.to_list()).run()
    assert (taken, disposed, source.observers) == (["1"], ["a"], [])


@pytest.mark.parametrize("failing", ["project", "subscribe", "inner"])
def test_a_failure_is_told_once_and_ends_it(failing: str) -> None:
    """A function that raises, a subscription that does, an Observable that fails."""

    def project(name: str) -> Observable[str]:
        if failing == "project":
            raise ValueError(name)
        if failing == "inner":
            return throw(ValueError(name))
        return create(lambda observer, scheduler: project.missing)  # type: ignore[attr-defined]

    source, failures = BehaviorSubject("a"), list[Exception]()
    source.pipe(switch_map(project)).subscribe(on_error=failures.append)
    source.on_next("b")
    assert len(failures) == 1
    assert not source.observers
