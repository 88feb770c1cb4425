"""What the values of a place are, in words: ranges, examples, how often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from rxsocket.explain.format import amount
from rxsocket.schema.shapes import Numbers, Shape, Texts, merged
from rxsocket.texts import printable

Redact: TypeAlias = Callable[[Any], Any]

SHOWN = 4
"""Examples that are shown."""
DEPTH = 6
"""Levels of nesting whose fields are rows of their own."""
_UNITS = ((1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))
_FROM, _UNTIL = 946_684_800.0, 4_102_444_800.0
"""The years 2000 to 2100, in seconds since the epoch."""


def epoch_unit(low: float, high: float) -> tuple[float, str] | None:
    """What numbers count if they are times: units in a second, and the unit's name."""
    for scale, unit in _UNITS:
        if low / scale >= _FROM and high / scale < _UNTIL:
            return scale, unit
    return None


def literal(value: Any, redact: Redact) -> str:
    """A value as JSON has it, in one line, without anything secret."""
    if isinstance(value, str):
        return '"' + printable(str(redact(value))) + '"'
    return str(redact(f"{value:.15g}" if isinstance(value, float) else str(value)))


def note(shape: Shape, redact: Redact) -> str:
    """The values at a place, in a few words."""
    return ", ".join(part for part in _notes(shape, redact) if part)


def _notes(shape: Shape, redact: Redact) -> Iterator[str]:
    numbers = Numbers()
    for found in (shape.ints, shape.floats):
        if found is not None:
            numbers.add(found)
    if numbers.count:
        yield _range(numbers, redact)
    if shape.texts is not None:
        yield _examples(shape.texts, redact)
    if shape.bools:
        yield f"true in {percent(shape.trues, shape.bools)}"
    if shape.lists is not None and shape.lists.places is None:
        low, high = shape.lists.shortest, shape.lists.longest
        yield f"{low} to {high} items" if low < high else f"{low} items"
    if shape.objects is not None and shape.objects.is_map:
        objects = shape.objects
        keys = [literal(key, redact) for key in (objects.keys or objects.fields)][:SHOWN]
        yield f"keys such as {', '.join(keys)}"
    if shape.others:
        yield "of " + ", ".join(shape.others)
    if shape.unseen:
        yield "too deep to be looked at"


def _range(numbers: Numbers, redact: Redact) -> str:
    low, high = (literal(one, redact) for one in (numbers.low, numbers.high))
    text = low if low == high else f"{low} to {high}"
    unit = epoch_unit(numbers.low, numbers.high)
    if unit is None:
        return text
    first, last = (
        datetime.fromtimestamp(one / unit[0], UTC) for one in (numbers.low, numbers.high)
    )
    return f"{text} ({unit[1]} since 1970: {first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC)"


def _examples(texts: Texts, redact: Redact) -> str:
    shown = [literal(value, redact) for value in texts.values][:SHOWN]
    if not shown:
        low, high = texts.shortest, texts.longest
        return sizes(low, high, "character")
    more = texts.is_cut or len(texts.values) > SHOWN
    return ", ".join(shown) + (", …" if more else "")


def sizes(low: int, high: int, thing: str) -> str:
    """From the smallest to the largest.

    >>> sizes(1, 2000, "byte"), sizes(1, 1, "byte")
    ('1 to 2,000 bytes', '1 byte')
    """
    return amount(high, thing) if low == high else f"{low:,} to {high:,} {thing}s"


def percent(part: int, whole: int) -> str:
    """A share; neither 0 % nor 100 % unless it is just that."""
    if part == whole:
        return "100 %"
    share = 100 * part / whole
    return f"{share:.2g} %" if share < 1 else f"{min(share, 99):.0f} %"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the messages of one kind.

    Attributes:
        path: Where it is: ``"data.price"``, ``"bids[][0]"``.
        type: Its types: ``"float"``, ``"str | None"``, ``"list"``, ``"dict"``.
        count: How many times it was there.
        of: How many times it could have been.
        nulls: How many times it was ``null``.
        note: Ranges, examples, lengths, in words, without anything secret.
    """

    path: str
    type: str
    count: int
    of: int
    nulls: int
    note: str

    @property
    def often(self) -> str:
        """How often it is there, and how often ``null``; empty if it always has a value."""
        parts = [f"in {percent(self.count, self.of)}"] if self.count < self.of else []
        if self.nulls:
            parts.append(f"null in {percent(self.nulls, self.count)}")
        return ", ".join(parts)


def fields_of(shape: Shape, redact: Redact) -> tuple[Field, ...]:
    """The fields of what a shape has seen, the nested ones, too."""
    return tuple(_fields(shape, "", redact, 0))


def _fields(shape: Shape, path: str, redact: Redact, depth: int) -> Iterator[Field]:
    if depth > DEPTH:
        return
    objects, lists = shape.objects, shape.lists
    if objects is not None and objects.is_map:
        for inner in [objects.entries] if objects.entries else objects.fields.values():
            yield from _field(inner, f"{path}[key]", inner.count, redact, depth)
            break  # all are alike
    elif objects is not None:
        for name, inner in objects.fields.items():
            shown = printable(str(redact(name)))
            yield from _field(
                inner, f"{path}.{shown}" if path else shown, objects.count, redact, depth
            )
    if lists is not None and lists.places is not None and _are_alike(lists.places):
        inner = merged(lists.places)
        yield from _field(inner, f"{path}[]", inner.count, redact, depth)
    elif lists is not None and lists.places is not None:
        for place, inner in enumerate(lists.places):
            yield from _field(inner, f"{path}[{place}]", inner.count, redact, depth)
    elif lists is not None and lists.items is not None:
        yield from _field(lists.items, f"{path}[]", lists.items.count, redact, depth)


def _are_alike(places: list[Shape]) -> bool:
    """Whether a list has nested values of one kind, such as price levels: its places are none."""
    first, *rest = (shape.types for shape in places)
    return first <= {"list", "object"} and all(types == first for types in rest)


def _field(shape: Shape, path: str, of: int, redact: Redact, depth: int) -> Iterator[Field]:
    found = note(shape, redact)
    yield Field(path, kinds_of_values(shape), shape.count, of, shape.nulls, found)
    yield from _fields(shape, path, redact, depth + 1)


def kinds_of_values(shape: Shape) -> str:
    """The types of the values at a place, as Python calls them."""
    found = {
        "bool": shape.bools,
        "int": shape.ints,
        "float": shape.floats,
        "str": shape.texts,
        "list": shape.lists,
        "dict": shape.objects,
        "None": shape.nulls,
    }
    names = [name for name, seen in found.items() if seen]
    return " | ".join([*names, *(shape.others or ())]) or "Any"
