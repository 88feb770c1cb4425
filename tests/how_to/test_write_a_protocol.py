"""The page about protocols of one's own: its Phoenix, with a scripted server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pages import Page

from rxsocket import Opened
from rxsocket.testing import Watch, accept, server

PAGE = Page("write_a_protocol")
LOBBY = "room:lobby"


def reply(ref: str, topic: str = LOBBY, status: str = "ok", response: Any = None) -> str:
    answer = {"status": status, "response": response or {}}
    return json.dumps([topic, ref, topic, "phx_reply", answer])


def said(name: str, payload: Any = None, topic: str = LOBBY) -> str:
    return json.dumps([None, None, topic, name, payload or {}])


@pytest.fixture
def given() -> Iterator[dict[str, Any]]:
    """The module of the page; its socket is closed at the end."""
    names: dict[str, Any] = {}
    exec(PAGE.example("Phoenix"), names)
    yield names
    if "api" in names:
        names["api"].socket.close().result(5)


class Heard:
    """What an observer got, to be waited for."""

    def __init__(self, given: dict[str, Any], observable: Any) -> None:
        self.values: list[Any] = []
        self._watch = Watch(given["api"].socket)
        add = self.values.append
        self.subscription = observable.subscribe(add, add, lambda: add("completed"))

    def wait(self, count: int) -> list[Any]:
        self._watch.until(lambda _: len(self.values) >= count)
        return self.values


def test_it_is_used(given: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Joined, then pushed to; the credential is a parameter of the address."""
    joined = accept().expect().send(reply(LOBBY), said("shout", {"text": "hi"}))
    with server(joined.expect().send(reply("1", response={"at": 7}))) as peer:
        given |= {"url": peer.url, "token": "t1"}
        exec(PAGE.example("Using it"), given)
        assert capsys.readouterr().out == "shout {'text': 'hi'}\n{'at': 7}\n"
        assert peer.handshakes[0].query == {"vsn": "2.0.0", "token": "t1"}
        assert [json.loads(message) for _, message in peer.received] == [
            [LOBBY, LOBBY, LOBBY, "phx_join", {}],
            [LOBBY, "1", LOBBY, "shout", {"text": "hello"}],
        ]


def test_it_joins_again_and_leaves(given: dict[str, Any]) -> None:
    with server(*[accept().expect().send(reply(LOBBY))] * 2) as peer:
        given["api"] = api = given["Phoenix"](peer.url)
        watch, heard = Watch(api.socket), Heard(given, api.channel(LOBBY))
        for epoch in (1, 2):
            watch.wait(Opened, epoch)
            peer.wait_for(lambda peer, epoch=epoch: len(peer.received) == epoch)
            peer.push(said("tick", {"n": epoch}))
            heard.wait(epoch)
            if epoch == 1:
                peer.drop()
        heard.subscription.dispose()
        peer.wait_for(lambda peer: len(peer.received) == 3)
        assert heard.values == [("tick", {"n": 1}), ("tick", {"n": 2})]
        assert json.loads(peer.received[2].message)[3] == "phx_leave"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (reply(LOBBY, status="error", response={"reason": "full"}), "{'reason': 'full'}"),
        (said("phx_error"), "the channel room:lobby crashed"),
        (said("phx_close"), "completed"),
    ],
    ids=["refused", "crashed", "closed"],
)
def test_what_fails_is_that_channel_alone(given: dict[str, Any], how: str, text: str) -> None:
    with server(accept().expect().expect().send(how, said("tick", topic="other"))) as peer:
        given["api"] = api = given["Phoenix"](peer.url)
        lobby, other = Heard(given, api.channel(LOBBY)), Heard(given, api.channel("other"))
        assert str(lobby.wait(1)[0]) == text
        assert other.wait(1) == [("tick", {})]


def test_a_push_that_is_refused(given: dict[str, Any]) -> None:
    with server(accept().expect().send(reply("1", status="error", response="no"))) as peer:
        given["api"] = api = given["Phoenix"](peer.url)
        with pytest.raises(given["PhoenixError"], match=r"^no$"):
            api.push(LOBBY, "shout", {}).run()


def test_it_beats(given: dict[str, Any]) -> None:
    with server(accept().expect().send(reply("beat", "phoenix"))) as peer:
        given["api"] = api = given["Phoenix"](peer.url, interval=0.05)
        with api.socket:
            assert json.loads(peer.expect()) == [None, "beat", "phoenix", "heartbeat", {}]
