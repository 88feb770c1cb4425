"""Rates, the time between messages, and their age."""

from __future__ import annotations

import json
from concurrent.futures import Future
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxsocket import Socket
from rxsocket.notebook import Rate, rates
from rxsocket.notebook.rates import KEYS, seconds_of
from rxsocket.recording import record, replay
from rxsocket.render.durations import Durations, brief
from rxsocket.render.view import TimeWindow
from rxsocket.testing import VirtualClock, fake, server

CANARY = "c4n4ry/z0rk+q8x5"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-6, 9e4), min_size=1, max_size=200), st.floats(0.01, 1))
def test_quantiles_are_right_to_within_an_eighth(seconds: list[float], part: float) -> None:
    """Against those of all values, sorted."""
    found = Durations()
    for one in seconds:
        found.add(one)
    quantile = found.quantile(part)
    assert quantile is not None
    wanted = sorted(seconds)[ceil(part * len(seconds)) - 1]
    assert wanted / 1.13 <= quantile <= wanted * 1.13
    assert sum(one.total for one in found.bins) == len(seconds)
    assert found.shortest <= quantile <= found.longest
    assert 1 <= len(found.sparkline()) <= 12


def test_durations_of_any_length_take_bounded_memory() -> None:
    found = Durations()
    for power in range(-30, 30):
        for digit in range(10):
            found.add(digit * 10.0**power)
    found.add(-0.5)
    assert len(found.bins) <= 111 and found.negative == 1
    assert found.quantile(0.001) == -0.5 and Durations().quantile(0.5) is None


def test_durations_in_words() -> None:
    texts = [brief(seconds) for seconds in (None, 0.0000012, 0.25, 3.456, -0.25, 12345.6)]
    assert texts == ["", "1.2 µs", "250 ms", "3.46 s", "-250 ms", "12,346 s"]


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


@pytest.mark.parametrize("value", [None, "", "soon", True, [], 5, -1, float("nan"), float("inf")])
def test_what_is_no_time(value: Any) -> None:
    assert seconds_of(value) is None


def test_a_feed_with_more_keys_than_are_told_apart() -> None:
    stream: Subject[Any] = Subject()
    counted = rates(stream, by=lambda value: value)
    for number in range(KEYS + 500):
        stream.on_next(number)
    assert len(counted.rows) == KEYS + 1
    assert counted.rows[0].key == "(others)" and counted.rows[0].count == 500
    assert "1,000 keys and others" in counted.status
    assert len(repr(counted).splitlines()) < 40 and "more" in repr(counted)


def test_wrong_use_says_what_is_right() -> None:
    """A field that is not there, no codec, a time that is none, a function that raises."""
    stream: Subject[Any] = Subject()
    counted = rates(stream, by="symbl", time="id")
    stream.on_next({"symbol": "A", "id": 5})
    assert "no value has 'symbl'; there are: symbol, id" in repr(counted)
    timed = rates(stream, time="id")
    text = rates(stream, by="symbol")
    bad = rates(stream, by=lambda value: value["symbol"])
    stream.on_next({"symbol": "A", "id": 5})
    assert "no time was found in them" in repr(timed)
    stream.on_next('{"symbol": "A"}')
    assert "failed: TypeError" in repr(bad) and bad.is_ended
    other: Subject[Any] = Subject()
    text = rates(other, by="symbol")
    other.on_next('{"symbol": "A"}')
    assert "codec='auto'" in repr(text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(([1],), r"rates\(source\)"), ((Subject(), 5), r"rates\(by\)"), ((None,), r"rates\(source\)")],
)
def test_wrong_arguments(arguments: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        rates(*arguments)


def test_it_is_a_picture() -> None:
    """Escaped, and drawn again while messages may come."""
    stream: Subject[Any] = Subject()
    counted = rates(stream, by="symbol")
    changes: list[int] = []
    counted.subscribe_changes(lambda: changes.append(1))
    stream.on_next({"symbol": "<b>"})
    drawn = counted.render(TimeWindow())
    assert "&lt;b&gt;" in drawn.html and "<b>" not in drawn.html and drawn.redraw_after == 1.0
    stream.on_completed()
    assert counted.render(TimeWindow()).redraw_after is None and len(changes) == 2
    assert "text/html" in counted._repr_mimebundle_()


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


def test_it_is_hidden_what_is_secret() -> None:
    """The server repeats the credential as a key and a name (C28)."""
    with server(tokens={CANARY}) as peer:
        socket = Socket(peer.url, auth={"token": CANARY}, codec="auto")
        by_key = rates(socket, by="symbol")
        missing = rates(socket, by="sybmol")
        socket.opened(5).result()
        came = Future[None]()
        missing.subscribe_changes(lambda: came.set_result(None) if not came.done() else None)
        peer.push(json.dumps({"symbol": CANARY, CANARY: 1}))
        came.result(5)
        socket.close().result(5)
    for one in (by_key, missing):
        assert one.count == 1
        assert CANARY not in f"{one!r}{one._repr_mimebundle_()}{one.status}"
        assert "***" in repr(one)
