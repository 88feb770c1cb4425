# ruff: noqa: E402
"""C56: the lines of a plot: what of them is kept and seen, and what is said of the rest."""

from __future__ import annotations

import sys
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxsocket.notebook import plot
from rxsocket.notebook.line_points import EXACT, PARTS, LinePoints, extremes, seen
from rxsocket.notebook.plots import LEFT_OUT, LINES
from rxsocket.render.chart import Chart
from rxsocket.render.chart_svg import value_scale
from rxsocket.render.view import TimeWindow
from rxsocket.testing import VirtualClock

VALUES = st.lists(
    st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9), st.integers(-3, 3).map(float)),
    max_size=200,
)


def arrays(chart: Chart) -> dict[str, tuple[list[float], list[float]]]:
    found = [(np.frombuffer(x).tolist(), np.frombuffer(y).tolist()) for x, y in chart.points]
    return dict(zip(chart.names, found, strict=True))


@given(VALUES, st.integers(1, 30))
def test_the_extremes_of_each_part_are_kept(values: list[float], parts: int) -> None:
    """Of each part the least and the greatest value, in order, both ends, and its first gap."""
    y = np.array(values)
    of = (np.arange(len(y)) * parts) // max(1, len(y))
    kept = extremes(y, of)
    assert list(kept) == sorted(set(kept))
    assert len(kept) <= 3 * parts + 2
    for part in set(of):
        every, some = y[of == part], y[kept[of[kept] == part]]
        assert np.isnan(every).any() == np.isnan(some).any()
        if not np.isnan(every).all():
            assert (np.nanmin(some), np.nanmax(some)) == (np.nanmin(every), np.nanmax(every))
    if len(y):
        assert {0, len(y) - 1} <= set(kept)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3000), st.integers(10, 100))
@settings(max_examples=30)
def test_what_is_seen_holds_the_extremes(values: list[float], columns: int) -> None:
    """Whatever the number of columns, the greatest and least value in sight are drawn."""
    x, y = np.arange(len(values), dtype=float), np.array(values)
    begin, end = len(values) * 0.25, len(values) * 0.75
    found_x, found_y = seen(x, y, columns, begin, end)
    assert (np.diff(found_x) > 0).all()
    assert len(found_x) <= max(2 * columns, 2 * (columns + 4))
    inside = (x >= begin) & (x <= end)
    if inside.any():
        assert found_y.max() >= y[inside].max()
        assert found_y.min() <= y[inside].min()


@pytest.mark.parametrize("seconds", [60.0, None])
def test_memory_is_bounded_and_no_extreme_is_lost(seconds: float | None) -> None:
    """The newest are kept as they came; of those before them, the extremes."""
    line = LinePoints(seconds)
    count = 20 * EXACT
    for number in range(count):
        at = number * 0.003
        line.add(at, at, {count // 2: 99.0, count * 9 // 10: -99.0}.get(number, number % 7))
    assert len(line) <= 3 * EXACT + 4 * PARTS
    x, y = line.points(0.0 if seconds is None else count * 0.003 - seconds)
    assert list(x[-EXACT:]) == [number * 0.003 for number in range(count - EXACT, count)]
    assert y.min() == -99.0
    assert (y.max() == 99.0) == (seconds is None)
    assert (x[1:] >= x[:-1]).all()


def test_gaps_are_bounded(clock: VirtualClock) -> None:
    """A connection that is lost all the time does not fill the memory with gaps."""
    line = LinePoints(None)
    for number in range(3 * EXACT):
        line.add_gap(number * 0.1, number * 0.1)
        line.add(number * 0.1, number * 0.1, 1.0)
    assert len(line) <= 3 * EXACT + 6 * PARTS
    assert np.isnan(line.points()[1]).any()


def test_a_line_for_each_symbol() -> None:
    """Each has its own values; those without the field, or without a number, have no line."""
    stream: Subject[Any] = Subject()
    picture = plot(stream, x="id", y="price", by="symbol", window=None)
    for number in range(6):
        stream.on_next({"id": number, "symbol": "AB"[number % 2], "price": number * 10})
    stream.on_next({"type": "heartbeat", "id": 7})
    found = arrays(picture.chart(TimeWindow()))
    assert found == {"A": ([0, 2, 4], [0, 20, 40]), "B": ([1, 3, 5], [10, 30, 50])}
    assert [line.get_label() for line in picture.figure.axes[0].lines] == ["A", "B"]
    svg = picture.svg()
    assert ">A</text>" in svg and ">B</text>" in svg
    assert "6 of 7 values" in repr(picture)
    assert not picture.chart(TimeWindow()).is_time


def test_lines_that_are_left_out_are_said() -> None:
    """There are at most 12 lines, and what more there is takes no memory."""
    stream: Subject[Any] = Subject()
    picture = plot(stream, y="price", by="symbol")
    for number in range(LINES + 3):
        stream.on_next({"symbol": f"S{number}", "price": 1})
    assert "of symbol the first 12, without 3 others" in repr(picture)
    assert "without 3 others" in picture.svg()
    for number in range(LEFT_OUT + 50):
        stream.on_next({"symbol": f"T{number}", "price": 1})
    assert "without 1,000 or more others" in repr(picture)
    assert len(picture.chart(TimeWindow()).names) == LINES


def test_several_values_of_each() -> None:
    stream: Subject[Any] = Subject()
    picture = plot(stream, x="n", y=["bid", "ask"], by="symbol", window=None)
    stream.on_next({"n": 1, "symbol": "A", "bid": 1, "ask": 2})
    stream.on_next({"n": 2, "symbol": "A", "bid": 3})
    assert arrays(picture.chart(TimeWindow())) == {"A bid": ([1, 2], [1, 3]), "A ask": ([1], [2])}


def test_a_field_that_is_not_there_to_tell_lines_apart() -> None:
    stream: Subject[Any] = Subject()
    picture = plot(stream, y="price", by="symbl")
    stream.on_next({"symbol": "A", "price": 1})
    assert "no value has 'symbl'; there are: symbol, price" in repr(picture)
    stream.on_next({"symbl": "A", "price": 1})
    assert "there are" not in repr(picture)


@pytest.mark.parametrize(
    "times",
    [[1_796_006_000_000, 1_796_006_001_000], ["2026-11-30T02:33:20Z", "2026-11-30T02:33:21Z"]],
)
def test_an_axis_of_the_messages_own_time(times: list[Any]) -> None:
    """A field that counts from 1970, or is RFC 3339, is an axis of time."""
    stream: Subject[Any] = Subject()
    picture = plot(stream, x="ts", y="price")
    for number, at in enumerate(times):
        stream.on_next({"ts": at, "price": number})
    chart = picture.chart(TimeWindow())
    assert chart.is_time
    assert (chart.begin, chart.end) == (1_796_006_000.0, 1_796_006_001.0)


def test_a_part_that_is_looked_at_has_all_its_points(clock: VirtualClock) -> None:
    """Closer, there is more to be seen: points that were reduced are there."""
    stream: Subject[Any] = Subject()
    picture = plot(stream, window=60)

    def say(number: int) -> None:
        stream.on_next(number % 10)

    for number in range(3000):
        clock.call_later(number * 0.01, say, number)
    clock.advance(30)
    now = clock.wall_time()
    ((x, _),) = arrays(picture.chart(TimeWindow(width=200))).values()
    assert len(x) < 1000
    ((x, _),) = arrays(picture.chart(TimeWindow(last=2, until=now - 10, width=200))).values()
    assert 200 <= len([at for at in x if now - 12 <= at <= now - 10]) <= 201
    picture.dispose()


def test_an_empty_plot_says_since_when_it_waits(clock: VirtualClock) -> None:
    """It is no empty picture, live and saved."""
    picture = plot(Subject(), y="price")
    assert "nothing yet, since" in picture.svg()
    assert "nothing yet, since" in repr(picture)
    assert "nothing yet, since" in picture.render(TimeWindow()).html


def test_a_value_that_is_no_number_is_left_out() -> None:
    """Infinite ones and NaN, too: a line is broken by an outage alone."""
    stream: Subject[Any] = Subject()
    picture = plot(stream, x="n", y="v", window=None)
    for number, value in enumerate(
        [1, None, "x", float("nan"), float("inf"), True, "2.5", b"3", [4]]
    ):
        stream.on_next({"n": number, "v": value})
    assert arrays(picture.chart(TimeWindow())) == {"v": ([0, 5, 6], [1, 1, 2.5])}


@given(st.floats(-1e12, 1e12), st.floats(0, 1e9))
def test_an_axis_in_round_numbers(low: float, more: float) -> None:
    """It holds all values, and has a few ticks."""
    begin, end, step = value_scale(low, low + more)
    assert begin <= low + step * 1e-6 and end >= low + more - step * 1e-6
    assert 1 <= round((end - begin) / step) <= 12


def test_what_a_function_raises_ends_it() -> None:
    stream: Subject[Any] = Subject()
    picture = plot(stream, y="price", by=lambda value: value["symbol"])
    stream.on_next({"price": 1})
    assert "failed: KeyError" in repr(picture)
    assert not stream.observers


@pytest.mark.parametrize("wrong", [{"by": 5}, {"y": ["a"] * (LINES + 1)}])
def test_wrong_arguments(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"plot\((by|y)\)"):
        plot(Subject(), **wrong)


def test_it_is_imported_when_it_is_used() -> None:
    """Importing the room costs no NumPy."""
    import subprocess

    code = "import sys, rxsocket.notebook; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
