"""The page about browsers: its examples, in a page for CPython (see ``browser_page``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser_page import open_page
from internals import options_of, websockets_transport
from pages import Page

from rxsocket import Opened, Socket
from rxsocket.testing import Watch, accept, server
from rxsocket.testing.server import Server

PAGE = Page("run_in_the_browser")


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What an example begins with; its socket is closed at the end."""
    open_page(monkeypatch, websockets_transport)
    printed: list[Any] = []
    names: dict[str, Any] = {"print": printed.append, "printed": printed}
    yield names
    names["socket"].close().result(10)


def run(given: dict[str, Any], feed: Server, heading: str) -> Watch:
    given["url"] = feed.url
    exec(PAGE.example(heading), given)
    socket: Socket[Any] = given["socket"]
    assert options_of(socket).transport_name == "browser"
    return Watch(socket)


def test_a_first_socket(given: dict[str, Any]) -> None:
    """C57: the token goes in the address, and the socket follows it."""
    with server() as feed:
        feed.default = accept().send("hello").stay()
        run(given, feed, "A first socket")
        feed.wait_for(
            lambda here: here.handshakes[-1:] and here.handshakes[-1].credential == "updated"
        )


def test_a_credential(given: dict[str, Any]) -> None:
    """C57: the token goes in the first message."""
    with server(
        accept().expect('{"type": "auth", "token": "initial"}').send("welcome", "news")
    ) as feed:
        run(given, feed, "A credential").until(lambda seen: "news" in seen.messages)
        assert feed.handshakes[0].credential is None
        feed.check()


def test_a_link_that_is_dead(given: dict[str, Any]) -> None:
    """C57: the example with a shorter interval: the heartbeat is sent."""
    example = "A link that is dead"
    assert "interval=20.0" in PAGE.example(example)
    with server() as feed:
        feed.default = accept().stay()
        given["url"] = feed.url
        exec(PAGE.example(example).replace("interval=20.0", "interval=0.05"), given)
        Watch(given["socket"]).wait(Opened)
        feed.expect("ping")
