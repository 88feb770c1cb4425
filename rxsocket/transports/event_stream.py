"""The parser of ``text/event-stream``: bytes in, events out (WHATWG HTML, section 9.2.6).

::

    bytes ── line ends ── whole lines ──┬── nothing but data, one line each: cut in one go
             become LF                  ├── with a type or an id before it: one regular expression
                                        └── all others: line by line

A stream whose events have nothing but one line of data, as most have, is cut by two calls for a
whole read from the network. It does not matter to what comes out where a read ends: in the middle
of a character, or between the two bytes of a line end.

Bounded by ``max_size`` is the data of an event, and each line of the stream without the name of its
field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rxsocket.codecs import size_in_bytes
from rxsocket.event_text import DEFAULT_TYPE, event_text

_EVENT = "(?:event: ([^\n]+)\n)?(?:id: ([^\n\0]+)\n)?(?:event: ([^\n]+)\n)?data: ([^\n]*)\n\n"
"""An event as most servers write it."""
_is_event = re.compile(_EVENT).match
_events_in = re.compile(f"{_EVENT}|([^\n]*\n)").findall
"""Such events; or a line of something else, which is last."""

_BOM = b"\xef\xbb\xbf"
_LONGEST_NAME = len("event: ")
_WIDEST = 3
"""Bytes that one byte becomes which is no UTF-8: those of the replacement character."""
_MOST_DIGITS = 12
"""Digits of a reconnection time that count: more of them are thousands of years, too."""


class EventStreamParser:
    """Reads one event stream. It knows nothing of what moves the bytes, and of time.

    Args:
        max_size: The most bytes that an event may have; ``None`` for no bound.
        last_event_id: The id of the newest event of the connection before.

    Attributes:
        last_event_id: The id of the newest event; empty without one.
        retry: The newest reconnection time in milliseconds, until somebody sets it to ``None``.
        failure: What is wrong with the stream; nothing more comes of it then.
    """

    __slots__ = (
        "_after_cr",
        "_counted",
        "_data",
        "_event",
        "_id",
        "_max_size",
        "_rest",
        "_size",
        "_start",
        "failure",
        "last_event_id",
        "retry",
    )

    def __init__(self, max_size: int | None = None, last_event_id: str = "") -> None:
        self._max_size = max_size
        self.last_event_id = self._id = last_event_id
        self.retry: int | None = None
        self.failure = ""
        self._start: bytes | None = b""  # what came until it is known whether it is a BOM
        self._after_cr = False
        self._rest = bytearray()  # of a line that is not whole
        self._event = ""
        self._data: list[str] = []
        self._size = self._counted = 0

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes of the stream.

        Returns:
            The data of the events that are whole now: an ``EventText`` if one has a type or
            an id, else a plain ``str``.
        """
        messages: list[str] = []
        if self.failure:
            return messages
        lines = self._whole_lines(data)
        if lines:
            self._read(lines, messages)
        if self._max_size is not None and len(self._rest) > self._max_size + _LONGEST_NAME:
            self._fail("a line")
        return messages

    def _whole_lines(self, data: bytes) -> bytes:
        """The lines that are whole now, each with LF at its end."""
        if self._start is not None:
            data = self._start + data
            if _BOM.startswith(data):
                self._start = data if data != _BOM else None
                return b""
            data, self._start = data.removeprefix(_BOM), None
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            return b""
        if not self._rest and end == len(data):
            return data
        whole = bytes(self._rest) + data[:end] if self._rest else data[:end]
        self._rest = bytearray(data[end:])
        return whole

    def _read(self, lines: bytes, messages: list[str]) -> None:
        """Read whole lines; of the event that was begun before first, then those after it."""
        if self._data or self._event:
            blank = -1 if lines.startswith(b"\n") else lines.find(b"\n\n")
            end = len(lines) if blank < 0 and lines[:1] != b"\n" else blank + 2
            self._read_lines(lines[:end], messages)
            lines = lines[end:]
        if self.failure:
            return
        if self._id == self.last_event_id and self._fits(lines):
            end = lines.rfind(b"\n\n") + 2
            if end > 1 and self._read_plain(lines[:end], messages):
                lines = lines[end:]
        if lines:
            self._read_lines(lines, messages)

    def _read_plain(self, lines: bytes, messages: list[str]) -> bool:
        """Read events that have one line of data each; return whether these are such."""
        text, id = lines.decode(errors="replace"), self._id
        if not id and text.startswith("data: "):
            cut = text[6:-2].split("\n\ndata: ")
            if text.count("\n") == 2 * len(cut):  # there is no other line
                messages += cut
                return True
        if not _is_event(text):  # what comes first shows how the others are written
            return False
        found: list[str] = []
        for event, new_id, later, data, other in _events_in(text):
            if other:
                return False
            id = new_id or id
            if event or later or id:
                found.append(event_text(data, later or event or DEFAULT_TYPE, id))
            else:
                found.append(data)
        messages += found
        self._id = self.last_event_id = id
        return True

    def _read_lines(self, lines: bytes, messages: list[str]) -> None:
        if self._fits(lines):
            self._take(lines[:-1].decode(errors="replace").split("\n"), messages)
            return
        for line in lines[:-1].split(b"\n"):
            if len(line) > (self._max_size or 0) + _LONGEST_NAME:
                self._fail("a line")
            else:
                self._take((line.decode(errors="replace"),), messages)
                self._count()
            if self.failure:
                return

    def _fits(self, lines: bytes) -> bool:
        """Whether nothing in these lines can be too large."""
        if self._max_size is None:
            return True
        if len(self._data) > self._counted:
            self._count()
        return self._size + _WIDEST * len(lines) <= self._max_size

    def _count(self) -> None:
        """Count what the event that is not whole yet has got since."""
        new = self._data[self._counted :]
        self._size += sum(map(size_in_bytes, new)) + len(new)
        self._counted = len(self._data)
        if (
            self._max_size is not None and self._size > self._max_size + 1
        ):  # the last LF is left out
            self._fail("an event")

    def _take(self, lines: Sequence[str], messages: list[str]) -> None:
        """Read lines as the specification says; what they mean together is kept in between."""
        event, data, id = self._event, self._data, self._id
        for line in lines:
            if line[:6] == "data: ":
                data.append(line[6:])
                continue
            if not line:
                self.last_event_id = id
                if data:
                    text = data[0] if len(data) == 1 else "\n".join(data)
                    if event or id:
                        text = event_text(text, event or DEFAULT_TYPE, id)
                    messages.append(text)
                    data.clear()
                    self._size = self._counted = 0
                event = ""
                continue
            name, _, value = line.partition(":")
            if value[:1] == " ":
                value = value[1:]
            if name == "data":
                data.append(value)
            elif name == "event":
                event = value
            elif name == "id":
                if "\0" not in value:
                    id = value
            elif name == "retry" and value.isascii() and value.isdigit():
                digits = value.lstrip("0")[: _MOST_DIGITS + 1]
                self.retry = min(int(digits or 0), 10**_MOST_DIGITS)
        self._event, self._id = event, id

    def _fail(self, what: str) -> None:
        self._rest.clear()
        self.failure = self.failure or f"{what} of more than max_size={self._max_size} bytes came"
