"""C24, C26: a program whose asyncio loop ends while a socket is still open."""

from __future__ import annotations

import asyncio

from rxsocket import Cause, Ended, Event, Socket, State
from rxsocket.testing import server


def test_the_socket_ends_with_its_loop_and_starts_again_on_another() -> None:
    """Its streams complete, the server hears 1000, and a later asyncio.run() starts it afresh."""
    with server() as feed:
        socket = Socket(feed.url)
        events: list[Event] = []
        completions: list[str] = []

        async def main() -> None:
            opened = asyncio.Event()
            socket.events.subscribe(events.append, on_completed=lambda: completions.append("done"))
            socket.on_open(opened.set)
            await opened.wait()  # the server has accepted before that: leaving then is an abort

        asyncio.run(main())
        assert completions == ["done"]
        assert isinstance(events[-1], Ended) and events[-1].cause is Cause.LOOP_ENDED
        assert socket.state.value is State.CLOSED
        feed.wait_for(lambda feed: feed.connections == 0)
        assert [left.code for left in feed.closes] == [1000]

        async def again() -> None:
            with socket.connect():
                await feed.await_for(lambda feed: feed.connections == 1)
            await socket.close()

        asyncio.run(again())
        assert len(feed.handshakes) == 2
