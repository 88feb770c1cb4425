"""The beginning of a payload, in one line, without anything secret (C28)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxsocket.arguments import is_list, is_mapping

__all__ = ["cut", "excerpt"]

LENGTH = 72
LARGE = 2**16
"""Characters of a text of which nothing is shown: masking all of it would take too long."""
ITEMS = 8
DEPTH = 4

Masking = Callable[[Any], Any]


def excerpt(value: Any, mask: Masking, length: int = LENGTH) -> str:
    """A payload in one line.

    Each text in it is masked as a whole, then cut: what is cut first would no longer be recognised.
    """
    if isinstance(value, str):
        return cut(_text(value, mask), length)
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    return cut(str(mask(_written(value, mask, DEPTH))), length)


def cut(text: str, length: int = LENGTH) -> str:
    """A text in one line, and no longer than that."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * length])
    line = " ".join(line.split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"


def _text(value: str, mask: Masking) -> str:
    return f"{len(value)} characters" if len(value) > LARGE else str(mask(value))


def _written(value: Any, mask: Masking, depth: int) -> str:
    if isinstance(value, str):
        return '"' + cut(_text(value, mask), LENGTH) + '"'
    if is_mapping(value):
        pairs = [
            f"{_written(key, mask, 0)}: {_written(item, mask, depth - 1)}" if depth else "…"
            for key, item in _first(value.items())
        ]
        return "{" + ", ".join(_more(pairs, len(value))) + "}"
    if is_list(value) and not hasattr(value, "_fields"):
        items = [_written(item, mask, depth - 1) if depth else "…" for item in _first(value)]
        return "[" + ", ".join(_more(items, len(value))) + "]"
    try:
        return _text(repr(value), mask)
    except Exception:  # the repr is the user's
        return f"<{type(value).__name__}>"


def _first(values: Any) -> list[Any]:
    return [value for value, _ in zip(values, range(ITEMS), strict=False)]


def _more(shown: list[str], count: int) -> list[str]:
    return shown if count <= len(shown) else [*shown, "…"]
