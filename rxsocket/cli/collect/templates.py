"""Messages that are written down in the config, with places for what is not known there.

::

    {op = "subscribe", args = ["{key}"], id = "{number}"}
    {"op": "subscribe", "args": ["a", "b"], "id": 7}

    {key}           an item of a list that holds it is there once for each key; elsewhere it is the
                    one key of the message, for which ``batch`` is 1
    {key.1}         the first word of a key that has several: "trades" of "trades BTC-USD"
    {number}        a number that no earlier message of this process has
    {auth.NAME}     an entry of the credential of the connection
    {assigned}      what the server calls the key on this connection
    {{  }}          these signs themselves
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rxsocket.validation import is_list, is_mapping

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_KEY = re.compile(r"key(?:\.([1-9][0-9]?))?")
_KNOWN = "{key}, {key.1}, {number}, {auth.NAME}, {assigned}"


@dataclass(slots=True)
class Filling:
    """What goes into a message.

    Attributes:
        keys: The keys that it is about.
        number: Its number.
        credential: That of the connection.
        assigned: Gives what the server calls a key.
    """

    keys: list[Any] = field(repr=False)
    number: int
    credential: Any = field(repr=False)
    assigned: Callable[[Any], Any]


class Template:
    """A message with places in it.

    Args:
        message: Tables, lists, texts and numbers, as ``tomllib`` reads them.

    Attributes:
        is_for_one_key: Whether it can be about a single key alone.
        names: The names of all the places in it.

    Raises:
        ValueError: If there is no such place; the text says which there are.
    """

    def __init__(self, message: Any) -> None:
        self._message = message
        self.names = frozenset(_names(message))
        for name in self.names:
            _check(name)
        self.is_for_one_key = _is_about_one(message)

    def fill(self, filling: Filling) -> Any:
        """The message.

        Raises:
            ValueError: If it is for one key, and there are others.
            LookupError: If the credential or a key has no such part.
        """
        if self.is_for_one_key and len(filling.keys) != 1:
            raise ValueError("this message is for one key: leave limits.batch at 1")
        return _filled(self._message, filling, filling.keys[0] if filling.keys else None)


def is_about_keys(name: str) -> bool:
    """Whether what is in a place depends on the key."""
    return name == "assigned" or _KEY.fullmatch(name) is not None


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for found in _PLACE.finditer(value):
            if found[0] in "{}":
                raise ValueError(
                    f"a single {found[0]} is not closed or not opened; write it twice to have one"
                )
            if found[1] is not None:
                yield found[1]
    elif is_list(value):
        for item in value:
            yield from _names(item)
    elif is_mapping(value):
        for item in value.values():
            yield from _names(item)


def _check(name: str) -> None:
    if name == "keys":
        raise ValueError('write ["{key}"] instead of {keys}: it is there once for each key')
    is_known = name == "number" or is_about_keys(name) or name.startswith("auth.")
    if not is_known or name == "auth.":
        raise ValueError(f"there is no {{{name}}}; pass one of {_KNOWN}")


def _is_about_one(value: Any) -> bool:
    """Whether a key stands in it where no list repeats it."""
    if is_mapping(value):
        return any(map(_is_about_one, value.values()))
    return isinstance(value, str) and any(map(is_about_keys, _names(value)))


def _filled(value: Any, filling: Filling, key: Any) -> Any:
    if isinstance(value, str):
        return _text(value, filling, key)
    if is_mapping(value):
        return {name: _filled(item, filling, key) for name, item in value.items()}
    if not is_list(value):
        return value
    items: list[Any] = []
    for item in value:
        if _is_about_one(item):
            items.extend(_filled(item, filling, each) for each in filling.keys)
        else:
            items.append(_filled(item, filling, key))
    return items


def _text(text: str, filling: Filling, key: Any) -> Any:
    whole = _PLACE.fullmatch(text)
    if whole is not None and whole[1] is not None:
        return _value(whole[1], filling, key)  # a number stays one

    def put(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else str(_value(found[1], filling, key))

    return _PLACE.sub(put, text)


def _value(name: str, filling: Filling, key: Any) -> Any:
    if name == "number":
        return filling.number
    if name == "assigned":
        return filling.assigned(key)
    if name.startswith("auth."):
        return _entry(filling.credential, name.removeprefix("auth."))
    part = _KEY.fullmatch(name)
    if part is None or part[1] is None:
        return key
    return word_of(key, int(part[1]))


def word_of(key: str, number: int) -> str:
    """One of the words of a key, from 1 on.

    Raises:
        LookupError: If it has fewer.
    """
    words = key.split()
    if number > len(words):
        raise LookupError(f"the key {key!r} has no word {number}")
    return words[number - 1]


def _entry(credential: Any, name: str) -> Any:
    if not is_mapping(credential) or name not in credential:
        raise LookupError(f"the credential has no entry {name}")
    return credential[name]
