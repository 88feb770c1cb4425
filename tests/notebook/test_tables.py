"""Tables of messages: columns, types, times, libraries, files."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxsocket import Socket
from rxsocket.notebook import frame
from rxsocket.recording import record, replay
from rxsocket.render.view import TimeWindow
from rxsocket.tables.dataframes import LIBRARIES, table, to_parquet
from rxsocket.tables.rows import Arrival
from rxsocket.testing import VirtualClock, fake

AT = 1_796_006_000.125
MIXED = [
    {"type": "trade", "id": 1, "price": 1, "ts": 1796006000.123},
    {"type": "book", "bids": [["1.5", 2]], "deep": {"a": 1}},
    {"type": "trade", "id": 3, "price": 2.5, "odd": "x"},
    {"type": "trade", "odd": 7, "arrived": "mine"},
]


def arrivals(values: list[Any], epoch: int | None = 1) -> list[Arrival]:
    return [Arrival(AT + number, epoch, value) for number, value in enumerate(values)]


def columns(made: Any) -> dict[str, list[Any]]:
    """The columns of a table of any library, as lists."""
    if hasattr(made, "to_pydict"):
        return dict(made.to_pydict())
    kind = "series" if type(made).__module__.startswith("polars") else "list"
    as_lists = made.to_dict(as_series=False) if kind == "series" else made.to_dict("list")
    return {
        name: [None if _is_missing(value) else value for value in column]
        for name, column in as_lists.items()
    }


def _is_missing(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType" or value != value


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_of_messages_of_several_kinds(library: Any) -> None:
    """What a message lacks is empty; integers stay integers; a name that is taken is kept."""
    pytest.importorskip(LIBRARIES[library])
    found = columns(table(arrivals(MIXED), library))
    assert found["id"] == [1, None, 3, None] and isinstance(found["id"][0], int)
    assert found["price"] == [1.0, None, 2.5, None]
    assert found["connection"] == [1] * 4
    assert found["arrived"] == [None, None, None, "mine"]
    assert found["arrived_"][0] == datetime.fromtimestamp(AT, UTC)
    assert json.loads(found["odd"][3] if isinstance(found["odd"][3], str) else "7") == 7


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_empty_table(library: Any) -> None:
    """Its time is a time all the same, and there is no connection without one."""
    pytest.importorskip(LIBRARIES[library])
    assert list(columns(table([], library))) == ["arrived"]
    assert list(columns(table(arrivals([5], None), library))) == ["arrived", "value"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(VALUES | st.dictionaries(st.sampled_from("abc"), VALUES), max_size=6))
def test_whatever_comes_is_a_table(values: list[Any]) -> None:
    for library in LIBRARIES:
        try:
            importlib.import_module(LIBRARIES[library])
        except ImportError:
            continue
        assert len(table(arrivals(values), library)) == len(values)


@pytest.mark.parametrize("library", ["polars", "arrow"])
def test_a_file(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet has the columns, with nested ones, and those of several types as text."""
    pytest.importorskip(LIBRARIES[library])
    polars = pytest.importorskip("polars")
    hidden = {other: "no_such_module" for other in LIBRARIES if other != library}
    monkeypatch.setattr("rxsocket.tables.dataframes.LIBRARIES", LIBRARIES | hidden)
    path = tmp_path / "session.parquet"
    to_parquet(arrivals([*MIXED, {"empty": {}}]), path)
    found = polars.read_parquet(path)
    assert found["id"].to_list() == [1, None, 3, None, None]
    assert found["odd"].to_list() == [None, None, '"x"', "7", None]
    assert found["empty"].to_list()[-1] == "{}"


def test_a_file_without_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = dict.fromkeys(LIBRARIES, "no_such_module")
    monkeypatch.setattr("rxsocket.tables.dataframes.LIBRARIES", hidden)
    with pytest.raises(ModuleNotFoundError, match="to_parquet: it needs polars or pyarrow"):
        to_parquet([], tmp_path / "session.parquet")
    with pytest.raises(ModuleNotFoundError, match="frame: it needs pandas, polars or pyarrow"):
        frame(Subject())
    with pytest.raises(ModuleNotFoundError, match=r"frame\(library='polars'\): it needs"):
        frame(Subject(), library="polars")


def test_no_such_library() -> None:
    with pytest.raises(ValueError, match=r"frame\(library\): pass 'pandas', 'polars' or 'arrow'"):
        frame(Subject(), library="dask")  # type: ignore[arg-type]


def test_no_socket_but_its_messages() -> None:
    with pytest.raises(TypeError, match=r"pass its messages, socket\.messages"):
        frame(Socket("ws://localhost/"))  # type: ignore[arg-type]


def test_what_is_shown_stays_in_place() -> None:
    """Columns of earlier rows stay; rows have their number, times are readable, numbers whole."""
    pytest.importorskip("pandas")
    stream: Subject[Any] = Subject()
    shown = frame(stream)
    stream.on_next({"ts": 1796006000.123, "id": 866, "deep": {"a": [1, "<b>"]}})
    for number in range(20):
        stream.on_next({"other": number})
    html = shown.render(TimeWindow()).html
    assert ">ts</th>" in html and ">deep</th>" in html and ">20</td>" in html
    assert list(shown.df.index[:2]) == [0, 1]
    first = frame(stream, rows=1)
    stream.on_next({"ts": 1796006000.123, "id": 866, "deep": {"a": [1, "<b>"]}})
    text = repr(first)
    assert "1796006000.123" in text and " 866 " in text and '{"a":[1,"<b>"]}' in text
    stream.on_next({})
    assert list(first.df.index) == [1]
    stream.on_completed()


def test_of_a_recording(clock: VirtualClock, tmp_path: Path) -> None:
    """All messages, with the time and the connection of each; text that is JSON is decoded."""
    pytest.importorskip("pandas")
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    recorder = record(socket, tmp_path / "session.jsonl")
    live = frame(socket.messages)
    clock.advance(1)
    feed.push('{"price": 1}')
    clock.advance(1)
    feed.drop()
    clock.advance(5)
    feed.push('{"price": 2.5}', "PING")
    clock.advance(1)
    recorder.dispose()
    live.dispose()
    made = replay(recorder.path).frame()
    assert list(made["price"])[:2] == [1, 2.5] and made["value"][2] == "PING"
    assert list(made["connection"]) == list(live.df["connection"]) == [1, 2, 2]
    assert list(made["arrived"]) == list(live.df["arrived"])
    assert replay(recorder.path).frame(codec=None)["value"][0] == '{"price": 1}'
    again = frame(replay(recorder.path, "max").socket().messages)
    clock.advance(1)
    assert list(again.df["arrived"]) == list(made["arrived"])
    assert list(again.df["connection"]) == [1, 2, 2]
    pytest.importorskip("polars")
    replay(recorder.path).to_parquet(tmp_path / "session.parquet")
    assert (tmp_path / "session.parquet").read_bytes()[:4] == b"PAR1"
