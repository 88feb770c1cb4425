"""What makes a socket run: it starts with the first reference and stops after the last one (C1).

Its public methods may be called from any thread; they check what they are given, and hand the rest
over to the socket's loop. Everything below "on the loop" happens there, one thing at a time.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.codecs import encoded
from rxsocket.endpoint.addresses import Addresses
from rxsocket.engine.auth import AuthManager
from rxsocket.engine.options import SocketOptions, written_secrets
from rxsocket.engine.receiving import hooks_for
from rxsocket.engine.renewal_request import RenewalRequest, hidden_in, renewal_request
from rxsocket.engine.run_state import ClosingConnections, RunState, StopReason
from rxsocket.errors import AddressFailed, NotConnected, SocketFailed
from rxsocket.events import Cause, Ended, Event, Opened, SendFailed
from rxsocket.explain.causes import how_ended
from rxsocket.policy.verdicts import Verdict
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import LoopClosed, SocketLoop
from rxsocket.runtime.loop_monitor import LoopListener
from rxsocket.runtime.loop_shutdown import add_shutdown, remove_shutdown
from rxsocket.runtime.refcount import RefCount
from rxsocket.runtime.threads import log
from rxsocket.sending.outbox import Queued, Sent
from rxsocket.sending.pacing import outbox
from rxsocket.sending.payload import json_text, payload
from rxsocket.state import State
from rxsocket.streams.multicast import subscribing_again
from rxsocket.streams.receipts import Receipt, run_for
from rxsocket.streams.stopping import Stopping
from rxsocket.transports.base import Fragments
from rxsocket.url import Address

MOST_REFUSED = 100
"""Times that an observer is told that the socket is closed: ``retry()`` would ask for ever."""
INTERRUPTED = 0.5
"""Seconds for the closing handshake when the program is being interrupted."""
BUSY = 0.3
"""Seconds more until a loop that a function of the user's keeps busy is given up then."""


class Engine:
    """The running parts of a socket.

    Args:
        options: What the socket was told.
        loop: Where it lives.
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
        self.hooks = hooks = hooks_for(options.cursor, receives_only=options.receives_only)
        self._connections = connections
        close_timeout = options.handshake.close_timeout
        self.run_state = RunState(ClosingConnections(close_timeout, self._release_if_done))
        self._references = RefCount(loop, self._start, self._stop, options.linger)
        connect = self.connect_observer  # one for all of them
        self.publisher = Publisher(loop, connect, options.label, hooks)
        self.publisher.history.written = written_secrets(options)
        self.outbox = outbox(
            loop, self.publisher, connect, options.queue_for, hooks, options.limits
        )
        self.loop_listener = LoopListener(loop, self.publisher.publish)
        self.addresses = addresses = Addresses(
            options.endpoint,
            options.auth_timeout,
            needs_tls=options.tls.is_given,
            transport=options.transport_name,
        )
        self.auth = AuthManager(
            options, loop, auth, self.run_state, self.publisher, self.outbox, hooks, addresses
        )
        self._run: _Run | None = None
        self._watched_loop: asyncio.AbstractEventLoop | None = None
        self._closing_on: int | None = None
        self._refused: tuple[object, int] = None, 0
        self._stopping = Stopping(
            "socket", loop, self.publisher.report, self._is_started, self._interrupt
        )
        self.failure: Exception | None = None

    # --- from any thread

    @property
    def label(self) -> str:
        """What the socket is called where people read of it: its name, if any, and its address."""
        name, shown = self.options.name, self.addresses.shown
        return f"{name} {shown}" if name else shown

    @property
    def is_used(self) -> bool:
        """Whether it runs, or is about to."""
        return self.run_state.is_running or self._references.is_used

    def connect(self) -> abc.DisposableBase:
        self._stopping.start()
        reference = self._references.acquire()
        _engines.add(self)
        return reference

    def connect_observer(self) -> abc.DisposableBase:
        """The same for an observer.

        Raises:
            NotConnected: If an operator subscribes it again as ``close()`` completes the streams:
                ``repeat()`` does not know that this is not the peer's end.
        """
        if self._closing_on != threading.get_ident():
            return self.connect()
        ending = subscribing_again()
        if ending is None:
            return self.connect()
        observer, times = self._refused
        self._refused = ending, times + 1 if observer is ending else 1
        if self._refused[1] > MOST_REFUSED:
            return Disposable()
        raise NotConnected("not subscribed again: the socket was closed")

    def send(self, value: Any) -> Receipt[Sent]:
        return self.send_encoded(*self.encode(value))

    def send_value(self, value: Any) -> Receipt[Sent]:
        """Send a value that has a form in JSON: through the codec, or without one as JSON text."""
        return self.send_encoded(*self.encode_value(value))

    def report_not_sent(self, error: Exception) -> None:
        """Say on ``errors`` what of a stream was not sent; from any thread."""
        at = self.loop.wall_time()
        self.loop.run(lambda: self.publisher.publish(SendFailed(error=error, at=at)))

    def encode_value(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        """What goes on the wire for a value that has a form in JSON, and its size in bytes."""
        return self.encode(value if self.options.codec is not None else json_text(value))

    def encode(self, value: Any) -> tuple[str | bytes | Fragments, int]:
        for intercept in self.hooks.before_send:
            value = intercept(value)
        if self.options.codec is not None:
            value = encoded(self.options.codec, value)
        return payload("send(data)", value)

    def send_encoded(self, data: str | bytes | Fragments, size: int) -> Receipt[Sent]:
        """Send what is encoded already."""
        receipt: Receipt[Sent] = Receipt(self.loop, self.publisher.report, self.outbox.flush_now)
        queued = Queued(data, size, receipt)
        if not (self.loop.is_idle and self.outbox.take(queued)):
            run_for(receipt, self.loop, partial(self.outbox.send, queued))
        return receipt

    def reconnect(self) -> None:
        self.loop.run(self._reconnect)

    def renew(self, within: Any, url: Any, why: Any, code: Any) -> None:
        as_read, address, refused = self.publisher.history.as_read, None, None
        if url is not None:
            try:
                address = self.addresses.checked(url, "renew(url)")
            except ValueError as error:  # it is what a server said
                refused = str(error)
            as_read = partial(as_read, also=hidden_in(url))
        request = renewal_request(within, why, code, as_read)
        if refused is not None:
            self.auth.on_failure(AddressFailed(as_read(refused)), "renew(url)")
        self.loop.run(lambda: self._renew(request, address))

    def upcoming(self) -> str:
        """What comes next while a connection is open, in words; from any thread."""
        renewal = self.run_state.renewal
        parts = ("" if renewal is None else renewal(), self.outbox.explain())
        return "; ".join(filter(None, parts))

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        receipt: Receipt[None] = Receipt(self.loop, self.publisher.report)
        run_for(receipt, self.loop, lambda: self._close(code, reason, receipt))
        return receipt

    def close_and_block(self, *, interrupted: bool) -> None:
        """Close, and wait where that does not block the loop; not for long when interrupted."""
        receipt = self._close_soon(interrupted=interrupted)
        if self.loop.is_current:
            return
        if not interrupted:
            receipt.result()
        elif self in _engines:
            try:
                receipt.result(INTERRUPTED + BUSY)
            except TimeoutError:
                _engines.discard(self)  # given up: neither an outer block nor the exit waits for it

    async def close_and_wait(self, *, interrupted: bool) -> None:
        await self._close_soon(interrupted=interrupted)

    def wait(self, timeout: float | None) -> bool:
        has_stopped = self._stopping.wait(timeout)
        if has_stopped and self.failure is not None:
            raise self.failure
        return has_stopped

    async def wait_closed(self) -> None:
        await self._stopping.wait_closed()
        if self.failure is not None:
            raise self.failure

    def _is_started(self) -> bool:
        return self.is_used or self.publisher.state.value is not State.IDLE

    def _interrupt(self) -> None:
        self.close_and_block(interrupted=True)

    def forget_parent(self) -> None:
        """In a forked child: the connection is the parent's, who goes on with it; here it ended."""
        self.loop.forget_parent()
        self._references.drop_all()
        run, self._run = self._run, None
        self._forget(run)
        self.run_state.is_running = False
        self.loop_listener = LoopListener(self.loop, self.publisher.publish)
        self.auth.forget()
        self.outbox.forget()
        self.publisher.read_gate.forget()
        self.publisher.counters.forget()
        self.publisher.delivering_epoch = None
        self.publisher.state.value, self.publisher.has_ended = State.CLOSED, True
        self._stopping.forget()

    def _forget(self, run: _Run | None) -> None:
        """Nothing can be done on the loop any more: what there is on it is left as it is."""
        self.run_state.closing = ClosingConnections(
            self.options.handshake.close_timeout, self._release_if_done
        )
        if run is not None:
            run.forget()
        self._watched_loop = None

    # --- on the loop

    def _start(self) -> None:
        if self._run is not None:
            return
        self.failure = None
        self.publisher.has_ended = False
        self.run_state.start()
        loop = self.loop.event_loop
        if self._watched_loop is not loop:
            add_shutdown(loop, self._on_loop_shutdown)
            self._watched_loop = loop
        self._run = run = _Run(self, self._follow_sources())
        run.follow(self._connections())

    def _follow_sources(self) -> abc.DisposableBase:
        """Follow what gives credentials and addresses, until disposed."""
        auth = self.auth
        failed = partial(auth.on_failure, argument="url")
        of_addresses = self.addresses.follow(self.loop, auth.on_address_changed, failed)
        of_credentials = auth.start()
        if of_addresses is None:
            return of_credentials
        return CompositeDisposable(of_addresses, of_credentials)

    def _stop(self) -> None:
        """The last reference was dropped."""
        if self._run is None:
            return
        with self.loop.turn():
            self._dispose_run(StopReason(Cause.LEFT))
            self.publisher.abandon()
            self.publisher.enter(State.IDLE)
        self._after_stop()

    def on_event(self, event: Event) -> None:
        if isinstance(event, Ended):
            # Its connection has closed: what is disposed with the run was not made yet.
            self._end(event, StopReason(event.cause))
            return
        self.publisher.publish(event)
        if isinstance(event, Opened):
            self.auth.on_opened()

    def on_bug(self, error: Exception) -> None:
        """A failure of the run that is not an event: a bug of ours."""
        text = "%s: a bug in rxsocket ended the socket"
        log(logging.ERROR, text, self.options.label, error=error)
        text = f"{self.label}: an internal error ended the socket: {error!r}"
        failure = SocketFailed(text, url=self.addresses.shown, cause=error)
        cause = Cause.FAILED
        ended = Ended(verdict=Verdict.FAIL, cause=cause, error=failure, at=self.loop.wall_time())
        self._end(ended, StopReason(cause))

    def _on_loop_shutdown(self) -> list[asyncio.Task[None]]:
        """The loop ends with the socket still on it, as after ``asyncio.run``."""
        closing = self.run_state.closing.loop_ends()
        self.warn_if_not_awaited()
        if self._run is not None:
            cause = Cause.LOOP_ENDED
            ended = Ended(verdict=Verdict.COMPLETE, cause=cause, at=self.loop.wall_time())
            self._end(ended, StopReason(cause))
        return closing

    def warn_if_not_awaited(self) -> None:
        """The program, or its loop, ends: say so if that was before anything could happen."""
        if (
            not self._stopping.is_waited_for
            and self.is_used
            and not self.publisher.history.has_outcome
        ):
            text = "%s: the program ends before the first connection was made; wait for it: call %s"
            call = "wait()" if self.loop.is_shared else "await wait_closed()"
            log(logging.WARNING, text, self.options.label, call)

    def _reconnect(self) -> None:
        self.run_state.refusals.forget()
        if self._run is not None:
            self.auth.redial()

    def _renew(self, request: RenewalRequest, address: Address | None) -> None:
        if self._run is None:
            return
        if address is not None:
            self.addresses.use_once(address)
            request = replace(request, elsewhere=True)
        self.auth.renew(request)

    def _close_soon(self, *, interrupted: bool) -> Receipt[None]:
        receipt = self.close()
        if interrupted:
            self.loop.run(lambda: self.run_state.closing.abort_after(INTERRUPTED))
        return receipt

    def _close(self, code: int, reason: str, receipt: Receipt[None]) -> None:
        if self._run is not None:
            cause = Cause.CLOSE
            ended = Ended(verdict=Verdict.COMPLETE, cause=cause, at=self.loop.wall_time())
            self._end(ended, StopReason(cause, code, reason))
        elif self.publisher.state.value is State.IDLE:
            self.publisher.has_ended = True
            with self.loop.turn():
                self.publisher.enter(State.CLOSED)
                self._end_streams(None, is_wanted=True)
            self._stopping.settle()
        self._release_if_done()
        self.run_state.closing.when_gone(lambda: receipt.settle(None))

    def _end(self, event: Ended, reason: StopReason) -> None:
        self.publisher.has_ended = True
        with self.loop.turn():
            self.failure = event.error
            self._dispose_run(reason)
            self._references.drop_active()
            self.publisher.publish(event)
            self._end_streams(event.error, is_wanted=event.cause in (Cause.CLOSE, Cause.LOOP_ENDED))
        self._after_stop()

    def _end_streams(self, error: Exception | None, *, is_wanted: bool) -> None:
        self._closing_on = threading.get_ident() if is_wanted else None
        try:
            self.publisher.end(error)
        finally:
            self._closing_on, self._refused = None, (None, 0)

    def _dispose_run(self, reason: StopReason) -> None:
        run, self._run = self._run, None
        self.run_state.is_running = False
        self.run_state.stop_reason = reason
        self.auth.stop()
        if run is not None and self.loop.is_bound:
            run.dispose()
        elif run is not None:
            self._forget(run)
            log(logging.WARNING, "%s: %s", self.options.label, LoopClosed())
        self.outbox.drop(lambda: NotConnected(f"not sent: the socket {how_ended(self.failure)}"))
        if self.auth.provider is not None:
            self.auth.provider.cancel()
        self.addresses.stop()

    def _after_stop(self) -> None:
        if not self._references.is_used:
            self._stopping.settle()
        self._release_if_done()

    def _release_if_done(self) -> None:
        """Unbind the loop when nothing of the socket is left on it (C26)."""
        if self._run is not None or len(self.run_state.closing):
            return
        _engines.discard(self)
        if self._watched_loop is not None:
            remove_shutdown(self._watched_loop, self._on_loop_shutdown)
            self._watched_loop = None
        self.loop.release(lambda: self._run is None and not self._references.is_used)


class _Run(abc.ObserverBase[Event], abc.DisposableBase):
    """From a start to the end or the stop; the observer of its connections."""

    def __init__(self, engine: Engine, source: abc.DisposableBase) -> None:
        self._engine = engine
        self._source = source
        self._connections: abc.DisposableBase | None = None
        self._is_disposed = False

    def follow(self, connections: Observable[Event]) -> None:
        self._connections = connections.subscribe(self)
        if self._is_disposed:
            self._connections.dispose()

    def dispose(self) -> None:
        self._is_disposed = True
        if self._connections is not None:
            self._connections.dispose()
        self._source.dispose()

    def forget(self) -> None:
        self._is_disposed = True

    def on_next(self, value: Event) -> None:
        if not self._is_disposed:
            self._engine.on_event(value)

    def on_error(self, error: Exception) -> None:
        if not self._is_disposed:
            self._engine.on_bug(error)

    def on_completed(self) -> None:
        """``Ended`` came before."""


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
"""Those that run, or are about to."""


@atexit.register
def _close_all() -> None:
    """Close the connections that are open when the program ends."""
    deadline = time.monotonic() + INTERRUPTED
    running = [engine for engine in list(_engines) if engine.loop.is_shared]
    if not hasattr(sys, "last_value"):  # else it ends by an exception, such as of a Ctrl-C
        for engine in running:
            engine.warn_if_not_awaited()
    receipts = [engine.close() for engine in running]
    for receipt in receipts:
        try:
            receipt.result(max(0.0, deadline - time.monotonic()))
        except Exception:
            return


def _forget_parents() -> None:
    """A forked child has neither the thread nor the loops of its parent's sockets."""
    for engine in tuple(_engines):
        engine.forget_parent()
    _engines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
