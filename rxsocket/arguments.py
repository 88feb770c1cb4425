"""Arguments are checked where they come in, and the error names them and says what to pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

__all__ = [
    "code_to_send",
    "encodable",
    "instance",
    "is_list",
    "is_mapping",
    "more_than_zero",
    "name_or_none",
    "one_line",
    "reason_to_send",
    "seconds",
    "seconds_or_none",
    "whole_number",
]

T = TypeVar("T")

_UNSAFE = {"\r": "CR", "\n": "LF", "\0": "NUL"}


def seconds(name: str, value: Any, *, or_none: bool = False) -> float:
    """Check a duration in seconds.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is negative or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        also = " or None" if or_none else ""
        raise TypeError(f"{name}: pass a number of seconds{also}, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}: pass a number of seconds that is 0 or more, not {value!r}")
    return float(value)


def seconds_or_none(name: str, value: Any) -> float | None:
    """Check a duration in seconds that may be ``None``, as :func:`seconds` does."""
    return None if value is None else seconds(name, value, or_none=True)


def more_than_zero(name: str, value: Any) -> float | None:
    """Check a duration in seconds that may be ``None`` but not 0.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is 0, negative or not finite.
    """
    if value is not None and seconds(name, value, or_none=True) == 0:
        raise ValueError(f"{name}: pass a number of seconds that is more than 0, or None")
    return seconds_or_none(name, value)


def name_or_none(name: str, value: Any) -> str | None:
    """Check what somebody wants something to be called, if at all.

    Raises:
        TypeError: If it is no string.
        ValueError: If nothing in it can be seen, or it is no single line.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name}: pass a string or None, not {type(value).__name__}")
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{name}: pass a name on one line, such as 'quotes', not {value!r}")
    return value


def one_line(name: str, text: str) -> str:
    """Check that a text can go into a header or a query: no CR, LF or NUL, and encodable.

    The text itself may be a secret, so the error does not show it.

    Raises:
        ValueError: If it holds one of them.
    """
    for character, label in _UNSAFE.items():
        if character in text:
            raise ValueError(
                f"{name}: holds {label}, which may not go into a handshake; strip it first"
            )
    return encodable(name, text)


def encodable(name: str, text: str) -> str:
    """Check that a text has an encoding in UTF-8; the error does not show it.

    Raises:
        ValueError: If it holds half a surrogate pair.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{name}: holds half a surrogate pair, which is no text; decode it first")
    return text


def code_to_send(name: str, value: Any) -> int:
    """Check a close code that an application may send (RFC 6455, section 7.4).

    Raises:
        TypeError: If it is no integer.
        ValueError: If it may not be sent.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: pass a close code such as 1000, not {type(value).__name__}")
    if value != 1000 and not 3000 <= value < 5000:
        raise ValueError(f"{name}: pass 1000 or a code from 3000 to 4999, not {value}")
    return value


def reason_to_send(name: str, value: Any) -> str:
    """Check the text of a close frame (RFC 6455, section 5.5).

    Raises:
        TypeError: If it is no string.
        ValueError: If it is longer than 123 bytes, or cannot be encoded.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}: pass a string, not {type(value).__name__}")
    if len(encodable(name, value).encode()) > 123:
        raise ValueError(f"{name}: a close frame holds at most 123 bytes of text")
    return value


def instance(name: str, value: Any, kind: type[T], example: str) -> T:
    """Check that something is of a class.

    Raises:
        TypeError: If it is not; it says what to pass.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name}: pass {example}, not {type(value).__name__}")
    return value


def whole_number(name: str, value: Any) -> int:
    """Check a number of things, 1 or more.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: pass a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: pass 1 or more, not {value}")
    return value


def is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value is a mapping, of whatever."""
    return isinstance(value, (dict, Mapping))  # a dict is seen at once


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list or a tuple, of whatever."""
    return isinstance(value, (list, tuple))
