"""The page about JSON-RPC: its examples, each with a scripted server (C48)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pages import Page

from rxsocket.protocols import JsonRpc
from rxsocket.testing import Watch, accept, server

PAGE = Page("speak_json_rpc")


@dataclass
class User:
    name: str


def message(**fields: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", **fields})


class Said:
    """What was printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.text = ""

    def until(self, given: dict[str, Any], text: str) -> None:
        """Block until it was printed."""

        def is_there(_: Watch) -> bool:
            self.text += self._capsys.readouterr().out
            return text in self.text

        Watch(given["rpc"].socket).until(is_there)


@pytest.fixture
def given() -> Iterator[dict[str, Any]]:
    """What an example begins with; its sockets are closed at the end."""
    names: dict[str, Any] = {"token": "t1", "User": User, "address": "0x1", "settings": {"a": 1}}
    yield names
    if isinstance(names.get("rpc"), JsonRpc):
        names["rpc"].socket.close().result(5)


def test_requests(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    script = accept().expect().send(message(id=1, result=3))
    script = script.expect().send(message(id=2, result={"name": "a"}))
    script = script.expect().send(message(id=3, error={"code": -1, "message": "no"}))
    with server(script.expect()) as peer:
        given["url"] = peer.url
        exec(PAGE.example("Requests and notifications"), given)
        asyncio.run(given["main"]())
        peer.wait_for(lambda peer: len(peer.received) == 4)
    assert capsys.readouterr().out == "3\nUser(name='a')\n-1 no None\n"
    assert json.loads(peer.received[3].message) == json.loads(message(method="exit"))


def test_notifications(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    said = message(method="textDocument/publishDiagnostics", params={"uri": "a"})
    with server(accept().send(said)) as peer:
        given["url"] = peer.url
        exec(PAGE.example("Requests and notifications", 2), given)
        Said(capsys).until(given, "{'uri': 'a'}")


def test_subscriptions(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    params = {"subscription": "0xa", "result": {"number": "0x7"}}
    head = message(method="eth_subscription", params=params)
    with server(accept().expect().send(message(id=1, result="0xa"), head)) as peer:
        given["url"] = peer.url
        exec(PAGE.example("Subscriptions"), given)
        Said(capsys).until(given, "0x7")


def test_a_batch(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    answers = [json.loads(message(id=2, result=["log"])), json.loads(message(id=1, result="0x7"))]
    with server(accept().expect().send(json.dumps(answers))) as peer:
        given["url"] = peer.url
        exec(PAGE.example("Many at once"), given)
    assert capsys.readouterr().out == "0x7 ['log']\n"


def test_handlers(given: dict[str, Any]) -> None:
    ask = {"id": 1, "method": "workspace/configuration", "params": {"items": [{"section": "a"}]}}
    with server(accept().send(message(**ask), message(**{**ask, "params": {}}))) as peer:
        given["url"] = peer.url
        exec(PAGE.example("What the server requests"), given)
        answers = [json.loads(peer.expect()) for _ in range(2)]
    assert answers[0]["result"] == [1]
    assert answers[1]["error"] == {"code": -32602, "message": "no items"}
