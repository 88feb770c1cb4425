"""What one socket does about the pulse of its loop: it probes, and does not sleep on (C17)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from rxsocket.events import Event, Resumed
from rxsocket.runtime.home import Home
from rxsocket.runtime.pulse import Pulse, pulse_of

__all__ = ["Vigil"]


class Watched(Protocol):
    """Who looks after a link that is open."""

    def probe(self, jumped: float) -> None:
        """Time jumped by so many seconds or, if 0, the loop was blocked: look at the link."""
        ...


class Told(Protocol):
    """Who lets events be known."""

    def publish(self, event: Event) -> None:
        """Something happened."""
        ...


class Vigil:
    """Listens to the pulse while there is a link to look at, or a wait to cut short.

    Its methods are called on the home loop.

    Args:
        home: The loop.
        told: Lets an event be known.
    """

    def __init__(self, home: Home, told: Told) -> None:
        self._home = home
        self._told = told
        self._pulse: Pulse | None = None
        self._watched: tuple[Watched, ...] = ()
        self._sleepers: tuple[_Sleeper, ...] = ()

    def attend(self, watched: Watched) -> None:
        """Let somebody probe their link when there is reason to."""
        self._watched = (*self._watched, watched)
        self._listen()

    def leave(self, watched: Watched) -> None:
        """Their link is over."""
        self._watched = tuple(one for one in self._watched if one is not watched)
        self._listen()

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
        for watched in self._watched:
            watched.probe(0.0)

    def jumped(self, seconds: float) -> None:
        """The computer slept, or its clock was set."""
        self._told.publish(Resumed(slept=seconds, at=self._home.wall_time()))
        for watched in self._watched:
            watched.probe(seconds)
        for sleeper in self._sleepers:
            sleeper.wake()

    def _listen(self) -> None:
        needed = bool(self._watched or self._sleepers)
        if needed and self._pulse is None:
            self._pulse = pulse_of(self._home.loop)
            self._pulse.join(self)
        elif self._pulse is not None and not needed:
            self._pulse.leave(self)
            self._pulse = None


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
