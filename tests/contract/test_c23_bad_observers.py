"""C23: one bad subscriber harms nobody."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from internals import Fake
from reactivex import ConnectableObservable, Observable
from reactivex import operators as ops

from rxsocket import (
    Event,
    ObserverFailed,
    Problem,
    Session,
    Socket,
    SocketFailed,
    State,
)
from rxsocket.operators import (
    buffer_up_to,
    concat_map_async,
    conflate,
    flat_map_async,
    latest,
    resync,
)
from rxsocket.testing import VirtualClock, accept, fake, reject

CONNECTING = ("events", "opens", "closes", "messages", "sessions")
EVERY = (*CONNECTING, "errors", "state", "auth")


class Oops(Exception):
    """What a bad observer raises."""


def bad_observer(*_: object) -> None:
    """Raise, whatever comes."""
    raise Oops("no good")


def make(*scripts: Any, **options: Any) -> tuple[Fake, Socket, list[Problem]]:
    """A socket that stays connected, and what its ``errors`` said."""
    peer = fake(*scripts)
    socket = Socket(peer.url, transport=peer, auth="a", **options)
    problems: list[Problem] = []
    socket.errors.subscribe(problems.append)
    return peer, socket, problems


def failures(problems: list[Problem]) -> list[ObserverFailed]:
    return [problem for problem in problems if isinstance(problem, ObserverFailed)]


@pytest.mark.parametrize("name", EVERY)
def test_it_is_detached_and_reported_once(clock: VirtualClock, name: str) -> None:
    """It is called once, its failure is on ``errors`` once, and its siblings get everything."""
    scripts = (reject(503), accept().send("1", "2").wait(1).drop(), accept().send("3"))
    peer, socket, problems = make(*scripts)
    stream = getattr(socket, name)
    calls: list[object] = []
    before: list[object] = []
    after: list[object] = []

    def failing(value: object) -> None:
        calls.append(value)
        raise Oops("no good")

    stream.subscribe(before.append)
    stream.subscribe(failing, on_error=calls.append, on_completed=lambda: calls.append("end"))
    stream.subscribe(after.append)
    socket.connect()
    clock.advance(10.0)
    socket.set_auth("b")
    clock.advance(10.0)
    assert len(calls) == 1
    assert before == after and len(before) > 1
    [failed] = failures(problems)
    assert failed.stream == name
    assert "failing" in failed.observer
    assert isinstance(failed.error, Oops)
    assert "in failing" in "".join(traceback.format_exception(failed.error))
    assert peer.live == 1 and socket.state.value is State.OPEN
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("name", CONNECTING)
def test_its_going_is_a_leaving(clock: VirtualClock, name: str) -> None:
    """A detached observer no longer holds the socket: when it was the last one, it closes."""
    peer, socket, problems = make(accept().send("hello").wait(1).drop())
    getattr(socket, name).subscribe(bad_observer)
    clock.advance(30.0)
    assert len(failures(problems)) == 1
    assert socket.state.value is State.IDLE
    assert peer.connections == 0


def test_one_that_raises_at_what_was_held_is_a_leaving_too(clock: VirtualClock) -> None:
    """One that raises within its subscribe does not hold the socket either."""
    peer, socket, problems = make(accept().send("held"))
    connected = socket.connect()
    clock.advance(1.0)
    socket.messages.subscribe(bad_observer)
    clock.advance(1.0)
    assert len(failures(problems)) == 1
    connected.dispose()
    clock.advance(2.0)
    assert peer.connections == 0
    assert socket.state.value is State.IDLE


def test_everybody_sees_events_in_one_order(clock: VirtualClock) -> None:
    """The report comes after the event that was the occasion, for every observer."""
    _, socket, _ = make(accept().send("hello"))
    before: list[Event] = []
    after: list[Event] = []
    socket.events.subscribe(before.append)
    socket.events.subscribe(bad_observer)
    socket.events.subscribe(after.append)
    clock.advance(1.0)
    names = [type(event).__name__ for event in after]
    assert names == ["Connecting", "ObserverFailed", "Opened", "Message"]
    assert before == after
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("where", ["mapper", "observer"])
def test_with_operators_between(clock: VirtualClock, where: str, handled: bool) -> None:
    """A raising mapper is told to the on_error that there is, else reported like any other."""
    peer, socket, problems = make(accept().send("1", "2", "3"))
    mapped = socket.messages.pipe(
        ops.filter(bool), ops.map(bad_observer if where == "mapper" else str), ops.share()
    )
    errors: list[Exception] = []
    on_error: Callable[[Exception], None] | None = errors.append if handled else None
    mapped.subscribe(bad_observer if where == "observer" else None, on_error)
    sibling: list[str] = []
    socket.messages.subscribe(sibling.append)
    clock.advance(1.0)
    assert sibling == ["1", "2", "3"]
    told = [type(error) for error in errors], len(failures(problems))
    assert told == (([Oops], 0) if handled and where == "mapper" else ([], 1))
    assert peer.live == 1
    socket.close()
    clock.advance(2.0)


async def same(value: Any) -> Any:
    """Give a value back, in a turn of the loop of its own."""
    return value


LATER: dict[str, Callable[[], Callable[[Observable[Any]], Observable[Any]]]] = {
    "latest": latest,
    "conflate": lambda: conflate(lambda value: value),
    "buffer_up_to": lambda: buffer_up_to(9, overflow="error"),
    "concat_map_async": lambda: concat_map_async(same),
    "flat_map_async": lambda: flat_map_async(same),
}
every_later = pytest.mark.parametrize(
    "operator", [pytest.param(LATER[name], id=name) for name in LATER]
)


@every_later
@pytest.mark.parametrize("shape", ["direct", "between", "shared"])
def test_behind_an_operator_that_calls_later(
    clock: VirtualClock, operator: Any, shape: str
) -> None:
    """It is detached and reported once, as a direct one; who shares the operators goes on."""
    peer, socket, problems = make(accept().send("1", "2").wait(1).send("3").wait(9))
    before = {"direct": [], "between": [ops.map(str)], "shared": [ops.map(str), ops.share()]}
    source = socket.messages.pipe(*before[shape])
    calls: list[str] = []
    good: list[str] = []

    def failing(value: str) -> None:
        calls.append(value)
        raise Oops("no good")

    source.subscribe(good.append)
    source.pipe(operator(), ops.filter(bool)).subscribe(failing)
    clock.advance(5.0)
    assert len(calls) == 1 and good == ["1", "2", "3"]
    [failed] = failures(problems)
    assert failed.stream == "messages" and failed.detached
    assert "failing" in failed.observer
    assert isinstance(failed.error, Oops)
    assert "in failing" in "".join(traceback.format_exception(failed.error))
    assert peer.live == 1
    socket.close()
    clock.advance(2.0)


@every_later
def test_its_going_behind_such_an_operator_is_a_leaving(clock: VirtualClock, operator: Any) -> None:
    """It does not hold the socket any more, which closes when nobody else is there."""
    peer, socket, problems = make(accept().send("hello").wait(9))
    socket.messages.pipe(operator()).subscribe(bad_observer)
    clock.advance(5.0)
    assert len(failures(problems)) == 1
    assert (socket.state.value, peer.connections) == (State.IDLE, 0)


@every_later
@pytest.mark.parametrize("ending", ["completed", "failed"])
def test_one_that_raises_at_the_end_behind_such_an_operator(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture, operator: Any, ending: str
) -> None:
    """``errors`` has ended with the socket by then: the log tells."""
    _, socket, _ = make(reject(410) if ending == "failed" else accept().close(1000))
    socket.messages.pipe(operator()).subscribe(None, bad_observer, bad_observer)
    clock.advance(2.0)
    [told] = [record for record in caplog.records if "observer bad_observer" in record.message]
    assert told.exc_info is not None and told.exc_info[0] is Oops


@every_later
def test_leaving_on_error_out_behind_such_an_operator_is_no_failure(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture, operator: Any
) -> None:
    """The end of the socket without an ``on_error`` is not reported as a bad observer."""
    _, socket, problems = make(reject(410))
    socket.messages.pipe(operator()).subscribe(print)
    clock.advance(2.0)
    assert failures(problems) == []
    assert "observer" not in caplog.text and "gave up" in caplog.text


def test_a_key_that_raises_without_an_on_error(clock: VirtualClock) -> None:
    """It is reported like a mapper that raises; the connection goes on."""
    peer, socket, problems = make(accept().send("hello").wait(9))
    socket.connect()
    socket.messages.pipe(conflate(bad_observer)).subscribe(print)
    clock.advance(1.0)
    [failed] = failures(problems)
    assert isinstance(failed.error, Oops) and "bad_observer" in failed.observer
    assert peer.live == 1
    socket.close()
    clock.advance(2.0)


def test_an_observer_of_a_snapshot_that_raises(clock: VirtualClock) -> None:
    """The snapshot comes long after its session: its observer is reported all the same."""
    peer, socket, problems = make(accept().send("delta").wait(9))
    socket.connect()

    async def fetch() -> str:
        return "snapshot"

    calls: list[str] = []

    def failing(value: str) -> None:
        calls.append(value)
        raise Oops("no good")

    socket.sessions.pipe(resync(fetch, lambda state, delta: state)).subscribe(failing)
    clock.advance(1.0)
    assert calls == ["snapshot"]
    [failed] = failures(problems)
    assert failed.stream == "sessions" and "failing" in failed.observer
    assert peer.live == 1
    socket.close()
    clock.advance(2.0)


def test_a_session_has_fences_too(clock: VirtualClock) -> None:
    """An observer of one session that raises harms neither that session nor the others."""
    peer, socket, problems = make(accept().send("1", "2"), accept().send("3"))
    got: list[str] = []

    def on_session(session: Session[Any]) -> None:
        session.subscribe(bad_observer)
        session.subscribe(got.append)

    socket.sessions.subscribe(on_session)
    clock.advance(1.0)
    socket.set_auth("b")
    clock.advance(1.0)
    assert got == ["1", "2", "3"]
    assert [failure.stream for failure in failures(problems)] == ["session 1", "session 2"]
    assert peer.live == 1
    socket.close()
    clock.advance(2.0)


def test_a_bad_observer_of_errors_is_told_to_the_others(clock: VirtualClock) -> None:
    """``errors`` itself is fenced: no endless report about the reporter."""
    _, socket, problems = make(reject(503))
    socket.errors.subscribe(bad_observer)
    socket.errors.subscribe(bad_observer)
    socket.connect()
    clock.advance(10.0)
    assert [type(problem).__name__ for problem in problems] == [
        "ConnectFailed",
        "ObserverFailed",
        "ObserverFailed",
    ]
    assert {failure.stream for failure in failures(problems)} == {"errors"}
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("name", CONNECTING)
@pytest.mark.parametrize("ending", ["completed", "failed"])
def test_one_that_raises_at_the_end(clock: VirtualClock, name: str, ending: str) -> None:
    """Raising in on_completed or on_error is reported, and the siblings hear of the end."""
    _, socket, problems = make(reject(410) if ending == "failed" else accept().close(1000))
    ends: list[object] = []
    for _ in range(2):
        getattr(socket, name).subscribe(None, bad_observer, bad_observer)
        getattr(socket, name).subscribe(
            None, lambda error: ends.append(type(error)), lambda: ends.append("completed")
        )
    clock.advance(1.0)
    assert ends == [SocketFailed if ending == "failed" else "completed"] * 2
    assert [failure.stream for failure in failures(problems)] == [name, name]
    assert socket.state.value is State.CLOSED


@pytest.mark.parametrize("operators", [[], [ops.map(str)], [ops.map(str), ops.share()]])
def test_leaving_on_error_out_is_no_failure(clock: VirtualClock, operators: list[Any]) -> None:
    """RxPY raises an error that has no handler; that is not reported as a bad observer."""
    _, socket, problems = make(reject(410))
    got: list[object] = []
    socket.messages.pipe(*operators).subscribe(got.append)
    clock.advance(1.0)
    assert failures(problems) == []
    assert socket.state.value is State.CLOSED


def test_it_is_in_the_log(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """A WARNING names the observer and has the traceback, also when nobody looks at ``errors``."""
    peer = fake(accept().send("hello"))
    socket = Socket(peer.url, transport=peer)
    socket.on_message(bad_observer)
    with caplog.at_level(logging.WARNING, "rxsocket"):
        clock.advance(1.0)
    [record] = caplog.records
    assert "bad_observer" in record.message and "messages" in record.message
    assert record.exc_info is not None and record.exc_info[0] is Oops


async def _async(value: object) -> None: ...


class _AsyncCall:
    async def __call__(self, value: object) -> None: ...


ASYNC = [_async, functools.partial(_async), _AsyncCall(), _AsyncCall().__call__]


@pytest.mark.parametrize("function", ASYNC)
@pytest.mark.parametrize("name", EVERY)
def test_async_observers_are_refused(clock: VirtualClock, name: str, function: Any) -> None:
    """An ``async def`` would never be awaited: it is refused when it is subscribed."""
    _, socket, _ = make()
    with pytest.raises(TypeError, match=rf"^{name}\.subscribe: .*async"):
        getattr(socket, name).subscribe(function)
    with pytest.raises(TypeError, match=rf"^{name}\.subscribe: .*async"):
        getattr(socket, name).subscribe(print, on_completed=function)
    with pytest.raises(TypeError, match=rf"^{name}\.subscribe: .*async"):
        getattr(socket, name).subscribe(print, function)
    clock.advance(1.0)
    assert socket.state.value is State.IDLE


PIPED: dict[str, tuple[Callable[[Socket], Observable[Any]], str]] = {
    "pipe": (lambda socket: socket.messages.pipe(ops.map(str)), r"messages\.pipe\(\.\.\.\)"),
    "pipe of a pipe": (
        lambda socket: socket.closes.pipe(ops.map(str)).pipe(ops.filter(bool)),
        r"closes\.pipe\(\.\.\.\)",
    ),
    "shared": (lambda socket: socket.messages.pipe(ops.share()), r"messages\.pipe\(\.\.\.\)"),
    "listener": (lambda socket: socket.listener("a").pipe(ops.skip(1)), r"listener a\.pipe\("),
    "latest": (lambda socket: socket.messages.pipe(latest()), "latest"),
    "conflate": (lambda socket: socket.messages.pipe(conflate(hash)), "conflate"),
    "buffer_up_to": (
        lambda socket: socket.messages.pipe(buffer_up_to(1, overflow="error"), ops.map(str)),
        r"messages\.pipe\(\.\.\.\)",
    ),
}


@pytest.mark.parametrize("piped", [pytest.param(PIPED[name], id=name) for name in PIPED])
def test_async_observers_are_refused_behind_operators_too(clock: VirtualClock, piped: Any) -> None:
    """What ``pipe`` gives refuses them when it is subscribed, by the name of its stream."""
    _, socket, _ = make()
    composed, name = piped
    for observers in ((_async,), (None, _async), (None, None, _async)):
        with pytest.raises(
            TypeError, match=rf"^{name}.*subscribe: an async function is never awaited"
        ):
            composed(socket).subscribe(*observers)
    clock.advance(1.0)
    assert socket.state.value is State.IDLE


def test_what_pipe_gives_is_what_it_would_be(clock: VirtualClock) -> None:
    """Nothing piped is the stream itself; what is more than an Observable, or none, stays so."""
    _, socket, _ = make(accept().send("1", "2").close(1000))
    messages = socket.messages
    assert messages.pipe() is messages
    assert socket.messages.pipe(lambda source: 7) == 7
    published = socket.messages.pipe(ops.publish())
    assert isinstance(published, ConnectableObservable)
    got: list[object] = []
    socket.messages.pipe(latest()).pipe(concat_map_async(same)).subscribe(got.append)
    published.subscribe(got.append)
    published.connect()
    clock.advance(2.0)
    assert got == ["1", "2", "1", "2"]


CALLBACKS = ("on_open", "on_close", "on_message", "on_error")


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize(
    "function",
    [
        *ASYNC,
        lambda one, two: None,
        lambda *, needed: None,
        lambda one, *, needed: None,
        "print",
        None,
        7,
    ],
)
def test_callbacks_are_checked_when_registered(
    clock: VirtualClock, name: str, function: Any
) -> None:
    """What cannot be called with one argument or none is refused at once, by its name."""
    _, socket, _ = make()
    with pytest.raises(TypeError, match=rf"^{name}\(function\): pass a "):
        getattr(socket, name)(function)
    clock.advance(1.0)
    assert socket.state.value is State.IDLE


@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_take_one_argument_or_none(clock: VirtualClock, name: str) -> None:
    """A callback is given the value if it takes one."""
    _, socket, _ = make(reject(503), accept().send("hello").wait(1).drop())
    got: list[object] = []
    socket.connect()
    for function in (
        got.append,
        lambda: got.append("none"),
        lambda value: got.append(value),
        lambda value, other="default": got.append(value),
        lambda *values: got.extend(values),
        lambda value="default": got.append(value),
        functools.partial(lambda first, value: got.append(value), "first"),
    ):
        getattr(socket, name)(function)
    clock.advance(2.5)
    if name == "on_close":
        socket.set_auth("b")
        clock.advance(1.0)
    values = [value for value in got[:7] if value != "none"]
    assert got[1] == "none"
    assert len(values) == 6
    assert len({id(value) for value in values}) == 1
    socket.close()
    clock.advance(2.0)


def test_nothing_after_dispose_in_the_middle_of_an_emission(clock: VirtualClock) -> None:
    """Disposed by a sibling during an emission, an observer does not get that value any more."""
    _, socket, _ = make(accept().send("1", "2"))
    got: list[str] = []
    socket.messages.subscribe(lambda _: later.dispose())
    later = socket.messages.subscribe(got.append)
    clock.advance(1.0)
    assert got == []
    socket.close()
    clock.advance(2.0)


def test_nothing_after_disposing_oneself(clock: VirtualClock) -> None:
    """An observer that disposes its own subscription gets nothing more."""
    _, socket, _ = make(accept().send("1", "2", "3"))
    got: list[str] = []

    def on_next(message: str) -> None:
        got.append(message)
        mine.dispose()

    mine = socket.messages.subscribe(on_next)
    kept: list[str] = []
    socket.messages.subscribe(kept.append)
    clock.advance(1.0)
    assert (got, kept) == (["1"], ["1", "2", "3"])
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_after_dispose_at_the_end_either(clock: VirtualClock, name: str) -> None:
    """A sibling's on_completed may dispose another observer: it hears nothing of the end."""
    _, socket, _ = make()
    ends: list[str] = []
    stream = getattr(socket, name)
    stream.subscribe(None, None, lambda: later.dispose())
    later = stream.subscribe(None, None, lambda: ends.append("completed"))
    socket.connect()
    clock.advance(1.0)
    socket.close()
    clock.advance(2.0)
    assert ends == []


def test_nothing_after_dispose_of_what_was_held(clock: VirtualClock) -> None:
    """``take(1)`` of held messages takes one, though three were held."""
    _, socket, _ = make(accept().send("1", "2", "3"))
    socket.connect()
    clock.advance(1.0)
    got: list[str] = []
    socket.messages.pipe(ops.take(1)).subscribe(got.append)
    clock.advance(1.0)
    assert got == ["1"]
    socket.close()
    clock.advance(2.0)
