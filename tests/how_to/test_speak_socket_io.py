"""The page about Socket.IO: its examples, against a small server and the real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pages import Page
from peers.real_servers import node
from ports import free_port
from websockets import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

PAGE = Page("speak_socket_io")
OPEN = '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'


def _talk(client: ServerConnection) -> None:
    """As much of Socket.IO as the examples need."""
    client.send(OPEN)
    try:
        for message in client:
            text = str(message)
            if text.startswith("40/admin,"):
                client.send('44/admin,{"message":"admins only"}')
            elif text.startswith("40"):
                client.send('40{"sid":"s"}')
            elif text.startswith('42["say"'):
                client.send(text.replace("say", "said"))
            elif text.startswith("42"):
                id, _, rest = text[2:].partition("[")
                name, *args = json.loads("[" + rest)
                if name == "ask":
                    client.send(f"427{json.dumps(['version', *args])}")
                    args = json.loads(str(client.recv())[3:])
                client.send(f"43{id}{json.dumps([sum(args)] if name == 'sum' else args)}")
    except ConnectionClosed:
        pass


@pytest.fixture(params=["small", pytest.param("real", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The names that the examples use."""
    if request.param == "real":
        port = free_port()
        with node("socket.io", "socket_io_events_server.mjs", port, "secret"):
            yield {"url": f"http://127.0.0.1:{port}", "token": "secret"}
        return
    with serve(_talk, "127.0.0.1", 0) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        port = server.socket.getsockname()[1]
        yield {"url": f"http://127.0.0.1:{port}", "token": "secret"}
        server.shutdown()
        serving.join()


Run = Callable[[str], str]


@pytest.fixture
def run(place: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run an example; returns what it printed."""
    names = {**place}

    def example(heading: str) -> str:
        exec(PAGE.example(heading), names)
        return capsys.readouterr().out

    yield example
    names["io"].socket.close().result(5)


def test_events(run: Run, place: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    printed = run("Events")
    deadline = threading.Event()
    while not printed and not deadline.wait(0.01):
        printed += capsys.readouterr().out
    assert printed == "hello {'to': 'all'}\n"


def test_answers(run: Run) -> None:
    assert run("Answers") == "3\n('client 1.4',)\n"


def test_namespaces(run: Run) -> None:
    assert run("Namespaces") == "the server refused the namespace /admin: admins only\n"


def test_each_example_is_run() -> None:
    assert PAGE.headings() == ["Events", "Answers", "Namespaces"]
