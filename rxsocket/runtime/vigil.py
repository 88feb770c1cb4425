"""What one socket does about the pulse of its loop: it probes, and does not sleep on (C17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from rxsocket.events import Event, Resumed
from rxsocket.runtime.home import Home
from rxsocket.runtime.pulse import pulse_of

__all__ = ["Vigil"]


Probe: TypeAlias = Callable[[float], None]
"""Looks at a link that is open; it is told how many seconds time jumped by, 0 for a block."""


class Vigil:
    """Listens to the pulse while there is a link to look at, or a wait to cut short.

    Its methods are called on the home loop.

    Args:
        home: The loop.
        publish: Lets an event be known.
    """

    def __init__(self, home: Home, publish: Callable[[Event], None]) -> None:
        self._home = home
        self._publish = publish
        self._leave: Callable[[], None] | None = None
        self._probes: tuple[Probe, ...] = ()
        self._sleepers: tuple[_Sleeper, ...] = ()

    def attend(self, probe: Probe) -> Callable[[], None]:
        """Look after a link, until the function that is returned is called."""
        self._probes = (*self._probes, probe)
        self._listen()

        def leave() -> None:
            self._probes = tuple(one for one in self._probes if one is not probe)
            self._listen()

        return leave

    def blocked_since(self, begin: float) -> float:
        """Seconds that the loop was blocked, by a block that ended after ``begin``."""
        return pulse_of(self._home.loop).blocked_since(begin)

    async def sleep(self, seconds: float, firm: float = 0.0) -> None:
        """Sleep until then, or until time jumps.

        Args:
            seconds: How long.
            firm: Seconds of wall time that it takes at least, even so: the server asked for them.
        """
        sleeper = _Sleeper(self._home, seconds, firm)
        self._sleepers = (*self._sleepers, sleeper)
        self._listen()
        try:
            await sleeper.slept
        finally:
            sleeper.stop()
            self._sleepers = tuple(one for one in self._sleepers if one is not sleeper)
            self._listen()

    def blocked(self, seconds: float) -> None:
        """The loop was blocked: what the peer makes of it shows when it is asked."""
        for probe in self._probes:
            probe(0.0)

    def jumped(self, seconds: float) -> None:
        """The computer slept, or its clock was set."""
        self._publish(Resumed(slept=seconds, at=self._home.wall_time()))
        for probe in self._probes:
            probe(seconds)
        for sleeper in self._sleepers:
            sleeper.wake()

    def _listen(self) -> None:
        needed = bool(self._probes or self._sleepers)
        if needed and self._leave is None:
            self._leave = pulse_of(self._home.loop).join(self)
        elif self._leave is not None and not needed:
            self._leave()
            self._leave = None


class _Sleeper:
    def __init__(self, home: Home, seconds: float, firm: float) -> None:
        self._home = home
        self._firm_until = home.wall_time() + firm
        self.slept: asyncio.Future[None] = home.loop.create_future()
        self._timer = home.loop.call_later(seconds, self._done)

    def wake(self) -> None:
        self._timer.cancel()
        rest = self._firm_until - self._home.wall_time()
        self._timer = self._home.loop.call_later(max(0.0, rest), self._done)

    def stop(self) -> None:
        self._timer.cancel()

    def _done(self) -> None:
        if not self.slept.done():
            self.slept.set_result(None)
