"""C23 to C25 on real connections: bad subscribers, where observers are called, any thread."""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from reactivex.disposable import SerialDisposable

from rxsocket import (
    Carried,
    Closed,
    Connecting,
    InEffect,
    Message,
    ObserverFailed,
    Opened,
    Receipt,
    Socket,
    SocketError,
    State,
    heartbeat,
    history,
)
from rxsocket.operators import concat_map_async, latest
from rxsocket.testing import accept, server

from .wire_helpers import Inbox, Watch, quick

pytestmark = pytest.mark.usefixtures("each_loop")


async def echoed(value: str) -> str:
    return value


def test_a_raising_observer_harms_nobody() -> None:
    """C23: it is detached and reported once with its traceback; everybody else goes on."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        calls, good, problems = Inbox(), Inbox(), Inbox()

        def bad(message: str) -> None:
            calls(message)
            raise ValueError("no good")

        socket.errors.subscribe(problems)
        socket.messages.subscribe(bad)
        socket.messages.subscribe(good)
        watch.wait(Opened)
        peer.push("1", "2", "3")
        assert good.wait(3) == ["1", "2", "3"]
        assert calls.values == ["1"]
        (failed,) = problems.values
        assert isinstance(failed, ObserverFailed)
        assert "bad" in failed.observer
        assert failed.stream == "messages"
        assert str(failed.error) == "no good"
        assert failed.error.__traceback__ is not None
        assert socket.state.value is State.OPEN
        assert not watch.of(Closed)
        socket.close().result(5)


@pytest.mark.parametrize("operator", [latest(), concat_map_async(echoed)])
def test_a_raising_observer_behind_an_operator_that_calls_later(operator: Any) -> None:
    """C23: in a turn of its own, too, it is detached and reported once; others go on."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        calls, good, problems = Inbox(), Inbox(), Inbox()

        def bad(message: str) -> None:
            calls(message)
            raise ValueError("no good")

        socket.errors.subscribe(problems)
        socket.messages.pipe(operator).subscribe(bad)
        socket.messages.subscribe(good)
        watch.wait(Opened)
        peer.push("1")
        (failed,) = problems.wait(1)
        peer.push("2", "3")
        assert good.wait(3) == ["1", "2", "3"]
        assert calls.values == ["1"]
        assert isinstance(failed, ObserverFailed)
        assert "bad" in failed.observer and failed.stream == "messages"
        assert str(failed.error) == "no good"
        socket.close().result(5)
        assert len(problems.values) == 1


def test_every_kind_of_subscriber_may_raise() -> None:
    """C23: whatever is subscribed to and whatever raises, the connection lives."""
    with server(accept().send("hello")) as peer:
        socket = Socket(peer.url, auth=None)  # so that all are there before it connects

        def bad(_: object) -> None:
            raise RuntimeError("bad")

        watch = Watch(socket)
        for stream in (socket.events, socket.opens, socket.messages, socket.sessions, socket.state):
            stream.subscribe(bad)  # type: ignore[attr-defined]
        socket.on_open(bad)
        socket.set_auth("a")
        watch.wait(Opened)
        watch.wait(Message)
        watch.until(lambda watch: len(watch.of(ObserverFailed)) >= 4)
        peer.push("still")
        watch.wait(Message, 2)
        socket.set_auth("b")
        watch.wait(Opened, 2)
        socket.close().result(5)
        assert watch.completed


def test_the_last_holder_that_raises_lets_go() -> None:
    """C23, C1: a socket that is held by a raising observer alone is left by it."""
    with server(accept().send("x")) as peer:
        socket = Socket(peer.url)

        def bad(_: object) -> None:
            raise RuntimeError("bad")

        socket.messages.subscribe(bad)
        peer.wait_for(lambda peer: [left.code for left in peer.closes] == [1000])
        assert socket.wait(5)


def test_nothing_after_a_dispose() -> None:
    """C23: an observer disposed in the middle of an emission gets nothing more of it."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        second = Inbox()
        holding = SerialDisposable()
        first = Inbox()

        def drop_the_other(message: str) -> None:
            first(message)
            if message == "2":
                holding.dispose()

        socket.messages.subscribe(drop_the_other)
        holding.disposable = socket.messages.subscribe(second)
        watch.wait(Opened)
        peer.push("1", "2", "3")
        assert first.wait(3) == ["1", "2", "3"]
        assert second.values == ["1"]
        socket.close().result(5)


def test_callbacks_take_one_argument_or_none() -> None:
    """C23: callbacks of both shapes are called; others are refused when they are registered."""
    with server(accept().send("hello").close(1000)) as peer:
        socket = Socket(peer.url, auth=None)  # so that all are there before it connects
        opened, closed, plain = Inbox(), Inbox(), Inbox()
        socket.on_open(lambda: opened("open"))
        socket.on_close(lambda event: closed(event.code))
        socket.on_message(plain)
        for function in (lambda a, b: None, 5, None):
            with pytest.raises(TypeError):
                socket.on_message(function)  # type: ignore[arg-type]

        async def never_awaited(_: object) -> None:
            """Do nothing."""

        with pytest.raises(TypeError, match="async"):
            socket.on_message(never_awaited)
        socket.set_auth("a")
        assert socket.wait(5)
        assert (opened.values, plain.values, closed.values) == (["open"], ["hello"], [1000])


def test_observers_run_in_the_context_of_their_subscribe() -> None:
    """C24: each observer sees the context variables of where it subscribed."""
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        seen = Inbox()
        for name in ("ann", "ben"):
            context = contextvars.copy_context()
            context.run(user.set, name)
            context.run(socket.messages.subscribe, lambda _: seen(user.get()))
        socket.on_message(lambda: seen(user.get()))
        watch.wait(Opened)
        peer.push("x")
        assert seen.wait(3) == ["ann", "ben", "nobody"]
        socket.close().result(5)


def test_calling_back_into_the_socket() -> None:
    """C24: set_auth from on_next waits for the emission: all see the message before the close."""
    with server(accept().send("expired soon")) as peer:
        socket = Socket(peer.url, auth=None)  # so that all are there before it connects
        told: list[str] = []
        done = threading.Event()

        def renew(message: str) -> None:
            told.append("first: message")
            socket.set_auth("b")
            assert socket.state.value is State.OPEN
            told.append("first: returned")

        socket.messages.subscribe(renew)
        socket.messages.subscribe(lambda _: told.append("second: message"))
        socket.on_close(lambda: told.append("closed"))
        socket.on_open(lambda event: event.epoch == 2 and done.set())
        socket.set_auth("a")
        assert done.wait(5)
        assert told == ["first: message", "first: returned", "second: message", "closed"]
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
        socket.close().result(5)


def test_closing_from_an_observer() -> None:
    """C24, C26: close() from on_next ends after the emission, without a deadlock."""
    with server(accept().send("that is all")) as peer:
        socket = Socket(peer.url, auth=None)  # so that all are there before it connects
        closing: list[Receipt[None]] = []
        after = Inbox()
        socket.on_message(lambda: closing.append(socket.close()))
        socket.on_message(after)
        socket.set_auth("a")
        assert socket.wait(5)
        assert closing[0].result(5) is None
        assert after.values == ["that is all"]
        peer.wait_for(lambda peer: [left.code for left in peer.closes] == [1000])


def test_blocking_calls_on_the_own_loop_are_refused() -> None:
    """C24: what would block the loop for ever says so instead."""
    with server() as peer:
        socket = Socket(peer.url)
        errors = Inbox()

        def blocking() -> None:
            for call in (
                lambda: socket.send("x").result(),
                lambda: socket.send("x").run(),
                socket.wait,
                socket.messages.run,
                socket.messages.pipe(ops.first()).run,
                asked.run,
                socket.listener("t").run,
            ):
                try:
                    call()
                except RuntimeError as error:
                    errors(str(error))

        asked = socket.request("?", match=bool)
        asked.subscribe(None, lambda _: None)
        socket.on_open(blocking)
        assert all("await" in text for text in errors.wait(7))
        socket.close().result(5)


def test_with_a_running_loop_everything_is_on_it() -> None:
    """C24: under asyncio.run observers are called on that thread, and no other is started."""
    with server(accept().send("x")) as peer:
        before = set(threading.enumerate())

        async def main() -> None:
            socket = Socket(peer.url)
            threads: set[threading.Thread] = set()
            done = asyncio.Event()
            socket.on_message(lambda: (threads.add(threading.current_thread()), done.set()))
            await done.wait()
            assert threads == {threading.current_thread()}
            assert set(threading.enumerate()) == before
            await socket.close()

        asyncio.run(main())


def test_without_a_loop_all_share_one_thread() -> None:
    """C24: sockets of a plain script share one background thread, which ends with the last."""
    with server(), server() as peer:
        sockets = [Socket(peer.url) for _ in range(5)]
        threads = Inbox()
        for socket in sockets:
            socket.on_open(lambda: threads(threading.current_thread()))
        (thread,) = set(threads.wait(5))
        assert thread is not threading.current_thread()
        for socket in sockets:
            socket.close().result(5)
        thread.join(5)
        assert not thread.is_alive()


def test_a_blocked_main_thread_stalls_nothing() -> None:
    """C24: while the main thread is busy the background thread delivers."""
    with server(accept().echo()) as peer:
        socket = Socket(peer.url, auth="a")
        watch = Watch(socket)
        got = Inbox()
        times: list[float] = []
        socket.on_message(lambda data: (times.append(time.monotonic()), got(data)))
        watch.wait(Opened)
        peer.push("while busy")
        busy_until = time.monotonic() + 0.2
        while time.monotonic() < busy_until:
            pass
        assert got.wait(1) == ["while busy"]
        assert times[0] < busy_until
        socket.close().result(5)


def test_a_given_loop_is_used() -> None:
    """C24: loop= is where everything happens, whoever subscribes."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with server(accept().send("x")) as peer:
            socket = Socket(peer.url, loop=loop)
            threads = Inbox()
            socket.on_message(lambda: threads(threading.current_thread()))
            assert threads.wait(1) == [thread]
            socket.close().result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_one_socket_on_one_loop_after_another() -> None:
    """C24: the loop is chosen at each start: asyncio.run, then another, then none."""
    with server() as peer:
        socket = Socket(peer.url)

        async def once() -> None:
            async with socket:
                await peer.await_for(lambda peer: peer.connections == 1)
            await peer.await_for(lambda peer: peer.connections == 0)

        asyncio.run(once())
        asyncio.run(once())
        with socket:
            peer.wait_for(lambda peer: peer.connections == 1)
        assert len(peer.handshakes) == 3


def test_awaiting_from_another_loop() -> None:
    """C24, C25: what a socket on the background thread gives can be awaited in any loop."""
    with server() as peer:
        peer.default = accept().echo()
        socket = Socket(peer.url, auth="a")
        watch = Watch(socket)
        watch.wait(Opened)

        async def collect(stream: Any) -> list[str]:
            return [message async for message in stream]

        async def main() -> None:
            assert await socket.set_auth("b") == InEffect(2)
            assert (await socket.send("x")).epoch == 2
            assert await socket.state.pipe(ops.first()) is State.OPEN
            assert await socket.request("y", match="y".__eq__).pipe(ops.map(str.upper)) == "Y"
            echoed = asyncio.create_task(collect(socket.messages.pipe(ops.take(2))))
            await asyncio.sleep(0)  # it has subscribed
            socket.messages.pipe(ops.take(1)).subscribe(lambda _: socket.send("b"))
            socket.send("a")
            assert await echoed == ["a", "b"]
            await socket.close()
            await socket.wait_closed()

        asyncio.run(main())
        assert watch.completed


def test_emissions_never_overlap() -> None:
    """C24: observers of all streams are called one at a time, in order, whatever thread asks."""
    with server(accept().echo()) as peer:
        socket = Socket(peer.url, auth="0")
        watch = Watch(socket)
        inside = 0
        overlaps = 0

        def enter(_: object) -> None:
            nonlocal inside, overlaps
            inside += 1
            overlaps += inside > 1
            time.sleep(0.0001)
            inside -= 1

        for stream in (socket.messages, socket.opens, socket.closes, socket.state, socket.auth):
            stream.subscribe(enter)  # type: ignore[attr-defined]
        watch.wait(Opened)
        for number in range(50):
            socket.send(str(number))
            peer.push("x")
        socket.set_auth("1").result(5)
        socket.close().result(5)
        assert overlaps == 0


SEED = 20_250_731


@pytest.mark.parametrize("seconds", [1.0, pytest.param(20.0, marks=pytest.mark.slow)])
def test_eight_threads_call_everything(seconds: float) -> None:
    """C25: eight threads call every public method at random; afterwards all is consistent."""
    with server() as peer:
        peer.default = accept().send("welcome").echo()
        socket = Socket(peer.url, auth="start", backoff=quick(), close_timeout=0.3)
        watch = Watch(socket)
        receipts: list[Receipt[Any]] = []
        failures: list[BaseException] = []
        deadline = time.monotonic() + seconds
        ready = threading.Barrier(8)
        channel = socket.channel(subscribe="c", unsubscribe="no c", match=lambda said: said == "c")

        def play(number: int) -> None:
            chance = random.Random(SEED + number)
            held: list[Any] = []
            streams = (
                "events opens closes messages batches sessions errors state auth latency".split()  # noqa: SIM905
            )
            actions: list[Callable[[], Any]] = [
                lambda: receipts.append(socket.set_auth(f"t{chance.randrange(50)}")),
                lambda: receipts.append(socket.set_auth({"token": str(chance.randrange(9))})),
                lambda: receipts.append(socket.set_auth(None)),
                lambda: receipts.append(socket.send(f"{number}")),
                lambda: receipts.append(socket.send(b"\x00" * chance.randrange(2000))),
                lambda: held.append(getattr(socket, chance.choice(streams)).subscribe(_ignore)),
                lambda: held.append(socket.connect()),
                lambda: held.append(socket.on_open(_ignore)),
                lambda: held.append(socket.on_close(_ignore)),
                lambda: held.append(socket.on_message(_ignore)),
                lambda: held.append(socket.on_error(_ignore)),
                lambda: held and held.pop(chance.randrange(len(held))).dispose(),
                lambda: held and held[0].dispose(),
                lambda: (repr(socket), socket.state.value, socket.auth.value),
                lambda: (str(socket), socket.url, socket.explain(), history(socket)),
                lambda: socket.latency.value,
                lambda: held.append(socket.listener("t").subscribe(_ignore)),
                lambda: held.append(socket.listener("t/{any}", type=int).subscribe(_ignore)),
                lambda: held.append(channel.subscribe(_ignore, _ignore)),
                lambda: held.append(
                    socket.request("ask", match=bool, timeout=0.05).subscribe(_ignore, _ignore)
                ),
                lambda: receipts.append(socket.emitter("t").emit(number)),
                lambda: socket.outgoing.on_next(f"piped {number}"),
                lambda: held.append(socket.before_send(lambda message: message)),
                lambda: held.append(socket.after_receive(lambda message: message)),
                lambda: held.append(socket.scheduler.schedule_relative(0.001, lambda *_: None)),
                lambda: chance.random() < 0.02 and _enter_and_leave(socket),
                lambda: peer.push("pushed"),
                lambda: chance.random() < 0.1 and peer.drop(),
                lambda: chance.random() < 0.05 and peer.close(1012),
                lambda: chance.random() < 0.1 and socket.reconnect(),
                lambda: chance.random() < 0.02 and receipts.append(socket.close()),
                lambda: socket.wait(0.001),
                lambda: threading.Event().wait(chance.random() / 200),
            ]
            ready.wait()
            try:
                while time.monotonic() < deadline:
                    with suppress(SocketError):
                        try:
                            chance.choice(actions)()
                        except RuntimeError as error:
                            if "nothing to wait for" not in str(error):
                                raise
            except BaseException as error:
                failures.append(error)
            finally:
                for one in held:
                    one.dispose()

        threads = [threading.Thread(target=play, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        socket.close().result(5)
        for receipt in receipts:
            with suppress(SocketError):
                try:
                    receipt.result(2)
                except (TimeoutError, FutureTimeout):
                    raise AssertionError(f"a receipt never settled: {receipt!r}") from None
        assert socket.state.value is State.CLOSED
        assert peer.most_open == 1 or peer.live == 0
        peer.wait_for(lambda peer: peer.connections == 0)
        assert len(watch.of(Opened)) == len(watch.of(Closed))
        # It still works.
        again = Watch(socket)
        assert isinstance(socket.set_auth("final").result(5), InEffect)
        again.wait(Message)
        assert peer.handshakes[-1].credential == "final"
        epochs = [event.epoch for event in again.of(Connecting)]
        assert epochs == sorted(set(epochs))
        socket.close().result(5)


def _enter_and_leave(socket: Socket) -> None:
    with socket:
        pass


def _ignore(_: object = None) -> None:
    """Do nothing."""


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_an_exit_on_the_shared_thread_ends_nothing(kind: type[BaseException]) -> None:
    """C23: the observer is detached and reported; all sockets of the thread go on, and new ones."""

    def failing(_: object) -> None:
        raise kind("enough")

    with server(*[accept().echo()] * 3) as peer:
        first, second = Socket(peer.url), Socket(peer.url)
        problems, got = Inbox(), Inbox()
        first.errors.subscribe(problems)
        first.on_message(failing)
        first.on_message(got)
        second.on_message(got)
        for socket in (first, second):
            socket.send("hello").result(5)
        assert got.wait(2) == ["hello", "hello"]
        (problem,) = problems.wait(1)
        assert (type(problem.error), problem.detached) == (kind, True)
        first.send("again").result(5)
        third = Socket(peer.url)
        third.on_message(got)
        third.send("new").result(5)
        assert sorted(got.wait(4)[2:]) == ["again", "new"]
        for socket in (first, second, third):
            socket.close().result(5)


class Fails:
    """A function that raises once, and works then."""

    def __init__(self, kind: type[BaseException], works: Callable[..., Any]) -> None:
        self.kind = kind
        self.calls = 0
        self._works = works

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise self.kind("enough")
        return self._works(*arguments)


class Upper:
    """A codec."""

    def __init__(self, decode: Callable[[Any], Any]) -> None:
        self.decode = decode

    def encode(self, value: str) -> str:
        return value


FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[[Any], dict[str, Any]]]] = {
    "a provider": (lambda: "t", lambda f: {"auth": lambda: f()}),
    "a carrier": (lambda _: Carried(), lambda f: {"auth": lambda: "t", "carrier": f}),
    "a codec": (str.upper, lambda f: {"codec": Upper(f)}),
    "rejected=": (lambda _: False, lambda f: {"rejected": f}),
    "stable_after=": (lambda _: reactivex.never(), lambda f: {"stable_after": f}),
    "heartbeat": (lambda: "x", lambda f: {"heartbeat": heartbeat(send=f, interval=0.01)}),
}


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_other_functions_raise_on_the_shared_thread(
    name: str, kind: type[BaseException]
) -> None:
    """C23: it fails what it was called for, and is told; the thread and its sockets go on."""
    works, options = FUNCTIONS[name]
    function = Fails(kind, works)
    with server() as peer:
        peer.default = accept().stream(lambda: map(str, range(1000)), rate=100)
        sibling, socket = Socket(peer.url), Socket(peer.url, backoff=quick(), **options(function))
        problems, got, heard = Inbox(), Inbox(), Inbox()
        socket.errors.subscribe(problems)
        sibling.on_message(heard)
        heard.wait(1)
        socket.on_message(got)
        problems.wait(1)
        got.wait(len(got.values) + 5)
        heard.wait(len(heard.values) + 5)
        assert function.calls >= 1
        for one in (sibling, socket):
            one.close().result(5)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_on_ones_own_loop_ends_the_program(kind: type[BaseException]) -> None:
    """C23: ``sys.exit()`` in an observer does what it does anywhere, when it was reported."""
    problems: list[Any] = []
    heard: list[str] = []

    def failing(_: object) -> None:
        raise kind("enough")

    async def main(url: str) -> None:
        async with Socket(url) as socket:
            socket.errors.subscribe(problems.append)
            socket.on_message(failing)
            socket.on_message(heard.append)
            await asyncio.Event().wait()

    with server(accept().send("hello").stay()) as peer, pytest.raises(kind):
        asyncio.run(main(peer.url))
    assert heard == ["hello"]
    assert [type(problem.error) for problem in problems] == [kind]
