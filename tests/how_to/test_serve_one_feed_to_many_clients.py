"""The page about one feed and many clients: its servers, with a client that does not read."""

from __future__ import annotations

import asyncio
import json
import os
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from deadlines import stretched
from pages import Page
from ports import free_port
from websockets.sync.client import connect

from rxsocket.testing import accept, server

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
PAGE = Page("serve_one_feed_to_many_clients")
SIZE = 2**16
"""Bytes of a message: 200 of them that wait for a client are 13 MB."""
RATE = 100
"""Messages a second: few, so that a busy machine keeps up."""


def wait_for(port: int) -> None:
    """Return when somebody listens on a port."""
    deadline = time.monotonic() + stretched(20.0)
    while True:
        try:
            sockets.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@contextmanager
def running(command: list[str], folder: Path, port: int, **environ: str) -> Iterator[Any]:
    """A server in a process of its own, which listens on a port."""
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environ})
    try:
        wait_for(port)
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def does_not_read(url: str) -> Iterator[None]:
    """A client with a small buffer that reads the answer to its handshake, and then nothing."""
    address, port = url.removeprefix("ws://").partition("/")[0].split(":")
    asked = f"GET /feed HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
    asked += "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    asked += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    with sockets.socket() as one:
        one.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        one.settimeout(20)
        one.connect((address, int(port)))
        one.sendall(asked.encode())
        assert b" 101 " in one.recv(200)
        yield


class Reader:
    """A client that reads; it counts what comes, and sees whether it is whole."""

    def __init__(self, url: str) -> None:
        self.numbers: list[int] = []
        self._url = url
        self._is_connected = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        assert self._is_connected.wait(stretched(10.0))
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._thread.join()

    def _read(self) -> None:
        with connect(self._url, max_queue=None, compression=None) as self._connection:
            self._is_connected.set()
            for message in self._connection:
                self.numbers.append(int(message[:12]))

    def wait_for_end(self) -> None:
        self._thread.join(stretched(20.0))

    def rate(self, seconds: float) -> float:
        before, began = len(self.numbers), time.monotonic()
        time.sleep(seconds)
        return (len(self.numbers) - before) / (time.monotonic() - began)

    @property
    def missed(self) -> int:
        return self.numbers[-1] - self.numbers[0] + 1 - len(self.numbers)


def numbered(last: int | None = None) -> Iterator[str]:
    for number in count() if last is None else range(last + 1):
        yield f"{number:012}".ljust(SIZE, ".")


def example(name: str) -> str:
    """An example, with a bound that is reached within seconds."""
    text = PAGE.example(name)
    assert "high_water=1000" in text
    return text.replace("high_water=1000", "high_water=200")


def serving(name: str, folder: Path, feed: str) -> tuple[list[str], int, str, dict[str, str]]:
    """The command that serves an example, its port, its address, and what it is told."""
    port = free_port()
    address = f"ws://127.0.0.1:{port}/feed"
    if name == "With FastAPI":
        (folder / "app.py").write_text(example(name))
        command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
        return [*command, "--log-level", "warning"], port, address, {"FEED": feed}
    program = f"url, port = {feed!r}, {port}\n{example(name)}"
    (folder / "program.py").write_text(program)
    return [sys.executable, "program.py"], port, address, {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["With FastAPI", "Without a framework"])
def test_a_client_that_does_not_read_costs_nobody_else_anything(name: str, tmp_path: Path) -> None:
    """Neither messages nor pace; and what it costs the server is bounded."""
    seconds = 8.0
    with ExitStack() as stack:
        feed = stack.enter_context(server())
        feed.default = accept().stream(numbered, rate=RATE)
        command, port, url, environ = serving(name, tmp_path, feed.url)
        process = stack.enter_context(running(command, tmp_path, port, **environ))
        readers = [stack.enter_context(Reader(url)) for _ in range(3)]
        alone = readers[0].rate(1.0)
        memory = psutil.Process(process.pid).memory_info().rss
        stack.enter_context(does_not_read(url))
        with_it = readers[0].rate(seconds)
        grown = psutil.Process(process.pid).memory_info().rss - memory
        unread = with_it * seconds * SIZE
        print(f"{alone:.0f}/s alone, {with_it:.0f}/s with it; {grown / 1e6:.1f} MB more, ", end="")
        print(f"{unread / 1e6:.0f} MB were not read")
        assert with_it > 0.7 * alone
        assert [reader.missed for reader in readers] == [0, 0, 0]
        assert grown < 30e6 < unread
        if name == "With FastAPI":
            told = json.load(urlopen(f"http://127.0.0.1:{port}/stats"))
            assert told["upstream"] == "open" and told["dropped"] > 100


def test_a_client_that_does_not_read_for_a_moment() -> None:
    """The same in one process, with a feed that ends."""
    port = free_port()
    with server() as feed:
        feed.default = accept().expect("begin").stream(lambda: numbered(200), rate=400).close()
        names: dict[str, Any] = {"url": feed.url, "port": port}
        program = PAGE.example("Without a framework")
        serving = threading.Thread(target=exec, args=(program, names), daemon=True)
        serving.start()
        wait_for(port)
        url = f"ws://127.0.0.1:{port}/feed"
        with does_not_read(url), Reader(url) as reader:
            names["upstream"].send("begin").result(10)
            reader.wait_for_end()
        serving.join(stretched(10.0))
    assert not serving.is_alive()
    assert (reader.missed, reader.numbers[-1]) == (0, 200)


def test_only_the_newest_of_each_key() -> None:
    """A client that takes its time gets fewer values, and the last ones."""
    sent: list[Any] = []

    class Client:
        async def accept(self) -> None: ...

        async def send_text(self, message: str) -> None:
            sent.append(json.loads(message))
            await asyncio.sleep(0.02)

    async def main() -> None:
        with server() as feed:
            quotes = [f'{{"symbol": "{"ab"[n % 2]}", "n": {n}}}' for n in range(200)]
            feed.default = accept().send(*quotes).close(1000)
            names: dict[str, Any] = {"url": feed.url}
            exec(PAGE.example("Only the newest of each key"), names)
            await names["prices"](Client())

    asyncio.run(main())
    assert len(sent) < 20
    assert {quote["symbol"]: quote["n"] for quote in sent} == {"a": 198, "b": 199}
