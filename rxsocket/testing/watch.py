"""Collects the events of a socket and waits for them: on a thread, a loop, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable

from rxsocket.auth.credentials import Credential
from rxsocket.events import Event, Message
from rxsocket.runtime.threads import running_loop
from rxsocket.socket import Socket
from rxsocket.state import State
from rxsocket.streams.stream import Stream
from rxsocket.testing.clock import ChangeCondition

T = TypeVar("T")

SHOWN = 30
"""Number of events that an error shows."""


class StreamsEnded(NamedTuple):
    """The streams ended; ``error`` is ``None`` when they completed."""

    error: Exception | None


class WatchEntry(NamedTuple):
    """Something that happened, and when: seconds since the watch began."""

    at: float
    what: Event | Credential | State | StreamsEnded


class Watch(abc.DisposableBase):
    """The events of a socket. Made by :func:`watch`; dispose it to stop watching.

    Attributes:
        socket: The socket.
    """

    def __init__(self, socket: Socket, *, connect: bool = True) -> None:
        self.socket = socket
        self._changed = ChangeCondition()
        self._entries: list[WatchEntry] = []
        self._began: float | None = None
        self._end: StreamsEnded | None = None

        def observed(stream: Stream[Any]) -> Observable[Any]:
            return stream if connect else stream.passive()

        self._subscription = CompositeDisposable(
            socket.auth.subscribe(self._add),
            socket.state.subscribe(self._add),
            observed(socket.events).subscribe(
                self._add,
                lambda error: self._add(StreamsEnded(error)),
                lambda: self._add(StreamsEnded(None)),
            ),
        )

    @property
    def entries(self) -> list[WatchEntry]:
        """Everything, with its time: events, credentials, states, the end."""
        with self._changed:
            return list(self._entries)

    @property
    def events(self) -> list[Event]:
        """The events so far."""
        return [what for _, what in self.entries if isinstance(what, Event)]

    @property
    def names(self) -> list[str]:
        """The names of the events so far."""
        return [type(event).__name__ for event in self.events]

    @property
    def messages(self) -> list[Any]:
        """The payloads so far."""
        return [message.data for message in self.of(Message)]

    @property
    def completed(self) -> bool:
        """``True`` if the streams completed."""
        return self._end is not None and self._end.error is None

    @property
    def error(self) -> Exception | None:
        """The error of the streams, if they failed."""
        return None if self._end is None else self._end.error

    def of(self, kind: type[T]) -> list[T]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def __repr__(self) -> str:
        return f"<Watch {self.socket!r}: {len(self.events)} events>"

    @property
    def history(self) -> str:
        """The last events, one a line, with their times."""
        lines = [f"{at:10.3f}  {what!r}" for at, what in self.entries if isinstance(what, Event)]
        left_out = [f"... {len(lines) - SHOWN} before"] if len(lines) > SHOWN else []
        return "\n  ".join([*left_out, *lines[-SHOWN:]]) or "nothing"

    def wait(self, kind: type[T], count: int = 1, timeout: float = 8.0) -> T:
        """Block until there is a ``count``-th event of a kind, and return it.

        Raises:
            AssertionError: If it does not come in time, with what did.

        Examples:
            >>> seen = watch(socket)
            >>> seen.wait(Opened, 2)       # the second one
        """
        __tracebackhide__ = True
        self.until(
            lambda seen: len(seen.of(kind)) >= count, timeout, f"no {kind.__name__} number {count}"
        )
        return self.of(kind)[count - 1]

    def ended(self, timeout: float = 8.0) -> None:
        """Block until the streams completed or failed.

        Raises:
            AssertionError: If they do not in time, with what happened.
        """
        __tracebackhide__ = True
        self.until(lambda seen: seen._end is not None, timeout, "the streams did not end")

    def until(
        self,
        predicate: Callable[[Watch], object],
        timeout: float = 8.0,
        message: str = "what was waited for did not happen",
    ) -> None:
        """Block until a predicate is true; it is called after each event.

        On a thread where a virtual clock runs, virtual time passes instead.

        Args:
            predicate: Called with this watch.
            timeout: Seconds.
            message: The text of the error.

        Raises:
            AssertionError: If it is not true in time, with what happened.
        """
        __tracebackhide__ = True
        if not self._changed.wait_until(lambda: predicate(self), timeout):
            raise AssertionError(self._not_yet(timeout, message))

    async def happens(
        self,
        predicate: Callable[[Watch], object],
        timeout: float = 8.0,  # noqa: ASYNC109 - the twin of until
        message: str = "what was waited for did not happen",
    ) -> None:
        """Like :meth:`until`, without blocking the loop."""
        __tracebackhide__ = True
        if not await self._changed.await_until(lambda: predicate(self), timeout):
            raise AssertionError(self._not_yet(timeout, message))

    def dispose(self) -> None:
        """Stop watching."""
        self._subscription.dispose()

    def _add(self, what: Any) -> None:
        loop = running_loop()
        with self._changed:
            if self._began is None and loop is not None:
                self._began = loop.time()
            began = self._began
            at = 0.0 if loop is None or began is None else loop.time() - began
            self._entries.append(WatchEntry(at, what))
            if isinstance(what, StreamsEnded):
                self._end = what
            self._changed.notify()

    def _not_yet(self, timeout: float, message: str) -> str:
        state = self.socket.state.value
        return f"{message} within {timeout:g} s; the socket is {state.value}\n  {self.history}"


def watch(socket: Socket, *, connect: bool = True) -> Watch:
    """Collect everything that happens to a socket from now on.

    Args:
        socket: The socket.
        connect: Whether this connects (rule C1, lazy and shared); with ``False`` it only watches.

    Examples:
        >>> seen = watch(Socket(server.url))
        >>> seen.wait(Opened)
        >>> assert seen.messages == ["hello"]
    """
    return Watch(socket, connect=connect)
