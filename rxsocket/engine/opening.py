"""Waiting until a socket is open; ``socket.opened`` (C46)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reactivex import abc

from rxsocket.engine.engine import Engine
from rxsocket.errors import NotConnected
from rxsocket.events import Opened
from rxsocket.explain.explanation import Explanation
from rxsocket.state import State
from rxsocket.streams.receipts import Receipt, run_for

ENDS = (State.IDLE, State.CLOSED)
"""States in which nothing comes any more, unless the socket is started again."""


class Opening(Receipt[Opened]):
    """The connection that is open, or the next one that is; or why there is none.

    It only looks, and it looks for as long as somebody may want to know: when the last one who
    waits was cancelled it lets go of everything, and looks again when somebody else waits.

    Args:
        engine: The running parts of the socket.
        timeout: Seconds after which it fails; ``None`` for as long as it takes.
        explain: Says what the socket is doing.

    Raises:
        RuntimeError: If nothing connects the socket.
    """

    def __init__(
        self, engine: Engine, timeout: float | None, explain: Callable[[], Explanation]
    ) -> None:
        super().__init__(engine.loop, engine.publisher.report)
        if engine.publisher.state.value is State.IDLE and not engine.is_used:
            raise RuntimeError(
                "nothing connects this socket: subscribe to a stream, call connect() or use "
                "`with` first"
            )
        self._engine = engine
        self._timeout = timeout
        self._explain = explain
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looking: abc.DisposableBase | None = None
        run_for(self, engine.loop, self._look)

    def result(self, timeout: float | None = None) -> Opened:
        """Block until it is open; see ``Receipt.result``."""
        try:
            return super().result(timeout)
        except TimeoutError:
            if self.done:
                raise
            raise TimeoutError(f"not open within {timeout:g} s: {self._why()}") from None

    def when_done(self, function: Callable[[], None]) -> None:
        """Call a function when the outcome is there; see ``Receipt.when_done``."""
        super().when_done(function)
        if not self.done and self._looking is None:
            run_for(self, self._engine.loop, self._look)

    def _forget(self, function: Callable[[], None]) -> None:
        super()._forget(function)
        if not self.done:
            self._engine.loop.run(self._stop_if_unwanted)

    # --- on the loop

    def _look(self) -> None:
        if self.done or self._looking is not None:
            return
        engine = self._engine
        state, loop = engine.publisher.state, engine.loop
        if state.value is State.OPEN:
            self._settle_open()
            return
        if not engine.is_used:
            self._fail_ended()
            return
        self._looking = state.passive().subscribe(self._on_state)
        if self._timeout is not None:
            if self._deadline is None:
                self._deadline = loop.event_loop.time() + self._timeout
            self._timer = loop.event_loop.call_at(self._deadline, self._too_late)

    def _on_state(self, state: State) -> None:
        # What follows is for the end of the turn, when all observers of it have been called.
        if state is State.OPEN:
            self._engine.loop.run(self._settle_open)
        elif state in ENDS:
            self._engine.loop.run(self._fail_unless_used)

    def _fail_unless_used(self) -> None:
        if not (self.done or self._engine.is_used):
            self._fail_ended()

    def _settle_open(self) -> None:
        self._stop()
        events = reversed(self._engine.publisher.history.events)
        self.settle(next(event for event in events if isinstance(event, Opened)))

    def _fail_ended(self) -> None:
        self._stop()
        failure = self._engine.failure
        self.fail(failure or NotConnected(f"not open: {self._why()}"))

    def _too_late(self) -> None:
        self._stop()
        self.fail(TimeoutError(f"not open within {self._timeout:g} s: {self._why()}"))

    def _why(self) -> str:
        now = self._explain()
        parts = (
            f"{now.doing}: {now.why}" if now.why else now.doing,
            now.next and f"next: {now.next}",
            now.advice and f"you can: {now.advice}",
        )
        return "; ".join(filter(None, parts))

    def _stop_if_unwanted(self) -> None:
        if not self._waiting:
            self._stop()

    def _stop(self) -> None:
        if self._looking is not None:
            self._looking.dispose()
            self._looking = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
