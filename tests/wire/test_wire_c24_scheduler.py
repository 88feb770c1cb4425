"""C24 on real connections: operators in which time matters run on the socket's loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops

from rxsocket import Socket
from rxsocket.testing import accept, server

from .wire_helpers import Inbox

pytestmark = pytest.mark.only("websockets")  # nothing of it is the transport's


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (lambda s: ops.delay(0.05, s), ["1", "2", "3"]),
        (lambda s: ops.debounce(0.1, s), ["3"]),
        (lambda s: ops.throttle_first(60, s), ["1"]),
        (lambda s: ops.sample(0.2, s), ["3"]),
        (lambda s: ops.timeout(60, scheduler=s), ["1", "2", "3"]),
        (
            lambda s: ops.compose(ops.buffer_with_time(0.2, scheduler=s), ops.flat_map(list)),
            ["1", "2", "3"],
        ),
        (lambda s: ops.observe_on(s), ["1", "2", "3"]),
    ],
    ids=str.split("delay debounce throttle_first sample timeout buffer_with_time observe_on"),
)
def test_observers_stay_on_the_one_thread(
    operator: Callable[[Any], Any], expected: list[str]
) -> None:
    """In a plain script each operator calls on the thread of the sockets, in order (C24)."""
    seen, threads = Inbox(), set[str]()
    with server(accept().send("1", "2", "3").stay()) as feed, Socket(feed.url) as socket:
        stream = socket.messages.pipe(operator(socket.scheduler))

        def note(value: str) -> None:
            threads.add(threading.current_thread().name)
            seen(value)

        with stream.subscribe(note):
            assert seen.wait(len(expected))[: len(expected)] == expected
    assert threads == {"rxsocket"}


def test_in_a_coroutine_it_is_the_running_loop() -> None:
    """Under ``asyncio.run`` observers behind a timer are on its loop, in their context (C24)."""
    who = contextvars.ContextVar("who", default="nobody")

    async def main() -> list[Any]:
        seen: list[Any] = []
        done = asyncio.Event()

        def note(value: str) -> None:
            seen.append((value, asyncio.get_running_loop() is loop, who.get()))
            done.set()

        loop = asyncio.get_running_loop()
        with server(accept().send("1").stay()) as feed:
            async with Socket(feed.url) as socket:
                who.set("the subscriber")
                socket.messages.pipe(ops.delay(0.02, socket.scheduler)).subscribe(note)
                who.set("somebody else")
                await asyncio.wait_for(done.wait(), 8)
        return seen

    assert asyncio.run(main()) == [("1", True, "the subscriber")]


def test_what_is_delayed_comes_after_the_close() -> None:
    """The loop stays for what is scheduled on it, and its thread ends with the last of it (C26)."""
    seen, over = Inbox(), threading.Event()
    with server(accept().send("1", "2").close(1000)) as feed:
        socket = Socket(feed.url)
        socket.messages.pipe(ops.delay(0.3, socket.scheduler)).subscribe(
            seen, on_completed=over.set
        )
        assert socket.wait(8)
        assert seen.values == []
        assert over.wait(8)
    assert seen.values == ["1", "2"]  # the fixture nothing_left sees to the thread


def test_it_may_be_used_before_the_socket() -> None:
    """A timer that starts the socket, and a timeout that is set before it, are on its loop."""
    seen, names = Inbox(), set[str]()
    with server(accept().send("1").stay()) as feed:
        socket = Socket(feed.url)
        started = reactivex.timer(0.02, scheduler=socket.scheduler).pipe(
            ops.do_action(lambda _: names.add(threading.current_thread().name)),
            ops.flat_map(lambda _: socket.messages),
            ops.timeout(20, scheduler=socket.scheduler),
        )
        with started.subscribe(seen):
            assert seen.wait(1) == ["1"]
        assert socket.close().result(5) is None
    assert names == {"rxsocket"}


def test_timers_of_many_threads() -> None:
    """Set and left from eight threads at once: what stays runs once each, on the loop (C25)."""
    ran, names = Inbox(), set[str]()
    with server() as feed, Socket(feed.url) as socket:
        scheduler = socket.scheduler

        def work(thread: int) -> None:
            def action(_: Any, number: Any) -> None:
                names.add(threading.current_thread().name)
                ran((thread, number))

            for number in range(200):
                scheduler.schedule_relative(0.01 * (number % 3), action, number)
                scheduler.schedule_relative(30.0, action, "left").dispose()

        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        values = ran.wait(1600)
    assert len(values) == 1600
    assert set(values) == {(thread, number) for thread in range(8) for number in range(200)}
    assert names == {"rxsocket"}


def test_a_busy_main_thread_delays_nothing() -> None:
    """While the main thread sleeps, timers of the background thread go on (C24)."""
    with server(accept().stay()) as feed, Socket(feed.url) as socket:
        ticks = Inbox()
        with reactivex.interval(0.01, socket.scheduler).subscribe(ticks):
            time.sleep(0.5)
            seen = len(ticks.values)
    assert seen > 10


def test_a_socket_started_in_a_callback_outlives_the_first() -> None:
    """One that starts on the thread of the sockets keeps that thread as every other does (C24)."""
    seen = Inbox()
    with server(accept().send("first").stay(), accept().wait(0.2).send("second").stay()) as feed:
        first, second = Socket(feed.url), Socket(feed.url)

        def follow(message: str) -> None:
            second.messages.subscribe(seen)
            first.close()

        first.messages.subscribe(follow)
        assert seen.wait(1) == ["second"]
        second.close().result(5)


def test_without_a_scheduler_they_stay_there_too() -> None:
    """Operators with a time in them are called on the thread of the sockets by default (C24)."""
    seen, threads = Inbox(), set[str]()
    with server(accept().send("1").stay()) as feed, Socket(feed.url) as socket:

        def note(value: str) -> None:
            threads.add(threading.current_thread().name)
            seen(value)

        piped = socket.messages.pipe(ops.delay(0.05), ops.timeout(60))
        with piped.subscribe(note):
            assert seen.wait(1) == ["1"]
    assert threads == {"rxsocket"}


def test_run_keeps_them_there_too() -> None:
    """``run()`` gives RxPY's operators a thread of their own, unless a stream knows better."""
    threads = set[str]()
    with server(accept().send("1").wait(0.1).send("2").stay()) as feed, Socket(feed.url) as socket:
        note = ops.do_action(lambda _: threads.add(threading.current_thread().name))
        steps = socket.messages.pipe(ops.debounce(0.01), note).pipe(ops.delay(0.01), note)
        batch = steps.pipe(ops.buffer_with_time(0.2), ops.filter(bool), note, ops.first()).run()
        assert set(batch) <= {"1", "2"}
    assert threads == {"rxsocket"}
