"""The virtual clock: asyncio and Rx on one time."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import gc
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import reactivex
from deadlines import took
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.testing import ReactiveTest

from rxsocket import Closed, ConnectFailed, Event, Socket
from rxsocket.testing import VirtualClock, accept, clock, fake, reject
from rxsocket.testing.clock import Stuck
from rxsocket.testing.virtual_loop import SteadyTestScheduler


def test_is_the_running_loop_inside_only() -> None:
    """Inside the block it is the running loop, outside it is not."""
    with clock() as t:
        assert asyncio.get_running_loop() is t
        assert isinstance(t, VirtualClock) and t.is_running()
    assert asyncio._get_running_loop() is None
    assert t.is_closed() and not t.is_running()
    with pytest.raises(RuntimeError, match="closed"):
        t.call_soon(print)
    with pytest.raises(RuntimeError, match="entered once"), t:
        pass
    with pytest.raises(RuntimeError, match="inside its with block"):
        t.advance(1)


def test_advance_runs_what_is_due_up_to_and_at_the_end() -> None:
    """A timer fires at its time exactly, in order; advance(0) runs what is due now."""
    with clock() as t:
        seen: list[str] = []
        for delay, name in ((2.0, "c"), (1.0, "a"), (1.0, "b")):
            t.call_later(delay, seen.append, name)
        t.call_soon(seen.append, "now")
        assert seen == [] and t.pending == 4
        t.advance(0)
        assert seen == ["now"]
        t.advance(0.999999)
        assert seen == ["now"]
        t.advance(0.000001)
        assert seen == ["now", "a", "b"]
        t.advance(1)
        assert (seen[-1], t.time(), t.pending) == ("c", 2.0, 0)
        with pytest.raises(ValueError, match="does not go back"):
            t.advance(-1)


def test_three_tenths_make_0_3() -> None:
    """Rounding of floats does not move what people wrote in decimals."""

    async def three() -> None:
        for _ in range(3):
            await asyncio.sleep(0.1)

    with clock() as t:
        task = t.create_task(three())
        t.advance(0.3)
        assert task.done() and t.time() == 0.3


@pytest.mark.parametrize("delay", [1e-9, 1e-7, 0.1, 0.3, 1 / 3, 5.1000000000000005, 86400.0000004])
def test_never_early(delay: float) -> None:
    """When a callback of call_at runs, it is not before its time, below a microsecond either."""
    with clock() as t:
        t.advance(0.7)
        seen: list[tuple[float, float]] = []

        def note(when: float) -> None:
            seen.append((when, t.time()))

        for n in range(1, 50):
            when = t.time() + n * delay
            t.call_at(when, note, when)
        t.advance(60 * delay + 1)
        assert len(seen) == 49
        assert all(now >= when and now - when < 1e-6 for when, now in seen)


def test_deadline_loop_ends() -> None:
    """The usual loop with a deadline takes a few rounds, not thousands."""

    async def wait(deadline: float) -> int:
        rounds = 0
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            rounds += 1
            await asyncio.sleep(left)
        return rounds

    with clock() as t:
        for deadline in (0.1, 0.30000000000000004, 1 / 3, 2 / 3, 7.7777777777):
            assert t.run(wait(deadline)) <= 2


def test_run_returns_raises_and_takes_the_time_it_takes() -> None:
    """run() gives the result or the exception, at the moment it is there."""

    async def fail() -> None:
        await asyncio.sleep(3)
        raise KeyError("x")

    with clock() as t:
        assert t.run(asyncio.sleep(86_400, "a day")) == "a day"
        assert t.time() == 86_400
        with pytest.raises(KeyError):
            t.run(fail())
        assert t.time() == 86_403


def test_run_says_why_it_is_stuck() -> None:
    """A deadlock and a limit of time are clear errors, which name what waits."""
    with clock() as t:
        with pytest.raises(
            Stuck, match=r"nothing is scheduled any more, at t=0 s(.|\n)*Event.wait"
        ):
            t.run(asyncio.Event().wait())
        gc.collect()  # nobody else knows of what waits for ever: it is kept until the clock ends
        with pytest.raises(Stuck, match="not done within 5 s"):
            t.run(asyncio.sleep(5.1), within=5)


def test_endless_loop_in_one_instant_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What schedules itself for ever without a delay does not hang the test."""
    monkeypatch.setattr("rxsocket.testing.virtual_loop.MAX_AT_ONE_INSTANT", 500)

    async def busy() -> None:
        while True:  # noqa: ASYNC110 - that is the point
            await asyncio.sleep(0)

    with clock() as t:
        t.create_task(busy())
        with pytest.raises(AssertionError, match="endless loop"):
            t.advance(1)


def test_many_callbacks_do_not_move_time() -> None:
    """Time stands still while items without a delay run, however many."""
    with clock() as t:
        for _ in range(1000):
            t.call_soon(int)
        t.advance(0)
        assert t.time() == 0.0


def test_timeouts_queues_and_tasks() -> None:
    """asyncio.timeout, queues, TaskGroups and wait_for live in virtual time."""

    async def main() -> list[Any]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        got: list[Any] = []

        async def produce() -> None:
            for i in range(3):
                await asyncio.sleep(10)
                await queue.put(i)

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            for _ in range(3):
                got.append(await queue.get())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(6)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 2)
        got.append(await asyncio.to_thread(lambda: "inline"))
        return got

    with clock() as t:
        assert t.run(main()) == [0, 1, 2, "inline"]
        assert t.time() == 37.0
        assert not t.tasks and not t.pending


def test_rx_and_asyncio_share_the_time() -> None:
    """Rx operators on the TestScheduler and on AsyncIOScheduler run on the same clock."""
    with clock() as t:
        seen: list[tuple[str, float]] = []
        reactivex.of(1).pipe(ops.delay(2.0, scheduler=t.scheduler)).subscribe(
            lambda _: seen.append(("rx", t.time()))
        )
        reactivex.timer(3.0, scheduler=AsyncIOScheduler(t)).subscribe(
            lambda _: seen.append(("asyncio", t.time()))
        )
        t.call_later(1, lambda: seen.append(("loop", t.time())))
        t.advance(10)
        assert seen == [("loop", 1.0), ("rx", 2.0), ("asyncio", 3.0)]
        assert t.scheduler.now == datetime.datetime.fromtimestamp(10, datetime.UTC)


def test_scheduler_is_a_whole_test_scheduler() -> None:
    """Marble-like tests of RxPY work on it: hot observables, recorded messages, start(create)."""
    scheduler = SteadyTestScheduler()
    on_next = ReactiveTest.on_next
    source = scheduler.create_hot_observable(on_next(250, 1), on_next(310, 2), on_next(1100, 3))
    result = scheduler.start(lambda: source.pipe(ops.map(str)))
    assert result.messages == [on_next(250, "1"), on_next(310, "2")]


def test_wall_time() -> None:
    """The wall clock begins at a fixed moment and moves with the time."""
    with clock() as t:
        t.advance(3600)
        wall = datetime.datetime.fromtimestamp(t.wall_time(), datetime.UTC)
        assert wall == datetime.datetime(2025, 1, 1, 1, tzinfo=datetime.UTC)


def test_cancelled_callbacks_are_not_pending() -> None:
    """A cancelled handle neither runs nor counts, for asyncio and for Rx."""

    def fail(scheduler: object, state: object = None) -> None:
        pytest.fail("a cancelled item ran")

    with clock() as t:
        soon, later = t.call_soon(pytest.fail), t.call_later(5, pytest.fail)
        item = t.scheduler.schedule_relative(5, fail)
        soon.cancel()
        later.cancel()
        item.dispose()
        assert t.pending == 0
        t.advance(10)


def test_posts_of_other_threads_run_at_the_next_advance() -> None:
    """call_soon_threadsafe may be called from anywhere; nothing is lost."""
    with clock() as t:
        seen: list[int] = []

        def post(start: int) -> None:
            for i in range(start, start + 200):
                t.call_soon_threadsafe(seen.append, i)

        threads = [threading.Thread(target=post, args=(n * 200,)) for n in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == []
        t.advance(0)
        assert sorted(seen) == list(range(1000))


def test_context_is_kept() -> None:
    """Callbacks and tasks run in the context they were made in."""
    variable = contextvars.ContextVar("variable", default="none")

    async def read() -> str:
        return variable.get()

    with clock() as t:
        variable.set("mine")
        task = t.create_task(read(), name="reader")
        variable.set("other")
        assert t.run(task) == "mine" and task.get_name() == "reader"


def test_nested_in_a_real_loop() -> None:
    """Inside a coroutine of a real loop it takes over, and gives back what it took."""

    async def outer() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        with clock() as t:
            assert asyncio.get_running_loop() is t and asyncio.current_task() is None

            async def inner() -> asyncio.Task[Any] | None:
                await asyncio.sleep(5)
                with clock() as deeper:
                    deeper.run(asyncio.sleep(1))
                return asyncio.current_task()

            mine = t.create_task(inner())
            assert t.run(mine) is mine
        assert asyncio.get_running_loop() is loop and asyncio.current_task() is task
        await asyncio.sleep(0.001)
        with pytest.raises(ZeroDivisionError), clock():
            raise ZeroDivisionError
        await asyncio.sleep(0.001)

    asyncio.run(outer())


def test_exception_in_a_callback_fails_advance() -> None:
    """What a callback raises is raised where time is advanced, at the time it happened."""

    def fail() -> None:
        raise KeyError("callback")

    with clock() as t:
        t.call_later(1, fail)
        with pytest.raises(KeyError, match="callback"):
            t.advance(5)
        assert t.time() == 1.0


@pytest.mark.parametrize("keep", [False, True])
def test_exception_that_nobody_retrieves_fails_the_test(keep: bool) -> None:
    """A failed task that nobody awaits is no secret, whether somebody holds it or not."""
    kept: list[Any] = []

    async def fail() -> None:
        raise KeyError("task")

    with pytest.raises(KeyError, match="task"), clock() as t:
        task = t.create_task(fail())
        if keep:
            kept.append(task)
        del task
        t.advance(1)


def test_exception_that_was_retrieved_is_fine() -> None:
    """A failed task whose exception was looked at fails nothing."""

    async def fail() -> None:
        raise KeyError("task")

    with clock() as t:
        task = t.create_task(fail())
        t.advance(1)
        assert isinstance(task.exception(), KeyError)


def test_own_exception_handler() -> None:
    """With a handler of the user's, exceptions go there and nowhere else."""
    seen: list[Any] = []

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        seen.append(context["exception"])

    def fail() -> None:
        raise KeyError("callback")

    with clock() as t:
        t.set_exception_handler(handler)
        t.call_soon(fail)
        t.advance(0)
    assert [type(error) for error in seen] == [KeyError]


def test_leaving_cancels_what_is_left_and_lets_it_finish() -> None:
    """At the end tasks are cancelled, may clean up in virtual time, and generators are closed."""
    seen: list[str] = []

    async def generate() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            seen.append("generator closed")

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(2)
            seen.append("cleaned up")

    async def first(generator: AsyncGenerator[int]) -> int:
        return await anext(generator)

    with clock() as t:
        generator = generate()
        assert t.run(first(generator)) == 1
        t.create_task(work())
        t.advance(1)
        assert seen == []
    assert sorted(seen) == ["cleaned up", "generator closed"] and t.time() == 3.0


def test_error_of_the_body_wins_and_the_others_are_noted() -> None:
    """When the test's own assertion fails, what failed on the clock is a note on it."""

    async def fail() -> None:
        raise KeyError("task")

    with pytest.raises(AssertionError) as caught, clock() as t:
        task = t.create_task(fail())
        t.advance(0)
        assert task is None
    assert any("KeyError('task')" in note for note in caught.value.__notes__)


def test_not_from_a_callback() -> None:
    """Time is advanced by the test, not by what runs on the clock."""

    def advance() -> None:
        t.advance(1)

    with clock() as t:
        t.call_soon(advance)
        with pytest.raises(RuntimeError, match="for the test"):
            t.advance(0)


def test_eager_tasks() -> None:
    """A task factory is used, the eager one of Python 3.12 too."""
    factory: Callable[..., Any] | None = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("needs Python 3.12")
    with clock() as t:
        t.set_task_factory(factory)
        seen: list[str] = []

        async def work() -> None:
            seen.append("begun")
            await asyncio.sleep(1)

        task = t.create_task(work())
        assert seen == ["begun"]
        t.run(task)


def test_a_day_takes_no_time() -> None:
    """24 hours with thousands of timers take well under 2 s."""

    async def keepalive() -> None:
        while True:
            await asyncio.sleep(20)
            async with asyncio.timeout(20):
                await asyncio.sleep(0.05)

    start = time.process_time()
    with clock() as t:
        t.create_task(keepalive())
        for n in range(4000):
            t.call_at(n * 21.6, int)
        t.advance(86_400)
        assert t.time() == 86_400
    took(time.process_time() - start, 2.0)


def test_a_blocked_loop_runs_late_what_was_due() -> None:
    """block() lets time pass without running anything; what was due runs afterwards, in order."""
    with clock() as time:
        ran: list[tuple[str, float]] = []
        time.call_later(2.0, lambda: ran.append(("two", time.time())))
        time.call_later(1.0, lambda: ran.append(("one", time.time())))
        time.call_later(0.5, lambda: time.block(10.0))
        time.advance(0.5)
        assert ran == [("one", 10.5), ("two", 10.5)]
        time.call_later(1.0, lambda: ran.append(("three", time.time())))
        time.block(5.0)
        assert len(ran) == 2 and time.time() == 15.5
        time.advance(0.0)
        assert ran[-1] == ("three", 15.5)
        with pytest.raises(ValueError, match="block: time does not go back"):
            time.block(-1.0)


def test_the_wall_clock_can_jump_alone() -> None:
    """jump() moves the wall clock; nothing that waits for the loop's time is due for it."""
    with clock() as time:
        before = time.wall_time()
        handle = time.call_later(60.0, lambda: None)
        time.jump(7200.0)
        assert time.wall_time() - before == 7200.0 and time.time() == 0.0
        time.jump(-7200.0)
        time.advance(1.0)
        assert time.wall_time() - before == 1.0 and not handle.cancelled()
        time.advance(60.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "kind"), [(accept().wait(60).drop(), Closed), (reject(503), ConnectFailed)]
)
def test_a_day_of_reconnects(script: Any, kind: type[Event]) -> None:
    """24 hours of lost links, or of an outage, in under 3 s; each of them is an event."""
    began = time.process_time()  # others may be using the machine
    with clock() as virtual:
        peer = fake()
        peer.default = script
        socket = Socket(peer.url, transport=peer)
        ends: list[Event] = []
        socket.events.subscribe(lambda event: isinstance(event, kind) and ends.append(event))
        virtual.advance(24 * 3600.0)
        assert 1300 < peer.dials < 3600
        assert peer.dials - 1 <= len(ends) <= peer.dials
        socket.close()
        virtual.advance(3.0)
    took(time.process_time() - began, 3.0)
