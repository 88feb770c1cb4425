"""C53: ``rates()`` in virtual time: numbers, rates, the time between messages, their age."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from reactivex.subject import Subject

from rxsocket import Socket
from rxsocket.notebook import Rate, rates
from rxsocket.recording import record, replay
from rxsocket.testing import VirtualClock, fake


def test_by_key(clock: VirtualClock) -> None:
    """Number, rate, newest rate, and the time from each to the next of the same key."""
    stream: Subject[Any] = Subject()
    counted = rates(stream, by="data.symbol")
    for number in range(100):
        clock.advance(0.5)
        stream.on_next({"data": {"symbol": "A"}})
        if number % 10 == 0:
            stream.on_next({"data": {"symbol": "B"}})
    first, second = counted.rows
    assert (first.key, first.count, second.key, second.count) == ("A", 100, "B", 10)
    assert first.rate == pytest.approx(2.0) and second.rate == pytest.approx(0.2)
    assert first.recent == pytest.approx(2.0, rel=0.15)
    assert first.between.count == 99
    assert first.between.quantile(0.5) == pytest.approx(0.5)
    assert second.between.quantile(0.99) == pytest.approx(5.0)
    clock.advance(60)
    assert counted.rows[0].recent == 0 and counted.rows[0].rate == pytest.approx(2.0)
    counted.dispose()
    assert not stream.observers and counted.is_ended


@pytest.mark.parametrize(
    "own",
    [
        lambda at: at,
        lambda at: int(at * 1000),
        lambda at: str(int(at * 1e6)),
        lambda at: int(at * 1e9),
        lambda at: datetime.fromtimestamp(at, UTC).isoformat(),
        lambda at: datetime.fromtimestamp(at, UTC),
    ],
)
def test_the_age_of_messages(clock: VirtualClock, own: Any) -> None:
    """Now minus their own time, whatever that counts."""
    stream: Subject[Any] = Subject()
    counted = rates(stream, time="ts")
    for _ in range(10):
        clock.advance(1)
        stream.on_next({"ts": own(clock.wall_time() - 0.25)})
    stream.on_next({"ts": None})
    (one,) = counted.rows
    assert one.key == "all" and one.age.count == 10
    assert one.age.quantile(0.5) == pytest.approx(0.25, rel=0.01)
    assert "age: median" in repr(counted)


def test_of_a_recording(clock: VirtualClock, tmp_path: Path) -> None:
    """With the times that were recorded."""
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    recorder = record(socket, tmp_path / "session.jsonl")
    live = rates(socket.messages)
    for _ in range(5):
        clock.advance(2)
        feed.push('{"symbol": "A"}')
    clock.advance(1)
    recorder.dispose()
    live.dispose()
    (one,) = rates(replay(recorder.path), by="symbol").rows
    assert isinstance(one, Rate) and (one.key, one.count) == ("A", 5)
    assert one.rate == pytest.approx(live.rows[0].rate) == pytest.approx(0.5)
