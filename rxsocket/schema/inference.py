"""Finds the kinds of messages of a feed, and the field that tells them apart.

Messages are put into groups by the values of each field that might tell kinds apart: a field with
few short texts. A field with too many is none, and the groups that it kept apart are merged. Which
of the others it is, is decided when somebody asks: the one whose values go with other fields::

    {"type": "trade", "side": "buy",  "price": 1}      type    trade: side price | book: bids
    {"type": "trade", "side": "sell", "price": 2}      side    in half of the messages only
    {"type": "book",  "bids": []}                      so it is "type"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from rxsocket.schema.shapes import Shape, Space, merged
from rxsocket.validation import is_list, is_mapping

Tag: TypeAlias = str | int
Paths: TypeAlias = frozenset[tuple[str, str]]

USUAL = frozenset((
    "type", "event", "e", "kind", "ev", "op", "action", "method", "event_type", "eventType",
    "msg_type", "msgType", "message_type", "messageType", "__typename", "channel", "topic",
))  # fmt: skip
"""Names of fields that usually tell kinds of messages apart."""
TAG_LENGTH = 40
"""Characters of a value that may name a kind."""
VALUES = 16
"""Different values of a field that may tell kinds apart."""
USUAL_VALUES = 64
"""The same, for a field with a usual name."""
NAMES = 8
"""Fields that are considered at a time."""
GROUPS = 128
"""Groups that are kept apart."""
SIGNATURES = 1024
"""Sets of fields that are remembered, to see a new one."""


@dataclass(frozen=True, slots=True)
class TaggedShape:
    """Messages of one kind.

    Attributes:
        tag: The value that tells them apart; ``None`` for those without one.
        shape: What they look like.
    """

    tag: Tag | None
    shape: Shape


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of messages of a feed.

    Attributes:
        field: The field that tells objects apart; ``None`` if there is none.
        objects: The kinds of objects, the most frequent first.
        arrays: The kinds of arrays; they are told apart by their first item.
        scalars: Texts, numbers and the like that are JSON.
    """

    field: str | None
    objects: tuple[TaggedShape, ...]
    arrays: tuple[TaggedShape, ...]
    scalars: Shape | None


class Inference:
    """What is known of the messages of a feed; not for two threads at once.

    Attributes:
        looked_at: How many values it has seen.
        space: How many places it may tell apart.
    """

    def __init__(self, space: Space | None = None) -> None:
        self.space = Space() if space is None else space
        self.looked_at = 0
        self._names: tuple[str, ...] = ()
        self._values: dict[str, set[Tag]] = {}
        self._not_these: set[str] = set()
        self._signatures: dict[tuple[str, ...], None] = {}
        self._objects: dict[tuple[Tag | None, ...], Shape] = {}
        self._arrays: dict[Tag | None, Shape] = {}
        self._scalars = Shape()

    def observe(self, value: Any) -> None:
        """Look at a message, decoded."""
        self.looked_at += 1
        if is_mapping(value):
            self._group(value).observe(value, self.space)
        elif is_list(value):
            self._array_group(value).observe(value, self.space)
        else:
            self._scalars.observe(value, self.space)

    def is_new(self, value: Any) -> bool:
        """Whether a message is of a kind, or has a field, that was not seen before; cheap."""
        if not is_mapping(value):
            return False
        if len(self._signatures) < SIGNATURES and tuple(value) not in self._signatures:
            return True
        return self._key(value) not in self._objects

    def kinds(self) -> Kinds:
        """The kinds so far."""
        field = self._discriminator()
        return Kinds(
            field,
            tuple(_kinds_by(self._objects, None if field is None else self._names.index(field))),
            self._kinds_of_arrays(),
            self._scalars if self._scalars.count else None,
        )

    # --- groups

    def _group(self, value: Mapping[str, Any]) -> Shape:
        signature = tuple(value)
        if signature not in self._signatures and len(self._signatures) < SIGNATURES:
            self._signatures[signature] = None
            self._consider(value)
        key = self._key(value)
        shape = self._objects.get(key)
        if shape is None:
            self._learn(key)
            key = self._key(value)
            shape = self._objects.setdefault(key, Shape())
        return shape

    def _key(self, value: Mapping[str, Any]) -> tuple[Tag | None, ...]:
        get = value.get
        return tuple(
            [
                tag  # most are texts: without a call of a function for each
                if type(tag := get(name)) is str and len(tag) <= TAG_LENGTH
                else None
                if tag is None
                else _tag(name, tag)
                for name in self._names
            ]
        )

    def _consider(self, value: Mapping[str, Any]) -> None:
        """Consider fields that are seen for the first time."""
        if len(self._not_these) > SIGNATURES:
            return  # names are data here
        for name, item in value.items():
            known = name in self._values or name in self._not_these
            if known or not isinstance(name, str):
                continue
            if _tag(name, item) is None and item is not None:
                self._not_these.add(name)
            elif len(self._names) < NAMES or name in USUAL:
                self._names = (*self._names, name)
                self._values[name] = set()
                self._objects = {(*key, None): shape for key, shape in self._objects.items()}

    def _learn(self, key: tuple[Tag | None, ...]) -> None:
        """Note the values of a new group; a field with too many of them tells no kinds apart."""
        for name, tag in zip(self._names, key, strict=True):
            if tag is not None:
                self._values[name].add(tag)
        for name, values in tuple(self._values.items()):
            if len(values) > (USUAL_VALUES if name in USUAL else VALUES):
                self._drop(name)
        while len(self._objects) >= GROUPS and self._names:
            rest = [name for name in self._names if name not in USUAL] or list(self._names)
            self._drop(max(rest, key=lambda name: len(self._values[name])))

    def _drop(self, name: str) -> None:
        index = self._names.index(name)
        self._names = self._names[:index] + self._names[index + 1 :]
        del self._values[name]
        self._not_these.add(name)
        self._objects = _merged_by(
            self._objects.items(), lambda key: key[:index] + key[index + 1 :]
        )

    def _array_group(self, value: Any) -> Shape:
        first = value[0] if value else None
        tag = first if type(first) is str and len(first) <= TAG_LENGTH else None
        shape = self._arrays.get(tag)
        if shape is None:
            if len(self._arrays) > USUAL_VALUES:
                tag = None
            shape = self._arrays.setdefault(tag, Shape())
        return shape

    # --- which field it is

    def _discriminator(self) -> str | None:
        paths = {key: frozenset(_paths(shape)) for key, shape in self._objects.items()}
        found: tuple[float, str] | None = None
        for index, name in enumerate(self._names):
            score = self._score(index, name, paths)
            if score is not None and (found is None or score > found[0]):
                found = score, name
        return None if found is None else found[1]

    def _score(
        self, index: int, name: str, paths: Mapping[tuple[Tag | None, ...], Paths]
    ) -> float | None:
        """How well a field tells kinds apart; ``None`` if it does not."""
        parts: dict[Tag | None, set[tuple[str, str]]] = {}
        counts: dict[Tag | None, int] = {}
        for key, shape in self._objects.items():
            tag = key[index]
            counts[tag] = counts.get(tag, 0) + shape.count
            own = parts.setdefault(tag, set())
            own.update(path for path in paths[key] if path[0] != name)
        tags = [tag for tag in parts if tag is not None]
        coverage = 1 - counts.get(None, 0) / sum(counts.values())
        is_usual = name in USUAL
        if not tags or len(set(map(type, tags))) > 1:
            return None
        if coverage < (0.5 if is_usual else 0.8) or (len(tags) == 1 and not is_usual):
            return None
        distance = _mean_distance(list(parts.values()))
        if distance < (0.05 if is_usual else 0.4) and len(parts) > 1:
            return None
        return distance + 0.2 * coverage + 0.5 * is_usual

    def _kinds_of_arrays(self) -> tuple[TaggedShape, ...]:
        if not self._arrays:
            return ()
        whole = merged(self._arrays.values())
        parts = [set(_paths(shape)) for shape in self._arrays.values()]
        told_apart = (
            len(self._arrays) > 1
            and len(self._arrays) <= USUAL_VALUES
            and None not in self._arrays
            and _mean_distance(parts) >= 0.05
            and all(_has_places(shape) for shape in self._arrays.values())
        )
        if not told_apart:
            return (TaggedShape(None, whole),)
        kinds = (TaggedShape(tag, shape) for tag, shape in self._arrays.items())
        return tuple(sorted(kinds, key=lambda kind: -kind.shape.count))


def _has_places(shape: Shape) -> bool:
    lists = shape.lists
    return lists is not None and not lists.empty and lists.places is not None


def _tag(name: str, value: Any) -> Tag | None:
    """The value of a field, if it may name a kind."""
    if isinstance(value, str):
        return value if len(value) <= TAG_LENGTH else None
    is_usual = name in USUAL and not isinstance(value, bool)
    return value if is_usual and isinstance(value, int) and -9999 <= value <= 9999 else None


def _merged_by(
    groups: Iterable[tuple[Any, Shape]], key_of: Callable[[Any], Any]
) -> dict[Any, Shape]:
    found: dict[Any, Shape] = {}
    for key, shape in groups:
        mine = found.get(key_of(key))
        if mine is None:
            found[key_of(key)] = shape
        else:
            mine.add(shape)
    return found


def _kinds_by(
    groups: Mapping[tuple[Tag | None, ...], Shape], index: int | None
) -> Iterator[TaggedShape]:
    together: dict[Tag | None, list[Shape]] = {}
    for key, shape in groups.items():
        together.setdefault(None if index is None else key[index], []).append(shape)
    kinds = [TaggedShape(tag, merged(shapes)) for tag, shapes in together.items()]
    yield from sorted(kinds, key=lambda kind: -kind.shape.count)


def _mean_distance(parts: list[set[tuple[str, str]]]) -> float:
    """How different sets are: 0 if all are the same, 1 if none has anything of another."""
    distances = [
        1 - len(one & other) / len(one | other) if one | other else 0.0
        for one, other in combinations(parts, 2)
    ]
    return sum(distances) / len(distances) if distances else 0.0


def _paths(shape: Shape, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Where something is in a message, and what."""
    for kind in shape.types - {"null"}:
        yield path, kind
    if depth < 3 and shape.objects is not None and not shape.objects.is_map:
        for name, inner in shape.objects.fields.items():
            yield from _paths(inner, f"{path}.{name}" if path else str(name), depth + 1)
    if depth < 3 and shape.lists is not None:
        for place, inner in enumerate(shape.lists.places or ()):
            yield from _paths(inner, f"{path}[{place}]", depth + 1)
