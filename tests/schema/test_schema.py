"""``schema()``: what it looks at, until when, what it costs, and what it hides."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from reactivex import operators as ops
from reactivex.subject import Subject

from rxsocket import Socket, State
from rxsocket.recording import record, replay
from rxsocket.schema import budget, schema
from rxsocket.schema.schema import Schema
from rxsocket.testing import VirtualClock, fake, server

CANARY = "c4n4ry/z0rk+q8x5"


def trade(number: int) -> dict[str, Any]:
    return {"type": "trade", "symbol": f"S{number % 3}", "price": number + 0.5}


class Trade(msgspec.Struct, tag="trade"):
    price: float


def test_it_looks_at_so_many() -> None:
    """``await`` waits for them; what comes later is not looked at."""
    stream: Subject[Any] = Subject()
    found = schema(stream, 3)
    for number in range(5):
        assert found.is_ended == (number >= 3)
        stream.on_next(trade(number))
    assert asyncio.run(found._ended()) is found
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


def test_a_cell_that_is_interrupted() -> None:
    """It unsubscribes, and what was found stays."""
    stream: Subject[Any] = Subject()
    found = schema(stream)

    async def cell() -> None:
        asyncio.get_running_loop().call_soon(stream.on_next, trade(1))
        asyncio.get_running_loop().call_later(0.05, running.cancel)
        await found

    async def kernel() -> None:
        nonlocal running
        running = asyncio.ensure_future(cell())
        with pytest.raises(asyncio.CancelledError):
            await running

    running: asyncio.Future[None]
    asyncio.run(kernel())
    assert found.is_ended and found.count == 1 and not stream.observers


def test_typed_messages_and_their_structs() -> None:
    stream: Subject[Any] = Subject()
    found = schema(stream)
    stream.on_next(Trade(1.5))
    assert 'class Trade(msgspec.Struct, tag="trade")' in found.structs()
    assert repr(found.structs()) == str(found.structs())


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


def test_a_feed_that_is_too_fast_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a part of the time is spent; what is new is looked at, and it says so."""
    now = [0.0]
    stream: Subject[Any] = Subject()
    found = schema(stream)
    found._budget = budget.TimeBudget(lambda: now[0])
    looked_at = found._look_at

    def slowly(value: Any) -> None:
        looked_at(value)
        now[0] += 0.001

    monkeypatch.setattr(found, "_look_at", slowly)
    for number in range(2000):
        now[0] += 0.001
        stream.on_next(trade(number))
    assert 150 <= found.looked_at <= 250
    assert "% of them looked at" in found.status
    before = found.looked_at
    stream.on_next({"type": "rare", "x": 1})
    assert found.looked_at == before + 1
    assert {kind.name for kind in found.kinds} == {"trade", "rare"}


@pytest.mark.slow
def test_it_costs_little() -> None:
    """Of 5,000 messages a second, for 10 s, it takes less than a tenth of a core."""
    stream: Subject[Any] = Subject()
    found = schema(stream)
    messages = [trade(number) for number in range(1000)]
    spent = time.thread_time()
    for number in range(50_000):
        stream.on_next(messages[number % 1000])
    assert time.thread_time() - spent < 1.0
    assert found.count == 50_000


@pytest.mark.parametrize("wrong", [5, None, "text", {"a": 1}])
def test_no_source(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"schema\(source\): pass a socket, an Observable"):
        schema(wrong)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": "5"}, {"within": 0}, {"within": "5"}])
def test_wrong_arguments(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"count|within"):
        schema(Subject(), **wrong)


def test_it_is_a_picture() -> None:
    stream: Subject[Any] = Subject()
    found = schema(stream)
    assert isinstance(found, Schema)
    assert "0 messages: 0 kinds" in repr(found)
    stream.on_next({"type": "<b>", "x": "<i>"})
    html = found._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in html and "<b>&lt;b&gt;: 1, 100 %</b>" in html and "<i>" not in html
