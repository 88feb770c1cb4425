"""``schema()``: what it looks at, until when, what it costs, and what it hides."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import msgspec
import pytest
from reactivex.subject import Subject

from rxsocket.schema import budget, schema
from rxsocket.schema.schema import Schema

CANARY = "c4n4ry/z0rk+q8x5"


def trade(number: int) -> dict[str, Any]:
    return {"type": "trade", "symbol": f"S{number % 3}", "price": number + 0.5}


class Trade(msgspec.Struct, tag="trade"):
    price: float


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


def test_what_is_no_json() -> None:
    """Text and bytes have sizes: one, or from the smallest to the largest."""
    shown = repr(schema(["hello", b"a", b"bcd"]))
    assert '"hello", 5 characters' in shown and "1 to 3 bytes" in shown


def test_it_is_a_picture() -> None:
    stream: Subject[Any] = Subject()
    found = schema(stream)
    assert isinstance(found, Schema)
    assert "0 messages; waiting since" in repr(found)
    stream.on_next({"type": "<b>", "x": "<i>"})
    html = found._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in html and "<b>&lt;b&gt;: 1, 100 %</b>" in html and "<i>" not in html


def test_a_silent_feed_says_since_when_it_waits() -> None:
    """Until the first message comes, or it looks no more."""
    source = Subject[str]()
    found = schema(source)
    said = r"0 messages; waiting since \d\d:\d\d:\d\d, for \d+(\.0)? s"
    assert re.fullmatch(said, found.status)
    assert "waiting since" in repr(found) and "waiting since" in found.static()["text/html"]
    source.on_next("hello")
    assert found.status == "1 message"
    found.dispose()
    silent = schema(Subject[str]())
    silent.dispose()
    assert silent.status == "0 messages"
