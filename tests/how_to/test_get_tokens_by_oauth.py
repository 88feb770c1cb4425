"""The page about OAuth: its examples, each with a token endpoint and a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import stretched
from extras import needs
from pages import Page
from reactivex import operators as ops
from token_server import Reply, TokenServer

from rxsocket import AwaitingAuth, Opened, Socket, SourceFailed, State, history
from rxsocket.testing import Watch, server

pytestmark = needs("authlib", "requests", "filelock")

PAGE = Page("get_tokens_by_oauth")


@pytest.fixture
def idp() -> Iterator[TokenServer]:
    with TokenServer() as running:
        yield running


@pytest.fixture
def peer(idp: TokenServer) -> Iterator[Any]:
    """It lets in who has a token."""
    with server(tokens=()) as running:
        running.tokens = idp.access_tokens
        yield running


@pytest.fixture
def given(idp: TokenServer, peer: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What an example begins with; its sockets are closed at the end."""
    names: dict[str, Any] = {
        "url": peer.url,
        "token_url": idp.token_url,
        "device_url": f"{idp.url}/device",
        "client_id": "me",
        "client_secret": "client-s3cret",
        "first_refresh_token": idp.log_in(),
        "folder": tmp_path,
    }
    yield names
    for one in [*names.get("sockets", ()), names.get("socket")]:
        if isinstance(one, Socket):
            one.close().result(10)


def run(given: dict[str, Any], heading: str) -> None:
    exec(PAGE.example(heading), given)


def test_a_program_logs_in(given: dict[str, Any], peer: Any) -> None:
    run(given, "A program that logs in as itself")
    given["socket"].opened(stretched(10)).result()
    assert peer.handshakes[0].headers["Authorization"].startswith("Bearer access-t0ken-")


def test_a_refresh_token_serves_all(given: dict[str, Any], idp: TokenServer) -> None:
    """And after a login the socket goes on."""
    run(given, "A refresh token")
    watches = [Watch(socket) for socket in given["sockets"]]
    for watch in watches:
        watch.wait(Opened)
    assert idp.rotations == 1 and given["store"].load()["refresh_token"] == idp.newest()
    for socket in given["sockets"][1:]:
        socket.close().result(10)
    given["socket"] = socket = given["sockets"][0]
    shown: list[str] = []
    given["print"] = lambda error: shown.append(str(error))
    run(given, "What servers say")
    idp.revoke()
    socket.reconnect()
    watches[0].wait(SourceFailed)
    given["new_refresh_token"] = idp.log_in()
    run(given, "After a login")
    watches[0].wait(Opened, 2)
    assert any("log in again" in text for text in shown)


def test_a_used_one_is_taken_again(given: dict[str, Any], idp: TokenServer, peer: Any) -> None:
    idp.grace = 30.0
    run(given, "A refresh token")  # which puts the first one there
    idp.replies.append(Reply(cut=0, does=True))
    run(given, "When a refresh token may be used once")
    with Socket(peer.url, auth=given["tokens"]) as socket:
        Watch(socket).wait(Opened)
    assert idp.reused == []


def test_somebody_logs_in(
    given: dict[str, Any], idp: TokenServer, capsys: pytest.CaptureFixture[str]
) -> None:
    given["client_id"] = "public"
    run(given, "In a notebook")
    watch = Watch(given["socket"])
    while not idp.device_codes:
        time.sleep(0.01)
    for code in list(idp.device_codes):
        idp.device_codes[code] = "approved"
    watch.wait(Opened)
    assert "and enter the code WDJB-" in capsys.readouterr().out


def test_what_a_server_says(given: dict[str, Any], idp: TokenServer) -> None:
    """As it stands in the text."""
    idp.replies.append(Reply(400, {"error": "invalid_scope"}))
    run(given, "A program that logs in as itself")
    socket = given["socket"]
    socket.state.pipe(ops.first(lambda state: state is State.AWAITING_AUTH)).run()
    (said,) = [one.reason for one in history(socket) if isinstance(one, AwaitingAuth)]
    quoted = PAGE.text.partition('*"')[2].partition('"*')[0].replace("\n", " ")
    assert quoted in said
