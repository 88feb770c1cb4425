"""The types of ``rxsocket.protocols``, as mypy and pyright see them. It is checked, not run."""

from __future__ import annotations

from typing import Any, TypedDict, assert_type

from rxsocket import Backoff, Receipt, Sent, Socket, handover, header
from rxsocket.protocols import (
    GraphQL,
    GraphQLError,
    GraphQLResult,
    JsonRpc,
    JsonRpcError,
    graphql,
    graphql_options,
    json_rpc,
    json_rpc_options,
)


class Tick(TypedDict):
    price: float


def made() -> None:
    api = graphql("wss://a", auth="t", on_auth_change=handover(), backoff=Backoff(cap=9))
    assert_type(api, GraphQL)
    assert_type(graphql(Socket("wss://a", **graphql_options(carrier=header()))), GraphQL)
    assert_type(api.socket, Socket[Any, Any])
    assert_type(json_rpc(["wss://a", "wss://b"], handlers={"sum": sum}), JsonRpc)
    assert_type(json_rpc(Socket("wss://a", **json_rpc_options(name="a"))), JsonRpc)
    graphql("wss://a", init_payload=lambda credential: {"token": credential})
    graphql("wss://a", atuh="t")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    graphql("wss://a", codec=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    graphql("wss://a", name=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def queried(api: GraphQL) -> None:
    assert_type(await api.execute("{ a }", {"b": 1}, type=Tick), Tick)
    assert_type(await api.execute("{ a }", timeout=None, idempotent=True), Any)
    async for tick in api.subscribe("subscription { a }", type=Tick):
        assert_type(tick, Tick)
    async for result in api.results("subscription { a }"):
        assert_type(result, GraphQLResult)
    api.subscribe("subscription { a }", type=Tick).subscribe(lambda tick: print(tick["price"]))


async def called(rpc: JsonRpc) -> None:
    assert_type(await rpc.request("sum", [1, 2], type=int), int)
    assert_type(await rpc.request("sum", {"a": 1}), Any)
    assert_type(await rpc.request("sum", type=int | str), Any)
    assert_type(await rpc.batch(["a", ("b", [1]), ("c", {"d": 1})]), list[Any])
    assert_type(rpc.notify("exit"), Receipt[Sent])
    async for tick in rpc.subscribe("eth_subscribe", ["a"], type=Tick):
        assert_type(tick, Tick)
    async for tick in rpc.notifications("tick", type=Tick):
        assert_type(tick, Tick)


def failed(error: GraphQLError, other: JsonRpcError) -> None:
    assert_type(error.errors, tuple[Any, ...])
    assert_type((other.code, other.message), tuple[int, str])
