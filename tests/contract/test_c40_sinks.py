"""C40: each message is stored once, or it is said what became of it; in virtual time."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import Subject
from scene import Make
from scripted_sink import ScriptedSink, lose_the_answer, refuse, store

from rxsocket import Backoff, BufferOverflow, Socket, State
from rxsocket.operators import Drops, latest
from rxsocket.sinks import (
    Dropped,
    Duplicate,
    Failed,
    Outcome,
    Record,
    SinkUnavailable,
    Stored,
    into,
)
from rxsocket.testing import VirtualClock, accept, fake


class Longest(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


BACKOFF = Backoff(first=1.0, base=1.0, cap=4.0, random=Longest())
"""1, 2, 4, 4, ... seconds."""


class Told:
    """What an observer of a stream is told, and when."""

    def __init__(self, clock: VirtualClock, stream: Observable[Any]) -> None:
        self.receipts: list[Any] = []
        self.at: list[float] = []
        self.error: Exception | None = None
        self.ended_at: float | None = None
        self._clock = clock
        self.subscription = stream.subscribe(self._on_next, self._end, self._end)

    def _on_next(self, receipt: Any) -> None:
        self.receipts.append(receipt)
        self.at.append(self._clock.time())

    def _end(self, error: Exception | None = None) -> None:
        self.error, self.ended_at = error, self._clock.time()

    @property
    def story(self) -> list[tuple[float, str, str]]:
        """When, what and which."""
        return [
            (at, type(one).__name__, getattr(one, "id", str(getattr(one, "count", ""))))
            for at, one in zip(self.at, self.receipts, strict=True)
        ]

    @property
    def kinds(self) -> list[str]:
        return [type(one).__name__ for one in self.receipts]


def storing(sink: Any, **options: Any) -> Callable[[Observable[Any]], Observable[Any]]:
    return into(sink, **{"id": str, "backoff": BACKOFF, **options})


def test_each_message_has_a_receipt(clock: VirtualClock) -> None:
    """In their order, with id, key and entry; the sink is opened first and closed in the end."""
    sink = ScriptedSink(seconds=0.5)
    stream = reactivex.of("a", "b").pipe(storing(sink, key=str.upper))
    told = Told(clock, stream)
    clock.advance(1)
    assert told.receipts == [Stored("a", "A", 0), Stored("b", "B", 1)]
    assert (sink.stored, sink.opened, sink.closed) == ([("a", b"a"), ("b", b"b")], 1, 1)
    assert (told.at, told.error, told.ended_at) == ([0.5, 0.5], None, 0.5)


def test_it_is_opened_before_any_message_comes(clock: VirtualClock) -> None:
    sink = ScriptedSink()
    told = Told(clock, reactivex.never().pipe(storing(sink)))
    clock.advance(1)
    assert (sink.opened, sink.calls, sink.closed) == (1, [], 0)
    told.subscription.dispose()
    clock.advance(1)
    assert (sink.closed, told.ended_at) == (1, None)


def test_a_sink_that_cannot_be_opened(clock: VirtualClock) -> None:
    """That is the error; what came is failed, each with it; the sink is closed first."""
    sink = ScriptedSink()
    wrong = SinkUnavailable("no stream")

    async def open_slowly(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
        await asyncio.sleep(2)
        raise wrong

    sink.opening = open_slowly
    source: Subject[str] = Subject()
    told = Told(clock, source.pipe(storing(sink)))
    source.on_next("a")
    clock.advance(1)
    source.on_next("b")
    assert told.receipts == []
    clock.advance(5)
    assert told.story == [(2, "Failed", "a"), (2, "Failed", "b")]
    assert told.receipts[0].error is told.error is wrong
    assert (sink.closed, source.observers) == (1, [])


def test_a_sink_that_hangs_as_it_is_opened(clock: VirtualClock) -> None:
    sink = ScriptedSink()
    sink.opening = lambda sink, records: asyncio.sleep(1e6)
    told = Told(clock, reactivex.never().pipe(storing(sink)))
    clock.advance(31)
    assert isinstance(told.error, TimeoutError) and told.ended_at == 30


def test_calls_are_bounded_and_overlap(clock: VirtualClock) -> None:
    """A call takes what waits; the next one begins when there is a whole batch for it."""
    sink = ScriptedSink(seconds=1.0)
    source: Subject[int] = Subject()
    told = Told(clock, source.pipe(storing(sink, in_flight=6, batch=3)))
    source.on_next(0)
    clock.advance(0.1)
    for number in range(1, 12):
        source.on_next(number)
    clock.advance(0)
    assert sink.calls == [["0"], ["1", "2", "3"], ["4", "5"]]
    clock.advance(10)
    assert [id for call in sink.calls for id in call] == [str(number) for number in range(12)]
    assert (sink.most, told.kinds) == (6, ["Stored"] * 12)
    told.subscription.dispose()


def test_a_lost_answer_is_a_duplicate(clock: VirtualClock) -> None:
    """The broker knows the ids again; without ids it stores twice, and nobody says otherwise."""
    sink = ScriptedSink(lose_the_answer)
    told = Told(clock, reactivex.of("a", "b").pipe(storing(sink)))
    clock.advance(5)
    assert told.receipts == [Duplicate("a", "", 0), Duplicate("b", "", 1)]
    assert sink.stored == [("a", b"a"), ("b", b"b")]
    without = ScriptedSink(lose_the_answer)
    Told(clock, reactivex.of("a").pipe(storing(without, id=None)))
    clock.advance(5)
    assert without.stored == [("", b"a"), ("", b"a")]


def away(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
    raise ConnectionError("away")


def test_a_broker_that_is_away(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """One call at a time after a backoff, the oldest first; then everything, in its order."""
    caplog.set_level(logging.INFO, "rxsocket")
    sink = ScriptedSink(away, away, away)
    source: Subject[str] = Subject()
    told = Told(clock, source.pipe(storing(sink, batch=1)))
    clock.advance(0)
    source.on_next("a")
    clock.advance(0)
    for id in "bc":
        source.on_next(id)
    clock.advance(60)
    assert sink.calls == [["a"], ["a"], ["a"], ["a"], ["b"], ["c"]]
    assert told.story == [(7, "Stored", "a"), (7, "Stored", "b"), (7, "Stored", "c")]
    first, last = [record.getMessage() for record in caplog.records]
    assert "does not store: ConnectionError: away; trying again, each record for 60 s" in first
    assert "stores again, after 3 attempts that failed" in last
    told.subscription.dispose()


def test_what_is_under_way_together_is_tried_in_order(clock: VirtualClock) -> None:
    sink = ScriptedSink(away, away, away, seconds=0.1)
    told = Told(clock, reactivex.from_iterable("abcde").pipe(storing(sink, batch=2)))
    clock.advance(30)
    assert ["".join(call) for call in sink.calls] == ["ab", "cd", "ab", "ab", "cd", "e"]
    assert [id for id, _ in sink.stored] == list("abcde")
    assert told.kinds == ["Stored"] * 5 and told.ended_at is not None


def test_retry_for_bounds_it(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """Then they are failed, with the last error and the data, and the stream goes on."""
    sink = ScriptedSink(*[away] * 6)
    source: Subject[str] = Subject()
    told = Told(clock, source.pipe(storing(sink, retry_for=10.0)))
    clock.advance(0)
    for id in "ab":
        source.on_next(id)
    clock.advance(10)
    assert told.story == [(10, "Failed", "a"), (10, "Failed", "b")]
    failed = told.receipts[0]
    assert (str(failed.error), failed.data, failed.temporary) == ("away", b"a", True)
    source.on_next("c")
    clock.advance(20)
    assert told.kinds[2:] == ["Stored"]
    assert sum("gave up" in record.getMessage() for record in caplog.records) == 1
    told.subscription.dispose()


def test_what_is_refused_is_not_tried_again(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is failed at once; what came with it and after it goes on."""

    def refuse_b(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
        return [(refuse if one.id == "b" else store)(sink, [one])[0] for one in records]

    sink = ScriptedSink(refuse_b)
    told = Told(clock, reactivex.from_iterable("abc").pipe(storing(sink)))
    clock.advance(0)
    assert told.kinds == ["Stored", "Failed", "Stored"] and len(sink.calls) == 1
    assert (told.receipts[1].data, told.receipts[1].temporary) == (b"b", False)
    assert "refused a record" in caplog.text


def test_a_part_of_a_call_is_tried_again(clock: VirtualClock) -> None:
    def half(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
        error = OSError("no space")
        return [
            Failed(one.id, one.key, error, one.data, temporary=True)
            if one.id == "b"
            else sink.store_one(one)
            for one in records
        ]

    sink = ScriptedSink(half, half)
    told = Told(clock, reactivex.from_iterable("abc").pipe(storing(sink)))
    clock.advance(10)
    assert sink.calls == [["a", "b", "c"], ["b"], ["b"]]
    assert told.story == [(0, "Stored", "a"), (0, "Stored", "c"), (3, "Stored", "b")]


def test_an_outage_is_said_once(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """However many records are given up in it."""
    sink = ScriptedSink(away, away, away)
    source: Subject[str] = Subject()
    told = Told(clock, source.pipe(storing(sink, retry_for=0.0)))
    clock.advance(0)
    for id in "abc":
        source.on_next(id)
        clock.advance(20)
    assert told.kinds == ["Failed"] * 3
    said = [record.getMessage() for record in caplog.records]
    assert [("does not store" in text, "gave up" in text) for text in said] == [
        (False, True),
        (True, False),
    ]
    told.subscription.dispose()
    clock.advance(0)


def test_a_call_is_bounded_in_bytes(clock: VirtualClock) -> None:
    """1 MiB and one record; a record that is larger goes alone."""
    sink = ScriptedSink(seconds=1.0)
    sizes = [400_000] * 5 + [3_000_000, 1]
    messages = reactivex.from_iterable([(n, "x" * size) for n, size in enumerate(sizes)])
    told = Told(
        clock,
        messages.pipe(
            into(sink, id=lambda pair: pair[0], encode=lambda pair: pair[1].encode(), batch=7)
        ),
    )
    clock.advance(10)
    assert sink.calls == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert told.kinds == ["Stored"] * 7


def test_a_call_that_hangs(clock: VirtualClock) -> None:
    """After 30 s it is cancelled, and tried again."""
    sink = ScriptedSink(lambda sink, records: asyncio.sleep(1e6))
    told = Told(clock, reactivex.of("a").pipe(storing(sink)))
    clock.advance(40)
    assert told.story == [(31, "Stored", "a")]


async def deaf(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
    """It cannot be cancelled."""
    while not sink.released.is_set():
        with suppress(asyncio.CancelledError):
            await sink.released.wait()
    return []


def test_a_call_that_cannot_be_cancelled(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left behind: its records are tried again, and fail when their time is over."""
    sink = ScriptedSink(deaf, store, deaf, deaf)
    options: dict[str, Any] = {"timeout": 5.0, "retry_for": 10.0, "batch": 1, "in_flight": 1}
    told = Told(clock, reactivex.of("a", "b", "c").pipe(storing(sink, **options)))
    clock.advance(60)
    assert told.story == [(8, "Stored", "a"), (23, "Failed", "b"), (25, "Stored", "c")]
    failed = told.receipts[1]
    assert isinstance(failed, Failed) and str(failed.error) == "publish not within 5 s"
    assert told.ended_at == 25 and sink.closed == 1
    assert "publish goes on, though it was cancelled; nobody waits for it any more" in caplog.text
    sink.released.set()
    clock.advance(0)


def test_a_sink_that_cannot_be_cancelled_as_it_is_opened(clock: VirtualClock) -> None:
    """What came is failed, and another subscription may have the sink."""
    sink = ScriptedSink()
    sink.opening = deaf
    told = Told(clock, reactivex.of("a").pipe(storing(sink, timeout=5.0)))
    clock.advance(10)
    assert told.story == [(7, "Failed", "a")] and str(told.error) == "opening it not within 5 s"
    disposed = Told(clock, reactivex.never().pipe(storing(sink)))
    clock.advance(1)
    disposed.subscription.dispose()
    clock.advance(5)
    sink.opening = store
    told = Told(clock, reactivex.of("a").pipe(storing(sink)))
    clock.advance(1)
    assert told.kinds == ["Stored"]
    sink.released.set()
    clock.advance(0)


def test_what_is_given_in_spite_of_a_cancellation_counts(clock: VirtualClock) -> None:
    async def late(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(1e6)
        return store(sink, records)

    sink = ScriptedSink(late)
    told = Told(clock, reactivex.of("a").pipe(storing(sink, timeout=5.0)))
    clock.advance(10)
    assert told.story == [(5, "Stored", "a")]


@pytest.mark.parametrize("answer", [[], [Stored("a", "", 1)] * 2, None, [None], "a", 7])
def test_a_sink_that_answers_wrongly(clock: VirtualClock, answer: Any) -> None:
    """What it did with them is anybody's guess: they are failed, and not tried again."""
    sink = ScriptedSink(lambda sink, records: answer)
    told = Told(clock, reactivex.of("a").pipe(storing(sink)))
    clock.advance(5)
    [failed] = told.receipts
    assert isinstance(failed, Failed) and "return a Stored, Duplicate or Failed" in str(
        failed.error
    )
    assert len(sink.calls) == 1


def test_what_functions_raise(clock: VirtualClock) -> None:
    """A function of the user's fails one message (C23)."""

    def key(message: str) -> str:
        return {"a": "key"}[message]

    def exit_at(message: str) -> str:
        raise SystemExit

    sink = ScriptedSink()
    told = Told(clock, reactivex.from_iterable("ba").pipe(storing(sink, key=key)))
    clock.advance(0)
    assert told.kinds == ["Failed", "Stored"] and isinstance(told.receipts[0].error, KeyError)
    for options, text in (
        ({"encode": lambda message: "text"}, "encode: return bytes, not str"),
        ({"key": lambda message: 7}, "key: return a string, not int"),
        ({"id": lambda message: None}, "id: return a string or an integer, not NoneType"),
        ({"id": lambda message: ""}, "id: returned ''"),
    ):
        told = Told(clock, reactivex.of("a").pipe(storing(sink, **options)))
        clock.advance(0)
        assert text in str(told.receipts[0].error)


def test_how_messages_become_bytes(clock: VirtualClock) -> None:
    sink = ScriptedSink()
    values = ["ä", b"\x00", {"b": 1}]
    Told(clock, reactivex.from_iterable(values).pipe(into(sink, id=lambda _: 7)))
    clock.advance(0)
    assert sink.stored == [("7", "ä".encode())]
    sink = ScriptedSink()
    Told(clock, reactivex.from_iterable(values).pipe(into(sink)))
    clock.advance(0)
    assert sink.stored == [("", "ä".encode()), ("", b"\x00"), ("", b'{"b":1}')]


# --- too many


def numbers(count: int) -> Any:
    script = accept()
    for number in range(count):
        script = script.wait(0.1).send(str(number))
    return script


def test_a_socket_is_paused(clock: VirtualClock, scene: Make) -> None:
    """At the mark, as by an ``async for``, also behind operators; nothing is lost (C27)."""
    it = scene(numbers(40), watch=False)
    sink = ScriptedSink(*[away] * 3, seconds=1.0)
    seen: list[str] = []
    stream = it.socket.messages.pipe(
        ops.map(str), ops.filter(bool), storing(sink, in_flight=2, high_water=4)
    )
    told = Told(clock, stream)
    it.socket.messages.subscribe(seen.append)
    clock.advance(3)
    assert len(seen) == 6  # two are under way, four wait
    assert "into() in " in it.socket.explain().why and "4 messages" in it.socket.explain().why
    clock.advance(60)
    assert [id for id, _ in sink.stored] == [str(number) for number in range(40)] == seen
    assert told.kinds == ["Stored"] * 40
    told.subscription.dispose()
    clock.advance(0)


def test_reading_goes_on_at_the_low_mark(clock: VirtualClock, scene: Make) -> None:
    """When a quarter of the messages waits."""
    it = scene(numbers(20), watch=False)
    sink = ScriptedSink(seconds=1.0)
    seen: list[str] = []
    told = Told(clock, it.socket.messages.pipe(storing(sink, in_flight=1, high_water=4)))
    it.socket.messages.subscribe(seen.append)
    counts: list[int] = []
    for _ in range(4):
        counts.append(len(seen))
        clock.advance(1.0)
    assert counts[:1] + counts[2:] == [0, 5, 5] and len(seen) > 6
    told.subscription.dispose()
    clock.advance(0)


def test_each_of_several_sockets_is_paused(clock: VirtualClock) -> None:
    feeds = [fake(numbers(30)), fake(numbers(30))]
    sockets = [Socket(feed.url, transport=feed, name=None) for feed in feeds]
    sink = ScriptedSink(seconds=1.0)
    merged = reactivex.merge(*(socket.messages for socket in sockets))
    told = Told(clock, merged.pipe(into(sink, in_flight=1, high_water=4)))
    clock.advance(4)
    assert all("paused" in socket.explain().why for socket in sockets)
    clock.advance(60)
    assert told.kinds == ["Stored"] * 60
    told.subscription.dispose()
    clock.advance(0)
    assert all(socket.state.value is not State.OPEN for socket in sockets)


def test_disposing_lets_the_others_go_on(clock: VirtualClock, scene: Make) -> None:
    it = scene(numbers(20), watch=False)
    sink = ScriptedSink(seconds=1e6)
    seen: list[str] = []
    told = Told(clock, it.socket.messages.pipe(storing(sink, in_flight=1, high_water=2)))
    it.socket.messages.subscribe(seen.append)
    clock.advance(10)
    assert len(seen) == 3
    told.subscription.dispose()
    clock.advance(0)
    assert len(seen) == 20 and sink.closed == 1


@pytest.mark.parametrize(
    ("overflow", "stored"),
    [("pause", "0123"), ("drop_newest", "0123"), ("drop_oldest", "0789"), ("error", "0123")],
)
def test_what_cannot_be_paused_is_dropped(clock: VirtualClock, overflow: Any, stored: str) -> None:
    """By the policy, counted in a receipt, and by ``drops``."""
    sink = ScriptedSink(seconds=1.0)
    source: Subject[int] = Subject()
    drops = Drops()
    options = {"in_flight": 1, "high_water": 3, "overflow": overflow, "drops": drops}
    told = Told(clock, source.pipe(storing(sink, **options)))
    clock.advance(0)
    source.on_next(0)
    clock.advance(0)
    for number in range(1, 10):
        source.on_next(number)
    source.on_completed()
    clock.advance(20)
    assert "".join(id for id, _ in sink.stored) == stored
    dropped = sum(one.count for one in told.receipts if isinstance(one, Dropped))
    if overflow == "error":
        assert isinstance(told.error, BufferOverflow) and dropped == 1
    else:
        assert (told.error, dropped, drops.value) == (None, 6, 6)


def test_an_operator_in_front_says_what_waits(clock: VirtualClock) -> None:
    sink = ScriptedSink(seconds=1.0)
    source: Subject[int] = Subject()
    told = Told(clock, source.pipe(latest(), storing(sink, in_flight=1)))
    clock.advance(0)
    for number in range(5):
        source.on_next(number)
        clock.advance(0)
    clock.advance(5)
    assert [id for id, _ in sink.stored] == ["0", "4"]
    with pytest.raises(ValueError, match="overflow: the operator in front says what waits"):
        source.pipe(latest(), into(sink, overflow="drop_oldest"))
    told.subscription.dispose()


# --- its end


def test_what_is_under_way_is_settled_before_the_end(clock: VirtualClock) -> None:
    sink = ScriptedSink(away, seconds=1.0)
    failing = reactivex.of("a").pipe(ops.concat(reactivex.throw(LookupError("no"))))
    told = Told(clock, failing.pipe(storing(sink)))
    clock.advance(10)
    assert told.story == [(3, "Stored", "a")]
    assert isinstance(told.error, LookupError) and (told.ended_at, sink.closed) == (3, 1)


def test_disposing_cancels_and_closes(clock: VirtualClock) -> None:
    """Once, and nothing is told afterwards; the next subscription may have the sink."""
    sink = ScriptedSink(seconds=5.0)
    source: Subject[str] = Subject()
    stream = source.pipe(storing(sink))
    told = Told(clock, stream)
    clock.advance(0)
    source.on_next("a")
    clock.advance(1)
    told.subscription.dispose()
    told.subscription.dispose()
    again = Told(clock, stream)
    clock.advance(10)
    assert (sink.stored, told.receipts, sink.closed, sink.opened) == ([], [], 1, 2)
    again.subscription.dispose()
    clock.advance(0)
    assert (sink.closed, source.observers) == (2, [])


@pytest.mark.parametrize("turn", [None, 0.1])
def test_the_next_subscription_waits_until_it_is_closed(
    clock: VirtualClock, turn: float | None
) -> None:
    """It may be made at once; what comes meanwhile waits."""
    sink = ScriptedSink()
    sink.closing = lambda: asyncio.sleep(1.5)
    source: Subject[str] = Subject()
    first, second, third = (source.pipe(storing(sink)) for _ in range(3))
    told = Told(clock, first)
    clock.advance(0)
    told.subscription.dispose()
    given_up = Told(clock, second)
    if turn is not None:
        clock.advance(turn)
    given_up.subscription.dispose()  # before it had the sink
    if turn is not None:
        clock.advance(turn)
    told = Told(clock, third)
    source.on_next("a")
    clock.advance(1)
    assert (sink.opened, told.kinds) == (1, [])
    clock.advance(9)
    assert (told.kinds, sink.opened, sink.closed) == (["Stored"], 2, 1)
    told.subscription.dispose()
    clock.advance(5)
    assert sink.closed == 2


def test_a_failed_opening_leaves_the_source_first(clock: VirtualClock) -> None:
    """Nobody listens while the sink is being closed, so nothing that comes then is lost."""
    sink = ScriptedSink()
    sink.opening, sink.closing = away, lambda: asyncio.sleep(1)
    source: Subject[str] = Subject()
    told = Told(clock, source.pipe(storing(sink)))
    clock.advance(0.5)
    assert (source.observers, told.ended_at) == ([], None)
    clock.advance(1)
    assert told.ended_at == 1 and isinstance(told.error, ConnectionError)


def test_a_loop_that_was_closed(clock: VirtualClock) -> None:
    """With a subscription under way: the sink is nobody's then."""
    loop = asyncio.new_event_loop()
    other = ScriptedSink()

    async def begin() -> None:
        reactivex.never().pipe(into(other)).subscribe()
        await asyncio.sleep(0)

    loop.set_exception_handler(lambda loop, context: None)  # a task was destroyed, it says
    clock.advance(1)
    thread = threading.Thread(target=lambda: (loop.run_until_complete(begin()), loop.close()))
    thread.start()
    thread.join()
    gc.collect()
    told = Told(clock, reactivex.of("a").pipe(storing(other)))
    clock.advance(1)
    assert told.kinds == ["Stored"]


def test_disposing_in_a_receipt(clock: VirtualClock) -> None:
    sink = ScriptedSink()
    told = Told(clock, reactivex.from_iterable("abc").pipe(storing(sink), ops.take(1)))
    clock.advance(1)
    assert (told.kinds, told.ended_at, sink.closed) == (["Stored"], 0, 1)


def test_a_sink_has_one_owner(clock: VirtualClock) -> None:
    """A second subscription would store everything twice."""
    sink = ScriptedSink()
    told = Told(clock, reactivex.never().pipe(storing(sink)))
    second = Told(clock, reactivex.of("a").pipe(storing(sink)))
    assert isinstance(second.error, RuntimeError) and "share()" in str(second.error)
    clock.advance(1)
    assert (sink.opened, sink.calls) == (1, [])
    told.subscription.dispose()
    clock.advance(0)


def test_a_sink_that_does_not_close(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """The end waits 2 s for it, and no longer (C26); what it raises is in the log."""
    hanging, raising = ScriptedSink(), ScriptedSink()
    hanging.closing = lambda: asyncio.sleep(1e6)

    async def fail() -> None:
        raise OSError("still busy")

    raising.closing = fail
    told = [Told(clock, reactivex.of("a").pipe(storing(sink))) for sink in (hanging, raising)]
    clock.advance(5)
    assert [one.ended_at for one in told] == [2, 0]
    assert "was not closed: TimeoutError: close not within 2 s" in caplog.text
    assert "was not closed: OSError: still busy" in caplog.text


def test_an_observer_that_raises(clock: VirtualClock, scene: Make) -> None:
    """It is detached and reported on the socket's errors (C23); the sink is closed."""
    it = scene(accept().send("a", "b"), watch=False)
    sink, problems = ScriptedSink(), []

    def bad_observer(receipt: object) -> None:
        raise LookupError("no")

    it.socket.errors.subscribe(problems.append)
    it.socket.messages.pipe(storing(sink)).subscribe(bad_observer)
    clock.advance(1)
    [problem] = problems
    assert "bad_observer" in problem.observer and sink.closed == 1


def test_no_text_shows_the_data(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """Data of a record may be a secret (C28)."""
    caplog.set_level(logging.DEBUG)
    canary = "c4n4ry-z0rk"
    sink = ScriptedSink(*[away] * 9, refuse)
    told = Told(clock, reactivex.of(canary).pipe(storing(sink, id=None, retry_for=5.0)))
    clock.advance(20)
    shown = f"{told.receipts!r} {Record('', '', canary.encode())!r} {caplog.text}"
    assert told.kinds == ["Failed"] and canary not in shown


def _warned(caplog: pytest.LogCaptureFixture, what: str) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    return [text for text in messages if "the loop for" in text and what in text]


def test_a_sink_that_blocks_is_told(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    def slow(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
        clock.block(0.3)
        return store(sink, records)

    sink, source = ScriptedSink(slow, slow, slow), Subject[str]()
    told = Told(clock, source.pipe(storing(sink, batch=1)))
    clock.advance(1)
    for message in ("a", "b", "c"):
        source.on_next(message)
        clock.advance(1)
        assert len(_warned(caplog, "publish held the loop for 0.3 s")) == (message != "a")
    assert told.kinds == ["Stored"] * 3
    (text,) = _warned(caplog, "publish")
    assert "asyncio.to_thread" in text
    told.subscription.dispose()


@pytest.mark.parametrize("function", ["key", "id", "encode"])
def test_a_function_that_blocks_is_told(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    def slow(message: Any) -> Any:
        clock.block(2)
        return message.encode() if function == "encode" else message

    source = Subject[str]()
    told = Told(clock, source.pipe(storing(ScriptedSink(), **{function: slow})))
    clock.advance(1)
    source.on_next("a")
    clock.advance(1)
    assert told.kinds == ["Stored"]
    assert len(_warned(caplog, "key, id or encode held the loop for 2 s")) == 1
    told.subscription.dispose()


def test_waiting_is_not_blocking(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    source = Subject[str]()
    told = Told(clock, source.pipe(storing(ScriptedSink(seconds=5), batch=1)))
    for message in ("a", "b", "c"):
        source.on_next(message)
        clock.advance(20)
    assert told.kinds == ["Stored"] * 3
    assert _warned(caplog, "") == []
    told.subscription.dispose()
