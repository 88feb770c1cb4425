"""A whole message, for who clicks on its row: as a tree, as text or in hexadecimal (C28)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from rxsocket.explain.wording import advice, sentence
from rxsocket.notebook.inspecting.rows import event_fields, hexadecimal, is_text
from rxsocket.notebook.inspecting.traffic import EVENT, Entry, NotKept

LARGEST = 2**20
"""Characters of a message that are shown; the rest is said to be missing."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole message without secrets.

    Attributes:
        text: The message; one that is binary in hexadecimal.
        json: The same as JSON, where it is that, or a codec makes a value of it.
        note: What else there is to say.
    """

    text: str
    json: str = ""
    note: str = ""


def contents(
    entry: Entry, redact: Callable[[Any], Any], decode: Callable[[bytes], Any] | None
) -> Contents:
    """The whole message of an entry.

    Args:
        entry: What went over the socket.
        redact: Hides secrets.
        decode: Makes a value of a binary message; ``None`` without a codec.
    """
    item = entry.item
    if entry.kind == EVENT:
        fields = event_fields(item, redact)
        said, hint = str(redact(sentence(item))), str(redact(advice(item)))
        text = said + (f"\nyou can: {hint}" if hint else "")
        return Contents(text, msgspec.json.encode(fields).decode())
    if isinstance(item, NotKept):
        return Contents("", note="it was sent in fragments as they were made, and is not kept")
    masked = redact(item)
    if isinstance(masked, bytes) and is_text(masked):
        masked = masked.decode()
    if isinstance(masked, str):
        text, note = _cut(masked, "characters")
        return Contents(text, "" if note else _json_of(text), note)
    data, note = _cut(masked, "bytes")
    return Contents(hexadecimal(data), _decoded(item, redact, decode), note)


def _cut(data: Any, what: str) -> tuple[Any, str]:
    if len(data) <= LARGEST:
        return data, ""
    return data[:LARGEST], f"the first {LARGEST:,} of {len(data):,} {what}"


def _json_of(text: str) -> str:
    if text[:64].lstrip()[:1] not in ("{", "["):
        return ""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ""
    return text


def _decoded(
    item: bytes, redact: Callable[[Any], Any], decode: Callable[[bytes], Any] | None
) -> str:
    """What a codec makes of a binary message, as JSON."""
    if decode is None:
        return ""
    try:
        value = decode(item)
        if value is item:
            return ""
        text = msgspec.json.encode(value).decode()
    except Exception:  # of a codec of the user's, or there is no such value in JSON
        return ""
    return str(redact(text)) if len(text) <= LARGEST else ""
