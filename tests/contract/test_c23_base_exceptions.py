"""C23, in virtual time: what no ``except Exception`` catches harms nobody else either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops

from rxsocket import ObserverFailed, Problem, Socket, State, TopicFailed
from rxsocket.operators import (
    Drops,
    buffer_up_to,
    concat_map_async,
    conflate,
    flat_map_async,
    latest,
    resync,
)
from rxsocket.testing import VirtualClock, accept, fake

EVERY = ("events", "opens", "closes", "messages", "batches", "sessions", "errors", "state", "auth")
EXITS = (SystemExit, KeyboardInterrupt)
KINDS: list[type[BaseException]] = [
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
    pytest.fail.Exception,
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def ending(kind: type[BaseException]) -> Any:
    """What the user's own loop does with it: it ends at those that are meant to end a program."""
    return pytest.raises(kind) if issubclass(kind, EXITS) else nullcontext()


def make(*scripts: Any, **options: Any) -> tuple[Socket, list[Problem]]:
    """A socket that stays connected, and what its ``errors`` said."""
    peer = fake(*scripts)
    socket = Socket(peer.url, transport=peer, auth="a", **options)
    problems: list[Problem] = []
    socket.errors.subscribe(problems.append)
    return socket, problems


def failures(problems: list[Problem]) -> list[ObserverFailed]:
    return [problem for problem in problems if isinstance(problem, ObserverFailed)]


def end(socket: Socket, clock: VirtualClock) -> None:
    socket.close()
    clock.advance(2.0)
    assert socket.state.value is State.CLOSED


class Raising:
    """An observer, or another function, that raises at its first call, and counts them."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind
        self.calls = 0

    def __call__(self, value: Any) -> Any:
        self.calls += 1
        raise self.kind("enough")


@every_kind
@pytest.mark.parametrize("name", EVERY)
def test_an_observer_is_detached_and_reported_once(
    clock: VirtualClock, name: str, kind: type[BaseException]
) -> None:
    """Its siblings and the connection go on; an exit leaves the loop when all have the value."""
    socket, problems = make(accept().send("1", "2").wait(1).drop(), accept().send("3"))
    before: list[object] = []
    after: list[object] = []
    failing = Raising(kind)
    stream = getattr(socket, name)
    stream.subscribe(before.append)
    with ending(kind):  # of those with a value it comes within the subscribe
        stream.subscribe(failing)
        stream.subscribe(after.append)
        socket.connect()
        clock.advance(10.0)
    if not after and name in ("state", "auth"):
        stream.subscribe(after.append)
    socket.connect()
    clock.advance(10.0)
    socket.set_auth("b")
    clock.advance(10.0)
    assert failing.calls == 1
    assert before == after and before
    [failed] = failures(problems)
    assert (failed.stream, type(failed.error), failed.detached) == (name, kind, True)
    assert socket.state.value is State.OPEN
    end(socket, clock)


@every_kind
def test_a_mapper_is_an_observer(clock: VirtualClock, kind: type[BaseException]) -> None:
    """What RxPY's operators let through ends that pipe alone."""
    socket, problems = make(accept().send("1", "2"))
    heard: list[str] = []
    failing = Raising(kind)
    socket.messages.pipe(ops.map(failing)).subscribe(print)
    socket.messages.subscribe(heard.append)
    with ending(kind):
        clock.advance(1.0)
    clock.advance(1.0)
    assert (heard, failing.calls, len(failures(problems))) == (["1", "2"], 1, 1)
    end(socket, clock)


async def same(value: Any) -> Any:
    return value


LATER: dict[str, Callable[[], Callable[[Observable[Any]], Observable[Any]]]] = {
    "latest": latest,
    "conflate": lambda: conflate(hash),
    "buffer_up_to": lambda: buffer_up_to(9, overflow="error"),
    "concat_map_async": lambda: concat_map_async(same),
    "flat_map_async": lambda: flat_map_async(same),
    "delay": lambda: ops.delay(0.5),
}


@every_kind
@pytest.mark.parametrize("operator", LATER)
def test_an_observer_that_is_called_later(
    clock: VirtualClock, operator: str, kind: type[BaseException]
) -> None:
    """Behind an operator that lets values wait it is reported like a direct one."""
    socket, problems = make(accept().send("1").wait(3).send("2").wait(9))
    heard: list[str] = []
    failing = Raising(kind)
    socket.messages.subscribe(heard.append)
    subscription = socket.messages.pipe(LATER[operator]()).subscribe(failing)
    with ending(kind):
        clock.advance(2.0)
    if operator == "delay":  # RxPY's operators decide themselves
        subscription.dispose()
    clock.advance(5.0)
    assert (heard, failing.calls) == (["1", "2"], 1)
    [failed] = failures(problems)
    assert type(failed.error) is kind
    assert socket.state.value is State.OPEN
    end(socket, clock)


@every_kind
def test_an_async_mapper(clock: VirtualClock, kind: type[BaseException]) -> None:
    """One that was cancelled by something it awaited is an error; others end the pipe."""
    socket, problems = make(accept().send("1", "2").wait(9))
    heard: list[str] = []
    errors: list[Exception] = []

    async def mapper(value: str) -> str:
        raise kind("enough")

    socket.messages.pipe(flat_map_async(mapper)).subscribe(print, errors.append)
    socket.messages.subscribe(heard.append)
    with ending(kind):
        clock.advance(1.0)
    clock.advance(1.0)
    assert heard == ["1", "2"]
    if kind is asyncio.CancelledError:
        assert [type(error) for error in errors] == [RuntimeError]
        assert failures(problems) == []
    else:
        assert errors == []
        assert [type(failed.error) for failed in failures(problems)] == [kind]
    end(socket, clock)


@every_kind
def test_a_fetch_of_a_snapshot(clock: VirtualClock, kind: type[BaseException]) -> None:
    """It is an error of the result, which has no snapshot."""
    socket, _ = make(accept().send("1").wait(9))
    errors: list[str] = []

    async def fetch() -> str:
        raise kind("enough")

    states = socket.sessions.pipe(resync(fetch, lambda state, delta: state + delta))
    states.subscribe(print, lambda error: errors.append(type(error).__name__))
    with ending(kind):
        clock.advance(1.0)
    socket.connect()
    clock.advance(1.0)
    assert errors == ["RuntimeError"]
    end(socket, clock)


@every_kind
def test_an_observer_of_a_snapshot(clock: VirtualClock, kind: type[BaseException]) -> None:
    """The snapshot comes in a turn of its own, long after the emission of the session."""
    socket, problems = make(accept().send("1").wait(9))
    failing = Raising(kind)
    socket.sessions.pipe(resync(lambda: same("s"), lambda state, delta: state)).subscribe(failing)
    socket.connect()
    with ending(kind):
        clock.advance(1.0)
    clock.advance(1.0)
    assert [type(failed.error) for failed in failures(problems)] == [kind]
    assert failing.calls == 1
    end(socket, clock)


@every_kind
def test_an_observer_of_a_receipt(clock: VirtualClock, kind: type[BaseException]) -> None:
    """The others of the receipt have the outcome."""
    socket, problems = make(accept().wait(9))
    heard: list[Any] = []
    receipt = socket.send("hello")
    receipt.subscribe(Raising(kind))
    receipt.subscribe(heard.append)
    with ending(kind):
        clock.advance(1.0)
    clock.advance(1.0)
    assert len(heard) == 1
    assert [failed.stream for failed in failures(problems)] == ["receipt"]
    end(socket, clock)


@every_kind
def test_the_functions_of_a_conversation(clock: VirtualClock, kind: type[BaseException]) -> None:
    """Envelope, ``match`` and ``by``: each message reaches everybody else."""

    class Envelope:
        def wrap(self, topic: str, data: Any) -> Any:
            return data

        def unwrap(self, message: Any) -> Any:
            raise kind("enough")

    socket, problems = make(accept().send("1", "2").wait(9), envelope=Envelope())
    heard: list[Any] = []
    socket.messages.subscribe(heard.append)
    socket.listener("t").subscribe(print)
    socket.channel(subscribe="a", match=Raising(kind)).subscribe(print)
    socket.channel(subscribe="b", key=1, by=Raising(kind)).subscribe(print)
    socket.request("?", match=Raising(kind)).subscribe(print)
    exits = 0
    for _ in range(9):  # each exit ends the loop by itself
        try:
            clock.advance(0.5)
        except EXITS:
            exits += 1
    assert (exits > 0) == issubclass(kind, EXITS)
    assert heard == ["1", "2"]
    streams = sorted(failed.stream for failed in failures(problems))
    assert streams == ["channel", "channel", "listeners"]
    assert not any(failed.detached for failed in failures(problems))
    end(socket, clock)


@every_kind
def test_an_interceptor(clock: VirtualClock, kind: type[BaseException]) -> None:
    """The message that it raises at goes no further; the others and the connection do."""
    socket, problems = make(accept().send("1", "2").wait(9))
    heard: list[str] = []

    def intercept(message: str) -> str:
        if message == "1":
            raise kind("enough")
        return message

    socket.after_receive(intercept)
    socket.messages.subscribe(heard.append)
    with ending(kind):
        clock.advance(1.0)
    clock.advance(1.0)
    assert heard == ["2"]
    assert [(failed.observer, failed.detached) for failed in failures(problems)] == [
        ("after_receive", False)
    ]
    end(socket, clock)


@every_kind
def test_a_type_that_raises(clock: VirtualClock, kind: type[BaseException]) -> None:
    """A payload that cannot be converted is a problem of its topic, whatever was raised."""

    @dataclass
    class Value:
        x: int

        def __post_init__(self) -> None:
            raise kind("enough")

    socket, problems = make(accept().send('{"topic": "t", "data": {"x": 1}}').wait(9))
    heard: list[Any] = []
    socket.listener("t", type=Value).subscribe(print)
    socket.messages.subscribe(heard.append)
    with ending(kind):
        clock.advance(1.0)
    clock.advance(1.0)
    assert len(heard) == 1
    assert [type(problem) for problem in problems] == [TopicFailed]
    end(socket, clock)


@every_kind
def test_an_observer_of_a_count_of_drops(clock: VirtualClock, kind: type[BaseException]) -> None:
    """It is detached; what is counted is not concerned."""
    socket, _ = make(accept().send("1", "2", "3").wait(9))
    drops, heard, calls = Drops(), list[str](), list[int]()

    def failing(count: int) -> None:
        calls.append(count)
        if count:
            raise kind("enough")

    drops.subscribe(failing)
    socket.messages.pipe(latest(drops=drops)).subscribe(heard.append)
    with ending(kind):
        clock.advance(1.0)
    clock.advance(1.0)
    assert (heard, drops.value, calls) == (["3"], 2, [0, 1])
    end(socket, clock)


def test_an_exit_where_no_loop_runs_ends_the_call() -> None:
    """An idle socket calls its observers in place: there the exit is the caller's."""
    socket = Socket("ws://host/")
    problems: list[Problem] = []
    states: list[State] = []
    socket.errors.subscribe(problems.append)
    with pytest.raises(SystemExit):
        socket.state.subscribe(Raising(SystemExit))
    assert [type(failed.error) for failed in failures(problems)] == [SystemExit]
    socket.state.subscribe(states.append)
    socket.close().result(1)
    assert states == [State.IDLE, State.CLOSED]


def test_a_source_that_is_no_socket(clock: VirtualClock) -> None:
    """There is nobody to report to: what is raised goes to the loop, as it does with RxPY."""
    reactivex.of(1).pipe(latest()).subscribe(Raising(SystemExit))
    with pytest.raises(SystemExit):
        clock.advance(1.0)
