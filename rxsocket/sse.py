"""Server-sent events: what a message of an event stream is, besides its text
(rule C50, server-sent events).

::

    id: 7
    event: trade          a message: the text '{"price": 12.5}', of the type "trade",
    data: {"price": 12.5} with the id "7"

A message is the ``str`` of its data. Whoever listens to one type of event asks for it by name:
``socket.listener("trade")``. Where all of them come together, :func:`event_type` and
:func:`event_id` say what a message is.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from rxsocket.event_text import EventText, event_id, event_type
from rxsocket.resume.cursor import Cursor
from rxsocket.validation import instance

__all__ = ["EventText", "event_id", "event_type", "last_event_id"]

MOST_DIGITS = 38
"""Of an id that is a number."""


def _no_place(message: Any) -> Hashable | None:
    """The ids are read from the stream itself: an event without data has one, too."""
    return None


def last_event_id(start: str | None = None, *, gaps: bool = False) -> Cursor:
    """The ``cursor`` of an event stream: the id of its newest event, which it has by itself.

    It goes to the server as ``Last-Event-ID`` when the next connection is made
    (rules C38, resuming; C50, server-sent events).

    ::

        stream       id: 8   id: 9  --x          o--  id: 10
        cursor       8-------9----------------------- 10
        next dial                     Last-Event-ID: 9

    Args:
        start: The id to begin after, as it was stored by an earlier program.
        gaps: Whether ids are consecutive numbers, of which one that did not come is a ``Missed``
            on ``errors``. The place is then an ``int``.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If no event can have this id.

    Examples:
        >>> socket = Socket("https://example.com/events", cursor=last_event_id(start=stored))
        >>> socket.cursor.subscribe(store)
    """
    instance("last_event_id(gaps)", gaps, bool, "True or False")
    if start is not None:
        instance("last_event_id(start)", start, str, "the id of an event")
        if any(sign in start for sign in "\r\n\0"):
            raise ValueError("last_event_id(start): an id has no line break and no NUL in it")
    place_of = _number_or_id if gaps else _id
    return Cursor(_no_place, place_of(start or ""), gaps, place_of)


def _id(id: str) -> str | None:
    return id or None


def _number_or_id(id: str) -> int | str | None:
    if id.isascii() and id.isdigit() and len(id) <= MOST_DIGITS and str(int(id)) == id:
        return int(id)
    return id or None
