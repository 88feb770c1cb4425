"""The page about server-sent events: its examples, each with a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from event_server import Asked, event_server_on_a_thread
from pages import Page

from rxsocket import Cause, Closed, Opened, Socket
from rxsocket.testing import Watch

pytest.importorskip("httptools")
PAGE = Page("read_server_sent_events")


@pytest.fixture
def given() -> Iterator[dict[str, Any]]:
    """What an example begins with; its socket is closed at the end."""
    printed: list[Any] = []
    names: dict[str, Any] = {"print": printed.append, "printed": printed, "__name__": __name__}
    yield names
    names["socket"].close().result(10)


async def two_events(asked: Asked) -> None:
    """One with a name and an id, and one without."""
    await asked.begin()
    await asked.send('id: 7\nevent: trade\ndata: {"price": 1.5}\n\n', "data: hello\n\n")
    await asked.gone.wait()


def run(given: dict[str, Any], heading: str) -> Watch:
    exec(PAGE.example(heading), given)
    socket: Socket[Any] = given["socket"]
    return Watch(socket)


def test_a_stream(given: dict[str, Any]) -> None:
    """C50: the token goes in a header, and the stream follows it."""
    with event_server_on_a_thread(two_events) as server:
        given["url"] = server.url
        watch = run(given, "A stream")
        watch.until(lambda seen: len(seen.messages) >= 2)
        assert server.asked[-1].headers["authorization"] == "Bearer updated"


def test_one_type_of_event(given: dict[str, Any]) -> None:
    """C50: a listener gets the events of its name."""
    with event_server_on_a_thread(two_events) as server:
        given["url"] = server.url
        run(given, "One type of event").until(lambda seen: len(seen.messages) >= 2)
        trade, hello = given["printed"]
        assert trade == given["Trade"](1.5) and hello == "hello"


def test_going_on(given: dict[str, Any]) -> None:
    """C50: the id that was stored goes to the server, and the newest one is stored."""
    stored: list[Any] = []
    given |= {"stored": "6", "store": stored.append}
    with event_server_on_a_thread(two_events) as server:
        given["url"] = server.url
        run(given, "Going on where it broke off").until(lambda seen: len(seen.messages) >= 2)
        assert server.asked[0].last_event_id == "6"
        assert stored == ["6", "7"]


def test_a_silent_stream(given: dict[str, Any]) -> None:
    """C50: the example with a shorter patience: comments keep it, silence ends it."""

    async def comments(asked: Asked) -> None:
        await asked.begin()
        for _ in range(6):
            await asked.send(": keep-alive\n\n")
            await asyncio.sleep(0.1)
        await asked.gone.wait()

    example = PAGE.example("A stream that is silent").replace("30.0", "0.4")
    with event_server_on_a_thread(comments) as server:
        given["url"] = server.url
        exec(example, given)
        watch = Watch(given["socket"])
        watch.wait(Opened)
        closed = watch.wait(Closed)
        assert closed.cause is Cause.STALE and closed.uptime > 0.8
