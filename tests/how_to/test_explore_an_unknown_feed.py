"""The page about a feed that nobody has described: its cells, one after the other."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from deadlines import stretched
from pages import Page
from reactivex import operators as ops

from rxsocket.testing import server

pytest.importorskip("pandas")
PAGE = Page("explore_an_unknown_feed")
START = 1_796_006_000_000


def message(number: int) -> dict[str, Any]:
    if number == 60:
        return {"type": "heartbeat"}
    if number % 3 == 2:
        return {"type": "book", "symbol": "BTC-USD", "bids": [["100.5", "1.25"], ["100.0", "3.0"]]}
    symbol = "ETH-USD" if number % 2 else "BTC-USD"
    price, ts = 100 + number % 80 / 4, START + number * 1000
    maker = {3: {"maker": "b"}, 9: {"maker": None}}.get(number % 12, {})
    return {"type": "trade", "symbol": symbol, "price": price, "ts": ts, **maker}


MESSAGES = [json.dumps(message(number)) for number in range(120)]


class Notebook:
    """Runs cells, of which each may have ``await`` at the top, on one loop."""

    def __init__(self, peer: Any) -> None:
        self.names: dict[str, Any] = {"url": peer.url, "prices": []}
        self._peer = peer

    async def run(self, heading: str, place: int = 1) -> None:
        text = PAGE.example(heading, place)
        code = compile(text, heading, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result: Any = eval(code, self.names)
        if inspect.isawaitable(result):
            await self.say(1, until=result)

    async def say(self, connections: int, until: Any) -> None:
        """Let the server say everything once, as soon as somebody listens."""
        running = asyncio.ensure_future(until)
        await asyncio.to_thread(self._peer.wait_for, lambda peer: peer.connections >= connections)
        self._peer.push(*MESSAGES)
        await running


async def all_of(socket: Any) -> None:
    """Wait for all that the server says; who subscribed before has had it then, too."""
    await socket.messages.pipe(ops.take(len(MESSAGES)))


def test_the_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)

    async def run() -> None:
        notebook = Notebook(peer)
        names = notebook.names
        await notebook.run("Connect")
        await notebook.run("See what is in it")
        assert capsys.readouterr().out == PAGE.example("See what is in it", language="text")
        pasted = PAGE.example("Decode it with types")
        assert str(names["found"].structs()) == pasted
        await notebook.run("Decode it with types")
        await notebook.run("Decode it with types", 2)
        await notebook.run("Make a table of it")
        await notebook.run("See how fast it is")
        await notebook.say(2, asyncio.gather(all_of(names["socket"]), all_of(names["typed"])))
        assert len(names["prices"]) == 79 and names["speed"].count == len(names["table"].df) == 120
        assert {rate.key for rate in names["speed"].rows} >= {"BTC-USD", "ETH-USD"}
        await notebook.run("Do the same with a recording")
        assert {kind.name for kind in names["recorded"].kinds} == {"trade", "book", "heartbeat"}
        assert len(names["df"]) == names["ages"].count == 120
        assert names["ages"].rows[0].age.count
        names["socket"].close()
        names["typed"].close()

    with server() as peer:
        asyncio.run(asyncio.wait_for(run(), stretched(20)))
