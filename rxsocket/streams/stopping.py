"""Whether what can be started has stopped, and who waits for that; from any thread."""

from __future__ import annotations

from collections.abc import Callable

from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Report
from rxsocket.streams.receipts import Receipt


class Stopping:
    """The last stop of a socket or a fleet, until it is started again.

    ::

        started   o=======x       o=====x
        has_stopped       ---------     ----
        wait()      ......|          ...|

    Args:
        what: What stops, for people: ``"socket"``.
        loop: Where it lives.
        report: Called for observers of a receipt that raised.
        is_started: Whether something was started, so that there is something to wait for.
        interrupt: Called when Ctrl-C ends a wait: ends what runs.

    Attributes:
        has_stopped: Whether it has stopped, and was not started again.
    """

    __slots__ = (
        "_interrupt",
        "_is_started",
        "_loop",
        "_receipt",
        "_report",
        "_what",
        "has_stopped",
    )

    def __init__(
        self,
        what: str,
        loop: SocketLoop,
        report: Report,
        is_started: Callable[[], bool],
        interrupt: Callable[[], None],
    ) -> None:
        self.has_stopped = False
        self._what = what
        self._loop = loop
        self._report = report
        self._is_started = is_started
        self._interrupt = interrupt
        self._receipt: Receipt[None] | None = None

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody has asked for the end of what runs."""
        return self._receipt is not None

    def start(self) -> None:
        """It is started, maybe again: who waits from now on waits for the next stop."""
        with self._loop.lock:
            if self.has_stopped:
                self.has_stopped, self._receipt = False, None

    def settle(self) -> None:
        """It has stopped."""
        with self._loop.lock:
            self.has_stopped, receipt = True, self._receipt
        if receipt is not None:
            receipt.settle(None)

    def forget(self) -> None:
        """In a forked child: it has stopped, and who waits for it is the parent's."""
        self.has_stopped, self._receipt = True, None

    def wait(self, timeout: float | None) -> bool:
        """Block until it has stopped; say whether it has."""
        if self._loop.is_current:
            text = f"wait() would block the loop of this {self._what}: await wait_closed()"
            raise RuntimeError(text)
        try:
            self._stopped().result(timeout)
        except TimeoutError:
            return False
        except KeyboardInterrupt:
            self._interrupt()
            raise
        return True

    async def wait_closed(self) -> None:
        """Return when it has stopped."""
        await self._stopped()

    def _stopped(self) -> Receipt[None]:
        if not (self.has_stopped or self._is_started()):
            raise RuntimeError("nothing to wait for: subscribe to a stream or call connect() first")
        with self._loop.lock:
            if self._receipt is None:
                self._receipt = Receipt(self._loop, self._report)
                if self.has_stopped:
                    self._receipt.settle(None)
            return self._receipt
