"""The page about pictures of a socket: its cells, without a front end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from extras import needs
from pages import Page

from rxsocket.testing import server

PAGE = Page("watch_a_socket_in_a_notebook")
pytestmark = needs("anywidget", "ipywidgets")


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the cells have defined, after the first of them."""
    with server(tokens=["secret-token"]) as peer:
        names: dict[str, Any] = {"url": peer.url, "token": "secret-token"}
        exec(PAGE.example("Look at a socket"), names)
        names["socket"].opened().result(10)
        yield names
        names["socket"].close().result(10)


def test_the_timeline(names: dict[str, Any]) -> None:
    picture = eval(PAGE.example("Look at a socket", 2), names)
    assert "prices" in picture.svg() and "secret-token" not in picture.svg()


def test_a_moment(names: dict[str, Any]) -> None:
    """It says what was, after the socket was closed."""
    exec(PAGE.example("Keep a moment"), names)
    names["socket"].close().result(10)
    assert repr(names["before"]).startswith("Socket prices ws://")
    assert ": open for" in repr(names["before"])
    assert ": closed" in names["card"](names["socket"]).static()["text/plain"]


def test_a_layout(names: dict[str, Any]) -> None:
    """Its widgets are those of the card and of the timeline."""
    exec(PAGE.example("Put several side by side"), names)
    first, second = names["layout"].children
    assert "prices" in first.html and "<svg" in second.html
    for widget in (first, second):
        widget.close()
