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
from reactivex.disposable import CompositeDisposable

from rxsocket.codecs import encoded
from rxsocket.engine.custody import Custody
from rxsocket.engine.departures import Departures
from rxsocket.engine.plan import Memory, Plan
from rxsocket.errors import NotConnected, SocketFailed
from rxsocket.events import Cause, Ended, Event, Opened, SendFailed
from rxsocket.policy.verdicts import Verdict
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.holds import Holds
from rxsocket.runtime.home import Home
from rxsocket.runtime.vigil import Vigil
from rxsocket.sending.ahead import AskAhead, nothing_asked
from rxsocket.sending.interceptors import Interceptors
from rxsocket.sending.outbox import Outbox, Queued, Sent
from rxsocket.sending.payload import json_text, payload
from rxsocket.states import State
from rxsocket.streams.receipts import Receipt
from rxsocket.transports.seam import Fragments

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
        self, plan: Plan, home: Home, auth: Any, connections: Callable[[], Observable[Event]]
    ) -> None:
        self.plan = plan
        self.home = home
        self._connections = connections
        self.memory = Memory(Departures(plan.options.close_timeout, self._departed))
        self._holds = Holds(home, self._start, self._stop, plan.linger)
        self.publisher = Publisher(home, self.hold, plan.label)
        self.outbox = Outbox(home, self.publisher, self.hold, plan.queue_for)
        self.ask_ahead: AskAhead = nothing_asked
        self.vigil = Vigil(home, self.publisher.publish)
        self.interceptors = Interceptors(self.publisher)
        self._running: abc.DisposableBase | None = None
        self.custody = Custody(
            plan, home, auth, self.memory, self.publisher, self.outbox, self._runs
        )
        self._stopped = self._receipt()
        self._failure: Exception | None = None

    # --- from any thread

    def hold(self) -> abc.DisposableBase:
        """Keep the socket connected until disposed."""
        if self._stopped.done:
            self._stopped = self._receipt()
        return self._holds.take()

    def send(self, value: Any) -> Receipt[Sent]:
        """Send a message; see ``Socket.send``."""
        return self.send_encoded(*self.encode(value))

    def send_value(self, value: Any) -> Receipt[Sent]:
        """Send a value that has a form in JSON: through the codec, or without one as JSON text."""
        return self.send_encoded(*self.encode_value(value))

    def not_sent(self, error: Exception) -> None:
        """Tell on ``errors`` what of a stream was not sent; from any thread."""
        at = self.home.wall_time()
        self.home.run(lambda: self.publisher.publish(SendFailed(error=error, at=at)))

    def encode_value(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        """What goes on the wire for a value that has a form in JSON, and its size in bytes."""
        return self.encode(value if self.plan.codec is not None else json_text(value))

    def encode(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        """What goes on the wire for a value, and its size in bytes."""
        value = self.interceptors.going_out(value)
        if self.plan.codec is not None:
            value = encoded(self.plan.codec, value)
        return payload("send(data)", value)

    def send_encoded(self, data: str | bytes | Fragments, size: int) -> Receipt[Sent]:
        """Send what is encoded already."""
        receipt: Receipt[Sent] = Receipt(self.home, self.publisher.report, self.outbox.hurry)
        queued = Queued(data, size, receipt)
        if not (self.home.free and self.outbox.take(queued)):
            self.home.run(partial(self.outbox.send, queued))
        return receipt

    def reconnect(self) -> None:
        """Make a fresh connection; see ``Socket.reconnect``."""
        self.home.run(self._reconnect)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """End the socket; see ``Socket.close``."""
        receipt = self._receipt()
        self.home.run(lambda: self._close(code, reason, receipt))
        return receipt

    def leave(self, *, hurry: bool) -> None:
        """Close, and wait for it where that does not block the loop."""
        receipt = self.close()
        if hurry:
            self.home.run(lambda: self.memory.departures.hurry(HURRY))
        if not self.home.here:
            receipt.result()

    async def closed(self, *, hurry: bool) -> None:
        """Close, and wait for it."""
        receipt = self.close()
        if hurry:
            self.home.run(lambda: self.memory.departures.hurry(HURRY))
        await receipt

    def wait(self, timeout: float | None) -> bool:
        """Block until it stopped; see ``Socket.wait``."""
        if self.home.here:
            raise RuntimeError("wait() would block the loop of this socket: await wait_closed()")
        if self._never_started():
            raise RuntimeError("nothing to wait for: subscribe to a stream or call connect() first")
        try:
            self._stopped.result(timeout)
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
            await self._stopped
        if self._failure is not None:
            raise self._failure

    def loop_ends(self) -> None:
        """The loop is being shut down with the socket still on it, as ``asyncio.run`` does."""
        self.memory.departures.rush()
        self.memory.leave(Cause.LOOP_ENDED)
        self._end(Ended(verdict=Verdict.COMPLETE, cause=Cause.LOOP_ENDED, at=self._now()))

    # --- on the loop

    def _start(self) -> None:
        if self._running is not None:
            return
        self._failure = None
        self.memory.begin()
        run = CompositeDisposable()
        self._running = run
        _running.add(self)
        source = self.custody.follow()
        run.add(self._connections().subscribe(self._happened, self._broke))
        run.add(source)

    def _runs(self) -> bool:
        return self._running is not None

    def _happened(self, event: Event) -> None:
        if isinstance(event, Ended):
            self._end(event)
            return
        self.publisher.publish(event)
        if isinstance(event, Opened):
            self.custody.opened()

    def _broke(self, error: Exception) -> None:
        logger.error("%s: a bug in rxsocket ended the socket", self.plan.label, exc_info=error)
        text = f"{self.plan.label}: an internal error ended the socket: {error!r}"
        failure = SocketFailed(text, url=self.plan.address.shown, cause=error)
        self._end(Ended(verdict=Verdict.FAIL, cause=Cause.FAILED, error=failure, at=self._now()))

    def _reconnect(self) -> None:
        self.memory.refusals.forget()
        if self._running is not None:
            self.custody.use_again()

    def _close(self, code: int, reason: str, receipt: Receipt[None]) -> None:
        if self._running is not None:
            self.memory.leave(Cause.CLOSE, code, reason)
            self._end(Ended(verdict=Verdict.COMPLETE, cause=Cause.CLOSE, at=self._now()))
        elif self.publisher.state.value is State.IDLE:
            with self.home.turn():
                self.publisher.enter(State.CLOSED)
                self.publisher.end(None)
            self._has_stopped()
        self._departed()
        self.memory.departures.afterwards(lambda: receipt.settle(None))

    def _stop(self) -> None:
        """The last one left."""
        if self._running is None:
            return
        with self.home.turn():
            self.memory.leave(Cause.LEFT)
            self._let_go()
            self.publisher.changes.abandon()
            self.publisher.messages.let_go()
            self.publisher.enter(State.IDLE)
        self._halted()

    def _end(self, event: Ended) -> None:
        with self.home.turn():
            self._let_go()
            self._failure = event.error
            self._holds.void()
            self.publisher.publish(event)
            self.publisher.end(event.error)
        self._halted()

    def _let_go(self) -> None:
        running, self._running = self._running, None
        self.custody.let_go()
        if running is not None:
            running.dispose()
        self.outbox.drop(lambda: NotConnected("not sent: the socket was closed"))
        if self.custody.provider is not None:
            self.custody.provider.cancel()

    def _halted(self) -> None:
        if not self._holds.held:
            self._has_stopped()
        self._departed()

    def _has_stopped(self) -> None:
        self._stopped.settle(None)

    def _departed(self) -> None:
        """Something is gone; when nothing is left, let the loop go (C26)."""
        if self._running is not None or len(self.memory.departures):
            return
        _running.discard(self)
        self.home.release(lambda: self._running is None and not self._holds.held)

    def _receipt(self) -> Receipt[None]:
        return Receipt(self.home, self.publisher.report)

    def _never_started(self) -> bool:
        idle = self.publisher.state.value is State.IDLE and not self._stopped.done
        return idle and self._running is None and not self._holds.held

    def _now(self) -> float:
        return self.home.wall_time()


_running: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Say goodbye to the servers when the program ends with sockets open."""
    deadline = time.monotonic() + HURRY
    receipts = [engine.close() for engine in list(_running) if engine.home.shared]
    for receipt in receipts:
        try:
            receipt.result(max(0.0, deadline - time.monotonic()))
        except Exception:
            return
