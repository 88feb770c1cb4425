"""What a shard elsewhere has for its fleet: in order, gathered, and bounded (C43)."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from rxsocket.events import Closed, ConnectFailed, Verdict
from rxsocket.fleet.batches import HIGH_BYTES, HIGH_WATER, MOST, Batches
from rxsocket.fleet.orders import Live, Messages, SocketEvent
from rxsocket.fleet.portable import FromShard
from rxsocket.fleet.questions import Discarded


def values(items: list[Any]) -> list[Any]:
    return [data for item in items if isinstance(item, Messages) for _, _, data in item.messages]


def taken(batches: Batches) -> list[Any]:
    items: list[Any] = pickle.loads(batches.take())
    return items


def test_messages_and_reports_keep_their_order() -> None:
    batches = Batches(lambda _: None)
    batches.message(1, "A", "a")
    batches.put(Live(1, ("B",), 1, 0.0))
    batches.message(1, "B", "b")
    batches.message(1, "B", "c")
    assert taken(batches) == [
        Messages(((1, "A", "a"),)),
        Live(1, ("B",), 1, 0.0),
        Messages(((1, "B", "b"), (1, "B", "c"))),
    ]
    assert not batches.has_more


def test_reading_pauses_at_the_mark_and_goes_on_when_most_was_taken() -> None:
    paused: list[bool] = []
    batches = Batches(paused.append)
    for number in range(HIGH_WATER):
        batches.message(1, "A", number)
    assert paused == [True]
    got: list[Any] = []
    while batches.has_more:
        before = len(got)
        got += values(taken(batches))
        assert len(got) - before <= MOST
    assert got == [*range(HIGH_WATER)]
    assert paused == [True, False]
    assert batches.waiting == 0


def test_long_messages_count_by_their_length() -> None:
    paused: list[bool] = []
    batches = Batches(paused.append)
    long = "x" * (HIGH_BYTES // 4)
    for _ in range(4):
        batches.message(1, "A", long)
    assert paused == [True]


def test_what_is_dropped_is_counted() -> None:
    paused: list[bool] = []
    batches = Batches(paused.append, "drop")
    for number in range(HIGH_WATER + 5):
        batches.message(1, "A", number)
    batches.put(Live(1, ("A",), 1, 0.0))
    items: list[Any] = []
    while batches.has_more:
        items += taken(batches)
    assert paused == []
    assert values(items) == [*range(HIGH_WATER)]
    assert [item for item in items if isinstance(item, Discarded)] == [Discarded(5)]


async def _beat_then_message() -> tuple[bytes, bytes]:
    batches = Batches(lambda _: None)
    beat = await batches.next(0.01)
    waiting = asyncio.create_task(batches.next(10))
    await asyncio.sleep(0)
    batches.message(1, "A", "a")
    return beat, await waiting


def test_nothing_to_say_is_said_in_time() -> None:
    beat, message = asyncio.run(_beat_then_message())
    assert pickle.loads(beat) == []
    assert values(pickle.loads(message)) == ["a"]


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("no")


def test_an_error_that_cannot_be_pickled_goes_as_its_text() -> None:
    batches = Batches(lambda _: None)
    failed = ConnectFailed(epoch=1, error=Unpicklable("why"), verdict=Verdict.RECONNECT)
    batches.put(SocketEvent(1, failed))
    batches.put(SocketEvent(1, Closed(epoch=1)))
    first, second = taken(batches)
    assert isinstance(first.event.error, FromShard)
    assert str(first.event.error) == "Unpicklable: why"
    assert second == SocketEvent(1, Closed(epoch=1))


def test_a_message_that_cannot_be_pickled_holds_up_no_other() -> None:
    batches = Batches(lambda _: None)
    for data in ("a", lambda: None, "b"):
        batches.message(1, "A", data)
    assert values(taken(batches)) == ["a", "b"]


@pytest.mark.parametrize("when_full", ["pause", "drop"])
def test_one_message_at_a_time_goes_at_once(when_full: Any) -> None:
    batches = Batches(lambda _: None, when_full)
    for number in range(3):
        batches.message(1, "A", number)
        assert values(taken(batches)) == [number]
