"""Channels that are not asked for, as the server refused them, or ``weight=`` raised (C41).

::

    refused     A       A              A
    asked for   A.......30 s.......A...............60 s...............A     up to 15 min

Only those of the set are asked for again: who observes a channel gets the error.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from rxsocket.fleet.channel import FleetChannel
from rxsocket.fleet.wanted import WantedChannels
from rxsocket.runtime.loop import SocketLoop
from rxsocket.topics.overdue import Overdue

FIRST = 30.0
"""Seconds after which a channel of the set that was refused is asked for again."""
LONGEST = 900.0
"""They are doubled each time, up to that many."""


class RefusedChannels:
    """Fails channels for their observers, and has some asked for again later; on the loop.

    Args:
        loop: The loop of the fleet.
        wanted: The channels that are wanted.
        plan_soon: Called when one is to be asked for again.
    """

    def __init__(
        self, loop: SocketLoop, wanted: WantedChannels, plan_soon: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._wanted = wanted
        self._plan_soon = plan_soon
        self._due: Overdue[FleetChannel] = Overdue(loop, self._ask_again)
        self._is_stopped = False

    def add(self, channel: FleetChannel, error: Exception) -> None:
        """It fails for its observers; if it is one of the set, it is tried again later."""
        channel.error = error
        channel.refusals += 1
        self._wanted.fail(channel, error)
        if channel.wanted and not self._is_stopped:
            patience = min(LONGEST, FIRST * 2.0 ** (channel.refusals - 1))
            self._due.set(channel, self._loop.event_loop.time() + patience)

    def add_unweighed(self, unweighed: Mapping[Hashable, BaseException]) -> None:
        """What ``weight=`` raised at has no place: it fails alone, and is tried again later."""
        for key, raised in unweighed.items():
            error = raised
            if not isinstance(error, Exception):
                error = RuntimeError(f"weight(key): raised {type(raised).__name__}")
            self.add(self._wanted.channels[key], error)

    def stop(self) -> None:
        """The fleet stops."""
        self._is_stopped = True
        self._due.clear()

    def _ask_again(self, channel: FleetChannel) -> None:
        channel.error = None
        self._plan_soon()
