"""The page about GraphQL: its examples, each with a scripted server (C48)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pages import Page

from rxsocket import Opened
from rxsocket.protocols import GraphQL
from rxsocket.testing import Watch, accept, server

PAGE = Page("speak_graphql")
ACK = accept("graphql-transport-ws").expect().send('{"type":"connection_ack"}')


def of(id: str, kind: str, payload: Any = None) -> str:
    return json.dumps({"id": id, "type": kind, "payload": payload})


def result(id: str, data: Any) -> str:
    return of(id, "next", {"data": data})


@pytest.fixture
def given() -> Iterator[dict[str, Any]]:
    """What an example begins with; its sockets are closed at the end."""
    names: dict[str, Any] = {"token": "t1", "fetch_token": lambda: "t2"}
    yield names
    if isinstance(names.get("api"), GraphQL):
        names["api"].socket.close().result(5)


def test_the_subscription(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with server(ACK.expect().send(result("1", {"price": 7}))) as peer:
        given["url"] = peer.url
        exec(PAGE.example("A subscription"), given)
        peer.wait_for(lambda peer: len(peer.received) == 2)
        Watch(given["api"].socket).until(lambda _: capsys.readouterr().out == "7\n")
    [init, asked] = [json.loads(message) for _, message in peer.received]
    assert init["payload"] == {"Authorization": "Bearer t1"}
    assert asked["payload"]["variables"] == {"of": 7}


def test_the_query(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    script = ACK.expect().send(result("1", {"user": {"name": "a"}}), of("1", "complete"))
    prices = [result("2", {"price": price}) for price in (1, 2)]
    with server(script.expect().send(*prices, of("2", "complete"))) as peer:
        given["url"] = peer.url
        exec(PAGE.example("Queries and mutations"), given)
        asyncio.run(given["main"]())
    assert capsys.readouterr().out == "a\n1\n2\n"


def test_the_errors(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    errors = [{"message": "no such field"}]
    with server(ACK.expect().send(of("1", "error", errors))) as peer:
        given["url"] = peer.url
        exec(PAGE.example("Errors"), given)
        given["api"].socket.close().result(5)
    assert capsys.readouterr().out == f"no such field\n{(*errors,)} None\n"


def test_the_credential(given: dict[str, Any]) -> None:
    with server(ACK) as peer:
        given["url"] = peer.url
        exec(PAGE.example("The credential"), given)
        init = json.loads(peer.expect())
        given["api"].socket.close().result(5)
    assert init == {"type": "connection_init", "payload": {"authToken": "t2"}}


def test_no_gap(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Of what comes over both, one is delivered."""
    trades = [result("1", {"trade": {"id": number, "price": 1}}) for number in range(4)]
    with server(ACK, ACK) as peer:
        given |= {"url": peer.url}
        exec(PAGE.example("Without a gap"), given)
        watch = Watch(given["api"].socket)
        watch.wait(Opened)
        peer.wait_for(lambda peer: len(peer.received) == 2)
        peer.push(trades[0])
        given["api"].socket.renew()
        peer.wait_for(lambda peer: len(peer.received) == 4)
        peer.push(*trades[1:])
        watch.wait(Opened, 2)
        said: list[str] = []

        def is_said() -> bool:
            said.append(capsys.readouterr().out)
            return "'id': 3" in "".join(said)

        watch.until(lambda _: is_said())
        assert [f"'id': {number}," in "".join(said) for number in range(4)] == [True] * 4
        assert "".join(said).count("trade") == 4
        given["api"].socket.close().result(5)
