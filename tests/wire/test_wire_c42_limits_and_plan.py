"""C42 on real connections: a server that counts never sees more than it allows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from deadlines import stretched
from internals import Admission, admitted_by
from venue import Caps, VenueServer

from rxsocket import Limits, Socket, State, handover

from .wire_helpers import quick


async def _until_open(sockets: list[Socket[Any, Any]], token: str = "") -> None:
    """Return when all are open, with a credential."""

    def is_done() -> bool:
        return all(
            socket.state.value is State.OPEN and (not token or socket.auth.value.reveal() == token)
            for socket in sockets
        )

    async with asyncio.timeout(stretched(20)):
        while not is_done():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("count", "rounds"),
    [
        pytest.param(12, 1, id="scaled"),
        pytest.param(60, 3, id="whole", marks=[pytest.mark.slow]),
    ],
)
def test_dials_keep_to_the_pace_also_when_all_are_lost(count: int, rounds: int) -> None:
    """No window has more, by the server's own clock, with no room for what is bunched up."""
    with VenueServer(Caps(connects="10/250ms", slack=0.0)) as venue:

        async def run() -> None:
            loop = asyncio.get_running_loop()
            admission = Admission(Limits(connects="10/250ms"), loop)
            sockets: list[Socket[Any, Any]] = []
            for number in range(count):
                url = admitted_by(admission.of(number), venue.url)
                sockets.append(Socket(url, loop=loop, backoff=quick()))
                sockets[-1].events.subscribe(partial(admission.on_event, number))
            await _until_open(sockets)
            for _ in range(rounds):
                dials = len(venue.handshakes)
                venue.drop()
                async with asyncio.timeout(stretched(20)):
                    while len(venue.handshakes) < dials + count:
                        await asyncio.sleep(0.01)
                await _until_open(sockets)
            for socket in sockets:
                await socket.close()
            assert admission.waiting == admission.open == 0

        asyncio.run(run())
        assert venue.over() == [] and venue.most_connects == 10


@pytest.mark.parametrize(
    "rotations", [1, pytest.param(10, marks=[pytest.mark.slow])], ids=["scaled", "whole"]
)
def test_a_rotation_keeps_to_the_connections(rotations: int) -> None:
    """Three sockets where four connections are allowed: one is left for a handover at a time."""
    with VenueServer(Caps(connections=4)) as venue:

        async def run() -> None:
            loop = asyncio.get_running_loop()
            admission = Admission(Limits(connections=4), loop)
            sockets: list[Socket[Any, Any]] = []
            for number in range(3):
                socket: Socket[Any, Any] = Socket(
                    admitted_by(admission.of(number), venue.url),
                    loop=loop,
                    auth="0",
                    on_auth_change=handover(),
                    identity=lambda _: 0,
                )
                socket.events.subscribe(partial(admission.on_event, number))
                sockets.append(socket)
            await _until_open(sockets, "0")
            for number in range(1, rotations + 1):
                for socket in sockets:
                    socket.set_auth(str(number))
                await _until_open(sockets, str(number))
            for socket in sockets:
                await socket.close()

        asyncio.run(run())
        assert venue.over() == []
        assert len(venue.handshakes) == 3 + 3 * rotations
