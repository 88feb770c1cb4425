"""Rates, the time between messages, and their age."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxsocket.notebook import rates
from rxsocket.notebook.rates import KEYS, seconds_of
from rxsocket.render.durations import Durations, brief
from rxsocket.render.view import TimeWindow

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
