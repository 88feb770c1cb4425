"""The beginning of a payload in one line, without anything secret (C28)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from rxsocket.validation import is_list, is_mapping

LENGTH = 72
LARGE = 2**16
"""Characters beyond which only the length of a text is shown: redacting takes too long."""
ITEMS = 8
DEPTH = 4

Redact = Callable[[Any], Any]


def preview(value: Any, redact: Redact, length: int = LENGTH) -> str:
    """A payload in one line.

    Each text in it is redacted as a whole, then cut: half a secret would not be recognised.
    """
    if isinstance(value, str):
        return _shortened(_redacted(value, redact), length)
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    return _shortened(str(redact(_literal(value, redact, DEPTH))), length)


def _shortened(text: str, length: int) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * length])
    line = " ".join(line.split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"


def _redacted(text: str, redact: Redact) -> str:
    return f"{len(text)} characters" if len(text) > LARGE else str(redact(text))


def _literal(value: Any, redact: Redact, depth: int) -> str:
    if isinstance(value, str):
        return '"' + _shortened(_redacted(value, redact), LENGTH) + '"'
    if is_mapping(value):
        pairs = [
            f"{_literal(key, redact, 0)}: {_literal(item, redact, depth - 1)}" if depth else "…"
            for key, item in islice(value.items(), ITEMS)
        ]
        return "{" + ", ".join(_with_ellipsis(pairs, len(value))) + "}"
    if is_list(value) and not hasattr(value, "_fields"):
        items = [
            _literal(item, redact, depth - 1) if depth else "…" for item in islice(value, ITEMS)
        ]
        return "[" + ", ".join(_with_ellipsis(items, len(value))) + "]"
    try:
        return _redacted(repr(value), redact)
    except Exception:  # the repr is the user's
        return f"<{type(value).__name__}>"


def _with_ellipsis(shown: list[str], count: int) -> list[str]:
    return shown if count <= len(shown) else [*shown, "…"]
