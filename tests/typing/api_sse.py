"""The types of ``rxsocket.sse``, checked by mypy and pyright; it is never run."""

from typing import Any, assert_type

from rxsocket import Socket
from rxsocket.sse import EventText, event_id, event_type, last_event_id

socket = Socket("https://example.com/events", cursor=last_event_id(start="7", gaps=True))
assert_type(socket, Socket[str | bytes, str | bytes])


def show(message: str | bytes) -> None:
    assert_type(event_type(message), str)
    assert_type(event_id(message), str)
    if isinstance(message, EventText):
        assert_type(message.event, str)
        assert_type(message.id, str)


socket.messages.subscribe(show)
named: Socket[Any] = Socket("https://example.com/events", transport="sse")
chosen: Socket[Any] = Socket("https://example.com/events", transport="auto")
