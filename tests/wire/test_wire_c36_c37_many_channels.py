"""C36, C37 on real connections: limits of sending, and many keys that keep to them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from deadlines import AGAIN, stretched
from exchange import MANY, Exchange, key_of, subscribe

from rxsocket import (
    ChannelFailed,
    ChannelStale,
    Limits,
    Message,
    Opened,
    Socket,
    Subscribing,
    SubscriptionRefused,
    handover,
    header,
)
from rxsocket.testing import server

from .secret_surfaces import Canary, Surfaces
from .wire_helpers import Inbox, Watch, quick


def names(count: int) -> list[str]:
    return [f"K{number}" for number in range(count)]


@pytest.mark.flaky(**AGAIN)
def test_messages_keep_to_the_pace() -> None:
    """C36: in order, and as far apart as was said, but for what a busy machine bunches up."""
    with server() as peer:
        exchange = Exchange(peer)
        socket = Socket(peer.url, limits=Limits(pace="20/s"))
        Watch(socket).wait(Opened)
        receipts = [socket.send(str(number)) for number in range(30)]
        assert {receipt.result(stretched(10)).epoch for receipt in receipts} == {1}
        peer.wait_for(lambda peer: len(peer.received) == 30)
        assert [int(one.op) for one in exchange.arrivals] == list(range(30))
        times = [one.at for one in exchange.arrivals]
        assert times[-1] - times[0] >= 29 / 20 - 0.1
        assert sorted(later - at for at, later in pairwise(times))[14] > 0.03
        socket.close().result(5)


@pytest.mark.parametrize(
    ("count", "batch", "pace", "cuts"),
    [
        pytest.param(600, 50, 50, 4, id="scaled"),
        pytest.param(5000, 200, 5, 10, id="whole", marks=[pytest.mark.slow]),
    ],
)
@pytest.mark.timeout(240)
def test_many_keys_over_cuts(count: int, batch: int, pace: int, cuts: int) -> None:
    """C37: 1 % are refused, and the link is cut again and again, also in the middle."""
    keys = names(count)
    refused = {*keys[::100]}
    in_full = count / batch / pace
    with server() as peer:
        exchange = Exchange(peer, refused=refused)
        socket = Socket(peer.url, backoff=quick(), limits=Limits(pace=pace, batch=batch))
        watch, failed, heard, ended = Watch(socket), Inbox(), Inbox(), Inbox()
        socket.errors.subscribe(failed)
        quotes = socket.channels(keys, **MANY)
        quotes.subscribe(heard, ended)
        refusals = Inbox()
        quotes[keys[0]].subscribe(on_error=refusals)

        def all_live(number: int) -> None:
            peer.wait_for(lambda _: exchange.live_on(number) == {*keys} - refused, 4 * in_full + 10)

        for number in range(1, cuts + 1):
            if number % 3 == 2:  # in the middle
                peer.wait_for(lambda _, number=number: len(exchange.of(number)) >= 2, 10)
            else:
                all_live(number)
            peer.drop()
            watch.wait(Opened, number + 1, 20)
        all_live(cuts + 1)
        assert exchange.most == 1
        assert [len(one) for one in exchange.of(cuts + 1)][:-1] == [batch] * (
            (count - len(refused) - 1) // batch
        )
        assert exchange.of(cuts + 1)[-1]
        # A busy machine may bunch two of them up; test_c37 counts exactly, in virtual time.
        assert exchange.most_within(1.0 - 1.5 / pace) <= pace
        problems = [event for event in failed.values if isinstance(event, ChannelFailed)]
        assert sorted(event.channel for event in problems) == sorted(map(repr, refused))
        assert [type(error) for error in refusals.wait(1)] == [SubscriptionRefused]
        exchange.say(*keys)
        heard.wait(count - len(refused))
        assert Counter(map(key_of, heard.values)) == Counter({*keys} - refused)
        assert ended.values == []
        socket.close().result(5)


@pytest.mark.flaky(**AGAIN)
def test_a_silent_key_among_live_ones() -> None:
    """C37: it is asked for again, alone; the connection goes on."""
    with server() as peer:
        exchange = Exchange(peer, ignored=Counter({"K2": 1}))
        socket = Socket(peer.url, limits=Limits(pace="50/s", batch=10))
        watch, heard = Watch(socket), Inbox()
        quotes = socket.channels(names(4), **MANY, acknowledged_within=1.0)
        quotes["K2"].subscribe(heard)
        quotes.subscribe()
        peer.wait_for(lambda _: exchange.live_on(1) == {*names(4)})
        assert exchange.of(1)[-1] == ["K2"] and exchange.most == 1
        watch.wait(ChannelStale)
        exchange.say("K2")
        assert [json.loads(message)["key"] for message in heard.wait(1)] == ["K2"]
        assert watch.names.count("Opened") == 1
        socket.close().result(5)


def test_the_next_connection_is_asked_at_the_same_pace() -> None:
    """C13: it takes over when all was asked for and answered, without a gap."""
    with server() as peer:
        exchange = Exchange(peer)
        socket: Socket[Any, Any] = Socket(
            peer.url,
            auth={"token": "a"},
            identity=lambda _: "me",
            on_auth_change=handover(ready="acknowledged"),
            limits=Limits(pace="20/s", batch=5),
        )
        watch = Watch(socket)
        socket.channels(names(50), **MANY).subscribe()
        peer.wait_for(lambda _: len(exchange.live_on(1)) == 50)
        socket.set_auth({"token": "b"})
        watch.wait(Opened, 2)
        assert exchange.live_on(1) == exchange.live_on(2) == {*names(50)}
        assert exchange.of(2) == exchange.of(1) and exchange.most == 1
        [_, second] = [event for event in watch.events if isinstance(event, Opened)]
        assert second.gap == 0.0
        times = [one.at for one in exchange.arrivals if one.number == 2]
        assert times[-1] - times[0] >= 9 / 20 - 0.1
        socket.close().result(5)


def test_a_credential_in_each_message_shows_nowhere(surfaces: Surfaces, canary: Canary) -> None:
    """C28: it goes to the server in each subscribe message, which repeats it as it refuses."""

    def asking(keys: list[str], to: Subscribing) -> Any:
        surfaces.show("what a function is told", to)
        return {"op": "sub", "args": keys, **json.loads(json.dumps(to.credential))}

    with server() as peer:
        exchange = Exchange(peer, refused={"K1", canary.text})
        socket: Socket[Any, Any] = Socket(
            peer.url, auth={"token": canary.text}, carrier=header(), limits=Limits(batch=1)
        )
        watch, ends = Watch(socket), Inbox()
        refuse = {**MANY, "subscribe": asking, "acknowledged": lambda message: refusal(message)}
        quotes = socket.channels(["K1", canary.text], **refuse)
        quotes["K1"].subscribe(on_error=ends)
        quotes[canary.text].subscribe(on_error=ends)
        for error in ends.wait(2):
            surfaces.show("error of a channel", error)
        surfaces.show("channel", quotes[canary.text])
        assert len(exchange.of(1)) == 2
        assert json.loads(peer.received[0].message)["token"] == canary.text
        for event in watch.events:
            if not isinstance(event, Message):  # that is what the server sent
                surfaces.everything(type(event).__name__, event)
        surfaces.show("socket", socket)
        for name, value in vars(socket).items():
            surfaces.show(f"vars(socket)[{name!r}]", value)
        socket.close().result(5)


def refusal(message: str) -> dict[str, Any]:
    """Refused in the words of the server."""
    return {key: PermissionError(message) for key in json.loads(message)["no"]}


def test_threads_subscribe_to_keys() -> None:
    """C25: each key is asked for once, whoever subscribes to it on which thread."""
    keys = names(40)
    with server() as peer:
        exchange = Exchange(peer)
        socket = Socket(peer.url, limits=Limits(pace="100/s", batch=10))
        quotes = socket.channels(keys, subscribe=subscribe, by=key_of)
        heard = Inbox()

        def work(thread: int) -> None:
            for key in keys[thread:] + keys[:thread]:
                quotes[key].subscribe(heard)

        threads = [threading.Thread(target=work, args=(number * 10,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        peer.wait_for(lambda _: exchange.live_on(1) == {*keys})
        exchange.say(*keys)
        assert Counter(map(key_of, heard.wait(160))) == Counter(dict.fromkeys(keys, 4))
        assert exchange.most == 1
        socket.close().result(5)
