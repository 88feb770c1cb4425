"""C42 on real connections: a server that counts never sees more than it allows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from deadlines import stretched
from internals import Admission, admitted_by
from venue import Caps, VenueServer

from rxsocket import Event, Limits, Opened, Socket, handover

from .wire_helpers import quick


class Many:
    """Sockets of one address, on the running loop."""

    def __init__(self, venue: VenueServer, limits: Limits, count: int, **options: Any) -> None:
        loop = asyncio.get_running_loop()
        self.admission = Admission(limits, loop)
        self.sockets: list[Socket[Any, Any]] = []
        self._epochs = [0] * count
        self._opened = asyncio.Event()
        for number in range(count):
            url = admitted_by(self.admission.of(number), venue.url)
            self.sockets.append(Socket(url, loop=loop, **options))
            self.sockets[-1].events.subscribe(partial(self._on_event, number))

    def _on_event(self, number: int, event: Event) -> None:
        self.admission.on_event(number, event)
        if isinstance(event, Opened):
            self._epochs[number] = event.epoch
            self._opened.set()

    async def until_open(self, epoch: int) -> None:
        """Return when each had its connection of that number, or a later one."""
        async with asyncio.timeout(stretched(20)):
            while min(self._epochs) < epoch:
                self._opened.clear()
                await self._opened.wait()

    async def close(self) -> None:
        for socket in self.sockets:
            await socket.close()
        assert self.admission.waiting == self.admission.open == 0


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
            many = Many(venue, Limits(connects="10/250ms"), count, backoff=quick())
            for number in range(rounds + 1):
                await many.until_open(number + 1)
                venue.drop()
            await many.close()

        asyncio.run(run())
        assert venue.over() == [] and venue.most_connects == 10


@pytest.mark.parametrize(
    "rotations", [1, pytest.param(10, marks=[pytest.mark.slow])], ids=["scaled", "whole"]
)
def test_a_rotation_keeps_to_the_connections(rotations: int) -> None:
    """Three sockets where four connections are allowed: one is left for a handover at a time."""
    with VenueServer(Caps(connections=4)) as venue:

        async def run() -> None:
            options = {"auth": "0", "on_auth_change": handover(), "identity": lambda _: 0}
            many = Many(venue, Limits(connections=4), 3, **options)
            await many.until_open(1)
            for number in range(1, rotations + 1):
                for socket in many.sockets:
                    socket.set_auth(str(number))
                await many.until_open(number + 1)
            await many.close()

        asyncio.run(run())
        assert venue.over() == []
        assert len(venue.handshakes) == 3 + 3 * rotations
