"""Reading back what a broker has, with its own client."""

from __future__ import annotations

from typing import Any

from brokers import Broker, Nats

__all__ = ["Entry", "stored_in"]

Entry = tuple[str, str, bytes]
"""Id, key and data."""


async def stored_in(broker: Broker, stream: str) -> list[Entry]:
    """All entries of a stream, in its order."""
    return await (_of_nats if isinstance(broker, Nats) else _of_redis)(broker.url, stream)


async def _of_nats(url: str, stream: str) -> list[Entry]:
    import nats

    client = await nats.connect(url)
    try:
        context = client.jetstream()
        state = (await context.stream_info(stream)).state
        found: list[Entry] = []
        reader: Any = await context.subscribe(f"{stream}.>", stream=stream, ordered_consumer=True)
        while len(found) < state.messages:
            message = await reader.next_msg(timeout=60)
            id = (message.headers or {}).get("Nats-Msg-Id", "")
            found.append((id, message.subject.removeprefix(f"{stream}."), message.data))
        return found
    finally:
        await client.close()


async def _of_redis(url: str, stream: str) -> list[Entry]:
    from redis.asyncio import Redis

    found: list[Entry] = []
    after = "-"
    async with Redis.from_url(url, socket_timeout=60) as client:
        while page := await client.xrange(stream, after, count=1000):
            after = f"({page[-1][0].decode()}"
            found += [(one[b"id"].decode(), one[b"key"].decode(), one[b"data"]) for _, one in page]
    return found
