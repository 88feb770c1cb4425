"""The text of a server-sent event, with its type and its id (C50)."""

from __future__ import annotations

from typing import Any

DEFAULT_TYPE = "message"
"""The type of an event that names none."""


class EventText(str):
    """The data of an event that has a type or an id; of others, it is a plain ``str``.

    A read from the network often holds hundreds of events that have neither, and an object of a
    class of its own takes longer to make than all else that is done to such an event.

    Attributes:
        event: The type.
        id: The last event ID of the stream as the event came; empty if there was none.
    """

    __slots__ = ("event", "id")

    event: str
    id: str

    def __reduce__(self) -> tuple[Any, ...]:
        return event_text, (str(self), self.event, self.id)


def event_text(data: str, event: str = DEFAULT_TYPE, id: str = "") -> EventText:
    """The data of an event of a type, with an id. No constructor: that would take twice as long."""
    text = EventText(data)
    text.event = event
    text.id = id
    return text


def event_type(message: object) -> str:
    """The type of the event that a message is: ``"message"`` if it names none.

    Args:
        message: A message of an event stream, on a socket without a codec.

    Examples:
        >>> socket.messages.subscribe(lambda message: print(event_type(message), message))
    """
    return message.event if isinstance(message, EventText) else DEFAULT_TYPE


def event_id(message: object) -> str:
    """The last event ID of the stream as a message came; empty if there was none.

    Args:
        message: A message of an event stream, on a socket without a codec.
    """
    return message.id if isinstance(message, EventText) else ""
