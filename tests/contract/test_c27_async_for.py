"""C27: ``async for`` is lossless: a slow body pauses reading from the network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from scene import A, B, Make, Scene

from rxsocket import (
    BufferOverflow,
    Cause,
    Closed,
    Message,
    SlowConsumer,
    SocketFailed,
    State,
    Stream,
)
from rxsocket.operators import Drops, concat_map_async, latest
from rxsocket.testing import VirtualClock, accept

NUMBERS = [str(number) for number in range(20)]


class Reader:
    """Reads a stream with ``async for``, some seconds a round."""

    def __init__(self, clock: VirtualClock, stream: Stream[Any], seconds: float, **marks: Any):
        self.got: list[Any] = []
        self.at: list[float] = []
        self._clock = clock
        self.task = clock.create_task(self._read(stream, seconds, marks))

    async def _read(self, stream: Stream[Any], seconds: float, marks: dict[str, Any]) -> None:
        async for value in stream.iterate(**marks):
            self.got.append(value)
            self.at.append(self._clock.time())
            await asyncio.sleep(seconds)


def feed(scene: Make, **options: Any) -> Scene:
    """A server that sends a number every 0.1 s."""
    script = accept()
    for number in NUMBERS:
        script = script.wait(0.1).send(number)
    return scene(script, watch=False, **options)


def test_nothing_is_lost(clock: VirtualClock, scene: Make) -> None:
    """Each message is a round of the loop, in order, however slow the body is."""
    it = feed(scene)
    reader = Reader(clock, it.socket.messages, 1.0, high_water=4)
    clock.advance(30)
    assert reader.got == NUMBERS
    reader.task.cancel()


def test_the_marks_pause_and_resume(clock: VirtualClock, scene: Make) -> None:
    """At the high mark other subscribers wait, too; at the low one they go on."""
    it = feed(scene)
    seen: list[tuple[float, str]] = []
    reader = Reader(clock, it.socket.messages, 1.0, high_water=4, low_water=1)
    clock.advance(0)
    it.socket.messages.subscribe(lambda message: seen.append((clock.time(), message)))
    clock.advance(30)
    # "0" is in the body from 0.1 s on; "4" is the fourth that waits. At 3.1 s only "4" is left.
    assert [when for when, _ in seen[:5]] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [when for when, _ in seen[5:8]] == [3.1, 3.1, 3.1]
    assert [message for _, message in seen] == reader.got == NUMBERS
    reader.task.cancel()


def test_plain_async_for(clock: VirtualClock, scene: Make) -> None:
    """``async for`` over the stream itself subscribes, connects, and leaves with the loop (C1)."""
    it = feed(scene)

    async def first_three() -> list[str | bytes]:
        got: list[str | bytes] = []
        async for message in it.socket.messages:
            got.append(message)
            if len(got) == 3:
                break
        return got

    assert clock.run(first_three()) == ["0", "1", "2"]
    clock.advance(1)
    assert it.socket.state.value is State.IDLE


def test_leaving_releases_the_others(clock: VirtualClock, scene: Make) -> None:
    """A reader that is cancelled at the high mark lets reading go on."""
    it = feed(scene)
    seen: list[str] = []
    reader = Reader(clock, it.socket.messages, 100.0, high_water=2)
    clock.advance(0)
    it.socket.messages.subscribe(seen.append)
    clock.advance(10)
    assert len(seen) == 3
    reader.task.cancel()
    clock.advance(0)
    assert seen == NUMBERS


def test_two_readers_wait_for_the_slower_one(clock: VirtualClock, scene: Make) -> None:
    """Reading goes on when nobody is at a high mark any more."""
    it = feed(scene)
    slow = Reader(clock, it.socket.messages, 1.0, high_water=2)
    fast = Reader(clock, it.socket.messages, 0.0, high_water=2)
    clock.advance(5)
    assert len(fast.got) <= len(slow.got) + 3
    clock.advance(60)
    assert slow.got == fast.got == NUMBERS
    slow.task.cancel()
    fast.task.cancel()


def test_no_ping_times_out_while_paused(clock: VirtualClock, scene: Make) -> None:
    """That pongs are not read is our own doing; afterwards a silent peer is noticed (C17)."""
    it = scene(accept().send(*NUMBERS).freeze(), watch=False, ping_interval=5.0, ping_timeout=5.0)
    closed: list[Closed] = []
    it.socket.closes.subscribe(closed.append)
    reader = Reader(clock, it.socket.messages, 10.0, high_water=10, low_water=0)
    clock.advance(195)  # 20 rounds: the last one is in the body
    assert (len(reader.got), closed) == (20, [])
    clock.advance(20)
    assert [event.cause for event in closed] == [Cause.SILENT]
    reader.task.cancel()


def test_a_ping_under_way_is_given_up(clock: VirtualClock, scene: Make) -> None:
    """Paused between a ping and its pong: the pong comes late, and nothing is wrong."""
    it = scene(
        accept().wait(5.5).send("1", "2"),
        watch=False,
        latency=1.0,
        ping_interval=5.0,
        ping_timeout=2.0,
    )
    closed: list[Closed] = []
    it.socket.closes.subscribe(closed.append)
    reader = Reader(clock, it.socket.messages, 30.0, high_water=1)
    clock.advance(100)
    assert (reader.got, closed) == (["1", "2"], [])
    reader.task.cancel()


def test_closing_resumes_and_discards(clock: VirtualClock, scene: Make) -> None:
    """The closing handshake is read at once; what was not read before is discarded."""
    it = scene(accept().wait(1.0).send("1", "2").wait(1.0).send("3"), watch=False)
    reader = Reader(clock, it.socket.messages, 10.0, high_water=1)
    clock.advance(5)
    closing = it.socket.close()
    clock.advance(0.1)
    assert closing.done
    assert [left.code for left in it.peer.closes] == [1000]
    clock.advance(30)
    assert reader.got == ["1", "2"]
    assert reader.task.done()


def test_a_change_of_credential_does_not_wait(clock: VirtualClock, scene: Make) -> None:
    """While reading is paused a change goes as ever; the new connection begins paused (C5)."""
    it = scene(accept().send("1", "2", "3"), accept().send("4"), auth=A, watch=False, latency=0.01)
    changed: list[Any] = []
    seen: list[str] = []
    it.socket.opens.subscribe(lambda opened: changed.append((clock.time(), opened.epoch)))
    reader = Reader(clock, it.socket.messages, 10.0, high_water=1)
    clock.advance(0)
    it.socket.messages.subscribe(seen.append)
    clock.advance(1)
    it.socket.set_auth(B)
    clock.advance(1)
    assert [epoch for _, epoch in changed] == [1, 2]
    assert changed[1][0] < 1.1
    assert "4" not in seen
    clock.advance(60)
    assert (reader.got[-1], seen[-1]) == ("4", "4")
    reader.task.cancel()


def test_a_drop_is_noticed_after_what_came_before(clock: VirtualClock, scene: Make) -> None:
    """A lost link is behind the messages that were sent before: they are read first."""
    it = scene(accept().send("1", "2", "3").drop(), accept().send("4"), watch=False)
    reader = Reader(clock, it.socket.messages, 1.0, high_water=1)
    clock.advance(30)
    assert reader.got == ["1", "2", "3", "4"]
    reader.task.cancel()


def test_it_ends_when_the_stream_completes(clock: VirtualClock, scene: Make) -> None:
    """After what waited; the peer's 1000 completes (C3)."""
    it = scene(accept().send("1", "2").close(), watch=False)
    reader = Reader(clock, it.socket.messages, 1.0)
    clock.advance(5)
    assert (reader.got, reader.task.done()) == (["1", "2"], True)


def test_it_raises_what_the_stream_fails_with(clock: VirtualClock, scene: Make) -> None:
    """After what waited: a verdict FAIL is an exception of the loop (C3)."""
    it = scene(accept().send("1", "2").close(1010), watch=False)
    reader = Reader(clock, it.socket.messages, 1.0)
    clock.advance(5)
    assert reader.got == ["1", "2"]
    assert isinstance(reader.task.exception(), SocketFailed)


def test_events_and_sessions_can_be_read(clock: VirtualClock, scene: Make) -> None:
    """Every stream can be iterated over, nested ones too."""
    it = scene(accept().send("1", "2").wait(1.0).drop(), accept().send("3"), watch=False)
    by_epoch: list[tuple[int, Any]] = []

    async def read() -> None:
        async for session in it.socket.sessions:
            async for message in session:
                by_epoch.append((session.epoch, message))

    async def look() -> list[Any]:
        return [event.data async for event in it.socket.events if isinstance(event, Message)]

    reading, looking = clock.create_task(read()), clock.create_task(look())
    clock.advance(5)
    it.socket.close()
    clock.advance(1)
    assert by_epoch == [(1, "1"), (1, "2"), (2, "3")]
    assert looking.result() == ["1", "2", "3"]
    assert reading.done()


def test_state_can_be_read_without_connecting(clock: VirtualClock, scene: Make) -> None:
    """Streams that only look give their current value first, and connect nothing (C1, C4)."""
    it = scene(watch=False)

    async def first() -> State:
        async with aclosing(it.socket.state.iterate()) as states:
            return await anext(states)

    assert clock.run(first()) is State.IDLE
    assert it.peer.handshakes == []


def test_it_may_run_on_another_loop(clock: VirtualClock, scene: Make) -> None:
    """A reader on a loop of another thread gets everything, and pauses the socket's loop (C25)."""
    it = scene(accept().send(*NUMBERS), watch=False)
    got: list[Any] = []
    subscribed = threading.Event()

    async def read() -> None:
        reading = it.socket.messages.iterate(high_water=1)
        first = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0)
        subscribed.set()
        got.append(await first)
        async for message in reading:
            got.append(message)

    thread = threading.Thread(target=lambda: asyncio.run(read()))
    it.socket.connect()
    thread.start()
    assert subscribed.wait(5)
    for _ in range(2000):
        clock.advance(0.001)
        if len(got) == len(NUMBERS):
            break
        threading.Event().wait(0.001)
    it.socket.close()
    clock.advance(3)
    thread.join(5)
    assert got == NUMBERS


@pytest.mark.parametrize(
    ("read", "error", "text"),
    [
        (lambda stream: stream.iterate(high_water=0), ValueError, "high_water: pass 1 or more"),
        (lambda stream: stream.iterate(high_water="a"), TypeError, "high_water: pass a whole"),
        (lambda stream: stream.iterate(high_water=4, low_water=4), ValueError, "from 0 to 3"),
        (lambda stream: stream.iterate(low_water=1.5), TypeError, "low_water: pass a whole"),
        (lambda stream: stream.iterate(overflow="drop"), ValueError, "overflow: pass one of drop_"),
        (
            lambda stream: stream.iterate(overflow="error", low_water=1),
            ValueError,
            "low_water: goes without overflow=",
        ),
        (lambda stream: stream.iterate(drops=Drops()), ValueError, "drops: goes with overflow="),
        (
            lambda stream: stream.iterate(overflow="error", drops=7),
            TypeError,
            r"drops: pass a Drops\(\), not int",
        ),
    ],
)
def test_bad_marks_fail_at_once(
    scene: Make, read: Callable[[Any], Any], error: type[Exception], text: str
) -> None:
    """Where ``iterate`` is called, not in the first round."""
    with pytest.raises(error, match=text):
        read(scene(watch=False).socket.messages)


# --- behind operators, and other streams than the socket's


def enveloped(data: str) -> str:
    return f'{{"topic": "t", "data": "{data}"}}'


async def same(value: Any) -> Any:
    return value


SOURCES: dict[str, Callable[[Any], Any]] = {
    "an operator": lambda socket: socket.messages.pipe(ops.map(str)),
    "operators": lambda socket: socket.messages.pipe(ops.filter(bool)).pipe(ops.map(str)),
    "a method": lambda socket: socket.messages.map(str),
    "share": lambda socket: socket.messages.pipe(ops.share()),
    "passive": lambda socket: socket.messages.passive(),
    "sessions": lambda socket: socket.sessions.pipe(ops.flat_map(lambda session: session)),
    "an async mapper": lambda socket: socket.messages.pipe(concat_map_async(same)),
    "a listener": lambda socket: socket.listener("t"),
    "a channel": lambda socket: socket.channel(subscribe="s", match=bool),
    "a request": lambda socket: socket.request("?", match=bool, answers=None, timeout=None),
}


@pytest.mark.parametrize("source", SOURCES)
def test_whatever_is_read_is_lossless(clock: VirtualClock, scene: Make, source: str) -> None:
    """Reading is paused for it, too, and each value is a round of the loop."""
    sent = [enveloped(number) for number in NUMBERS]
    script = accept().wait(1.0)
    for message in sent:
        script = script.send(message).wait(0.1)
    it = scene(script, watch=False)
    it.socket.connect()
    reader = Reader(clock, SOURCES[source](it.socket), 1.0, high_water=4)
    clock.advance(0)
    seen: list[float] = []
    it.socket.messages.passive().subscribe(lambda _: seen.append(clock.time()))
    clock.advance(40)
    assert reader.got == (NUMBERS if source == "a listener" else sent)
    assert seen[-1] >= 4.0, "reading was not paused"  # the last one is sent at 2.9 s
    reader.task.cancel()


@pytest.mark.parametrize(
    ("operators", "value"),
    [([ops.take(2)], "1"), ([ops.take(3), ops.map(str.upper), ops.to_list()], ["0", "1", "2"])],
)
def test_what_is_piped_is_awaited(
    clock: VirtualClock, scene: Make, operators: list[Any], value: Any
) -> None:
    """It is the last value, of a request the last answer; without one it is RxPY's error."""
    it = scene(accept().send(*NUMBERS), watch=False)

    async def last(source: Any) -> Any:
        return await source

    assert clock.run(last(it.socket.messages.pipe(*operators))) == value
    with pytest.raises(SequenceContainsNoElementsError):
        clock.run(last(it.socket.messages.pipe(ops.take(0))))
    clock.advance(1.0)
    assert it.socket.state.value is State.IDLE


def test_behind_latest_the_body_gets_the_newest(clock: VirtualClock, scene: Make) -> None:
    """An operator that drops knows when the body is ready: nothing is paused."""
    it = feed(scene)
    got: list[Any] = []

    async def read() -> None:
        async for value in it.socket.messages.pipe(latest()):
            got.append(value)
            await asyncio.sleep(0.5)

    task = clock.create_task(read())
    clock.advance(3.0)
    assert got == ["0", "4", "9", "14", "19"]
    task.cancel()


# --- those who would rather drop


@pytest.mark.parametrize(
    ("overflow", "expected", "count"),
    [
        ("drop_oldest", ["0", "8", "9", "18", "19"], 15),
        ("drop_newest", ["0", "1", "2", "10", "11"], 15),
        ("error", ["0", "1", "2", BufferOverflow], 0),
    ],
)
def test_overflow_instead_of_a_pause(
    clock: VirtualClock, scene: Make, overflow: Any, expected: list[Any], count: int
) -> None:
    """At most ``high_water`` wait, and nobody else does; what was dropped is counted."""
    it = feed(scene)
    others: list[float] = []
    got: list[Any] = []
    drops = Drops()

    async def read() -> None:
        values = it.socket.messages.iterate(high_water=2, overflow=overflow, drops=drops)
        try:
            async for value in values:
                got.append(value)
                await asyncio.sleep(1.0 if value in ("0", "9", "2") else 0.0)
        except BufferOverflow as error:
            got.append(type(error))

    task = clock.create_task(read())
    clock.advance(0)
    it.socket.messages.subscribe(lambda _: others.append(clock.time()))
    clock.advance(10.0)
    assert others == [pytest.approx(0.1 * (number + 1)) for number in range(20)]
    assert got == expected
    assert drops.value == count
    task.cancel()


# --- who holds up the others says so


def test_a_body_that_holds_up_others_is_named(clock: VirtualClock, scene: Make) -> None:
    """After 1 s, by where it reads; once a minute; ``explain()`` says it as long as it is so."""
    it = feed(scene)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)

    async def fan_out() -> None:
        async for _ in it.socket.messages.iterate(high_water=4):
            await asyncio.sleep(5.0)

    task = clock.create_task(fan_out())
    clock.advance(0)
    it.socket.messages.subscribe(print)
    clock.advance(1.4)
    assert problems == [] and "4 messages waiting" in it.socket.explain().why
    clock.advance(0.2)
    [slow] = problems
    assert isinstance(slow, SlowConsumer)
    assert (slow.stream, slow.seconds, slow.waiting) == ("messages", 1.0, 4)
    assert "fan_out (line " in slow.observer
    clock.advance(3.0)
    explained = str(it.socket.explain()).splitlines()
    assert "reading is paused for 4.1 s: `async for` in" in explained[0]
    assert explained[0].endswith("has 4 messages waiting")
    assert "overflow='drop_oldest'" in explained[2]
    clock.advance(50.0)
    assert problems == [slow]
    clock.advance(30.0)
    assert len(problems) == 2
    task.cancel()
    clock.advance(0.1)
    assert "paused" not in it.socket.explain().why


@pytest.mark.parametrize("looks", [True, False])
def test_who_is_alone_holds_up_nobody(clock: VirtualClock, scene: Make, looks: bool) -> None:
    """That is what the pause is for; whoever only looks does not wait."""
    it = feed(scene)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    if looks:
        it.socket.events.passive(audience=False).subscribe()
    reader = Reader(clock, it.socket.messages, 5.0, high_water=4)
    clock.advance(30.0)
    assert problems == [] and "reading is paused for" in it.socket.explain().why
    it.socket.close()
    clock.advance(3.0)
    assert "paused" not in it.socket.explain().why
    reader.task.cancel()


def test_a_for_loop_says_what_to_write(scene: Make) -> None:
    """RxPY's would give Observables, for ever."""
    socket = scene(watch=False).socket
    for stream in (socket.messages, socket.state, socket.messages.pipe(ops.map(str))):
        with pytest.raises(TypeError, match="write `async for` in a coroutine; in a plain script"):
            list(stream)
