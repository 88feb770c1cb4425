"""The page about kernels: its examples, against a small kernel and a real server."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from extras import needs
from pages import Page
from peers.jupyter_process import TOKEN, JupyterServer
from websockets import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

PAGE = Page("talk_to_a_jupyter_kernel")


class _Cell:
    """One request of the client's, and what the kernel says because of it."""

    def __init__(self, client: ServerConnection, message: dict[str, Any]) -> None:
        self._client = client
        self._parent = message["header"]
        self._code = message["content"].get("code", "")

    def run(self) -> None:
        self._say("iopub", "status", execution_state="busy")
        status: dict[str, Any] = {"status": "ok", "execution_count": 1}
        try:
            value = self._value()
        except Exception as error:
            failure = {"ename": type(error).__name__, "evalue": str(error), "traceback": []}
            status = {"status": "error", **failure}
            self._say("iopub", "error", **failure)
        else:
            if value is not None:
                self._say("iopub", "execute_result", data={"text/plain": repr(value)})
        self._say("shell", self._parent["msg_type"].replace("request", "reply"), **status)
        self._say("iopub", "status", execution_state="idle")

    def _value(self) -> Any:
        *lines, last = self._code.split("; ")
        names = {"input": self._input}
        with redirect_stdout(io.StringIO()) as printed:
            try:
                for line in lines:
                    exec(line, names)
                try:
                    return eval(last, names)
                except SyntaxError:
                    exec(last, names)
                    return None
            finally:
                if printed.getvalue():
                    self._say("iopub", "stream", name="stdout", text=printed.getvalue())

    def _input(self, prompt: str) -> str:
        self._say("stdin", "input_request", prompt=prompt, password=False)
        return str(json.loads(self._client.recv())["content"]["value"])

    def _say(self, channel: str, type: str, **content: Any) -> None:
        header = {"msg_type": type, "msg_id": "k"}
        message = {"header": header, "parent_header": self._parent, "content": content}
        self._client.send(json.dumps({"channel": channel, **message}))


def _talk(client: ServerConnection) -> None:
    try:
        for message in client:
            _Cell(client, json.loads(message)).run()
    except ConnectionClosed:
        pass


def _admit(client: ServerConnection, request: Request) -> Response | None:
    if request.headers["Authorization"] != f"token {TOKEN}":
        return client.respond(HTTPStatus.FORBIDDEN, "no")
    return None


@pytest.fixture(params=["small", pytest.param("real", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The names that the examples use."""
    if request.param == "real":
        folder = request.getfixturevalue("tmp_path")
        yield from _real(folder)
        return
    with serve(_talk, "127.0.0.1", 0, process_request=_admit) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        port = server.socket.getsockname()[1]
        yield {"channels": f"ws://127.0.0.1:{port}/api/kernels/k/channels", "token": TOKEN}
        server.shutdown()
        serving.join()


def _real(folder: Path) -> Iterator[dict[str, Any]]:
    if needs("jupyter_server", "ipykernel").args[0]:
        pytest.skip("Jupyter Server is not installed")
    server = JupyterServer(folder)
    server.start()
    try:
        names = {"url": server.url, "token": TOKEN}
        exec(PAGE.example("Start a kernel"), names)
        yield names
    finally:
        server.stop()


@pytest.mark.timeout(200)
def test_the_examples(place: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    names = {**place}

    def run(heading: str) -> str:
        exec(PAGE.example(heading), names)
        return capsys.readouterr().out

    assert run("Run code") == "hello\n 42\nZeroDivisionError: division by zero\n"
    assert run("Code that asks") == "'WHO? '\n"
    capsys.readouterr()
    printed = run("See the output as it comes")
    names["kernel"].socket.wait(60)
    printed += capsys.readouterr().out
    assert printed == "0\n1\n2\ndone\n"
    names["kernel"].socket.close().result(5)


def test_each_example_is_run() -> None:
    assert PAGE.headings() == [
        "Start a kernel",
        "Run code",
        "See the output as it comes",
        "Code that asks",
    ]
