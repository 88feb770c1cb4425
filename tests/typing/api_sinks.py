"""The types of ``rxsocket.sinks``, as mypy and pyright see them. It is checked, not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never, assert_type

from reactivex import Observable

from rxsocket import Backoff, Socket
from rxsocket.operators import Drops
from rxsocket.sinks import (
    Dropped,
    Duplicate,
    Failed,
    Outcome,
    Record,
    Sink,
    SinkUnavailable,
    Stored,
    into,
    jetstream,
    redis_streams,
)


class Kept:
    async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        return [Stored(record.id, record.key, 1) for record in records]

    async def close(self) -> None: ...


class Half:
    async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        return []


def made() -> None:
    assert_type(jetstream("nats://a", "T", create=True, tls_hostname="b"), Sink)
    assert_type(redis_streams("redis://a", lambda record: record.key, max_len=9), Sink)
    own: Sink = Kept()
    half: Sink = Half()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(own, half)
    redis_streams("redis://a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def stored(socket: Socket[dict[str, str]]) -> None:
    receipts = socket.messages.pipe(
        into(
            Kept(),
            key=lambda message: message["symbol"],
            id=lambda message: message["seq"],
            in_flight=9,
            batch=3,
            overflow="drop_oldest",
            high_water=100,
            retry_for=9.0,
            backoff=Backoff(),
            encode=str.encode,
            drops=Drops(),
        )
    )
    assert_type(receipts, Observable[Stored | Duplicate | Failed | Dropped])
    into(Kept(), overflow="block")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def told(receipt: Outcome | Dropped) -> str:
    match receipt:
        case Stored(id=id, key=key, entry=entry) | Duplicate(id=id, key=key, entry=entry):
            assert_type(entry, int | str)
            return id + key
        case Failed(error=SinkUnavailable()):
            return receipt.data.decode()
        case Failed(error=error):
            assert_type(error, Exception)
            return str(error)
        case Dropped(count=count):
            return str(count)
    assert_never(receipt)
