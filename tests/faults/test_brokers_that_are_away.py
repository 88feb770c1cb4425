"""C40: a broker that freezes, or is killed and comes back with its store, has everything once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import Broker, Nats, Valkey, needs_brokers, running
from deadlines import stretched
from reactivex import operators as ops
from stored import stored_in

from rxsocket import Backoff, Socket
from rxsocket.sinks import Duplicate, Failed, Sink, Stored, into, jetstream, redis_streams
from rxsocket.testing import accept, server

pytestmark = [needs_brokers, pytest.mark.timeout(180)]
QUICK = Backoff(first=0.1, base=0.1, cap=0.5)


def freeze(broker: Broker, seconds: float) -> None:
    broker.freeze()
    time.sleep(seconds)
    broker.thaw()


def restart(broker: Broker, seconds: float) -> None:
    broker.kill()
    time.sleep(seconds)
    broker.start()


def sink_of(broker: Broker, timeout: float) -> Sink:
    if isinstance(broker, Nats):
        return jetstream(broker.url, "feed", create=True, timeout=timeout)
    return redis_streams(broker.url, "feed", timeout=timeout)


@pytest.fixture
def seconds(full: bool) -> float:
    """How long it is away."""
    return 5.0 if full else 0.3


@pytest.mark.parametrize(
    ("kind", "outage"),
    [
        (Nats, freeze),
        pytest.param(Valkey, freeze, marks=pytest.mark.slow),
        (Valkey, restart),
        pytest.param(Nats, restart, marks=pytest.mark.slow),  # its client waits a second
    ],
)
def test_everything_is_stored_once(
    kind: type[Broker],
    outage: Callable[[Broker, float], None],
    seconds: float,
    tmp_path: Path,
) -> None:
    """The socket is paused meanwhile; each message has a receipt, and the broker each id once."""

    async def main(broker: Broker) -> None:
        sent = 0
        is_over = False

        def feed() -> Iterator[str]:
            nonlocal sent
            while not is_over:
                sent += 1
                yield str(sent - 1)

        with server(accept().stream(feed, 2000).close(1000)) as serving:
            socket = Socket(serving.url, ping_timeout=60.0)
            storing = into(
                sink_of(broker, timeout=2.0),
                id=str,
                key=lambda _: "k",
                high_water=200,
                backoff=QUICK,
            )
            receipts: list[Any] = []
            many = asyncio.Event()

            def on_receipt(receipt: Any) -> None:
                receipts.append(receipt)
                if len(receipts) == 200:
                    many.set()

            stream = socket.messages.pipe(storing, ops.do_action(on_receipt), ops.count())
            whole = asyncio.ensure_future(_last(stream))
            await asyncio.wait_for(many.wait(), stretched(20))
            await asyncio.to_thread(outage, broker, seconds)
            is_over = True
            assert await asyncio.wait_for(whole, stretched(60)) == sent
        failed = [one for one in receipts if isinstance(one, Failed)]
        assert failed == []
        assert {type(one) for one in receipts} <= {Stored, Duplicate}
        assert sorted(int(one.id) for one in receipts) == [*range(sent)]
        found = [id for id, _, _ in await stored_in(broker, "feed")]
        assert sorted(map(int, found)) == [*range(sent)]

    with running(kind(tmp_path)) as broker:
        asyncio.run(main(broker))


async def _last(stream: Any) -> Any:
    return await stream
