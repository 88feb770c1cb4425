"""What waits for a sink, and who has to wait for that: the socket, or nobody (C27, C40)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import calling_code
from rxsocket.streams.buffers import POLICIES, BoundedBuffer, OverflowPolicy
from rxsocket.streams.iteration import ReadGate
from rxsocket.streams.multicast import delivering_hub

T = TypeVar("T")

PausePolicy: TypeAlias = Literal["pause"] | OverflowPolicy


def check_policy(overflow: PausePolicy) -> None:
    """Check a policy.

    Raises:
        ValueError: If there is no such policy.
    """
    if overflow not in ("pause", *POLICIES):
        known = ", ".join(("pause", *POLICIES))
        raise ValueError(f"overflow: pass one of {known}, not {overflow!r}")


class WaitingBuffer(BoundedBuffer[T]):
    """Messages that wait for a sink; it counts those that it drops.

    With ``"pause"`` what a socket has read already waits, too; of what comes from elsewhere, and
    cannot be paused, the newest is dropped.

    Attributes:
        dropped: How many it dropped.
    """

    def __init__(self, count: int, overflow: PausePolicy) -> None:
        self._pauses = overflow == "pause"
        super().__init__(count, "drop_newest" if overflow == "pause" else overflow)
        self.dropped = 0

    def put(self, value: T) -> int:
        if len(self._values) >= self._count:
            if self._pauses and _gate() is not None:
                self._values.append(value)
                return 0
            self.dropped += 1
        return super().put(value)


class Pressure:
    """Pauses the sockets whose messages wait, and lets them go on; any thread.

    It is a ``Consumer`` of their read gates, as an ``async for`` is. Which socket a message comes
    from is found out when there are too many of them: so it works behind operators, and for several
    sockets in one stream.

    Args:
        high: How many may wait before the socket that delivers is paused.
        waiting: Says how many wait.

    Attributes:
        name, stream: See ``Consumer``.
    """

    def __init__(self, high: int, waiting: Callable[[], int]) -> None:
        self.name = f"into() in {calling_code()}"
        self.stream = "messages"
        self.high = high
        self._low = high // 4
        self._count = waiting
        self._lock = threading.Lock()
        self._paused: dict[ReadGate, SocketLoop] = {}
        self._resuming: set[ReadGate] = set()
        self._is_closed = False

    @property
    def waiting(self) -> int:
        return self._count()

    def pause(self) -> None:
        """Pause the socket whose emission this is, if it is one's; so many wait."""
        hub = delivering_hub()
        gate = None if hub is None else hub.read_gate
        if hub is None or gate is None:
            return
        with self._lock:
            if gate in self._paused or self._is_closed:
                return
            self._paused[gate] = hub.loop
        self.stream = hub.name
        if hub.loop.is_current:
            gate.pause(self)
        else:
            hub.loop.run(partial(gate.pause, self))

    def relieve(self) -> None:
        """Let the sockets go on, if few enough wait."""
        if self._paused and self._count() <= self._low:
            self._resume_all()

    def close(self) -> None:
        """Let all sockets go on, for good."""
        self._is_closed = True
        self._resume_all()

    def _resume_all(self) -> None:
        with self._lock:
            resumed = {
                gate: loop for gate, loop in self._paused.items() if gate not in self._resuming
            }
            self._resuming.update(resumed)
        for gate, loop in resumed.items():
            loop.run(partial(self._resume, gate))

    def _resume(self, gate: ReadGate) -> None:
        """On the socket's loop, where it may have delivered more meanwhile."""
        with self._lock:
            self._resuming.discard(gate)
            if not self._is_closed and self._count() > self._low:
                return
            self._paused.pop(gate, None)
        gate.resume(self)


def _gate() -> ReadGate | None:
    hub = delivering_hub()
    return None if hub is None else hub.read_gate
