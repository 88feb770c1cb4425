"""C20, C21 on real connections: one receipt for each message, whatever happens to the link."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
import reactivex
from deadlines import DEBUGGING, stretched, within
from reactivex import operators as ops

from rxsocket import (
    AwaitingAuth,
    IdentityChanged,
    NotConnected,
    Opened,
    QueueFull,
    Receipt,
    Sent,
    Socket,
    SocketError,
)
from rxsocket.testing import reject, server

from .wire_helpers import BINARY, CONTINUATION, TEXT, Peer, Watch, frame, quick, raw

THREADS = 8


def _sent(receipt: Receipt[Sent]) -> int | None:
    """The epoch a message was written to, or ``None``: its receipt is there, and is one of both."""
    try:
        return receipt.result(20).epoch
    except SocketError:
        return None


def _threads_against_cuts(each: int, cuts: int, *, abrupt: bool) -> Counter[str]:
    """Let threads send while the link is cut, and check every account of what happened."""
    with server() as peer:
        socket = Socket(peer.url, backoff=quick(), compression=None, close_timeout=1.0)
        watch = Watch(socket)
        watch.wait(Opened)
        receipts: list[list[Receipt[Sent]]] = [[] for _ in range(THREADS)]
        progress = threading.Barrier(THREADS + 1)
        checkpoints = {each * cut // (cuts + 1) for cut in range(1, cuts + 1)}

        def work(thread: int) -> None:
            for number in range(each):
                receipt = socket.send(f"{thread} {number}")
                receipts[thread].append(receipt)
                if number % 8 == 7:  # at the pace of the link, without losing the race to it
                    _sent(receipt)
                if number in checkpoints:
                    progress.wait(30)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for cut in range(cuts):
            progress.wait(30)
            watch.wait(Opened, cut + 1, timeout=stretched(20))
            if abrupt:
                peer.drop()
            else:
                peer.close(1012)
        for thread in threads:
            thread.join(60)
        watch.wait(Opened, cuts + 1, timeout=stretched(20))  # or "last" may go with the last link
        epochs = [[_sent(receipt) for receipt in of_thread] for of_thread in receipts]
        last = socket.send("last").result(10)
        peer.wait_for(
            lambda peer: tuple(peer.received[-1]) == (last.epoch, "last"), timeout=stretched(20)
        )
        arrived: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for connection, message in peer.received[:-1]:
            thread, number = map(int, str(message).split())
            arrived[thread].append((number, connection))
        tally: Counter[str] = Counter()
        for thread in range(THREADS):
            assert len(epochs[thread]) == each  # a receipt each, and every one has an outcome
            numbers = [number for number, _ in arrived[thread]]
            assert numbers == sorted(set(numbers))  # once, and in order
            for number, connection in arrived[thread]:
                assert epochs[thread][number] == connection  # never "failed", nor another epoch
            sent = [number for number, epoch in enumerate(epochs[thread]) if epoch is not None]
            if not abrupt:
                assert numbers == sent  # each that was sent, and no other
            tally["sent"] += len(sent)
            tally["failed"] += each - len(sent)
            tally["lost with the link"] += len(set(sent) - set(numbers))
        assert len(watch.of(Opened)) > cuts
        socket.close().result(5)
        return tally


@pytest.mark.parametrize("abrupt", [False, True], ids=["closed", "cut"])
def test_threads_that_send_while_the_link_is_cut(abrupt: bool) -> None:
    """C20, C21, C25: 8 threads with 1,000 sends each, 20 cuts: every message is accounted for."""
    each = 1_000 if DEBUGGING == 1.0 else 400
    tally = _threads_against_cuts(each, 20, abrupt=abrupt)
    assert tally["sent"] + tally["failed"] == THREADS * each
    assert tally["sent"] > THREADS * each / 2


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("abrupt", [False, True], ids=["closed", "cut"])
def test_threads_that_send_while_the_link_is_cut_in_full(abrupt: bool) -> None:
    """C20, C21, C25: 8 threads with 10,000 sends each, 20 cuts: every message is accounted for."""
    tally = _threads_against_cuts(10_000, 20, abrupt=abrupt)
    assert tally["sent"] + tally["failed"] == THREADS * 10_000
    assert tally["sent"] > THREADS * 5_000


def test_a_plain_script_sends_and_goes() -> None:
    """C1: a send connects; when its receipt has settled the connection is closed again."""
    with server() as peer:
        assert Socket(peer.url).send("hello").result(5) == Sent(1)
        peer.wait_for(lambda peer: peer.closes)
        assert [tuple(message) for message in peer.received] == [(1, "hello")]
        assert peer.closes[0].code == 1000


def test_messages_wait_for_the_connection() -> None:
    """C21: sent while the server refuses, in order, on the connection that opened in the end."""
    with server(reject(503), reject(503)) as peer:
        socket = Socket(peer.url, backoff=quick())
        socket.connect()
        receipts = [socket.send(str(number)) for number in range(50)]
        assert {receipt.result(5) for receipt in receipts} == {Sent(3)}
        peer.wait_for(lambda peer: len(peer.received) == 50)
        assert [message for _, message in peer.received] == [str(number) for number in range(50)]
        socket.close().result(5)


def test_a_message_fails_after_queue_for() -> None:
    """C21: nothing opens, so the receipt fails in time and nothing is sent later."""
    with server(*[reject(503)] * 1000) as peer:
        socket = Socket(peer.url, backoff=quick(), queue_for=0.2)
        held = socket.connect()
        with within(2.0, least=0.15), pytest.raises(NotConnected, match=r"waited 0\.2 s"):
            socket.send("x").result(5)
        held.dispose()
        socket.close().result(5)
        assert peer.received == []


def test_flow_control_bounds_what_waits() -> None:
    """C21: a peer that does not read: past 2 MiB a send fails at once, and says why."""
    with server() as peer:
        socket = Socket(peer.url, compression=None, close_timeout=0.2)
        Watch(socket).wait(Opened)
        peer.freeze()
        peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        block = b"x" * 2**18
        outcomes: list[Any] = []
        for _ in range(400):
            receipt = socket.send(block)
            try:
                outcomes.append(receipt.result(0.02))
            except TimeoutError:
                outcomes.append(receipt)
            except QueueFull as full:
                outcomes.append(full)
                break
        waiting = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        assert isinstance(outcomes[-1], QueueFull)
        assert 1 <= len(waiting) <= 2**21 // len(block)
        socket.close().result(5)
        for receipt in waiting:
            with pytest.raises(SocketError):
                receipt.result(5)


def test_a_stream_is_piped_out() -> None:
    """C20: its values arrive in order, and its completion does not close the socket."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        numbers = reactivex.range(0, 200).pipe(ops.map(str))
        numbers.subscribe(socket.outgoing)
        peer.wait_for(lambda peer: len(peer.received) == 200)
        assert [message for _, message in peer.received] == [str(number) for number in range(200)]
        assert socket.send("still here").result(5) == Sent(1)
        assert "Closed" not in watch.names
        socket.close().result(5)


def test_fragments_are_frames_of_one_message() -> None:
    """RFC 6455, section 5.4: text, then continuations, the last of them with FIN; none between."""
    frames: list[tuple[int, bool, bytes]] = []

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"go"))
        data = peer.drain()
        while data:
            head, size, mask = data[0], data[1] & 0x7F, data[2:6]
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data[6 : 6 + size]))
            frames.append((head & 0x0F, bool(head & 0x80), payload))
            data = data[6 + size :]

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"a", b"b"):
            await asyncio.sleep(0.01)
            yield part

    with raw(play) as peer:
        socket = Socket(peer.url, compression=None, close_timeout=0.2)
        held = socket.connect()
        receipts = [socket.send(data) for data in ("one", ["tw", "o"], parts(), "three")]
        assert [receipt.result(5) for receipt in receipts] == [Sent(1)] * 4
        held.dispose()
        socket.close().result(5)
    payloads = [(opcode, fin, payload) for opcode, fin, payload in frames if opcode < 8 and payload]
    assert payloads == [
        (TEXT, True, b"one"),
        (TEXT, False, b"tw"),
        (CONTINUATION, False, b"o"),
        (BINARY, False, b"a"),
        (CONTINUATION, False, b"b"),
        (TEXT, True, b"three"),
    ]


def test_fragments_that_fail_break_only_their_connection() -> None:
    """C20: the message cannot be ended, so the link is closed with 1011 and made anew."""

    async def broken() -> AsyncIterator[str]:
        yield "frag"
        raise ValueError("no more")

    with server() as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        receipt, after = socket.send(broken()), socket.send("after")
        with pytest.raises(ValueError, match="no more"):
            receipt.result(5)
        assert after.result(5) == Sent(2)
        peer.wait_for(lambda peer: peer.received)
        assert [tuple(message) for message in peer.received] == [(2, "after")]
        assert len(watch.of(Opened)) == 2
        socket.close().result(5)


def test_a_socket_that_sends_on_one_loop_after_another() -> None:
    """C24, C26: a loop that ends in the turn of a send leaves nothing that stops the next one."""

    async def once(number: int) -> Receipt[Sent]:
        socket.connect()
        await socket.opened()
        return socket.send(str(number))

    async def last() -> None:
        receipt = await once(3)
        await asyncio.to_thread(peer.wait_for, lambda peer: (3, "3") in peer.received)
        assert receipt.result(0) == Sent(3)
        await socket.close()

    with server() as peer:
        socket = Socket(peer.url)
        receipts = [asyncio.run(once(number)) for number in (1, 2)]
        assert all(receipt.done for receipt in receipts)
        asyncio.run(last())


def test_a_coroutine_that_awaits_each_receipt() -> None:
    """C20: on the socket's loop, an awaited message is written without waiting for a turn."""

    async def main() -> None:
        with server() as peer:
            async with Socket(peer.url) as socket:
                await socket.opened()
                turns = 0

                async def others() -> None:
                    nonlocal turns
                    while True:
                        turns += 1
                        await asyncio.sleep(0)

                task = asyncio.create_task(others())
                sent = [await socket.send(str(number)) for number in range(100)]
                task.cancel()
                assert sent == [Sent(1)] * 100
                assert turns < 100
            peer.wait_for(lambda peer: len(peer.received) == 100)

    asyncio.run(main())


def test_another_identity_drops_what_was_queued() -> None:
    """C14: what waited under one credential fails with the reason; only the other's is sent."""
    with server(tokens={"ben"}) as peer:
        socket = Socket(peer.url, auth="ann")
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        hers = socket.send("ann's")
        socket.set_auth("ben")
        his = socket.send("ben's")
        with pytest.raises(IdentityChanged):
            hers.result(5)
        assert his.result(5) == Sent(2)
        peer.wait_for(lambda peer: peer.received)
        assert [tuple(message) for message in peer.received] == [(2, "ben's")]
        socket.close().result(5)
