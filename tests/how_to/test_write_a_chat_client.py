"""The page about a chat: two clients in processes of their own, and a server that restarts."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from pages import Page
from programs import Program
from websockets import ConnectionClosed
from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve

PAGE = Page("write_a_chat_client")
NAMES = {"Bearer ann-token": "Ann", "Bearer bob-token": "Bob"}


class Chat:
    """A chat server with one room, on a thread of its own."""

    def __init__(self) -> None:
        self.port = 0
        self._clients: dict[ServerConnection, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Chat:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        self._server = self._run(self._serve())
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._run(self._close())

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _serve(self) -> Server:
        return await serve(self._talk, "127.0.0.1", self.port, process_request=self._admit)

    async def _close(self) -> None:
        self._server.close(reason="restarts")
        await self._server.wait_closed()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") in NAMES:
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, "who are you?")

    async def _talk(self, client: ServerConnection) -> None:
        assert client.request is not None
        self._clients[client] = name = NAMES[client.request.headers["Authorization"]]
        try:
            async for message in client:
                asked = json.loads(message)
                if asked["topic"] == "members":
                    names = sorted(self._clients.values())
                    await client.send(json.dumps({"id": asked["id"], "names": names}))
                    continue
                said = {"by": name, "text": asked["data"]["text"]}
                for other in [*self._clients]:
                    await other.send(json.dumps({"topic": asked["topic"], "data": said}))
        except ConnectionClosed:
            pass
        finally:
            del self._clients[client]


class Client(Program):
    """The program of the page."""

    def __init__(self, folder: Path, port: int, token: str, patience: str = "10") -> None:
        text = PAGE.example("The client").replace("opened(10)", f"opened({patience})")
        (folder / "chat.py").write_text(text)
        environ = {"CHAT": f"ws://127.0.0.1:{port}/", "TOKEN": token}
        super().__init__([sys.executable, "chat.py"], folder, **environ)


def test_two_talk(tmp_path: Path) -> None:
    with Chat() as chat, Client(tmp_path, chat.port, "ann-token") as ann:
        assert ann.line() == "here: Ann"
        with Client(tmp_path, chat.port, "bob-token") as bob:
            assert bob.line() == "here: Ann, Bob"
            bob.type("hello")
            assert [ann.line(), bob.line()] == ["Bob: hello"] * 2
            bob.type("")
            assert bob.end() == (0, "", "")


@pytest.mark.slow
def test_a_restart_of_the_server(tmp_path: Path) -> None:
    """What is typed meanwhile is said afterwards."""
    with Chat() as chat, Client(tmp_path, chat.port, "ann-token") as ann:
        assert ann.line() == "here: Ann"
        chat.stop()
        assert ann.line() == "(restarts, back in a moment)"
        ann.type("still here")
        chat.start()
        assert ann.line() == "Ann: still here"
        ann.type("")
        code, _, err = ann.end()
        assert code == 0 and "Traceback" not in err


def test_a_wrong_token_is_told(tmp_path: Path) -> None:
    with Chat() as chat, Client(tmp_path, chat.port, "s3cret-canary", "0.3") as client:
        code, out, err = client.end()
    assert (code, out) == (1, "")
    assert "HTTP 401" in err.rstrip().splitlines()[-1] and "canary" not in err
