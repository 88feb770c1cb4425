"""C55: ``inspect()`` of a real connection, and what it hides."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

from rxsocket import Socket, messagepack_codec
from rxsocket.notebook import inspect
from rxsocket.testing import server

CANARY = "c4n4ry/z0rk+q8x5"


def test_what_goes_over_the_wire(transport: Any) -> None:
    """Both ways, over two connections, with the sizes of what was sent; no secret in it (C28)."""
    with server(tokens={CANARY}) as peer:
        socket = Socket(peer.url, auth={"token": CANARY}, transport=transport)
        panel = inspect(socket)
        both, second = Future[None](), Future[None]()

        def on_message(message: Any) -> None:
            if message == "é" * 10:
                both.set_result(None)
            if message == "last":
                second.set_result(None)

        socket.messages.subscribe(on_message)
        socket.opened(5).result()
        socket.send("hello").result(5)
        peer.push(json.dumps({"type": "echo", "token": CANARY}), "é" * 10)
        peer.wait_for(lambda peer: [each.message for each in peer.received] == ["hello"])
        both.result(5)
        peer.drop()
        peer.wait_for(lambda peer: len(peer.handshakes) == 2 and peer.connections == 1)
        peer.push("last")
        second.result(5)
        socket.close().result(5)
    rows = [row for row in panel.rows() if row.kind != "event"]
    assert [(row.kind, row.epoch) for row in rows] == [
        *(("sent", 1), ("received", 1), ("received", 1), ("received", 2))
    ]
    assert [row.size for row in rows][2:] == [20, 4]
    assert rows[1].text == '{"type": "echo", "token": "***"}' and rows[1].topic == "echo"
    assert CANARY not in f"{panel!r}{panel.static()}{panel.rows()}"


def test_what_a_codec_makes_of_it() -> None:
    """A binary message is a tree, too, where the codec of the socket makes a value of it."""
    codec = messagepack_codec()
    with server() as peer:
        socket = Socket(peer.url, codec=codec)
        panel, came = inspect(socket), Future[None]()
        socket.messages.subscribe(lambda _: came.set_result(None))
        socket.opened(5).result()
        peer.push(bytes(codec.encode({"price": 1.5, "id": 7})))
        came.result(5)
        (row,) = panel.rows(kind="received")
        entry = panel.traffic.entry(row.number)
        assert entry is not None
        whole = panel.contents(entry)
        assert json.loads(whole.json) == {"price": 1.5, "id": 7}
        assert bytes.fromhex(whole.text) == codec.encode({"price": 1.5, "id": 7})
        socket.close().result(5)
