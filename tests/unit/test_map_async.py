"""flat_map_async and concat_map_async: async functions, a bounded number of them at a time."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from reactivex.subject import Subject
from recording_observer import RecordingObserver

from rxsocket import BufferOverflow
from rxsocket.operators import Drops, concat_map_async, flat_map_async, latest
from rxsocket.testing import VirtualClock


class Work:
    """An async function whose calls take as many seconds as their value says."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.running = 0
        self.most = 0
        self.begun: list[float] = []
        self.cancelled: list[float] = []

    async def __call__(self, seconds: float) -> str:
        self.begun.append(seconds)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(seconds)
            raise
        finally:
            self.running -= 1
        return f"{seconds:g} at {self._clock.time():g}"


def test_results_come_as_they_are_ready(clock: VirtualClock) -> None:
    """Two at a time: a third call begins when the first is done."""
    work = Work(clock)
    told = RecordingObserver(reactivex.of(3, 1, 1, 4).pipe(flat_map_async(work, max_concurrent=2)))
    clock.advance(10)
    assert told.values == ["1 at 1", "1 at 2", "3 at 3", "4 at 6"]
    assert (told.completed, work.most) == (True, 2)


def test_concat_keeps_the_order(clock: VirtualClock) -> None:
    """One after the other, however long each takes."""
    work = Work(clock)
    told = RecordingObserver(reactivex.of(3, 1, 2).pipe(concat_map_async(work)))
    clock.advance(10)
    assert told.values == ["3 at 3", "1 at 4", "2 at 6"]
    assert (told.completed, work.most) == (True, 1)


def test_dispose_cancels_what_runs(clock: VirtualClock) -> None:
    """The calls under way are cancelled, those that wait are never made, the source is left."""
    work = Work(clock)
    source: Subject[float] = Subject()
    told = RecordingObserver(source.pipe(flat_map_async(work, max_concurrent=2)))
    for seconds in (5, 6, 7):
        source.on_next(seconds)
    clock.advance(1)
    told.subscription.dispose()
    clock.advance(10)
    assert (work.begun, work.cancelled, told.values) == ([5, 6], [5, 6], [])
    assert not source.observers


def test_dispose_from_another_thread_cancels(clock: VirtualClock) -> None:
    """The tasks are cancelled on their loop."""
    work = Work(clock)
    told = RecordingObserver(
        reactivex.of(5).pipe(ops.concat(reactivex.never()), concat_map_async(work))
    )
    clock.advance(1)
    thread = threading.Thread(target=told.subscription.dispose)
    thread.start()
    thread.join()
    clock.advance(1)
    assert (work.cancelled, told.values) == ([5], [])


def test_an_exception_cancels_the_others(clock: VirtualClock) -> None:
    """The first one is the error of the result; nothing comes after it."""
    work = Work(clock)

    async def fail(seconds: float) -> str:
        if seconds == 1:
            await asyncio.sleep(1)
            raise LookupError("no")
        return await work(seconds)

    source: Subject[float] = Subject()
    told = RecordingObserver(source.pipe(flat_map_async(fail)))
    source.on_next(1)
    source.on_next(2)
    clock.advance(5)
    assert isinstance(told.error, LookupError)
    assert (told.values, work.cancelled, source.observers) == ([], [2], [])


def test_an_error_of_the_source_comes_last(clock: VirtualClock) -> None:
    """What came before it is still mapped."""
    work = Work(clock)
    failing = reactivex.of(1, 2).pipe(ops.concat(reactivex.throw(LookupError("no"))))
    told = RecordingObserver(failing.pipe(concat_map_async(work)))
    clock.advance(2)
    assert (told.values, told.error) == (["1 at 1"], None)
    clock.advance(5)
    assert told.values == ["1 at 1", "2 at 3"]
    assert isinstance(told.error, LookupError)


def test_a_take_in_the_middle_cancels_the_rest(clock: VirtualClock) -> None:
    """A call whose own result ends the subscription is not cancelled by it; the others are."""
    work = Work(clock)
    told = RecordingObserver(reactivex.of(1, 2, 3).pipe(flat_map_async(work), ops.take(1)))
    clock.advance(5)
    assert (told.values, told.completed, work.cancelled) == (["1 at 1"], True, [2, 3])


def test_what_waits_is_bounded(clock: VirtualClock) -> None:
    """Up to 1024 values wait behind those that run; one more is a BufferOverflow (C27)."""
    work = Work(clock)
    source: Subject[float] = Subject()
    told = RecordingObserver(source.pipe(concat_map_async(work)))
    for _ in range(1025):
        source.on_next(1)
    assert told.error is None
    source.on_next(1)
    clock.advance(2000)
    assert isinstance(told.error, BufferOverflow)
    assert len(told.values) == 1025


def test_a_policy_in_front_decides_what_waits(clock: VirtualClock) -> None:
    """``latest`` directly in front: the next value is taken when a call is done."""
    work = Work(clock)
    source: Subject[float] = Subject()
    drops = Drops()
    told = RecordingObserver(
        source.pipe(latest(drops=drops), flat_map_async(work, max_concurrent=2))
    )
    for tenths in range(10, 60):
        source.on_next(tenths / 10)
    clock.advance(1.0)
    source.on_completed()
    clock.advance(20)
    assert work.begun == [1.0, 1.1, 5.9]
    assert (told.completed, drops.value) == (True, 47)


def test_calls_run_in_the_context_of_the_subscriber(clock: VirtualClock) -> None:
    """Each in a copy of the context captured at ``subscribe`` (C24), whoever emits."""
    variable = contextvars.ContextVar("variable", default="")
    source: Subject[int] = Subject()
    seen: list[str] = []

    async def look(value: int) -> None:
        seen.append(variable.get())
        variable.set("theirs")

    variable.set("mine")
    source.pipe(concat_map_async(look)).subscribe()
    variable.set("later")
    source.on_next(1)
    source.on_next(2)
    clock.advance(0)
    assert seen == ["mine", "mine"]


def test_values_from_another_thread(clock: VirtualClock) -> None:
    """The calls run on the loop that ran at ``subscribe`` when the values come from no loop."""
    source: Subject[int] = Subject()
    threads: list[threading.Thread] = []

    async def look(value: int) -> int:
        threads.append(threading.current_thread())
        return value

    told = RecordingObserver(source.pipe(flat_map_async(look)))
    emitting = threading.Thread(target=source.on_next, args=(1,))
    emitting.start()
    emitting.join()
    clock.advance(0)
    assert (told.values, threads) == ([1], [threading.current_thread()])


def test_without_a_loop_it_says_what_to_pass() -> None:
    """Neither at ``subscribe`` nor where the values arrive: an error, not silence."""

    async def look(value: int) -> int:
        return value

    told = RecordingObserver(reactivex.of(1).pipe(flat_map_async(look)))
    assert "pass loop=" in str(told.error)


def test_a_loop_of_ones_own_is_used() -> None:
    """With ``loop=`` the calls run there."""
    source: Subject[int] = Subject()

    async def main() -> list[int]:
        async def double(value: int) -> int:
            return 2 * value

        told = source.pipe(flat_map_async(double, loop=asyncio.get_running_loop()), ops.to_list())
        result: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        emitting = threading.Thread(target=lambda: (told.subscribe(result.set_result), emit()))
        emitting.start()
        values = await result
        emitting.join()
        return values

    def emit() -> None:
        for value in range(3):
            source.on_next(value)
        source.on_completed()

    assert asyncio.run(main()) == [0, 2, 4]


def test_an_observer_that_raises_ends_its_subscription(clock: VirtualClock) -> None:
    """Its exception goes to the loop's handler; the other calls are cancelled."""
    work = Work(clock)
    handled: list[dict[str, Any]] = []
    clock.set_exception_handler(lambda loop, context: handled.append(context))

    def fail(value: str) -> None:
        raise LookupError(value)

    reactivex.of(1, 2).pipe(flat_map_async(work)).subscribe(fail)
    clock.advance(5)
    assert [str(context["exception"]) for context in handled] == ["1 at 1"]
    assert work.cancelled == [2]


def test_a_cancelled_call_is_an_error(clock: VirtualClock) -> None:
    """A call that was cancelled from elsewhere does not end the stream in silence."""

    async def give_up(value: int) -> int:
        raise asyncio.CancelledError

    told = RecordingObserver(
        reactivex.of(1).pipe(ops.concat(reactivex.never()), concat_map_async(give_up))
    )
    clock.advance(0)
    assert "was cancelled" in str(told.error)


def test_the_end_of_the_loop_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """What runs when ``asyncio.run`` ends is cancelled without noise (C26)."""
    told: list[RecordingObserver] = []

    async def main() -> None:
        async def wait(value: int) -> None:
            await asyncio.sleep(3600)

        told.append(RecordingObserver(reactivex.of(1).pipe(flat_map_async(wait))))
        await asyncio.sleep(0)

    asyncio.run(main())
    assert (told[0].error, told[0].values, caplog.text) == (None, [], "")


def test_a_plain_function_is_refused(clock: VirtualClock) -> None:
    """What is returned must be awaitable: the error says so."""
    told = RecordingObserver(reactivex.of(1).pipe(flat_map_async(lambda value: value)))  # type: ignore[arg-type, return-value]
    clock.advance(0)
    assert "this one returned int" in str(told.error)


def test_a_large_source_needs_no_deep_stack(clock: VirtualClock) -> None:
    """Ten thousand values that are done at once."""
    source: Subject[int] = Subject()

    async def same(value: int) -> int:
        return value

    told = RecordingObserver(source.pipe(concat_map_async(same)))
    for start in range(0, 10_000, 1000):
        for value in range(start, start + 1000):
            source.on_next(value)
        clock.advance(0)
    assert told.values == list(range(10_000))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: flat_map_async(7), TypeError, "mapper: pass a function, not int"),  # type: ignore[arg-type]
        (lambda: flat_map_async(print, max_concurrent=0), ValueError, "max_concurrent: pass 1"),  # type: ignore[arg-type]
        (lambda: flat_map_async(print, loop=7), TypeError, "loop: pass an asyncio event loop"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_fail_at_once(make: Any, error: type[Exception], text: str) -> None:
    """The error names the argument and says what to pass."""
    with pytest.raises(error, match=text):
        make()
