"""A stream as a table and as a plot."""

from __future__ import annotations

import builtins
import dataclasses
import html
from collections import namedtuple
from datetime import datetime
from typing import Any

import msgspec
import pytest
from reactivex.subject import Subject

from rxsocket.notebook import frame, plot
from rxsocket.render.view import TimeWindow
from rxsocket.tables.rows import row
from rxsocket.testing import VirtualClock

PNG = b"\x89PNG\r\n"


@dataclasses.dataclass
class Data:
    price: float


class Struct(msgspec.Struct):
    price: float


Named = namedtuple("Named", ["price"])


@pytest.mark.parametrize("value", [{"price": 1.5}, Data(1.5), Struct(1.5), Named(1.5)])
def test_a_row_of_named_columns(value: Any) -> None:
    """Whatever has names has columns."""
    assert row(value) == {"price": 1.5}


def test_a_row_without_names() -> None:
    """Places are names, and a value alone is ``value``."""
    assert row([1, "x"]) == row((1, "x")) == {"0": 1, "1": "x"}
    assert row("text") == {"value": "text"}


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.slow
def test_the_last_rows(library: Any) -> None:
    """A table rolls, of the library that is asked for; what a row lacks is empty."""
    pytest.importorskip(library)
    stream: Subject[Any] = Subject()
    table = frame(stream, rows=3, library=library)
    for number in range(4):
        stream.on_next({"n": number})
    stream.on_next({"n": 4, "x": "y"})
    df = table.df
    assert type(df).__module__.startswith(library)
    assert list(df["n"]) == [2, 3, 4]
    assert list(df["x"])[2] == "y"
    assert len(table) == 3
    assert "3 of 5" in repr(table)
    assert "<table" in table.render(TimeWindow()).html
    table.dispose()
    assert not stream.observers
    assert list(table.df["n"]) == [2, 3, 4]


def test_an_empty_table_and_a_stream_that_failed() -> None:
    """Both can be shown."""
    pytest.importorskip("pandas")
    stream: Subject[Any] = Subject()
    table = frame(stream)
    assert len(table.df) == 0
    stream.on_error(ValueError("<no feed>"))
    assert "failed: ValueError: &lt;no feed&gt;" in table.render(TimeWindow()).html
    assert "text/html" in table._repr_mimebundle_()


def test_a_plot_of_the_last_seconds(clock: VirtualClock) -> None:
    """What is older than the window is forgotten; a function may say what is plotted."""
    pytest.importorskip("matplotlib")
    stream: Subject[Any] = Subject()
    picture = plot(stream, y=["price", lambda trade: trade["price"] * 2], window=10)
    for number in range(30):
        clock.call_later(float(number), stream.on_next, {"price": number})
    clock.advance(30)
    (axes,) = picture.figure.axes
    first, second = (list(line.get_ydata()) for line in axes.lines)
    assert first == [*range(20, 30)]
    assert second == [2 * price for price in first]
    assert picture.png().startswith(PNG)
    assert "image/svg+xml" in picture._repr_mimebundle_()
    picture.dispose()
    assert not stream.observers
    clock.advance(60)
    assert len(picture.figure.axes[0].lines[0].get_xdata()) == 10  # what is over stays


def test_a_plot_over_a_column() -> None:
    """Values without one are left out; a function that raises ends the plot, which says so."""
    pytest.importorskip("matplotlib")
    stream: Subject[Any] = Subject()
    picture = plot(stream, x="at", y=lambda trade: trade["price"], window=None)
    stream.on_next({"at": 1, "price": 5})
    stream.on_next({"at": None, "price": 6})
    stream.on_next({"at": 3, "price": None})
    stream.on_next({"at": 4, "price": 8})
    (line,) = picture.figure.axes[0].lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 4], [5, 8])
    stream.on_next({"at": 5})
    assert "failed: KeyError" in repr(picture)


@pytest.mark.parametrize(
    ("value", "y", "hint"),
    [
        ({"id": 1, "price": 2}, "prise", "no value has 'prise'; there are: id, price"),
        ({"id": 1, "price": 2}, None, "no numbers: pass y=, the name of a field; there are: id, p"),
        ({"id": 1, "side": "buy"}, "side", "no value of 'side' is a number; there are: id, side"),
        ('{"price": 2}', "price", "the values are text, without fields: give the Socket a codec"),
        (b"abc", None, "the values are bytes, without fields"),
        ([1, 2], None, "pass y=, the name of a field; there are: 0, 1"),
    ],
)
def test_a_plot_of_what_is_not_there(value: Any, y: Any, hint: str) -> None:
    """It says what there is; when it is there after all, it says nothing any more."""
    pytest.importorskip("matplotlib")
    stream: Subject[Any] = Subject()
    picture = plot(stream, y=y)
    stream.on_next(value)
    assert hint in repr(picture)
    (text,) = picture.figure.axes[0].texts
    assert hint in text.get_text()
    assert hint in html.unescape(picture.svg())
    assert hint in html.unescape(picture.render(TimeWindow()).html)
    assert picture.png().startswith(PNG)
    stream.on_next({y: 5} if y else 5)
    assert not picture.figure.axes[0].texts and "there are" not in repr(picture)


def test_a_plot_of_what_is_not_there_in_a_mixed_feed() -> None:
    """Text among values that have fields is no reason to want another codec."""
    pytest.importorskip("matplotlib")
    stream: Subject[Any] = Subject()
    picture = plot(stream, y="side")
    for value in ({"id": 1, "side": "buy"}, "hello"):
        stream.on_next(value)
    assert "no value of 'side' is a number; there are: id, side" in repr(picture)


def test_a_plot_of_numbers_that_are_text() -> None:
    pytest.importorskip("matplotlib")
    stream: Subject[Any] = Subject()
    picture = plot(stream, y="price")
    stream.on_next({"price": "1.5"})
    assert list(picture.figure.axes[0].lines[0].get_ydata()) == [1.5]


def test_the_times_of_a_plot_are_local(clock: VirtualClock) -> None:
    """The hour is that of the local clock, and the date stands once, beside the axis."""
    pytest.importorskip("matplotlib")
    stream: Subject[Any] = Subject()
    picture = plot(stream)
    for number in range(40):
        stream.on_next(number)
        clock.advance(0.1)
    axes = picture.figure.axes[0]
    texts = [text.get_text() for text in axes.get_xticklabels()]
    now = datetime.fromtimestamp(clock.wall_time())
    assert texts == ["59", f"{now:%H:%M}", "01", "02", "03", "04", "05"]
    assert axes.xaxis.get_major_formatter().get_offset() == f"{now:%Y-%b-%d %H:%M}"
    picture.dispose()


def test_a_plot_changes_with_its_stream() -> None:
    """Who draws it is told of each value, and of the end."""
    pytest.importorskip("matplotlib")
    stream: Subject[int] = Subject()
    picture = plot(stream)
    changes: list[int] = []
    watching = picture.subscribe_changes(lambda: changes.append(1))
    stream.on_next(1)
    stream.on_completed()
    watching.dispose()
    assert len(changes) == 2
    assert picture.render(TimeWindow()).redraw_after is None


@pytest.mark.parametrize("make", [frame, plot])
def test_no_observable(make: Any) -> None:
    """It says so at once."""
    with pytest.raises(TypeError, match="pass an Observable, not list"):
        make([1, 2])


@pytest.mark.parametrize("wrong", [{"y": 5}, {"x": 5}, {"y": [5]}, {"y": []}, {"window": 0}])
def test_wrong_arguments_of_a_plot(wrong: dict[str, Any]) -> None:
    """Each names the argument."""
    pytest.importorskip("matplotlib")
    with pytest.raises((TypeError, ValueError), match=r"x|y|window"):
        plot(Subject(), **wrong)


def test_a_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn all the same; for its figure it says what to install."""
    pytest.importorskip("numpy")
    real = builtins.__import__

    def hidden(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", hidden)
    picture = plot(Subject())
    assert picture.svg().startswith("<svg")
    with pytest.raises(ModuleNotFoundError, match=r"rxsocket\[notebook\]"):
        _ = picture.figure
