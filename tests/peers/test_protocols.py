"""C48 against real servers: graphql-ws, and JSON-RPC with subscriptions in Ethereum's manner.

Each goes through a change of the credential, a refused one, a restart of the server, and
subscriptions that are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from ports import free_port
from wire.wire_helpers import Inbox, Watch, quick

from rxsocket import InEffect, Refused, Socket, State, handover, header
from rxsocket.protocols import GraphQLError, JsonRpcError, graphql, json_rpc

from .real_servers import needs_node, node

pytestmark = [
    pytest.mark.slow,  # scripted servers do the same by default
    pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes to wait for"),
]

Run = Callable[[], AbstractContextManager[Any]]
OPTIONS: dict[str, Any] = {"auth": "good 1", "identity": lambda _: "me", "backoff": quick()}


def through_everything(socket: Socket[Any, Any], numbers: Inbox, run: Run) -> None:
    """A change without a gap, a refused credential and another one, a restart."""
    watch = Watch(socket)
    with run():
        numbers.wait(3)
        assert isinstance(socket.set_auth("good 2").result(8), InEffect)
        numbers.wait(len(numbers.values) + 3)
        socket.reconnect()
        numbers.wait(len(numbers.values) + 3)
        held = socket.set_auth("bad").result(8)
        assert not isinstance(held, InEffect)
        numbers.wait(len(numbers.values) + 3)  # a handover that was refused leaves the old one
        socket.reconnect()
        watch.until(lambda _: socket.state.value is State.AWAITING_AUTH)
        assert isinstance(socket.set_auth("bad").result(8), Refused)
        assert isinstance(socket.set_auth("good 3").result(8), InEffect)
        numbers.wait(len(numbers.values) + 3)
    watch.until(lambda _: socket.state.value is not State.OPEN)
    before = len(numbers.values)
    with run():
        numbers.wait(before + 3)


def test_graphql() -> None:
    needs_node("graphql-ws")
    port = free_port()
    api = graphql(
        f"ws://127.0.0.1:{port}/graphql",
        on_auth_change=handover(dedupe=lambda message: str(message["payload"])),
        **OPTIONS,
    )
    ticks, errors = Inbox(), Inbox()
    leaving = api.subscribe("subscription { ticks }").subscribe(ticks, errors)

    def run() -> AbstractContextManager[Any]:
        return node("graphql-ws", "graphql_server.mjs", port)

    with run():
        ticks.wait(1)
        greeting = api.execute("query($to: String!) { hello(name: $to) }", {"to": "you"})
        assert greeting.run() == {"hello": "hello you"}
        assert api.execute('mutation { say(text: "a") }').run() == {"say": 1}
        assert api.execute("{ me }").run() == {"me": "Bearer good 1"}
        with pytest.raises(GraphQLError, match=r"^it is broken$") as broken:
            api.execute("{ broken }").run()
        assert broken.value.data == {"broken": None}
        with pytest.raises(GraphQLError, match=r"^Cannot query field"):
            api.execute("{ nope }").run()
        with pytest.raises(GraphQLError, match=r"^not allowed$"):
            api.subscribe("subscription { forbidden }").run()
        two = Inbox()
        api.subscribe("subscription { two }").subscribe(two, on_completed=two)
        assert two.wait(3) == [{"two": 1}, {"two": 2}, None]
    through_everything(api.socket, ticks, run)
    leaving.dispose()
    api.socket.close().result(5)
    assert errors.values == []


def test_json_rpc() -> None:
    needs_node("json-rpc-2.0")
    port = free_port()
    rpc = json_rpc(
        f"ws://127.0.0.1:{port}",
        carrier=header(),
        handlers={"answer": lambda params: params["of"] * 2},
        on_auth_change=handover(ready="acknowledged"),
        **OPTIONS,
    )
    heads, errors, shouted = Inbox(), Inbox(), Inbox()
    leaving = rpc.subscribe("eth_subscribe", ["newHeads"]).subscribe(heads, errors)
    shouting = rpc.notifications("shouted").subscribe(shouted)

    def run() -> AbstractContextManager[Any]:
        return node("json-rpc-2.0", "json_rpc_server.mjs", port)

    with run():
        heads.wait(1)
        assert rpc.request("sum", [1, 2]).run() == 3
        assert rpc.request("me").run() == "Bearer good 1"
        assert rpc.request("ask", {"of": 21}).run() == 42
        rpc.notify("shout", {"text": "a"}).result(5)
        assert shouted.wait(1) == [{"text": "A"}]
        with pytest.raises(JsonRpcError, match=r"^Method not found \(-32601\)$"):
            rpc.request("nope").run()
        with pytest.raises(JsonRpcError, match=r"^no such subscription \(-32602\)$"):
            rpc.subscribe("eth_subscribe", ["logs"]).run()
        [three, error] = rpc.batch([("sum", [1, 2]), "nope"]).run()
        assert three == 3 and str(error) == "Method not found (-32601)"
        other = rpc.subscribe("eth_subscribe", ["newHeads"]).subscribe(lambda _: None)
        assert rpc.request("live").run() == 2
        other.dispose()
        assert rpc.request("live").run() == 1
    through_everything(rpc.socket, heads, run)
    leaving.dispose()
    shouting.dispose()
    rpc.socket.close().result(5)
    assert errors.values == []
