"""The types of ``rxsocket.schema``, as mypy and pyright see them."""

from __future__ import annotations

from typing import Any, assert_type

from reactivex import Observable

from rxsocket import Socket
from rxsocket.recording import replay
from rxsocket.schema import Code, Field, MessageKind, Schema, schema


async def looked_at(socket: Socket, stream: Observable[Any]) -> None:
    assert_type(schema(socket), Schema)
    assert_type(await schema(stream, 1000, within=30), Schema)
    found = schema(replay("s.jsonl"))
    assert_type(schema([{"a": 1}]).structs(), Code)
    assert_type(found.field, str | None)
    assert_type(found.kinds, tuple[MessageKind, ...])
    assert_type(found.kinds[0].fields, tuple[Field, ...])
    assert_type(found.wait(5), bool)
    schema(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def of_whatever_comes() -> None:
    socket: Socket[Any, Any] = Socket("wss://example.com/feed", codec="auto")
    socket.send({"a": 1})
    Socket("wss://example.com/feed", codec="other")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
