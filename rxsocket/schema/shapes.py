"""What the values at one place of a feed look like: their types, how often, ranges, examples.

A shape is added to value by value, and two shapes can be merged: of both, a shape says what it
would say had it seen all their values. It takes bounded memory, whatever comes: what was cut is
said by ``is_cut`` and ``more``, and what is cut is left out of the structs, which then ignore it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from rxsocket.validation import is_list, is_mapping

TEXTS = 12
"""Different texts, or keys, that are kept of a place."""
LONGEST = 64
"""Characters of a text that is kept; of a longer one its length is."""
KEY = 256
"""Characters of the name of a field."""
FIELDS = 64
"""Fields of an object from which it may be a map."""
MOST_FIELDS = 512
"""Fields of an object that are told apart."""
PLACES = 8
"""Length of a list up to which its places are told apart."""
DEPTH = 10
"""Levels of nesting that are looked into."""
NODES = 5000
"""Places of all messages that are told apart."""

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")

N = TypeVar("N", int, float)


class Space:
    """How many places may be told apart still."""

    __slots__ = ("left", "nodes")

    def __init__(self, nodes: int = NODES) -> None:
        self.left = self.nodes = nodes

    def shape(self) -> Shape | None:
        """A shape for a new place, while there is space."""
        if self.left <= 0:
            return None
        self.left -= 1
        return Shape()


class Numbers:
    """Numbers: how many, and their range."""

    __slots__ = ("count", "high", "low")

    def __init__(self) -> None:
        self.count = 0
        self.low: float = float("inf")
        self.high: float = float("-inf")

    def observe(self, value: float) -> None:
        self.count += 1
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def add(self, other: Numbers) -> None:
        self.count += other.count
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)


class Texts:
    """Texts: how many, how long, some of them, and whether all are numbers or times.

    Attributes:
        values: Different ones, with how often they came.
        is_cut: Whether there were more than are kept.
        is_number: Whether each is a number, written as text.
        has_point: Whether one of these has a fraction or an exponent.
        is_time: Whether each is a time as in RFC 3339.
    """

    __slots__ = (
        "count", "has_point", "is_cut", "is_number", "is_time", "longest", "shortest", "values",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.shortest, self.longest = 2**63, 0
        self.values: dict[str, int] = {}
        self.is_cut = False
        self.is_number = self.is_time = True
        self.has_point = False

    def observe(self, value: str) -> None:
        self.count += 1
        seen = self.values.get(value)
        if seen is not None:
            self.values[value] = seen + 1
            return
        length = len(value)
        if length < self.shortest:
            self.shortest = length
        if length > self.longest:
            self.longest = length
        if self.is_number:
            found = NUMBER.fullmatch(value)
            self.is_number = found is not None
            has_point = found is not None and found.lastindex is not None
            self.has_point = self.is_number and (self.has_point or has_point)
        if self.is_time:
            self.is_time = _is_time(value)
        if length > LONGEST or len(self.values) >= TEXTS:
            self.is_cut = True
        else:
            self.values[value] = 1

    def add(self, other: Texts) -> None:
        self.count += other.count
        self.shortest = min(self.shortest, other.shortest)
        self.longest = max(self.longest, other.longest)
        self.is_cut = self.is_cut or other.is_cut
        self.is_number = self.is_number and other.is_number
        self.has_point = self.is_number and (self.has_point or other.has_point)
        self.is_time = self.is_time and other.is_time
        for value, count in other.values.items():
            if value in self.values or len(self.values) < TEXTS:
                self.values[value] = self.values.get(value, 0) + count
            else:
                self.is_cut = True


class Lists:
    """Lists: how many, how long, and what is in them.

    Attributes:
        places: What is at each place, while all that are not empty are equally long, and short.
        items: What is anywhere in them, else; ``None`` if that was not looked at.
        empty: How many are empty.
    """

    __slots__ = ("count", "empty", "items", "longest", "places", "shortest")

    def __init__(self) -> None:
        self.count = self.empty = 0
        self.shortest, self.longest = 2**63, 0
        self.places: list[Shape] | None = None
        self.items: Shape | None = None

    def observe(self, value: Any, space: Space, depth: int) -> None:
        self.count += 1
        length = len(value)
        self.shortest, self.longest = min(self.shortest, length), max(self.longest, length)
        if not length:
            self.empty += 1
            return
        if self.items is None and self.places is None:
            self._begin(length, space)
        if self.places is not None and len(self.places) != length:
            self.join()
        if self.places is not None:
            for shape, item in zip(self.places, value, strict=True):
                shape.observe(item, space, depth + 1)
        elif self.items is not None:
            self.items.observe_all(value, space, depth + 1)

    def _begin(self, length: int, space: Space) -> None:
        if length <= PLACES:
            shapes = [space.shape() for _ in range(length)]
            places = [shape for shape in shapes if shape is not None]
            self.places = places if len(places) == length else None
        if self.places is None:
            self.items = space.shape()

    def join(self) -> None:
        """Tell places apart no more."""
        if self.places is not None:
            self.items, self.places = merged(self.places), None

    def add(self, other: Lists) -> None:
        if not other.count:
            return
        self.shortest = min(self.shortest, other.shortest)
        self.longest = max(self.longest, other.longest)
        if other.count > other.empty:
            if self.count == self.empty:
                self.places = (
                    None if other.places is None else [merged([it]) for it in other.places]
                )
                self.items = None if other.items is None else merged([other.items])
            else:
                self._add_items(other)
        self.count += other.count
        self.empty += other.empty

    def _add_items(self, other: Lists) -> None:
        mine, theirs = self.places, other.places
        if mine is not None and theirs is not None and len(mine) == len(theirs):
            for shape, more in zip(mine, theirs, strict=True):
                shape.add(more)
            return
        self.join()
        found = other.items if theirs is None else merged(theirs)
        if self.items is None or found is None:
            self.items = None  # it was not looked at
        else:
            self.items.add(found)


class Objects:
    """Objects: how many, and their fields, or what they map keys to.

    Attributes:
        fields: What is in each field.
        more: How many fields were left out, as there are too many.
        entries: What is in any field of a map, whose keys are data.
        keys: Some of the keys of a map.
    """

    __slots__ = ("count", "entries", "fields", "keys", "longest", "more", "shortest")

    def __init__(self) -> None:
        self.count = self.more = 0
        self.shortest, self.longest = 2**63, 0
        self.fields: dict[str, Shape] = {}
        self.entries: Shape | None = None
        self.keys: dict[str, None] = {}

    def observe(self, value: Any, space: Space, depth: int) -> None:
        self.count += 1
        size = len(value)
        if size < self.shortest:
            self.shortest = size
        if size > self.longest:
            self.longest = size
        if self.entries is not None:
            self._observe_entries(value, self.entries, space, depth)
            return
        fields, depth = self.fields, depth + 1
        is_new = False
        for key, item in value.items():
            shape = fields.get(key)
            if shape is None:
                shape = self._field(key, space)
                is_new = True
                if shape is None:
                    continue
            shape.observe(item, space, depth)
        if is_new and len(fields) > FIELDS and len(fields) > 2 * self.longest:
            self.join()

    def _field(self, key: Any, space: Space) -> Shape | None:
        is_kept = isinstance(key, str) and len(key) <= KEY and len(self.fields) < MOST_FIELDS
        shape = space.shape() if is_kept else None
        if shape is None:
            self.more += 1
        else:
            self.fields[key] = shape
        return shape

    def _observe_entries(self, value: Any, entries: Shape, space: Space, depth: int) -> None:
        if len(self.keys) < TEXTS:
            self._keep_keys(value)
        entries.observe_all(value.values(), space, depth + 1)

    def _keep_keys(self, keys: Iterable[str]) -> None:
        for key in keys:
            if len(self.keys) >= TEXTS:
                return
            if len(key) <= LONGEST:
                self.keys[key] = None

    def join(self) -> None:
        """Take it for a map."""
        if self.entries is None:
            self.entries = merged(self.fields.values())
            self._keep_keys(self.fields)
            self.fields = {}

    def add(self, other: Objects) -> None:
        self.count += other.count
        self.more += other.more
        self.shortest = min(self.shortest, other.shortest)
        self.longest = max(self.longest, other.longest)
        if other.entries is not None:
            self.join()
        if self.entries is not None:
            self._keep_keys(other.keys if other.entries is not None else other.fields)
            for shape in other.fields.values() if other.entries is None else (other.entries,):
                self.entries.add(shape)
            return
        for key, shape in other.fields.items():
            mine = self.fields.get(key)
            if mine is None:
                self.fields[key] = merged([shape])
            else:
                mine.add(shape)

    @property
    def is_map(self) -> bool:
        """Whether its keys are data, such as prices: then they are no fields."""
        if self.entries is not None:
            return True
        fields = self.fields
        if not fields or self.more:
            return False
        if all(NUMBER.fullmatch(key) for key in fields):
            return True
        rare = sum(2 * shape.count < self.count for shape in fields.values())
        if len(fields) < 8 or rare < 0.8 * len(fields):
            return False
        first, *rest = (shape.types - {"null"} for shape in fields.values())
        return all(types == first for types in rest)


class Shape:
    """What the values at one place look like.

    Attributes:
        count: How many values there were.
        others: How many were of each other class, by its name: of typed messages, for example.
        unseen: How many were too deep to be looked at.
    """

    __slots__ = (
        "bools", "count", "floats", "ints", "lists", "nulls", "objects", "others", "texts",
        "trues", "unseen",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = self.nulls = self.bools = self.trues = self.unseen = 0
        self.ints: Numbers | None = None
        self.floats: Numbers | None = None
        self.texts: Texts | None = None
        self.lists: Lists | None = None
        self.objects: Objects | None = None
        self.others: dict[str, int] | None = None

    @property
    def types(self) -> frozenset[str]:
        """The kinds of values: ``"null"``, ``"bool"``, ``"number"``, ``"text"``, ..."""
        found = {
            "null": self.nulls,
            "bool": self.bools,
            "number": self.ints or self.floats,
            "text": self.texts,
            "list": self.lists,
            "object": self.objects,
            "other": self.others or self.unseen,
        }
        return frozenset(name for name, seen in found.items() if seen)

    def observe(self, value: Any, space: Space, depth: int = 0) -> None:
        """Add a value."""
        self.count += 1
        kind: type[Any] = value.__class__
        if kind is str:
            texts = self.texts
            if texts is None:
                texts = self.texts = Texts()
            texts.observe(value)
        elif kind is float:
            floats = self.floats
            if floats is None:
                floats = self.floats = Numbers()
            floats.observe(value)
        elif kind is int:
            ints = self.ints
            if ints is None:
                ints = self.ints = Numbers()
            ints.observe(value)
        elif value is None:
            self.nulls += 1
        elif kind is bool:
            self.bools += 1
            self.trues += value
        elif depth >= DEPTH:
            self.unseen += 1
        elif is_mapping(value):
            objects = self.objects
            if objects is None:
                objects = self.objects = Objects()
            objects.observe(value, space, depth)
        elif is_list(value):
            lists = self.lists
            if lists is None:
                lists = self.lists = Lists()
            lists.observe(value, space, depth)
        else:
            self._observe_other(kind)

    def observe_all(self, values: Iterable[Any], space: Space, depth: int) -> None:
        """Add many values."""
        for value in values:
            self.observe(value, space, depth)

    def _observe_other(self, kind: type[Any]) -> None:
        others = self.others = self.others or {}
        if kind.__name__ in others or len(others) < TEXTS:
            others[kind.__name__] = others.get(kind.__name__, 0) + 1

    def add(self, other: Shape) -> None:
        """Add what another shape has seen; that one stays as it is."""
        self.count += other.count
        self.nulls += other.nulls
        self.bools += other.bools
        self.trues += other.trues
        self.unseen += other.unseen
        if other.ints is not None:
            self.ints = self.ints or Numbers()
            self.ints.add(other.ints)
        if other.floats is not None:
            self.floats = self.floats or Numbers()
            self.floats.add(other.floats)
        if other.texts is not None:
            self.texts = self.texts or Texts()
            self.texts.add(other.texts)
        if other.lists is not None:
            self.lists = self.lists or Lists()
            self.lists.add(other.lists)
        if other.objects is not None:
            self.objects = self.objects or Objects()
            self.objects.add(other.objects)
        for name, count in (other.others or {}).items():
            self.others = self.others or {}
            self.others[name] = self.others.get(name, 0) + count


def merged(shapes: Iterable[Shape]) -> Shape:
    """One shape for what several have seen, of which it shares nothing."""
    whole = Shape()
    for shape in shapes:
        whole.add(shape)
    return whole


def _is_time(text: str) -> bool:
    if not 19 <= len(text) <= 40 or text[4] != "-":
        return False
    try:
        msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return False
    return True
