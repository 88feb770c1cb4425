"""A heartbeat of the application's own, for servers that want one in messages (C17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rxsocket.errors import ConnectionLost
from rxsocket.explain.format import span
from rxsocket.transports.base import Link
from rxsocket.validation import seconds

Payload: TypeAlias = str | bytes


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """See :func:`heartbeat`."""

    send: Callable[[], Payload]
    expect: Callable[[Payload], object] | None
    interval: float
    timeout: float


def heartbeat(
    *,
    send: Payload | Callable[[], Payload],
    expect: Payload | Callable[[Payload], object] | None = None,
    interval: float = 30.0,
    timeout: float = 10.0,
) -> Heartbeat:
    """A message to send at intervals, and the answer to wait for: ``Socket(heartbeat=...)``.

    Protocols have their own when servers close what does not speak, or when a ping is answered by a
    proxy and says nothing about the server. When no answer comes, the connection is closed with
    3008 (timeout) and made again: ``Closed(cause=HEARTBEAT)``. The answers are messages like any
    other, but do not count as data for ``stale_after``.

    ::

        sent      ----h---------h---------h-----------
        messages  -----1-a---2----a---3------4-------
        closes    ------------------------------x-----    no answer within timeout

    Args:
        send: The message, or a function that makes one each time.
        expect: The answer, or a function that says of a message whether it is the answer; ``None``
            when the server does not answer.
        interval: Seconds between two of them; the first comes that long after the opening.
        timeout: Seconds to wait for the answer.

    Raises:
        TypeError: If one is of a wrong type.
        ValueError: If a number cannot be used.

    Examples:
        >>> Socket(url, heartbeat=heartbeat(send="ping", expect="pong", interval=15))
    """
    if not isinstance(send, (str, bytes)) and not callable(send):
        kind = type(send).__name__
        raise TypeError(
            f"heartbeat(send): pass str, bytes or a function that makes one, not {kind}"
        )
    if not isinstance(expect, (str, bytes, type(None))) and not callable(expect):
        kind = type(expect).__name__
        raise TypeError(f"heartbeat(expect): pass a message, a function or None, not {kind}")
    if seconds("heartbeat(interval)", interval) == 0.0:
        raise ValueError("heartbeat(interval): pass more than 0 s")
    return Heartbeat(
        send=send if callable(send) else lambda: send,
        expect=(lambda message: message == expect) if isinstance(expect, (str, bytes)) else expect,
        interval=float(interval),
        timeout=seconds("heartbeat(timeout)", timeout),
    )


class Heartbeating:
    """Sends the heartbeats of one connection.

    Args:
        link: The connection.
        plan: What to send, and when.
        blocked_since: How long the loop was blocked, by a block that ended after a moment.
        failed: Told, once, that no answer came, and what to say of it.
        raised: Told what a function of the user raised; no other heartbeat is sent.
        sent: Told of each message that was sent.
    """

    def __init__(
        self,
        link: Link,
        options: Heartbeat,
        *,
        blocked_since: Callable[[float], float],
        failed: Callable[[str], None],
        raised: Callable[[BaseException], None],
        sent: Callable[[Any], None],
    ) -> None:
        self._link = link
        self._options = options
        self._blocked_since = blocked_since
        self._failed = failed
        self._raised = raised
        self._sent = sent
        self._answered = asyncio.Event()
        self._is_waiting = False
        self._task = asyncio.get_running_loop().create_task(self._beat())

    def pause(self) -> None:
        """Nothing is read for now, answers included: do not wait for one."""
        self.stop()

    def resume(self) -> None:
        self.stop()
        self._task = asyncio.get_running_loop().create_task(self._beat())

    def probe(self) -> None:
        """Send one now, if it has an answer, and none is being waited for."""
        if self._options.expect is not None and not self._is_waiting and not self._task.done():
            self.stop()
            self._task = asyncio.get_running_loop().create_task(self._beat(first=0.0))

    def stop(self) -> None:
        self._task.cancel()
        self._is_waiting = False

    def takes(self, message: Payload) -> bool:
        """Look at a message; return whether it is an answer."""
        if self._options.expect is None:
            return False
        try:
            answer = bool(self._options.expect(message))
        except BaseException as error:  # of the user's function
            self.stop()
            self._raised(error)
            return False
        if answer:
            self._answered.set()
        return answer

    async def _beat(self, first: float | None = None) -> None:
        loop, options = asyncio.get_running_loop(), self._options
        wait = options.interval if first is None else first
        while True:
            await asyncio.sleep(wait)
            wait = options.interval
            began = loop.time()
            self._answered.clear()
            try:
                message: Any = options.send()
            except BaseException as error:  # of the user's function
                self._raised(error)
                return
            try:
                await self._link.send(message)
            except ConnectionLost:
                return  # the transport is about to say how it ended
            except Exception as error:  # it is no message
                self._raised(error)
                return
            self._sent(message)
            self._is_waiting = True
            if options.expect is not None and not await self._wait_for_answer(began):
                self._failed(f"no answer to the heartbeat within {span(options.timeout)}")
                return
            self._is_waiting = False

    async def _wait_for_answer(self, began: float) -> bool:
        answered = asyncio.ensure_future(self._answered.wait())
        try:
            await asyncio.wait((answered,), timeout=self._options.timeout)
            if self._blocked_since(began) and not self._answered.is_set():
                await asyncio.wait((answered,), timeout=1.0)  # it may not have been read yet
        finally:
            answered.cancel()
        return self._answered.is_set()
