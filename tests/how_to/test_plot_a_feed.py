"""The page about plots and tables: its cells, one after the other."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

from extras import needs
from pages import Page

from rxsocket.testing import server

pytestmark = needs("numpy", "pandas")
PAGE = Page("plot_a_feed")


def test_the_cells() -> None:
    with server() as peer:
        names: dict[str, Any] = {"url": peer.url}
        exec(PAGE.example("How do I plot a feed, and keep the latest of each symbol?"), names)
        socket = names["socket"]
        exec(PAGE.example("Plot it"), names)
        exec(PAGE.example("Plot it", 2), names)
        exec(PAGE.example("Keep the latest of each symbol"), names)
        last = Event()
        socket.messages.subscribe(lambda trade: last.set() if trade["price"] == 5 else None)
        socket.opened().result(20)
        for number in range(6):
            trade = {"symbol": "ABC"[number % 3], "price": number, "size": 1}
            peer.push(json.dumps(trade))
        assert last.wait(20)
        assert "6 values" in repr(names["prices"])
        assert all(f">{name}</text>" in names["prices"].svg() for name in "ABC")
        assert ">A size</text>" in names["two"].svg() and ">C" not in names["two"].svg()
        assert list(names["latest"].df["price"]) == [3, 4, 5]
        socket.close().result(20)
