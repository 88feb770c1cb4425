"""C48 on real connections: protocols against a scripted server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rxsocket import Opened, SocketFailed
from rxsocket.protocols import (
    GraphQLError,
    JsonRpcError,
    SubprotocolNotChosen,
    graphql,
    json_rpc,
)
from rxsocket.testing import accept, server

from .wire_helpers import Inbox, Watch, quick

ACK = accept("graphql-transport-ws").expect().send('{"type":"connection_ack"}')


def of(id: str, kind: str, payload: Any = None) -> str:
    """A message of the server about an operation."""
    return json.dumps({"id": id, "type": kind, "payload": payload})


def kinds(peer: Any) -> list[str]:
    """What the server received."""
    return [json.loads(message)["type"] for _, message in peer.received]


def test_graphql_goes_on_after_a_drop() -> None:
    """The subscription is asked for again, after the credential, before what was queued (C19)."""
    with server(ACK, ACK) as peer:
        api = graphql(peer.url, auth="t", backoff=quick())
        watch, inbox = Watch(api.socket), Inbox()
        leaving = api.subscribe("subscription { a }").subscribe(inbox)
        for epoch in (1, 2):
            watch.wait(Opened, epoch)
            peer.wait_for(lambda peer, epoch=epoch: kinds(peer).count("subscribe") == epoch)
            peer.push('{"type":"ping"}', of("1", "next", {"data": epoch}))
            inbox.wait(epoch)
            peer.wait_for(lambda peer, epoch=epoch: kinds(peer).count("pong") == epoch)
            if epoch == 1:
                peer.drop()
        leaving.dispose()
        peer.wait_for(lambda peer: "complete" in kinds(peer))
        asked = ["connection_init", "subscribe"]
        assert [kind for kind in kinds(peer) if kind != "pong"] == [*asked, *asked, "complete"]
        assert kinds(peer).count("pong") == 2 and inbox.values == [1, 2]
        api.socket.close().result(5)
        assert api.socket.stats.messages_sent == len(peer.received)


def test_queries_are_awaited() -> None:
    script = ACK.expect().send(of("1", "next", {"data": {"a": 1}}), of("1", "complete"))
    refused = script.expect().send(of("2", "error", [{"message": "no such field"}]))

    async def main(url: str) -> None:
        async with graphql(url, auth="t").socket as socket:
            api = graphql(socket)
            assert await api.execute("{ a }") == {"a": 1}
            with pytest.raises(GraphQLError, match=r"^no such field$"):
                await api.execute("{ b }")

    with server(refused) as peer:
        asyncio.run(main(peer.url))


def test_a_subscription_is_iterated_over() -> None:
    """C27: nothing is lost."""
    said = [of("1", "next", {"data": number}) for number in range(600)]

    async def main(url: str) -> list[int]:
        numbers = graphql(url).subscribe("subscription { a }")
        return [number async for number in numbers]

    with server(ACK.expect().send(*said, of("1", "complete"))) as peer:
        assert asyncio.run(main(peer.url)) == [*range(600)]


def test_a_server_that_does_not_speak_it() -> None:
    """The server hears 1002; whoever waits, what to check."""
    with server(accept()) as peer:
        api = graphql(peer.url)
        with pytest.raises(SocketFailed, match="check the path in the URL") as failed:
            api.subscribe("subscription { a }").run()
        assert isinstance(failed.value.cause, SubprotocolNotChosen)
        peer.wait_for(lambda peer: peer.closes and not peer.connections)
        assert peer.received == []


def answer(id: int, **outcome: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": id, **outcome})


def test_json_rpc_goes_on_after_a_drop() -> None:
    """A subscription has another id then; requests and batches are awaited."""

    def head(id: str, number: int) -> str:
        params = {"subscription": id, "result": number}
        return json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})

    first = accept().expect().send(answer(1, result="0xa"), head("0xa", 1)).expect().drop()
    second = accept().expect().send(answer(2, result="0xb"), head("0xb", 2))
    with server(first, second) as peer:
        rpc = json_rpc(peer.url, backoff=quick())
        watch, inbox = Watch(rpc.socket), Inbox()
        leaving = rpc.subscribe("eth_subscribe", ["newHeads"]).subscribe(inbox)
        inbox.wait(1)
        rpc.notify("drop").result(5)
        watch.wait(Opened, 2)
        assert inbox.wait(2) == [1, 2]
        leaving.dispose()
        peer.wait_for(lambda peer: len(peer.received) == 4)
        ended = {"jsonrpc": "2.0", "method": "eth_unsubscribe", "params": ["0xb"], "id": 3}
        assert json.loads(peer.received[-1].message) == ended
        rpc.socket.close().result(5)


def test_json_rpc_is_awaited() -> None:
    """Also while the server requests something itself, which is answered where it came."""
    asks = '{"jsonrpc": "2.0", "id": 1, "method": "version"}'
    script = accept().expect().send(asks).expect().send(answer(1, result=3))
    script = script.expect().send(answer(2, error={"code": -32601, "message": "no"}))
    batch = [json.loads(answer(4, result=4)), json.loads(answer(3, result=3))]

    async def main(url: str) -> None:
        async with json_rpc(url, handlers={"version": lambda _: "1"}).socket as socket:
            rpc = json_rpc(socket)
            assert await rpc.request("sum", [1, 2]) == 3
            with pytest.raises(JsonRpcError, match=r"^no \(-32601\)$"):
                await rpc.request("nope")
            assert await rpc.batch(["a", "b"]) == [3, 4]

    with server(script.expect().send(json.dumps(batch))) as peer:
        asyncio.run(main(peer.url))
        assert json.loads(peer.received[1].message) == json.loads(answer(1, result="1"))
