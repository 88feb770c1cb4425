"""What ``server()`` and ``fake()`` have in common: scripts, faults by hand, waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from operator import methodcaller
from typing import Self, TypeVar

from websockets.datastructures import Headers

from rxsocket.testing.clients import (
    ClientClose,
    Handshake,
    PeerConnection,
    ReceivedMessage,
    ServerLog,
)
from rxsocket.testing.script import (
    Accept,
    ExpectStep,
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

T = TypeVar("T")


class ScriptedServer:
    """A server that does what its scripts say. Every member is thread safe.

    Attributes:
        default: The script for handshakes that come when the queue is empty.
        tokens: Credentials that are accepted; another gets a 401 and takes no script from the
            queue. ``None`` accepts every client.
        log: The log of its connections.
        dials: The number of dials, also of those that found the server unreachable.
        most_open: The largest value that :attr:`live` ever had.
    """

    def __init__(self, scripts: tuple[Script, ...], tokens: Iterable[str] | None) -> None:
        self.log = ServerLog()
        self.default: Script = accept()
        self.tokens: set[str] | None = None if tokens is None else set(tokens)
        self._queue: deque[Script] = deque()
        self._connections: list[PeerConnection] = []
        self.dials = 0
        self._delay = 0.0
        self._expected = 0
        self.most_open = 0
        self._enqueue(scripts)

    @property
    def handshakes(self) -> list[Handshake]:
        """The handshakes that came, in order."""
        return self._copy(self.log.handshakes)

    @property
    def connections(self) -> int:
        """The number of accepted connections, including those that are being closed."""
        return len(self._connections)

    @property
    def live(self) -> int:
        """The number of open connections: no close frame was sent by either side."""
        with self.log.changed:
            return sum(not connection.closing for connection in self._connections)

    @property
    def visits(self) -> list[PeerConnection]:
        """The server's ends of the connections, oldest first."""
        return self._copy(self._connections)

    @property
    def received(self) -> list[ReceivedMessage]:
        """The messages of the clients, in order: ``(handshake number, message)``."""
        return self._copy(self.log.messages)

    @property
    def closes(self) -> list[ClientClose]:
        """How clients closed, in order: ``(handshake number, code, reason)``.

        A client's answer to the server's close frame is one; a connection that the server dropped
        is not.
        """
        return self._copy(self.log.closes)

    @property
    def history(self) -> list[str]:
        """The log, in short lines without secrets."""
        return self._copy(self.log.lines)

    @property
    def failures(self) -> list[AssertionError]:
        """Failures of scripts: an expected message did not come."""
        return self._copy(self.log.failures)

    def check(self) -> None:
        """Raise the first failure of a script, if any."""
        for failure in self.failures:
            raise failure

    def script(self, *scripts: Script) -> Self:
        """Add scripts to the queue: each handshake takes the next one."""
        self._enqueue(scripts)
        return self

    def reject(
        self, status: int = 401, headers: Mapping[str, str] | None = None, *, times: int = 1
    ) -> None:
        """Refuse the next handshakes that have no other script before them."""
        self._enqueue((reject(status, headers),) * times)

    def delay(self, seconds: float) -> None:
        """From now on answer each handshake only after some seconds; 0 answers at once."""
        self._delay = duration(seconds)

    def push(self, *messages: Payload) -> None:
        """Send messages on every live connection, from the next turn of its loop on.

        A connection that opens meanwhile gets all of them or, opening after it, none.
        """
        self._on_each(*(methodcaller("deliver", message) for message in messages))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close every live connection (1005: without a code)."""
        closing_code(code)
        self._on_each(methodcaller("close", code, reason))

    def drop(self) -> None:
        """Cut TCP of every live connection, without a close frame."""
        self._on_each(methodcaller("drop"))

    def freeze(self) -> None:
        """Never read or answer again on any live connection."""
        self._on_each(methodcaller("freeze"))

    def wait_for(
        self, predicate: Callable[[Self], object], timeout: float = 5.0, message: str | None = None
    ) -> None:
        """Block until a predicate about this server is true; it is called after each change.

        On a thread where a virtual clock runs, virtual time passes instead.

        Args:
            predicate: Called with the server.
            timeout: Seconds.
            message: The text of the error.

        Raises:
            AssertionError: If it is not true in time, with the history; or a script's failure.

        Examples:
            >>> server.wait_for(lambda s: len(s.handshakes) == 2)
        """
        __tracebackhide__ = True
        if not self.log.changed.wait_until(lambda: self._is_true(predicate), timeout):
            raise AssertionError(self._not_yet(timeout, message))

    def expect(self, message: Payload | Predicate | None = None, timeout: float = 5.0) -> Payload:
        """Block until a client sends its next message; each call takes one more.

        On a thread where a virtual clock runs, virtual time passes instead.

        Args:
            message: The message, or a predicate; ``None`` accepts any.
            timeout: Seconds.

        Returns:
            The message.

        Raises:
            AssertionError: If another one comes, or none in time; with the history.

        Examples:
            >>> server.expect('{"op": "subscribe"}')
        """
        __tracebackhide__ = True
        self.wait_for(self._has_another, timeout, "no message of a client came")
        return self._take_message(message)

    async def await_expect(
        self,
        message: Payload | Predicate | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the twin of expect
    ) -> Payload:
        """Like :meth:`expect`, without blocking the loop."""
        __tracebackhide__ = True
        await self.await_for(self._has_another, timeout, "no message of a client came")
        return self._take_message(message)

    async def await_for(
        self,
        predicate: Callable[[Self], object],
        timeout: float = 5.0,  # noqa: ASYNC109 - the twin of wait_for
        message: str | None = None,
    ) -> None:
        """Like :meth:`wait_for`, without blocking the loop."""
        __tracebackhide__ = True
        if not await self.log.changed.await_until(lambda: self._is_true(predicate), timeout):
            raise AssertionError(self._not_yet(timeout, message))

    def accept_dial(self, target: str, headers: Headers) -> tuple[Handshake | None, Script]:
        """The handshake of a client that dials, ``None`` if unreachable, and the script for it."""
        with self.log.changed:
            self.dials += 1
            script = self._queue[0] if self._queue else self.default
            if isinstance(script, Unreachable):
                if self._queue:
                    self._queue.popleft()
                self.log.add_line("unreachable")
                return None, script
            handshake = self.log.add_handshake(target, headers)
            if self.tokens is not None and handshake.credential not in self.tokens:
                return handshake, self._delayed(Reject(401))
            if self._queue:
                self._queue.popleft()
            return handshake, self._delayed(script)

    def add_connection(self, connection: PeerConnection) -> None:
        """Count a client that was accepted."""
        with self.log.changed:
            self._connections.append(connection)
            self.most_open = max(self.most_open, self.live)
            self.log.add_line(f"#{connection.number} open")

    def remove_connection(self, connection: PeerConnection) -> None:
        """Count a client no longer: its connection is closed."""
        with self.log.changed:
            if connection in self._connections:
                self._connections.remove(connection)
                self.log.add_line(f"#{connection.number} gone")

    def _has_another(self, _: object) -> bool:
        return len(self.received) > self._expected

    def _take_message(self, message: Payload | Predicate | None) -> Payload:
        __tracebackhide__ = True
        with self.log.changed:
            number, received = self.log.messages[self._expected]
            self._expected += 1
        if not ExpectStep(message).matches(received):
            what = repr(message) if isinstance(message, (str, bytes)) else "something else"
            lines = "\n  ".join(self.history)
            raise AssertionError(f"#{number} sent {received!r}, not {what}; history:\n  {lines}")
        return received

    def _is_true(self, predicate: Callable[[Self], object]) -> bool:
        self.check()
        return bool(predicate(self))

    def _not_yet(self, timeout: float, message: str | None) -> str:
        lines = "\n  ".join(self.history) or "nothing"
        what = message or "what was waited for did not happen"
        return f"{what} within {timeout:g} s; history:\n  {lines}"

    def _on_each(self, *actions: Callable[[PeerConnection], None]) -> None:
        with self.log.changed:  # or one could open, and see another one's ping answered, in between
            for connection in self._connections:
                with suppress(RuntimeError):  # its loop is closed, and so is the connection
                    for action in actions:
                        connection.loop.call_soon_threadsafe(action, connection)

    def _enqueue(self, scripts: tuple[Script, ...]) -> None:
        for script in scripts:
            if not isinstance(script, (Accept, Reject, Hang, Unreachable)):
                made = "accept(), reject(), hang() or unreachable()"
                raise TypeError(f"script: pass {made}, not {script!r}")
        with self.log.changed:
            self._queue.extend(scripts)
            self.log.add_line(f"{len(scripts)} scripts added")

    def _delayed(self, script: Script) -> Script:
        if not self._delay or not isinstance(script, (Accept, Reject)):
            return script
        return replace(script, pause=script.pause + self._delay)

    def _copy(self, items: list[T]) -> list[T]:
        with self.log.changed:
            return list(items)
