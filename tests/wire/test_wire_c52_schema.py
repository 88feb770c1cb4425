"""C52: ``schema()`` of a real connection and of a recording of it, and what it hides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reactivex import operators as ops

from rxsocket import Socket
from rxsocket.recording import record, replay
from rxsocket.schema import schema
from rxsocket.testing import server

CANARY = "c4n4ry/z0rk+q8x5"


def trade(number: int) -> dict[str, Any]:
    return {"type": "trade", "symbol": f"S{number % 3}", "price": number + 0.5}


def test_it_is_hidden_what_is_secret(tmp_path: Path) -> None:
    """The server repeats the credential, as a value, a name, a kind and a text (C28)."""
    with server(tokens={CANARY}) as peer:
        socket = Socket(peer.url, auth={"token": CANARY})
        found = schema(socket, 4)
        piped = schema(socket.messages.pipe(ops.map(json.loads), ops.map(dict)), 1)
        socket.opened(5).result()
        you = {"type": CANARY, "you": CANARY, CANARY: [CANARY], "deep": {CANARY: 1}}
        peer.push(json.dumps(you))
        peer.push(json.dumps({"type": "b", "said": f"hello {CANARY}", "map": {CANARY: 1, "1": 2}}))
        peer.push(f"welcome {CANARY}")
        peer.push(json.dumps([CANARY, {"x": 1}]))
        assert found.wait(10) and piped.wait(10)
        socket.close()
    for one in (found, piped):
        shown = f"{one!r}{one.structs()}{one.kinds}{one.field}{one.status}{one._repr_mimebundle_()}"
        assert CANARY not in shown and json.dumps(CANARY)[1:-1] not in shown
        assert "***" in shown
    assert "said: str" in found.structs()


def test_a_recording(tmp_path: Path) -> None:
    """All its messages are looked at, at once."""
    path = tmp_path / "session.jsonl"
    with server() as peer:
        socket = Socket(peer.url, codec="auto")
        with record(socket, path) as recorder:
            done = schema(socket, 50)
            socket.opened(5).result()
            for number in range(49):
                peer.push(json.dumps(trade(number)))
            peer.push("PING")
            assert done.wait(10)
        assert recorder.messages == 50
        socket.close()
    found = schema(replay(path))
    assert [(kind.name, kind.count) for kind in found.kinds] == [("trade", 49), ("text", 1)]
    assert found.is_ended and found.structs() == done.structs()
    assert schema(replay(path), 7).count == 7
