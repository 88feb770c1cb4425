"""What a test does with a scripted server: script it, drive it by hand, wait for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Self

from rxsocket.testing.book import Book
from rxsocket.testing.script import (
    Expect,
    Payload,
    Predicate,
    Script,
    closing_code,
    duration,
    reject,
)
from rxsocket.testing.visit import Visit

__all__ = ["Scripted"]


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
