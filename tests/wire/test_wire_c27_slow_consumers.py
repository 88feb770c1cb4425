"""C27: an observer that holds the loop is named."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from internals import loop_of
from reactivex import operators as ops

from rxsocket import NotConnected, ObserverFailed, SlowConsumer, Socket, State
from rxsocket.testing import accept, server


def run(
    attach: Callable[[Socket], object], pushes: int = 3, at_once: int = 1
) -> list[SlowConsumer]:
    """Push messages to a socket, some at once; what was named."""
    found: list[SlowConsumer] = []

    async def main() -> None:
        async with server(accept().echo()) as peer:
            socket = Socket(peer.url)
            socket.errors.subscribe(lambda problem: found.append(problem))  # type: ignore[arg-type]
            attach(socket)
            arrived: asyncio.Queue[Any] = asyncio.Queue()
            socket.messages.subscribe(arrived.put_nowait)
            await peer.await_for(lambda peer: peer.connections == 1)
            for number in range(pushes):
                peer.push(*[str(number)] * at_once)
                for _ in range(at_once):
                    await arrived.get()
                await asyncio.sleep(0.01)
            await socket.close()

    asyncio.run(main())
    assert all(isinstance(one, (SlowConsumer, ObserverFailed)) for one in found)
    return found


def test_the_slow_one_is_named_and_the_quick_ones_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where it was subscribed, to which stream, and how long it took; once, with a warning."""
    caplog.set_level(logging.WARNING, "rxsocket")

    def attach(socket: Socket) -> None:
        socket.on_message(lambda: None)
        subscribe_a_slow_one(socket)
        socket.events.subscribe(lambda _: None)

    def subscribe_a_slow_one(socket: Socket) -> None:
        socket.messages.pipe(ops.map(str)).subscribe(lambda _: time.sleep(0.15))

    (named,) = run(attach)
    assert "subscribe_a_slow_one (line " in named.observer
    assert named.observer.endswith(f" of {__name__})")
    assert named.stream == "messages"
    assert 0.15 <= named.seconds < 5.0
    assert sum("held the loop for" in record.message for record in caplog.records) == 1


def test_many_quick_calls_for_one_burst_add_up() -> None:
    """What counts is how long the loop is held, not how long one call takes."""

    def attach(socket: Socket) -> None:
        socket.sessions.subscribe(lambda session: session.subscribe(lambda _: time.sleep(0.02)))

    (named,) = run(attach, at_once=20)
    assert named.stream == "session 1"


def test_a_single_hiccup_names_nobody() -> None:
    """One slow burst raises suspicion alone."""
    assert run(lambda socket: socket.on_message(lambda: time.sleep(0.15)), pushes=1) == []


def test_a_quick_observer_is_never_timed() -> None:
    """Without a slow burst, calls go straight to the observers."""
    timings: list[object] = []

    def attach(socket: Socket) -> None:
        loop = loop_of(socket)
        socket.on_message(lambda: timings.append(loop.timing))

    assert run(attach) == []
    assert timings == [None, None, None]


def test_a_suspicion_ends_with_the_run() -> None:
    """After a slow observer a socket that is idle, restarted or closed works as before (C20)."""

    async def main() -> None:
        async with server(accept().echo()) as peer:
            socket = Socket(peer.url)
            states: list[State] = []
            credentials: list[object] = []
            failed: list[object] = []
            socket.state.subscribe(states.append)
            socket.auth.subscribe(credentials.append)
            socket.errors.subscribe(failed.append)
            for _ in range(2):
                arrived = asyncio.Event()

                def hold_the_loop(_: str, arrived: asyncio.Event = arrived) -> None:
                    time.sleep(0.15)
                    arrived.set()

                subscription = socket.messages.subscribe(hold_the_loop)
                await peer.await_for(lambda peer: peer.connections == 1)
                peer.push("slow")
                await arrived.wait()
                await asyncio.sleep(0.01)
                assert loop_of(socket).timing is not None
                subscription.dispose()
                await peer.await_for(lambda peer: peer.connections == 0)
                await asyncio.sleep(0.05)
                assert states[-1] is State.IDLE and loop_of(socket).timing is None
            await asyncio.wait_for(socket.close(), 5)
            assert states[-1] is State.CLOSED
            with pytest.raises(NotConnected):
                await asyncio.wait_for(socket.send("late"), 5)
            assert [type(problem) for problem in failed] == []
            await asyncio.wait_for(socket.set_auth("another"), 5)

    asyncio.run(main())


def test_a_slow_observer_is_not_kept_alive() -> None:
    """What was named is remembered for as long as it is subscribed."""

    class Slow:
        def __call__(self, _: str) -> None:
            time.sleep(0.15)

    gone: list[bool] = []

    def attach(socket: Socket) -> None:
        slow = Slow()
        alive = weakref.ref(slow)
        subscriptions = [socket.messages.subscribe(slow)]

        def on_problem(_: object) -> None:
            subscriptions.pop().dispose()
            asyncio.get_running_loop().call_later(0.05, check)

        def check() -> None:
            gc.collect()
            gone.append(alive() is None and loop_of(socket).timing is not None)

        socket.errors.subscribe(on_problem)

    (named,) = run(attach, pushes=12)
    assert named.stream == "messages"
    assert gone == [True]


def test_a_client_that_does_not_read_is_named(transport: str) -> None:
    """An ``async for`` whose body stands still holds up the others: said once, and explained."""

    async def main() -> None:
        feed = accept().stream(lambda: map(str, range(100_000)), rate=600)
        async with server(feed) as peer, Socket(peer.url, transport=transport) as socket:
            named: asyncio.Queue[Any] = asyncio.Queue()
            socket.errors.subscribe(named.put_nowait)

            async def serve(stuck: asyncio.Event) -> None:
                async for _ in socket.messages:
                    await stuck.wait()

            quick = asyncio.Event()
            quick.set()
            clients = [asyncio.create_task(serve(event)) for event in (quick, asyncio.Event())]
            slow = await asyncio.wait_for(named.get(), 10)
            assert isinstance(slow, SlowConsumer)
            assert "serve (line " in slow.observer and slow.waiting is not None
            assert slow.waiting >= 256 and slow.seconds >= 1.0
            assert "reading is paused for" in socket.explain().why
            for client in clients:
                client.cancel()
            got = []
            async for message in socket.messages.iterate(high_water=10, overflow="drop_oldest"):
                got.append(int(message))
                if len(got) == 5:
                    break
                await asyncio.sleep(0.05)
            assert got == sorted(got) and got[-1] - got[0] > 5
            while not named.empty():
                assert named.get_nowait().waiting is None  # a busy machine may be slow itself

    asyncio.run(main())
