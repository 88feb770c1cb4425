"""Kinds, fields and what is said of them, in bounded memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from feeds import ANYTHING, JSON
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rxsocket.schema import schema
from rxsocket.schema.inference import GROUPS, Inference
from rxsocket.schema.shapes import MOST_FIELDS, Shape, Space, merged


def trade(number: int, **more: Any) -> dict[str, Any]:
    side = "buy" if number % 2 else "sell"
    return {"type": "trade", "side": side, "symbol": f"S{number % 3}", "price": number, **more}


def described(shape: Shape) -> dict[str, Any]:
    """All that a shape knows, for comparisons."""
    found: dict[str, Any] = {}
    for name in Shape.__slots__:
        value = getattr(shape, name)
        if value is not None and not isinstance(value, (int, dict)):
            value = {slot: _plain(getattr(value, slot)) for slot in type(value).__slots__}
        found[name] = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Shape):
        return described(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(JSON, max_size=6), st.lists(JSON, max_size=6))
def test_merged_shapes_know_what_one_knows(first: list[Any], second: list[Any]) -> None:
    """Two shapes that are merged say what one says that has seen the values of both."""
    shapes = [Shape(), Shape(), Shape()]
    for shape, values in zip(shapes, (first, second, first + second), strict=True):
        for value in values:
            shape.observe(value, Space())
    before = described(shapes[0])
    assert described(merged(shapes[:2])) == described(shapes[2])
    assert described(shapes[0]) == before


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANYTHING)
def test_everything_can_be_shown(messages: list[Any]) -> None:
    found = schema([json.dumps(message) for message in messages])
    assert found.count == found.looked_at == len(messages)
    assert repr(found).startswith("<Schema of ")
    assert "text/html" in found._repr_mimebundle_()


def test_a_field_that_tells_kinds_apart() -> None:
    """It is the one whose values go with other fields; how often each kind came is told."""
    books = [{"type": "book", "symbol": f"S{number % 3}", "bids": []} for number in range(20)]
    found = schema([*map(trade, range(60)), *books, *[{"type": "heartbeat"}] * 20])
    assert found.field == "type"
    assert [(kind.name, kind.count, kind.share) for kind in found.kinds] == [
        ("trade", 60, 0.6), ("book", 20, 0.2), ("heartbeat", 20, 0.2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([{"x": "t", "p": 1, "q": 2}, {"x": "b", "bids": [], "asks": []}], "x"),
        ([{"event": "a", "data": {"x": 1}}, {"event": "b", "data": {"y": []}}], "event"),
        ([{"op": 1, "d": {"x": 1}}, {"op": 2, "d": None}], "op"),
        ([{"type": "buy", "price": 1}, {"type": "sell", "price": 2}], None),
        ([{"symbol": "A", "price": 1}, {"symbol": "B", "price": 2}], None),
        ([{"e": "t", "p": 1}, {"e": "d", "b": []}, {"result": None, "id": 1}], "e"),
        ([{"type": str(number), "price": 1} for number in range(200)], None),
    ],
)
def test_which_field_it_is(messages: list[Any], field: str | None) -> None:
    assert schema(messages * 5).field == field


def test_what_is_said_of_a_field() -> None:
    """How often, whether it is null, ranges, examples, times, and what is nested."""
    nine = [trade(number, at=1_796_006_000_000 + number) for number in range(9)]
    found = schema([*nine, trade(9, note=None, inner={"a": [1, 2.5]}, at=1_796_006_000_009)])
    (kind,) = found.kinds
    fields = {field.path: field for field in kind.fields}
    assert fields["price"].note == "0 to 9" and fields["price"].often == ""
    assert fields["note"].often == "in 10 %, null in 100 %"
    assert fields["side"].note == '"sell", "buy"'
    assert fields["inner.a[1]"].type == "float"
    assert "ms since 1970: 2026-11-30 02:33:20 to" in fields["at"].note
    assert "often" not in repr(found) and "in 10 %" in repr(found)


def test_a_map_is_told_from_an_object() -> None:
    """Keys that are data, such as prices or symbols, are no fields."""
    prices = schema([{"levels": {f"{number}.5": 1.5, "7": 2}} for number in range(3)])
    assert "levels: dict[str, float]" in prices.structs()
    symbols = [{f"S{number * 10 + more}": more for more in range(5)} for number in range(40)]
    many = schema([{"by": some} for some in symbols])
    assert "by: dict[str, int]" in many.structs()
    wide = schema([{f"field {number}": number for number in range(100)}] * 3)
    assert "field_99: int" in wide.structs()


def test_messages_that_are_no_json() -> None:
    """Text that is none, and binary messages, are kinds of their own."""
    found = schema(['{"a": 1}', "PING", "PONG", b"\x00\x01\x02", b"\x00"])
    assert [(kind.name, kind.count) for kind in found.kinds] == [
        ("text", 2), ("binary", 2), ("object", 1),
    ]  # fmt: skip
    assert found.kinds[1].note == "1 to 3 bytes"


def test_memory_is_bounded() -> None:
    """Names, values and kinds without end are cut, and that is said."""
    found = schema([
        {"type": f"{number}", "id": f"{number}", f"n{number}": {f"m{number}": "x" * 50}}
        for number in range(20_000)
    ])  # fmt: skip
    inference = found._inference
    assert inference.space.left >= 0
    assert len(inference._objects) <= GROUPS
    (kind,) = found.kinds
    assert kind.count == 20_000 and len(kind.fields) <= MOST_FIELDS
    assert len(repr(found)) < 5000


def test_places_without_end_are_cut_and_that_is_said() -> None:
    wide = {f"n{number}": {f"m{more}": [0, "x"] for more in range(40)} for number in range(200)}
    found = schema([wide])
    assert "different places: the rest is left out" in found.status
    assert "class" in found.structs()


def test_new_kinds_are_seen_at_once() -> None:
    inference = Inference()
    for number in range(3):
        inference.observe(trade(number))
    assert not inference.is_new(trade(7))
    assert inference.is_new({"type": "trade", "more": 1})
    assert inference.is_new(trade(1) | {"type": "book"})
