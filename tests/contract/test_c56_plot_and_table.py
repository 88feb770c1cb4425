"""C56: a line for each value, what is left out, rows by key, and what an empty picture says."""

from __future__ import annotations

from typing import Any

import pytest
from extras import needs
from reactivex.subject import Subject

from rxsocket.notebook import frame, plot
from rxsocket.testing import VirtualClock

pytestmark = needs("numpy", "matplotlib", "pandas")


def lines(picture: Any) -> dict[str, list[float]]:
    """The values of each line of a plot."""
    return {line.get_label(): list(line.get_ydata()) for line in picture.figure.axes[0].lines}


def test_a_line_for_each_symbol() -> None:
    """And no more than 12, of any number."""
    stream: Subject[Any] = Subject()
    picture = plot(stream, y="price", by="symbol")
    for number in range(6):
        stream.on_next({"symbol": "AB"[number % 2], "price": number})
    assert lines(picture) == {"A": [0, 2, 4], "B": [1, 3, 5]}
    for number in range(1000):
        stream.on_next({"symbol": f"S{number}", "price": 1})
    assert "16 of 1,006 values; of symbol the first 12, without 990 others" in repr(picture)
    assert "without 990 others" in picture.svg()


def test_only_the_window_is_seen(clock: VirtualClock) -> None:
    """What was stays, once the stream has ended."""
    stream: Subject[Any] = Subject()
    picture = plot(stream, window=10)
    for number in range(30):
        clock.call_later(float(number), stream.on_next, number)
    clock.advance(30)
    assert lines(picture) == {"value": [*range(20, 30)]}
    stream.on_completed()
    clock.advance(60)
    assert lines(picture) == {"value": [*range(20, 30)]}
    assert "; ended" in repr(picture)


def test_the_latest_row_of_each_key() -> None:
    """In the order in which the keys came; of too many, those go that were not renewed."""
    stream: Subject[Any] = Subject()
    table = frame(stream, rows=3, key="symbol")
    for number, symbol in enumerate("ABACADE"):
        stream.on_next({"symbol": symbol, "n": number})
    stream.on_next({"type": "heartbeat"})
    df = table.df
    assert list(zip(df["symbol"], df["n"].astype(int), strict=True)) == [
        ("A", 4),
        ("D", 5),
        ("E", 6),
    ]
    assert "3 of 8 values, the latest of each key" in repr(table)


@pytest.mark.parametrize("key", ["symbl", lambda value: value["symbol"]])
def test_a_key_that_is_not_there(key: Any) -> None:
    """It says which fields there are, or what the function raised."""
    stream: Subject[Any] = Subject()
    table = frame(stream, key=key)
    stream.on_next({"n": 1})
    shown = repr(table)
    assert "no value has 'symbl'; there are: n" in shown or "failed: KeyError" in shown


def test_a_nested_key_and_one_that_cannot_be_hashed() -> None:
    stream: Subject[Any] = Subject()
    table = frame(stream, key="data.of")
    for number in (1, 2):
        stream.on_next({"data": {"of": [1, {"a": 2}]}, "n": number})
    assert list(table.df["n"]) == [2]


@pytest.mark.parametrize("make", [frame, plot])
def test_an_empty_picture_says_since_when_it_waits(make: Any) -> None:
    static = make(Subject()).freeze()._repr_mimebundle_()[0]
    assert all("nothing yet, since" in text for text in static.values())


def test_a_wrong_key() -> None:
    with pytest.raises(TypeError, match=r"frame\(key\): pass the name of a field or a function"):
        frame(Subject(), key=5)  # type: ignore[arg-type]
