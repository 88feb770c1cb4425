"""C38 on real connections: nothing is missing and nothing comes twice, or it is told exactly."""

from __future__ import annotations

import json as plain_json
import random
import threading
from typing import Any

import pytest
from deadlines import DEBUGGING, stretched
from numbered import NumberedServer

from rxsocket import (
    Ask,
    Carried,
    Missed,
    Opened,
    Socket,
    cursor,
    first_message,
    handover,
    json,
)

from .wire_helpers import Inbox, Watch, quick


def seq(message: Any) -> Any:
    return message.get("seq")


def resuming(value: Any, cursor: Any) -> Carried:
    after = {} if cursor is None else {"after": str(cursor)}
    return Carried(query={"token": value, **after})


def numbered_server(**about: Any) -> NumberedServer:
    peer = NumberedServer((), None, None, "127.0.0.1", None)
    for name, value in about.items():
        setattr(peer, name, value)
    return peer


class Numbers:
    """An observer of numbers that can be waited for, many as they are."""

    def __init__(self) -> None:
        self.all: list[int] = []
        self._changed = threading.Condition()

    def __call__(self, message: Any) -> None:
        with self._changed:
            self.all.append(message["seq"])
            self._changed.notify_all()

    def wait_for_more(self, count: int) -> None:
        """Block until that many more came."""
        with self._changed:
            enough = len(self.all) + count
            there = self._changed.wait_for(lambda: len(self.all) >= enough, stretched(8.0))
        assert there, f"{len(self.all)} of {enough} came"


@pytest.mark.parametrize("by_message", [False, True])
def test_cuts_lose_nothing_and_repeat_nothing(by_message: bool, full: bool) -> None:
    """At 2,000 messages a second, wherever the link is cut; asked by address or first message."""
    told = first_message(lambda _, cursor: plain_json.dumps({"op": "resume", "seq": cursor}))
    moments, cuts = random.Random(38), 20 if full else 6
    with numbered_server(rate=2000.0 / DEBUGGING, by_message=by_message) as peer:
        socket: Socket[Any, Any] = Socket(
            peer.url,
            auth="abcdefgh",
            carrier=told if by_message else resuming,
            codec=json(),
            cursor=seq,
            backoff=quick(),
        )
        watch, numbers = Watch(socket), Numbers()
        socket.messages.subscribe(numbers)
        for cut in range(1, cuts + 1):
            watch.wait(Opened, cut)
            numbers.wait_for_more(moments.randrange(1, 200))
            peer.drop()
        watch.wait(Opened, cuts + 1)
        numbers.wait_for_more(100)
        socket.close().result(5)
        assert numbers.all == list(range(1, len(numbers.all) + 1))
        assert watch.of(Missed) == []
        assert peer.asked[0] is None and len(peer.asked) == cuts + 1
        assert socket.cursor.value == numbers.all[-1]


def test_what_a_server_has_forgotten_is_told_exactly() -> None:
    """A server that keeps 5 messages: what came and what is missing are all numbers, each once."""
    asks: list[Ask] = []

    def provider(ask: Ask) -> str:
        asks.append(ask)
        return "abcdefgh"

    with numbered_server(rate=1000.0, keeps=5, unheard=7) as peer:
        socket: Socket[Any, Any] = Socket(
            peer.url,
            auth=provider,
            carrier=resuming,
            codec=json(),
            cursor=cursor(seq, start=2),
            backoff=quick(),
        )
        watch, numbers, problems = Watch(socket), Numbers(), Inbox()
        socket.messages.subscribe(numbers)
        socket.errors.subscribe(problems)
        for cut in range(1, 21):
            watch.wait(Opened, cut)
            numbers.wait_for_more(20)
            peer.drop()
        watch.wait(Opened, 21)
        numbers.wait_for_more(20)
        socket.close().result(5)
        missed = [one for one in problems.values if isinstance(one, Missed)]
        told = [number for one in missed for number in range(one.first, one.last + 1)]
        assert sorted([*numbers.all, *told]) == list(range(3, numbers.all[-1] + 1))
        assert missed == watch.of(Missed) and len(missed) >= 10
        assert [ask.cursor for ask in asks] == peer.asked and peer.asked[0] == 2


def test_a_handover_goes_on_without_a_gap() -> None:
    """At 1 kHz: the next connection is asked for what follows, and dedupe drops what came twice."""
    with numbered_server(rate=1000.0) as peer:
        socket: Socket[Any, Any] = Socket(
            peer.url,
            auth="token-0",
            carrier=resuming,
            codec=json(),
            cursor=seq,
            identity=lambda _: "me",
            on_auth_change=handover(dedupe=seq),
        )
        watch, numbers = Watch(socket), Numbers()
        socket.messages.subscribe(numbers)
        for number in range(1, 6):
            watch.wait(Opened, number)
            numbers.wait_for_more(50)
            socket.set_auth(f"token-{number}")
        watch.wait(Opened, 6)
        numbers.wait_for_more(50)
        socket.close().result(5)
        assert numbers.all == list(range(1, len(numbers.all) + 1))
        assert watch.of(Missed) == []
        assert len(peer.asked) == 6 and None not in peer.asked[1:]
