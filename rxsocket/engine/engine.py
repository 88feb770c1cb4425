"""What makes a socket run: it starts with the first who holds it and stops with the last (C1).

Its public methods may be called from any thread; they check what they are given, and hand the rest
over to the home loop. Everything below "on the loop" happens there, one thing at a time.
"""

from __future__ import annotations

import atexit
import logging
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from reactivex import Observable, abc

from rxsocket.codecs import encoded
from rxsocket.engine.auth import AuthManager
from rxsocket.engine.options import SocketOptions
from rxsocket.engine.run_state import ClosingConnections, RunState
from rxsocket.errors import NotConnected, SocketFailed
from rxsocket.events import Cause, Ended, Event, Opened, SendFailed
from rxsocket.lazy import lazy, made
from rxsocket.policy.verdicts import Verdict
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.loop_monitor import LoopListener
from rxsocket.runtime.outlet import subscribed
from rxsocket.runtime.refcount import RefCount
from rxsocket.sending.interceptors import Interceptors
from rxsocket.sending.outbox import AskAhead, Outbox, Queued, Sent, nothing_asked
from rxsocket.sending.payload import json_text, payload
from rxsocket.state import State
from rxsocket.streams.receipts import Receipt
from rxsocket.transports.base import Fragments

__all__ = ["Engine"]

logger = logging.getLogger("rxsocket")

HURRY = 0.5
"""Seconds for the closing handshake when the program is being interrupted."""


class Engine:
    """The running parts of a socket.

    Args:
        plan: What the socket was told.
        home: Where it lives.
        auth: The credential, or where it comes from.
        connections: The events of a run, from start to end; subscribed to at each start.
    """

    def __init__(
        self,
        options: SocketOptions,
        loop: SocketLoop,
        auth: Any,
        connections: Callable[[], Observable[Event]],
    ) -> None:
        self.options = options
        self.loop = loop
        self._connections = connections
        self.run_state = RunState(ClosingConnections(options.handshake.close_timeout, self))
        self._holds = RefCount(loop, self, options.linger)
        hold = self.hold  # one for all of them
        self.publisher = Publisher(loop, hold, options.label)
        self.outbox = Outbox(loop, self.publisher, hold, options.queue_for)
        self.ask_ahead: AskAhead = nothing_asked
        self.loop_listener = LoopListener(loop, self.publisher)
        self._run: _Run | None = None
        self.auth = AuthManager(options, loop, auth, self.run_state, self.publisher, self.outbox)
        self._has_stopped = False
        self._stopped: Receipt[None] | None = None
        self._failure: Exception | None = None

    @lazy
    def interceptors(self) -> Interceptors:
        """What sees everything that goes out or comes in."""
        return Interceptors(self.publisher)

    # --- from any thread

    def hold(self) -> abc.DisposableBase:
        """Keep the socket connected until disposed."""
        with self.loop.lock:
            if self._has_stopped:
                self._has_stopped, self._stopped = False, None
        return self._holds.take()

    def send(self, value: Any) -> Receipt[Sent]:
        """Send a message; see ``Socket.send``."""
        return self.send_encoded(*self.encode(value))

    def send_value(self, value: Any) -> Receipt[Sent]:
        """Send a value that has a form in JSON: through the codec, or without one as JSON text."""
        return self.send_encoded(*self.encode_value(value))

    def not_sent(self, error: Exception) -> None:
        """Tell on ``errors`` what of a stream was not sent; from any thread."""
        at = self.loop.wall_time()
        self.loop.run(lambda: self.publisher.publish(SendFailed(error=error, at=at)))

    def encode_value(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        """What goes on the wire for a value that has a form in JSON, and its size in bytes."""
        return self.encode(value if self.options.codec is not None else json_text(value))

    def encode(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        """What goes on the wire for a value, and its size in bytes."""
        if (interceptors := made(self, "interceptors")) is not None:
            value = interceptors.going_out(value)
        if self.options.codec is not None:
            value = encoded(self.options.codec, value)
        return payload("send(data)", value)

    def send_encoded(self, data: str | bytes | Fragments, size: int) -> Receipt[Sent]:
        """Send what is encoded already."""
        receipt: Receipt[Sent] = Receipt(self.loop, self.publisher.report, self.outbox.hurry)
        queued = Queued(data, size, receipt)
        if not (self.loop.is_idle and self.outbox.take(queued)):
            self.loop.run(partial(self.outbox.send, queued))
        return receipt

    def reconnect(self) -> None:
        """Make a fresh connection; see ``Socket.reconnect``."""
        self.loop.run(self._reconnect)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """End the socket; see ``Socket.close``."""
        receipt = self._receipt()
        self.loop.run(lambda: self._close(code, reason, receipt))
        return receipt

    def leave(self, *, hurry: bool) -> None:
        """Close, and wait for it where that does not block the loop."""
        receipt = self.close()
        if hurry:
            self.loop.run(lambda: self.run_state.closing_connections.hurry(HURRY))
        if not self.loop.is_current:
            receipt.result()

    async def closed(self, *, hurry: bool) -> None:
        """Close, and wait for it."""
        receipt = self.close()
        if hurry:
            self.loop.run(lambda: self.run_state.closing_connections.hurry(HURRY))
        await receipt

    def wait(self, timeout: float | None) -> bool:
        """Block until it stopped; see ``Socket.wait``."""
        if self.loop.is_current:
            raise RuntimeError("wait() would block the loop of this socket: await wait_closed()")
        if self._never_started():
            raise RuntimeError("nothing to wait for: subscribe to a stream or call connect() first")
        try:
            self._until_stopped().result(timeout)
        except TimeoutError:
            return False
        except KeyboardInterrupt:
            self.leave(hurry=True)
            raise
        if self._failure is not None:
            raise self._failure
        return True

    async def wait_closed(self) -> None:
        """Return when it has stopped; see ``Socket.wait_closed``."""
        if not self._never_started():
            await self._until_stopped()
        if self._failure is not None:
            raise self._failure

    def loop_ends(self) -> None:
        """The loop is being shut down with the socket still on it, as ``asyncio.run`` does."""
        self.run_state.closing_connections.rush()
        self.run_state.leave(Cause.LOOP_ENDED)
        self._end(Ended(verdict=Verdict.COMPLETE, cause=Cause.LOOP_ENDED, at=self._now()))

    # --- on the loop

    def start(self) -> None:
        """The first one came; see ``runtime.holds``."""
        if self._run is not None:
            return
        self._failure = None
        self.run_state.begin()
        self._run = run = _Run(self)
        _running.add(self)
        run.begin(self.auth.follow(), self._connections())

    def stop(self) -> None:
        """The last one left; see ``runtime.holds``."""
        if self._run is None:
            return
        with self.loop.turn():
            self.run_state.leave(Cause.LEFT)
            self._let_go()
            self.publisher.abandon()
            self.publisher.enter(State.IDLE)
        self._halted()

    def happened(self, event: Event) -> None:
        """An event of the run."""
        if isinstance(event, Ended):
            self._end(event)
            return
        self.publisher.publish(event)
        if isinstance(event, Opened):
            self.auth.opened()

    def broke(self, error: Exception) -> None:
        """A failure of the run that is no event: a bug of ours."""
        logger.error("%s: a bug in rxsocket ended the socket", self.options.label, exc_info=error)
        text = f"{self.options.label}: an internal error ended the socket: {error!r}"
        failure = SocketFailed(text, url=self.options.address.shown, cause=error)
        self._end(Ended(verdict=Verdict.FAIL, cause=Cause.FAILED, error=failure, at=self._now()))

    def _reconnect(self) -> None:
        self.run_state.refusals.forget()
        if self._run is not None:
            self.auth.use_again()

    def _close(self, code: int, reason: str, receipt: Receipt[None]) -> None:
        if self._run is not None:
            self.run_state.leave(Cause.CLOSE, code, reason)
            self._end(Ended(verdict=Verdict.COMPLETE, cause=Cause.CLOSE, at=self._now()))
        elif self.publisher.state.value is State.IDLE:
            with self.loop.turn():
                self.publisher.enter(State.CLOSED)
                self.publisher.end(None)
            self._stop_waiting()
        self.departed()
        self.run_state.closing_connections.afterwards(lambda: receipt.settle(None))

    def _end(self, event: Ended) -> None:
        with self.loop.turn():
            self._let_go()
            self._failure = event.error
            self._holds.void()
            self.publisher.publish(event)
            self.publisher.end(event.error)
        self._halted()

    def _let_go(self) -> None:
        run, self._run = self._run, None
        self.run_state.running = False
        self.auth.let_go()
        if run is not None:
            run.dispose()
        self.outbox.drop(lambda: NotConnected("not sent: the socket was closed"))
        if self.auth.provider is not None:
            self.auth.provider.cancel()

    def _halted(self) -> None:
        if not self._holds.held:
            self._stop_waiting()
        self.departed()

    def _stop_waiting(self) -> None:
        with self.loop.lock:
            self._has_stopped, stopped = True, self._stopped
        if stopped is not None:
            stopped.settle(None)

    def departed(self) -> None:
        """Something is gone; when nothing is left, let the loop go (C26)."""
        if self._run is not None or len(self.run_state.closing_connections):
            return
        _running.discard(self)
        self.loop.release(lambda: self._run is None and not self._holds.held)

    def _receipt(self) -> Receipt[None]:
        return Receipt(self.loop, self.publisher.report)

    def _never_started(self) -> bool:
        idle = self.publisher.state.value is State.IDLE and not self._has_stopped
        return idle and self._run is None and not self._holds.held

    def _until_stopped(self) -> Receipt[None]:
        with self.loop.lock:
            if self._stopped is None:
                self._stopped = self._receipt()
                if self._has_stopped:
                    self._stopped.settle(None)
            return self._stopped

    def _now(self) -> float:
        return self.loop.wall_time()


class _Run(abc.DisposableBase):
    """From a start to the end or the last one's leaving; the outlet of its connections."""

    __slots__ = ("_connections", "_engine", "_over", "_source")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._over = False
        self._source: abc.DisposableBase | None = None
        self._connections: abc.DisposableBase | None = None

    def begin(self, source: abc.DisposableBase, connections: Observable[Event]) -> None:
        """Follow where the credential comes from, and connect."""
        self._source = source
        self._connections = subscribed(connections, self)
        if self._over:
            self.dispose()

    def dispose(self) -> None:
        self._over = True
        if self._connections is not None:
            self._connections.dispose()
        if self._source is not None:
            self._source.dispose()

    def on_next(self, event: Event) -> None:
        if not self._over:
            self._engine.happened(event)

    def on_error(self, error: Exception) -> None:
        if not self._over:
            self._engine.broke(error)

    def on_completed(self) -> None:
        """``Ended`` came before."""

    def leave(self) -> None:
        self._over = True


_running: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Say goodbye to the servers when the program ends with sockets open."""
    deadline = time.monotonic() + HURRY
    receipts = [engine.close() for engine in list(_running) if engine.loop.shared]
    for receipt in receipts:
        try:
            receipt.result(max(0.0, deadline - time.monotonic()))
        except Exception:
            return
