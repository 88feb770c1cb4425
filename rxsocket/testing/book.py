"""What a scripted server knows and remembers, the real one and the fake one alike."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from websockets.datastructures import Headers

from rxsocket.testing.clock import VirtualClock
from rxsocket.testing.handshake import Handshake, masked
from rxsocket.testing.happenings import Happenings
from rxsocket.testing.script import (
    Accept,
    Hang,
    Payload,
    Reject,
    Script,
    Unreachable,
    accept,
)
from rxsocket.testing.visit import Visit, shape

__all__ = ["Book", "Left", "Received"]

T = TypeVar("T")


class Received(NamedTuple):
    """A message of a client, with the number of its handshake."""

    number: int
    message: Payload


class Left(NamedTuple):
    """How a client left: what its close frame said (1005: no code), 1006 when there was none."""

    number: int
    code: int
    reason: str


class Book:
    """The memory of a scripted server. Everything here is thread safe.

    Attributes:
        default: The script for handshakes that come when the queue is empty.
        tokens: Credentials that are let in; another gets a 401 and takes no script from the queue.
            ``None`` lets everybody in.
    """

    def __init__(self, scripts: tuple[Script, ...], tokens: Iterable[str] | None) -> None:
        self.default: Script = accept()
        self.tokens: set[str] | None = None if tokens is None else set(tokens)
        self._changed = Happenings()
        self._queue: deque[Script] = deque()
        self._handshakes: list[Handshake] = []
        self._received: list[Received] = []
        self._closes: list[Left] = []
        self._history: list[str] = []
        self._failures: list[AssertionError] = []
        self._visits: list[Visit] = []
        self._dials = 0
        self._delay = 0.0
        self._taken: int = 0
        self._most_open = 0
        self.add(scripts)

    # --- looking

    @property
    def handshakes(self) -> list[Handshake]:
        """The handshakes that came, in order."""
        return self._copy(self._handshakes)

    @property
    def dials(self) -> int:
        """How many times a client dialled; those that found the server unreachable count too."""
        return self._dials

    @property
    def connections(self) -> int:
        """How many accepted connections there are, those that are being closed included."""
        return len(self._visits)

    @property
    def live(self) -> int:
        """How many connections are open, with no close frame sent by either side."""
        with self._changed:
            return sum(not visit.closing for visit in self._visits)

    @property
    def most_open(self) -> int:
        """The largest value that :attr:`live` ever had."""
        return self._most_open

    @property
    def visits(self) -> list[Visit]:
        """The server's ends of the connections that are there, oldest first."""
        return self._copy(self._visits)

    @property
    def received(self) -> list[Received]:
        """The messages of the clients, in order: ``(handshake number, message)``."""
        return self._copy(self._received)

    @property
    def closes(self) -> list[Left]:
        """How clients left, in order: ``(handshake number, code, reason)``.

        A client's answer to a close frame of the server counts; what the server itself dropped does
        not.
        """
        return self._copy(self._closes)

    @property
    def history(self) -> list[str]:
        """What happened, in short lines without secrets."""
        return self._copy(self._history)

    @property
    def failures(self) -> list[AssertionError]:
        """What a script expected and did not get."""
        return self._copy(self._failures)

    def check(self) -> None:
        """Raise the first failure of a script, if there is one."""
        for failure in self.failures:
            raise failure

    # --- writing

    def add(self, scripts: tuple[Script, ...]) -> None:
        """Put scripts at the end of the queue."""
        for script in scripts:
            if not isinstance(script, (Accept, Reject, Hang, Unreachable)):
                made = "accept(), reject(), hang() or unreachable()"
                raise TypeError(f"script: pass {made}, not {script!r}")
        with self._changed:
            self._queue.extend(scripts)
            self.note(f"{len(scripts)} scripts added")

    def dialled(self, target: str, headers: Headers) -> tuple[Handshake | None, Script]:
        """A client is at the door: write down its handshake, and say what is done with it."""
        with self._changed:
            self._dials += 1
            if self._queue and isinstance(self._queue[0], Unreachable):
                self.note("unreachable")
                return None, self._queue.popleft()
            if not self._queue and isinstance(self.default, Unreachable):
                self.note("unreachable")
                return None, self.default
            at = asyncio.get_running_loop().time()
            handshake = Handshake.parse(len(self._handshakes) + 1, target, headers, at)
            self._handshakes.append(handshake)
            self.note(f"#{handshake.number} handshake {masked(handshake.path, handshake.query)}")
            if self.tokens is not None and handshake.credential not in self.tokens:
                return handshake, self._delayed(Reject(401))
            script = self._queue.popleft() if self._queue else self.default
            return handshake, self._delayed(script)

    def _delayed(self, script: Script) -> Script:
        if not self._delay or not isinstance(script, (Accept, Reject)):
            return script
        return replace(script, pause=script.pause + self._delay)

    def opened(self, visit: Visit) -> None:
        """A connection was accepted."""
        with self._changed:
            self._visits.append(visit)
            self._most_open = max(self._most_open, self.live)
            self.note(f"#{visit.number} open")

    def heard(self, visit: Visit, message: Payload) -> None:
        """A message came from a client."""
        with self._changed:
            self._received.append(Received(visit.number, message))
            self.note(f"#{visit.number} got {shape(message)}")

    def left(self, visit: Visit, code: int, reason: str) -> None:
        """A client left."""
        with self._changed:
            self._closes.append(Left(visit.number, code, reason))
            self.note(f"#{visit.number} the client left: {code}")

    def gone(self, visit: Visit) -> None:
        """Nothing of a connection is left."""
        with self._changed:
            if visit in self._visits:
                self._visits.remove(visit)
                self.note(f"#{visit.number} gone")

    def failed(self, loop: asyncio.AbstractEventLoop, error: AssertionError) -> None:
        """A script did not get what it expected."""
        with self._changed:
            self._failures.append(error)
            self.note("a script failed")
        if isinstance(loop, VirtualClock):
            loop.call_exception_handler({"exception": error})

    def note(self, line: str) -> None:
        """Add a line to the history and wake whoever waits."""
        with self._changed:
            self._history.append(line)
            self._changed.tell()

    def _copy(self, items: list[T]) -> list[T]:
        with self._changed:
            return list(items)
