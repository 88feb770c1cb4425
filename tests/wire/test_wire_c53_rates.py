"""C53: ``rates()`` of a real connection, and what it hides."""

from __future__ import annotations

import json
from concurrent.futures import Future

from rxsocket import Socket
from rxsocket.notebook import rates
from rxsocket.testing import server

CANARY = "c4n4ry/z0rk+q8x5"


def test_it_is_hidden_what_is_secret() -> None:
    """The server repeats the credential as a key and a name (C28)."""
    with server(tokens={CANARY}) as peer:
        socket = Socket(peer.url, auth={"token": CANARY}, codec="auto")
        by_key = rates(socket, by="symbol")
        missing = rates(socket, by="sybmol")
        socket.opened(5).result()
        came = Future[None]()
        missing.subscribe_changes(lambda: came.set_result(None) if not came.done() else None)
        peer.push(json.dumps({"symbol": CANARY, CANARY: 1}))
        came.result(5)
        socket.close().result(5)
    for one in (by_key, missing):
        assert one.count == 1
        assert CANARY not in f"{one!r}{one._repr_mimebundle_()}{one.status}"
        assert "***" in repr(one)
