"""The page about looking at what goes over a socket: its examples, one after the other."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

from pages import Page

from rxsocket.testing import server

PAGE = Page("look_into_an_unknown_feed")
TOKEN = "c4n4ry/z0rk+q8x5"


def test_the_examples(capsys: Any) -> None:
    with server(tokens={TOKEN}) as peer:
        names: dict[str, Any] = {"url": peer.url, "token": TOKEN}

        def run(heading: str) -> str:
            exec(PAGE.example(heading), names)
            return str(capsys.readouterr().out)

        run("Look at it")
        socket = names["socket"]
        came = Future[None]()
        socket.messages.subscribe(lambda said: came.set_result(None) if said == "last" else None)
        socket.opened(5).result()
        first = names["panel"]
        run("Say what messages are about")
        by_symbol = names["panel"]
        names["panel"] = first
        run("See everything of a socket at once")
        assert "0 received" in repr(names["everything"])
        told = run("Keep more, or less")
        assert told.endswith("0 received, 0 sent, 2 events\n")
        few = names["panel"]
        socket.send('{"op": "subscribe"}').result(5)
        peer.wait_for(lambda peer: len(peer.received) == 1)
        peer.push(
            json.dumps({"type": "trade", "data": {"symbol": "BTC-USD"}}),
            json.dumps({"type": "error", "text": f"the token {TOKEN} is old"}),
            "last",
        )
        came.result(5)
        assert few.status == PAGE.example("Keep more, or less", language="text").strip()
        assert [row.topic for row in by_symbol.rows(kind="received")] == ["BTC-USD", "", ""]
        names["panel"] = first
        told = run("Read the rows in a program")
        assert told.splitlines()[0].startswith("5 1 ")
        assert told.splitlines()[1] == '{"type": "error", "text": "the token *** is old"}'
        socket.close().result(5)
