"""C52: ``schema()`` in virtual time: what it looks at, and until when."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from reactivex.subject import Subject

from rxsocket import Socket, State
from rxsocket.schema import Schema, schema
from rxsocket.testing import VirtualClock, fake


def trade(number: int) -> dict[str, Any]:
    return {"type": "trade", "symbol": f"S{number % 3}", "price": number + 0.5}


def test_it_looks_at_so_many() -> None:
    """``await`` waits for them; what comes later is not looked at."""
    stream: Subject[Any] = Subject()
    found = schema(stream, 3)
    for number in range(5):
        assert found.is_ended == (number >= 3)
        stream.on_next(trade(number))

    async def cell() -> Schema:
        return await found

    assert asyncio.run(cell()) is found
    assert found.count == 3 and not stream.observers


def test_it_looks_so_long(clock: VirtualClock) -> None:
    feed = fake()
    socket = Socket(feed.url, transport=feed, codec="auto")
    found = schema(socket, within=10)
    clock.advance(1)
    feed.push(json.dumps(trade(1)))
    clock.advance(8)
    assert found.count == 1 and not found.is_ended
    clock.advance(2)
    assert found.is_ended and socket.state.value is State.IDLE


def test_it_ends_with_its_stream() -> None:
    """An error of it is told, and what was found stays."""
    stream: Subject[Any] = Subject()
    found = schema(stream)
    changes: list[int] = []
    found.subscribe_changes(lambda: changes.append(1))
    stream.on_next(trade(1))
    stream.on_error(ValueError("no <feed>"))
    assert found.wait(1) and len(changes) == 2
    assert "failed: ValueError: no <feed>" in repr(found)
    assert "no &lt;feed&gt;" in found._repr_mimebundle_()["text/html"]
    assert len(found.kinds) == 1
