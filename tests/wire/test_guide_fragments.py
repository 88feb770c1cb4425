"""The fragments of the guide: each runs, given the names that it leaves to its reader."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import reactivex
from internals import set_prompt
from pages import GUIDE, Page, guide
from reactivex import operators as ops

import rxsocket
import rxsocket.operators
import rxsocket.testing
from rxsocket import Socket
from rxsocket.testing import accept, server

from .wire_helpers import Inbox

pytestmark = pytest.mark.only("websockets")  # nothing of it is the transport's
FEED = "wss://example.com/feed"
PROGRAMS = {
    "Ten lines 1",
    "Addresses that move 1",
    "Going on where it was 1",
    "When the server says so 1",
    "A gate 1",
    "Sending 1",
    "Topics 1",
    "Channels 1",
    "A fleet 1",
    "Requests 1",
    "Store a stream 1",
    "Testing your own code 1",
    "Recording and replaying 1",
}
"""Those that are whole; test_guide.py runs them."""


def fragments() -> dict[str, str]:
    """Each Python example by its heading and its place there."""
    found = {
        f"{heading} {place}": one
        for page in guide()
        for heading, examples in page.examples().items()
        for place, one in enumerate(examples, 1)
    }
    return {name: text for name, text in found.items() if name not in PROGRAMS}


@dataclass
class Quote:
    symbol: str
    price: float


class Stage:
    """What a fragment finds: a socket to a real server, and the names that it does not define."""

    def __init__(self, url: str, socket: Socket[Any, Any]) -> None:
        self.url = url
        self.socket = socket
        self.printed = Inbox()

    def names(self) -> dict[str, Any]:
        """The public names of the library, and what a reader has."""
        kits = (rxsocket, rxsocket.operators, rxsocket.testing)
        public = {name: getattr(kit, name) for kit in kits for name in kit.__all__}
        return {
            **public,
            "asyncio": asyncio,
            "json": json,
            "ops": ops,
            "print": lambda *values: self.printed(" ".join(map(str, values))),
            "socket": self.socket,
            "feed": rxsocket.testing.fake(),
            "url": self.url,
            "feeds": [self.url, self.url],
            "token": "token",
            "tokens": reactivex.just("token"),
            "fetch_token": lambda: "token",
            "rxsocket": rxsocket,
            "ticket_for_one_connection": self.ticket,
            "sign": lambda secret: f"signed {secret}",
            "snapshot": lambda: reactivex.just("snapshot"),
            "draw": self.printed,
            "show": self.printed,
            "store": self.printed,
            "save": self.keep,
            "enrich": self.keep,
            "Trade": Quote,
            "Book": dict,
            "Change": dict,
        }

    async def ticket(self) -> str:
        """Stands for what a reader's service answers."""
        return "token"

    async def keep(self, value: Any) -> Any:
        """Stands for what a reader does with a value."""
        self.printed(value)
        return value


def run(text: str, names: dict[str, Any]) -> None:
    """Run a fragment, in a coroutine when it awaits at its top level; leave what it subscribed."""
    text = re.sub(r"^(?=\w+(\.\w+)*(\.pipe\(.*\))?\.subscribe\()", "left = ", text, flags=re.M)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    outcome = eval(compile(text, "<guide>", "exec", flags=flags), names)
    if inspect.iscoroutine(outcome):
        asyncio.run(asyncio.wait_for(outcome, 20))


QUOTES = [f'{{"type": "trade", "symbol": "X", "price": {price}}}' for price in (1, 2, 3, 4, 5)]

PRINTS = {
    "Ten lines 2": 0,
    "Streams 1": 5,
    "Streams 2": 2,
    "Where it comes from 1": 1,
    "Why is it quiet? 1": 1,
    "Typed messages 1": 5,
    "Consumers that cannot keep up 1": 5,
    "Consumers that cannot keep up 2": 7,
    "Consumers that cannot keep up 3": 6,
    "Consumers that cannot keep up 4": 1,
}
"""How much each prints or stores at least."""
NEEDS = {
    "A faster transport 1": ("picows",),
    "Store a stream 2": ("aiokafka",),
    "In a notebook 2": ("matplotlib", "pandas", "tqdm"),
}
"""What is not in the core."""


@pytest.mark.parametrize("name", fragments())
@pytest.mark.slow
def test_a_fragment_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing in it is misspelt, refused or raised, and what it prints or stores comes."""
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module)
    set_prompt(monkeypatch, "token")
    monkeypatch.chdir(tmp_path)
    problems = Inbox()
    with server() as feed:
        # Later than the last line of a fragment subscribes.
        feed.default = accept().wait(0.3).send(*QUOTES).wait(1.2).close(1000)
        codec = rxsocket.json(type=Quote) if name.startswith("Consumers") else None
        stage = Stage(feed.url, Socket(feed.url, codec=codec))
        names = stage.names()
        if name == "Consumers that cannot keep up 1":
            names["store"] = stage.keep
        stage.socket.errors.subscribe(problems)
        run(fragments()[name].replace(FEED, feed.url), names)
        stage.printed.wait(PRINTS.get(name, 0))
        for left in ("left", "socket"):
            if left in names:
                names[left].dispose() if left == "left" else names[left].close().result(5)
        stage.socket.close().result(5)
    assert problems.values == []


def test_what_does_not_decode_looks_as_it_says() -> None:
    """What is shown under "Typed messages" is what such a problem prints."""
    section = Page("typed_messages", GUIDE).section("Typed messages")
    fences: list[str] = re.findall(r"```(?:python)?\n(.*?)```", section, re.DOTALL)
    example, shown = fences
    with server() as feed:
        feed.default = accept().send('{"symbol":"ABC","price":"n0tnum"}', QUOTES[0]).stay()
        printed = Inbox()
        names: dict[str, Any] = {"print": lambda *values: printed(" ".join(map(str, values)))}
        exec(example.replace(FEED, feed.url), names)
        (problem, quote) = printed.wait(2)
        names["socket"].close().result(5)
    assert problem == " ".join(shown.split())
    assert quote == "X 1.0"
