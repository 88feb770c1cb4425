"""Where in a message something is, and what a message has to look like: data of the config.

::

    "data.s"                  the entry "s" of the entry "data"
    "0"                       the first item of a list
    "channels.*.ids"          the "ids" of each of the "channels"
    {event = "subscribed"}    a message whose "event" is that
    {"error.code" = "*"}      a message that has one, and it is not null
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rxsocket.validation import is_list, is_mapping

ANYTHING = "*"


class Path:
    """A place in a message.

    Args:
        text: Names of entries and numbers of items, with dots between; ``*`` is each of them.

    Attributes:
        has_several: Whether more than one value may be there.

    Raises:
        ValueError: If a part of it is empty.
    """

    __slots__ = ("_parts", "has_several", "text")

    def __init__(self, text: str) -> None:
        parts = text.split(".")
        if not all(parts):
            raise ValueError(
                f"pass the place of a field in a message, such as 's' or 'data.s', not {text!r}"
            )
        self.text = text
        self._parts = tuple(parts)
        self.has_several = ANYTHING in parts

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        return Path, (self.text,)

    def find(self, message: Any) -> Any:
        """The first value that is there; ``None`` without any."""
        if self.has_several:
            return next(_each(message, self._parts), None)
        value = message
        for part in self._parts:
            value = _entry(value, part)
        return value

    def find_all(self, message: Any) -> list[Any]:
        """Each value that is there, and of a list that is there each of its items."""
        found: list[Any] = []
        for value in _each(message, self._parts):
            found.extend(value if is_list(value) else (value,))
        return found


class Places:
    """Where something is in a message: several values are one text, with spaces between.

    Args:
        texts: The places.

    Raises:
        ValueError: If one of them is none.
    """

    __slots__ = ("_one", "_paths")

    def __init__(self, texts: Iterable[str]) -> None:
        self._paths = [Path(text) for text in texts]
        self._one = self._paths[0] if len(self._paths) == 1 else None

    def text(self, message: Any) -> str | None:
        """What is there, as a text; ``None`` if something is not."""
        if self._one is not None:
            value = self._one.find(message)
            return value if value is None or type(value) is str else str(value)
        values = [path.find(message) for path in self._paths]
        return None if None in values else " ".join(map(str, values))

    def value(self, message: Any) -> Any:
        """What is there, as the server wrote it."""
        return self.text(message) if self._one is None else self._one.find(message)

    def texts(self, message: Any) -> list[str]:
        """Each value that is there, also of a list."""
        if self._one is not None:
            return [str(value) for value in self._one.find_all(message)]
        text = self.text(message)
        return [] if text is None else [text]


class FoundBy:
    """A function of the user's that finds what ``Places`` would.

    Args:
        function: Takes a message; returns what is there, a list of it, or ``None``.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def text(self, message: Any) -> str | None:
        value = self._function(message)
        return None if value is None else str(value)

    def value(self, message: Any) -> Any:
        return self._function(message)

    def texts(self, message: Any) -> list[str]:
        value = self._function(message)
        if value is None:
            return []
        return [str(each) for each in value] if is_list(value) else [str(value)]


def _each(value: Any, parts: tuple[str, ...]) -> Iterator[Any]:
    if not parts:
        if value is not None:
            yield value
        return
    if parts[0] != ANYTHING:
        yield from _each(_entry(value, parts[0]), parts[1:])
        return
    items: Iterable[Any] = ()
    if is_mapping(value):
        items = value.values()
    elif is_list(value):
        items = value
    for item in items:
        yield from _each(item, parts[1:])


def _entry(value: Any, part: str) -> Any:
    if is_mapping(value):
        return value.get(part)
    if is_list(value) and part.isdecimal():
        place = int(part)
        return value[place] if place < len(value) else None
    return None


class Match:
    """What some messages have in common.

    Args:
        looks: Places and their values, all of which such a message has, or a list of these, of
            which it has one. ``"*"`` is any value but null.
    """

    __slots__ = ("_alternatives", "_given")

    def __init__(self, looks: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        self._given = looks
        alternatives: Sequence[Any] = looks if is_list(looks) else [looks]
        self._alternatives = [
            [(Path(place), wanted) for place, wanted in each.items()] for each in alternatives
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return Match, (self._given,)

    def __call__(self, message: Any) -> bool:
        return any(
            all(_is_wanted(place.find(message), wanted) for place, wanted in each)
            for each in self._alternatives
        )


def _is_wanted(value: Any, wanted: Any) -> bool:
    if wanted == ANYTHING:
        return value is not None
    # True is 1 in Python, and not in JSON.
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
