"""How what went over a socket reads in a row: its topic and its beginning, without secrets (C28).

Everything here runs on the thread that draws, or that of who asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from rxsocket.codecs import size_in_bytes
from rxsocket.event_text import DEFAULT_TYPE, EventText
from rxsocket.events import Closed, Event, Problem
from rxsocket.explain.causes import kind_and_text
from rxsocket.explain.wording import sentence
from rxsocket.notebook.inspecting.traffic import EVENT, RECEIVED, SENT, Entry, NotKept
from rxsocket.publishing.publisher import is_problem
from rxsocket.tables.rows import nested
from rxsocket.texts import printable
from rxsocket.validation import is_list

Part: TypeAlias = str | Callable[[Any], Any] | None
KINDS = (RECEIVED, SENT, EVENT)

SHOWN = 300
"""Characters of a message in a row."""
MASKED = 2**15
"""Characters that are looked through for secrets before a row is cut out of them."""
BYTES = 48
"""Bytes of a binary message in a row."""
TURN = 20
"""Rows that are made before another thread may go on."""
LONGEST_TOPIC = 60
TOPICS = ("topic", "channel", "type", "event", "method", "op", "stream", "action", "e")
"""Fields that say what a message is about, the best first."""


@dataclass(frozen=True, slots=True)
class InspectedRow:
    """A row of an inspector.

    Attributes:
        number: Its number, from 1, in the order in which things happened.
        at: The wall time, in seconds.
        kind: ``"received"``, ``"sent"`` or ``"event"``.
        epoch: The connection; ``None`` if it is of none.
        size: Bytes of the message; ``None`` of an event.
        topic: What the message is about; of an event its kind.
        text: Its beginning in one line; of an event what happened.
        is_problem: Whether something went wrong.
    """

    number: int
    at: float
    kind: str
    epoch: int | None
    size: int | None
    topic: str
    text: str
    is_problem: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows somebody wants to see.

    Attributes:
        text: What is in the message or the topic, in any case.
        kinds: The kinds that are shown.
        epoch: The only connection that is; ``None`` for all.
    """

    text: str = ""
    kinds: frozenset[str] = frozenset(KINDS)
    epoch: int | None = None


class RowMaker:
    """Makes rows of entries.

    Args:
        redact: Gives the function that hides secrets, as it is now.
        by: What messages are told apart by: a field, or a function; left out, it is looked for.

    Attributes:
        error: What the user's function raised, once it did.
    """

    def __init__(self, redact: Callable[[], Callable[[Any], Any]], by: Part) -> None:
        self._redact = redact
        self._by = by
        self.error = ""

    def row(self, entry: Entry) -> InspectedRow:
        """The row of an entry."""
        item, redact = entry.item, self._redact()
        number, at, kind, epoch, _ = entry
        if kind == EVENT:
            is_bad = isinstance(item, Problem) and not (
                isinstance(item, Closed) and not is_problem(item)
            )
            text = str(redact(sentence(item)))
            return InspectedRow(number, at, kind, epoch, None, type(item).__name__, text, is_bad)
        topic = printable(str(redact(str(redact(self._topic(item))))), LONGEST_TOPIC)
        return InspectedRow(number, at, kind, epoch, size_of(item), topic, _line(item, redact))

    def rows(self, entries: Iterable[Entry], chosen: Filter, most: int) -> list[InspectedRow]:
        """The rows of the last entries that are wanted.

        Args:
            entries: Those to choose from, newest first.
            chosen: Which are wanted.
            most: How many at most.
        """
        found: list[InspectedRow] = []
        for entry in islice(self.matching(entries, chosen), most):
            found.append(self.row(entry))
            if len(found) % TURN == 0:
                time.sleep(0.0005)  # the socket's thread goes first
        return found[::-1]

    def matching(self, entries: Iterable[Entry], chosen: Filter) -> Iterator[Entry]:
        """The entries that are wanted."""
        redact, text = self._redact(), chosen.text.lower()
        every = chosen.kinds >= set(KINDS) and chosen.epoch is None
        for entry in entries:
            if not every and (
                entry.kind not in chosen.kinds or chosen.epoch not in (None, entry.epoch)
            ):
                continue
            if not text or self._has(entry, text, redact):
                yield entry

    def _has(self, entry: Entry, text: str, redact: Callable[[Any], Any]) -> bool:
        item = entry.item
        if isinstance(item, (str, bytes)):
            # First without masking, which takes longer; then a secret is not found either.
            if text not in readable(item).lower():
                return False
            return text in readable(redact(item)).lower()
        if isinstance(item, NotKept):
            return False
        return text in f"{type(item).__name__} {redact(sentence(item))}".lower()

    def _topic(self, item: Any) -> Any:
        if self._by is None:
            return _found_topic(item)
        try:
            value = value_of(item)
            found = self._by(value) if callable(self._by) else nested(self._by, value)
        except Exception as error:  # of a function of the user's
            self.error = f"by= raised {kind_and_text(error)}"
            return ""
        return "" if found is None else found


class _Named(msgspec.Struct):
    topic: Any = None
    channel: Any = None
    type: Any = None
    event: Any = None
    method: Any = None
    op: Any = None
    stream: Any = None
    action: Any = None
    e: Any = None


_named = msgspec.json.Decoder(_Named).decode
_any = msgspec.json.Decoder().decode


def _found_topic(item: Any) -> str:
    if isinstance(item, EventText) and item.event != DEFAULT_TYPE:
        return item.event
    start = item[:64].lstrip()[:1] if isinstance(item, (str, bytes)) else ""
    try:
        if start in ("{", b"{"):
            named = _named(item)
            found = (getattr(named, name) for name in TOPICS)
            return next((one for one in found if isinstance(one, str) and one), "")
        if start in ("[", b"["):
            value = _any(item)
            return next((one for one in value if isinstance(one, str) and len(one) > 1), "")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    return ""


def value_of(item: Any) -> Any:
    """What a message says, if it is JSON; else the message."""
    if isinstance(item, (str, bytes)):
        try:
            return _any(item)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
    return str(item) if isinstance(item, EventText) else item


def size_of(item: Any) -> int:
    """Bytes of a message, without compression."""
    if isinstance(item, NotKept):
        return item.size
    try:
        return size_in_bytes(item)
    except UnicodeEncodeError:
        return len(item)


def is_text(data: bytes) -> bool:
    """Whether bytes are text that can be read, as JSON in binary messages is."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        if error.start < len(data) - 3 or not error.start:  # a character that was cut
            return False
        text = data[: error.start].decode()
    return all(letter.isprintable() or letter in "\t\r\n" for letter in text)


def readable(item: str | bytes) -> str:
    """A message as it is searched."""
    return item if isinstance(item, str) else item.decode(errors="replace")


def hexadecimal(data: bytes) -> str:
    """Bytes in hexadecimal, in pairs."""
    return data.hex(" ")


def _line(item: Any, redact: Callable[[Any], Any]) -> str:
    if isinstance(item, NotKept):
        return "a message in fragments, not kept"
    start = redact(item[:MASKED])
    if isinstance(start, bytes):
        if start and is_text(start[:SHOWN]):
            start = start[: 4 * SHOWN].decode(errors="replace")
        else:
            return hexadecimal(start[:BYTES]) + (" …" if len(item) > BYTES else "")
    text = " ".join(start[: 2 * SHOWN].split())
    is_cut = len(text) > SHOWN or len(item) > 2 * SHOWN
    return printable(text[: SHOWN - 1]) + "…" if is_cut else printable(text)


def event_fields(event: Event, redact: Callable[[Any], Any]) -> dict[str, Any]:
    """What an event says, for a tree."""
    fields: dict[str, Any] = {"event": type(event).__name__}
    for name in event.__dataclass_fields__:
        value: Any = getattr(event, name)
        if isinstance(value, BaseException):
            value = kind_and_text(value)
        elif hasattr(value, "name") and hasattr(value, "value"):  # of an enumeration
            value = value.name
        elif not isinstance(value, (int, float, str, type(None))) and not is_list(value):
            value = str(value)
        fields[name] = redact(value) if isinstance(value, str) else value
    return fields
