"""What a test does with a scripted server: script it, drive it by hand, wait for it.

What a scripted server knows and remembers, the real one and the fake one alike.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import NamedTuple, Self, TypeVar

from websockets.datastructures import Headers

from rxsocket.testing.clock import VirtualClock
from rxsocket.testing.peer_connection import Handshake, Visit, masked, shape
from rxsocket.testing.script import (
    Accept,
    Expect,
    Hang,
    Payload,
    Predicate,
    Reject,
    Script,
    Unreachable,
    accept,
    closing_code,
    duration,
    reject,
)
from rxsocket.testing.watch import Happenings

__all__ = ["Book", "Left", "Received", "Scripted"]

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


class Scripted(Book):
    """The members that ``server()`` and ``fake()`` have in common. Every one is thread safe."""

    def script(self, *scripts: Script) -> Self:
        """Add scripts to the queue: each handshake takes the next one."""
        self.add(scripts)
        return self

    def reject(
        self, status: int = 401, headers: Mapping[str, str] | None = None, *, times: int = 1
    ) -> None:
        """Refuse the next handshakes that have no other script before them."""
        self.add((reject(status, headers),) * times)

    def delay(self, seconds: float) -> None:
        """From now on answer each handshake only after some seconds; 0 answers at once."""
        self._delay = duration(seconds)

    def push(self, *messages: Payload) -> None:
        """Send messages on every live connection, from the next turn of its loop on.

        A connection that opens meanwhile gets all of them or, opening after it, none.
        """
        self._post(*(partial(_deliver, message) for message in messages))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close every live connection (1005: without a code)."""
        closing_code(code)
        self._post(lambda visit: visit.close(code, reason))

    def drop(self) -> None:
        """Cut TCP of every live connection, without a close frame."""
        self._post(lambda visit: visit.drop())

    def freeze(self) -> None:
        """Never read or answer again on any live connection."""
        self._post(lambda visit: visit.freeze())

    def wait_for(
        self, predicate: Callable[[Self], object], timeout: float = 5.0, message: str | None = None
    ) -> None:
        """Block until a predicate about this server is true; it is asked whenever anything happens.

        On a thread where a virtual clock runs, virtual time passes instead.

        Args:
            predicate: Called with the server.
            timeout: Seconds.
            message: What to say when it does not happen.

        Raises:
            AssertionError: If it is not true in time, with the history; or a script's failure.

        Examples:
            >>> server.wait_for(lambda s: len(s.handshakes) == 2)
        """
        __tracebackhide__ = True
        if not self._changed.wait(lambda: self._holds(predicate), timeout):
            raise AssertionError(self._not_yet(timeout, message))

    def expect(self, message: Payload | Predicate | None = None, timeout: float = 5.0) -> Payload:
        """Block until a client sends its next message; each call takes one more.

        On a thread where a virtual clock runs, virtual time passes instead.

        Args:
            message: What it has to be, or a function that says whether it is right; ``None`` takes
                any.
            timeout: Seconds.

        Returns:
            The message.

        Raises:
            AssertionError: If it is another one, or none comes in time, with the history.

        Examples:
            >>> server.expect('{"op": "subscribe"}')
        """
        __tracebackhide__ = True
        self.wait_for(self._another, timeout, "no message of a client came")
        return self._take(message)

    async def await_expect(
        self,
        message: Payload | Predicate | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the twin of expect
    ) -> Payload:
        """Like :meth:`expect`, without blocking the loop."""
        __tracebackhide__ = True
        await self.await_for(self._another, timeout, "no message of a client came")
        return self._take(message)

    def _another(self, _: object) -> bool:
        return len(self.received) > self._taken

    def _take(self, message: Payload | Predicate | None) -> Payload:
        __tracebackhide__ = True
        with self._changed:
            number, came = self._received[self._taken]
            self._taken += 1
        if not Expect(message).matches(came):
            what = repr(message) if isinstance(message, (str, bytes)) else "something else"
            lines = "\n  ".join(self.history)
            raise AssertionError(f"#{number} sent {came!r}, not {what}; history:\n  {lines}")
        return came

    async def await_for(
        self,
        predicate: Callable[[Self], object],
        timeout: float = 5.0,  # noqa: ASYNC109 - the twin of wait_for
        message: str | None = None,
    ) -> None:
        """Like :meth:`wait_for`, without blocking the loop."""
        __tracebackhide__ = True
        if not await self._changed.come(lambda: self._holds(predicate), timeout):
            raise AssertionError(self._not_yet(timeout, message))

    def _holds(self, predicate: Callable[[Self], object]) -> bool:
        self.check()
        return bool(predicate(self))

    def _not_yet(self, timeout: float, message: str | None) -> str:
        lines = "\n  ".join(self.history) or "nothing"
        what = message or "what was waited for did not happen"
        return f"{what} within {timeout:g} s; history:\n  {lines}"

    def _post(self, *actions: Callable[[Visit], None]) -> None:
        with self._changed:  # or one could open, and see another one's ping answered, in between
            for visit in self._visits:
                with suppress(RuntimeError):  # its loop is closed, and so is the connection
                    for action in actions:
                        visit.loop.call_soon_threadsafe(action, visit)


def _deliver(message: Payload, visit: Visit) -> None:
    visit.deliver(message)
