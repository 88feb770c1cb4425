"""C19, C22 and requests (C30) on real connections; topics from threads (C25, C29)."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from deadlines import within
from internals import open_requests

from rxsocket import (
    ConnectionLost,
    Limits,
    Opened,
    Socket,
    State,
    SubscriptionRefused,
    TopicFailed,
)
from rxsocket.testing import accept, server

from .wire_helpers import Inbox, Watch, quick

SUB, UNSUB = '{"sub":"t"}', '{"unsub":"t"}'


@dataclass
class Trade:
    price: float


def test_three_subscribers_and_ten_drops() -> None:
    """C22: 1 + 10 subscribe frames and 1 unsubscribe, and every subscriber hears every message."""
    with server() as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        channel = socket.channel(subscribe={"sub": "t"}, unsubscribe={"unsub": "t"}, key="t")
        inboxes = [Inbox() for _ in range(3)]
        leaving = [channel.subscribe(inbox) for inbox in inboxes]
        for number in range(1, 12):
            watch.wait(Opened, number)
            peer.wait_for(lambda peer, number=number: len(peer.received) == number)
            peer.push(json.dumps({"topic": "t", "data": number}))
            for inbox in inboxes:
                inbox.wait(number)
            if number < 11:
                peer.drop()
        for one in leaving:
            one.dispose()
        peer.wait_for(lambda peer: len(peer.received) == 12)
        assert [tuple(message) for message in peer.received] == [
            *((epoch, SUB) for epoch in range(1, 12)),
            (11, UNSUB),
        ]
        socket.close().result(5)


def test_subscriptions_come_before_what_was_queued() -> None:
    """C19: on the new connection, the subscription is the first message, then the queue."""
    with server(accept(), accept().delay(0.3)) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        socket.channel(subscribe={"sub": "t"}, key="t").subscribe()
        watch.wait(Opened)
        peer.wait_for(lambda peer: peer.received)
        peer.drop()
        watch.until(lambda watch: watch.names[-1] == "Connecting" and "Closed" in watch.names)
        receipts = [socket.send(str(number)) for number in range(10)]
        assert {receipt.result(5).epoch for receipt in receipts} == {2}
        peer.wait_for(lambda peer: len(peer.received) == 12)
        assert [message for _, message in peer.received][1:] == [SUB, *map(str, range(10))]
        socket.close().result(5)


def test_a_refused_subscription_harms_nobody() -> None:
    """C22: the channel fails, the connection and the other channel go on."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        watch.wait(Opened)
        failed, heard = Inbox(), Inbox()
        socket.channel(
            subscribe={"sub": "t"},
            key="t",
            acknowledged=lambda message: False if message == "no t" else None,
        ).subscribe(on_error=failed)
        socket.channel(subscribe={"sub": "u"}, key="u").subscribe(heard)
        peer.wait_for(lambda peer: len(peer.received) == 2)
        peer.push("no t", '{"topic":"u"}')
        assert isinstance(failed.wait(1)[0], SubscriptionRefused)
        heard.wait(1)
        assert "Closed" not in watch.names
        socket.close().result(5)


def test_threads_emit_and_a_listener_hears_all() -> None:
    """C25: four threads emit to an echoing server; typed values come back, in order for each."""
    with server(accept().echo()) as peer:
        socket = Socket(peer.url)
        inbox, problems = Inbox(), Inbox()
        socket.listener("trades/:thread", type=Trade).subscribe(inbox)
        socket.errors.subscribe(problems)
        socket.opened().result()
        emitter = socket.emitter("trades/:thread")

        def work(thread: int) -> None:
            mine = emitter.with_params(thread=thread)
            for number in range(100):
                mine.emit(Trade(thread + number / 1000))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        trades = inbox.wait(400)
        for thread in range(4):
            prices = [trade.price for trade in trades if int(trade.price) == thread]
            assert prices == [thread + number / 1000 for number in range(100)]
        emitter.emit({"price": "high"}, params={"thread": 0})
        [problem] = problems.wait(1)
        assert isinstance(problem, TopicFailed) and problem.topic == "trades/0"
        socket.close().result(5)


def test_requests_from_threads_find_their_answers() -> None:
    """C25: each of 4 threads with 50 requests gets its own answers, by id."""
    with server(accept().echo()) as peer:
        socket = Socket(peer.url)
        held = socket.connect()
        answers: dict[int, list[Any]] = {number: [] for number in range(4)}

        def work(thread: int) -> None:
            for number in range(50):
                request = socket.request({"of": thread, "n": number}, id="id", timeout=5.0)
                answers[thread].append(json.loads(request.run()))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        for thread, of_thread in answers.items():
            assert [(answer["of"], answer["n"]) for answer in of_thread] == [
                (thread, number) for number in range(50)
            ]
        assert open_requests(socket) == 0
        held.dispose()
        socket.close().result(5)


@pytest.mark.parametrize("shared", [False, True], ids=["own loop", "background"])
def test_a_lost_connection_fails_what_is_awaited(shared: bool) -> None:
    """A request says at once that its connection ended, on whatever loop it is awaited."""

    async def main(socket: Socket) -> None:
        socket.connect()
        await socket.opened()
        asking = asyncio.ensure_future(_ask(socket))
        await asyncio.to_thread(peer.wait_for, lambda peer: len(peer.received) == 1)
        with within(1.0):
            peer.drop()
            with pytest.raises(ConnectionLost, match="before the answer came"):
                await asking
            await socket.close()

    with server() as peer:
        socket = Socket(peer.url)
        if shared:
            Watch(socket).wait(Opened)
        asyncio.run(main(socket))


async def _ask(socket: Socket) -> Any:
    return await socket.request("q", match=bool, timeout=30.0)


def test_a_cancelled_request_is_forgotten() -> None:
    """Cancelling what awaits it leaves no entry and no hold behind (C26)."""

    async def main() -> None:
        with server() as peer:
            socket = Socket(peer.url)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await socket.request("q", match=bool)
            await asyncio.sleep(0)
            assert open_requests(socket) == 0
            assert socket.state.value is State.IDLE
            await socket.close()

    asyncio.run(main())


def test_a_request_that_waited_too_long_is_not_sent() -> None:
    """C30: neither one that timed out nor one that was cancelled, when its turn comes (C36)."""

    async def main() -> None:
        with server() as peer:
            async with Socket(peer.url, limits=Limits(pace="1/s")) as socket:
                await socket.send("first")
                last = socket.request("late", match=bool, timeout=0.1)
                with pytest.raises(TimeoutError, match=r"^not sent within 0\.1 s: it waits"):
                    await last
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await socket.request("cancelled", match=bool)
                await socket.send("last")
                peer.wait_for(lambda peer: len(peer.received) == 2)
                assert [message for _, message in peer.received] == ["first", "last"]
                assert open_requests(socket) == 0

    asyncio.run(main())
