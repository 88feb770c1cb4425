"""What makes a fleet run: it starts with the first reference and stops after the last one (C41).

Its methods may be called from any thread, and hand over to the loop of the fleet; what is below "on
the loop" happens there, one thing at a time.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from reactivex import abc

from rxsocket.auth.outcomes import AuthChange
from rxsocket.errors import NotConnected
from rxsocket.events import Problem
from rxsocket.fleet.admission import Admission
from rxsocket.fleet.auth_changes import FleetAuthChanges
from rxsocket.fleet.channel import FleetChannel, MessagePath
from rxsocket.fleet.controller import Controller
from rxsocket.fleet.counts import FleetCounts, Sum
from rxsocket.fleet.desired_state import DesiredState
from rxsocket.fleet.orders import (
    AuthSettled,
    Order,
    PauseReading,
    ReconnectAll,
    Report,
    ResumeReading,
    SocketEvent,
)
from rxsocket.fleet.places import Run, Shards, Where
from rxsocket.fleet.plan import SocketId
from rxsocket.fleet.planning import Planning
from rxsocket.fleet.publisher import FleetPublisher
from rxsocket.fleet.remote import RemoteShard
from rxsocket.fleet.shard import Shard, ShardSettings, when_all_done
from rxsocket.fleet.sources import SharedAuth
from rxsocket.fleet.wanted import WantedChannels
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.loop_shutdown import add_shutdown, remove_shutdown
from rxsocket.runtime.refcount import RefCount
from rxsocket.streams.multicast import subscribing_again
from rxsocket.streams.receipts import Receipt, run_for
from rxsocket.streams.stopping import Stopping

INTERRUPTED = 0.5
"""Seconds for the closing handshakes when the program is being interrupted."""
BUSY = 0.3
"""Seconds that the loop may take besides."""


class FleetEngine:
    """The running parts of a fleet.

    Args:
        loop: Where it lives.
        settings: Makes what shards are made with, of the credential that they share.
        auth: What ``Fleet(auth=)`` was given.
        planning: What plans are made with.
        where: Where its shards are.
        name: The name that the user gave it.
        dedupe: What the same message has over two sockets.
        label: What the fleet is called in the log, without secrets.
        masked: Masks secrets in texts.
    """

    def __init__(
        self,
        loop: SocketLoop,
        settings: Callable[[Any], ShardSettings],
        auth: Any,
        planning: Planning,
        where: Where,
        name: str | None,
        dedupe: Callable[[Any], Hashable | None] | None,
        label: str,
        masked: Callable[[str], str],
    ) -> None:
        self.loop = loop
        self._masked = masked
        self._shards: Mapping[str, Shard | RemoteShard] = {}
        self._sum = Sum()
        self.publisher = publisher = FleetPublisher(
            loop,
            self.connect_observer,
            label,
            self._as_read,
            _Reading(self),
            self._on_messages_needed,
            dedupe,
        )
        key = None if dedupe is None else publisher.key_of
        path = MessagePath(loop, publisher.detector, key, self._on_phase)
        self.wanted = WantedChannels(publisher, path, self._check, self._plan_soon)
        self.auth = SharedAuth(auth, loop, partial(publisher.source_failed, "auth"))
        self.settings = settings(self.auth.for_sockets)
        self.places = where.places
        self._where = where
        self._name = name
        self.controller: Controller | None = None
        self.failure: Exception | None = None
        self.has_ended = False
        self._planning = planning
        self._references = RefCount(loop, self._start, self._stop)
        self._run: Shards | None = None
        self._admissions: dict[str, Admission] = {}
        self._closing: set[Receipt[None]] = set()
        self._following_auth: abc.DisposableBase | None = None
        self._changes = FleetAuthChanges()
        self._watched_loop: asyncio.AbstractEventLoop | None = None
        self._closing_on: int | None = None
        self._stopping = Stopping(
            "fleet", loop, publisher.report, self._is_started, self._interrupt_wait
        )

    # --- from any thread

    @property
    def is_used(self) -> bool:
        """Whether it runs, or is about to."""
        return self.controller is not None or self._references.is_used

    @property
    def counts(self) -> FleetCounts:
        """What all sockets have counted, those of earlier runs among them."""
        return self._sum.counts

    def connect(self) -> abc.DisposableBase:
        self._stopping.start()
        reference = self._references.acquire()
        _fleets.add(self)
        return reference

    def connect_observer(self) -> abc.DisposableBase:
        """The same for an observer.

        Raises:
            NotConnected: If an operator subscribes it again as ``close()`` completes the streams.
        """
        if self._closing_on == threading.get_ident() and subscribing_again() is not None:
            raise NotConnected("not subscribed again: the fleet was closed")
        return self.connect()

    def set_auth(self, value: Any) -> Receipt[AuthChange]:
        receipt: Receipt[AuthChange] = Receipt(self.loop, self.publisher.report)
        run_for(receipt, self.loop, lambda: self._set_auth(value, receipt))
        return receipt

    def reconnect(self) -> None:
        self.loop.run(lambda: self.give_all(ReconnectAll()))

    def rebalance(self) -> None:
        self.loop.run(self._rebalance)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        receipt: Receipt[None] = Receipt(self.loop, self.publisher.report)
        run_for(receipt, self.loop, lambda: self._close(code, reason, receipt))
        return receipt

    def close_and_block(self, *, interrupted: bool) -> None:
        """Close, and wait where that does not block the loop; not for long when interrupted."""
        receipt = self._close_soon(interrupted=interrupted)
        if self.loop.is_current:
            return
        with suppress(TimeoutError):
            receipt.result(INTERRUPTED + BUSY if interrupted else None)

    async def close_and_wait(self, *, interrupted: bool) -> None:
        await self._close_soon(interrupted=interrupted)

    def _close_soon(self, *, interrupted: bool) -> Receipt[None]:
        if not interrupted:
            return self.close()
        receipt: Receipt[None] = Receipt(self.loop, self.publisher.report)
        run_for(receipt, self.loop, lambda: self._interrupt(receipt))
        return receipt

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
        return self.has_ended or self.is_used

    def _interrupt_wait(self) -> None:
        self.close_and_block(interrupted=True)

    def forget_parent(self) -> None:
        """In a forked child: the sockets are the parent's; here the fleet has ended."""
        self.loop.forget_parent()
        self._references.drop_all()
        controller, self.controller = self.controller, None
        if controller is not None:
            controller.stop()
        for shard in self._shards.values():
            self._sum.remove(shard)
        self._run, self._shards = None, {}
        self._closing.clear()
        self.publisher.read_gate.forget()
        self.publisher.read_gate.add_link(_Reading(self))
        self._watched_loop = self._following_auth = None
        self.has_ended = True
        self._stopping.forget()

    def _as_read(self, text: str) -> str:
        text = self._masked(text)
        for shard in tuple(self._shards.values()):
            text = shard.masked(text)
        return text

    def _check(self, keys: Iterable[Hashable]) -> None:
        self._planning.plan(keys, None, self.places)

    # --- start and end; on the loop

    def _start(self) -> None:
        if self.controller is not None:
            return
        self.failure, self.has_ended = None, False
        loop = self.loop.event_loop
        if self._watched_loop is not loop:
            add_shutdown(loop, self._on_loop_shutdown)
            self._watched_loop = loop
        publisher, spec = self.publisher, self.settings.channel
        self.controller = controller = Controller(
            self.loop,
            self._planning,
            self.places,
            self.wanted,
            publisher,
            give=self._give,
            end=self._end,
            unsubscribes=spec.unsubscribe is not None,
            acknowledges=spec.acknowledged is not None,
        )
        self.wanted.is_running = True
        self._following_auth = self.auth.follow()
        controller.hold()
        self._run = self._where.start(
            Run(
                loop=self.loop,
                settings=self.settings,
                name=self._name,
                report=self._on_report,
                deliver=self._deliver,
                output=publisher.messages.emit,
                began=partial(self._on_began, controller),
                source_failed=partial(publisher.source_failed, "auth"),
                end=self._end,
                admissions=self._admissions,
            )
        )
        self._shards = self._run.named
        for shard in self._shards.values():
            self._sum.add(shard)
        for order in self._changes.first_orders():
            self.give_all(order)
        if publisher.read_gate.is_paused:
            self.give_all(PauseReading())
        if not (publisher.messages.observed or publisher.observed):
            publisher.messages.start_holding()
        self.wanted.follow()
        controller.plan_soon()

    def _on_began(self, controller: Controller, desired: Mapping[str, DesiredState]) -> None:
        """The places are there, maybe with channels that an earlier driver had there."""
        if controller is self.controller:
            controller.begin(desired)

    def _stop(self) -> None:
        """The last reference was dropped."""
        if self.controller is None:
            return
        with self.loop.turn():
            self._dispose_run()
            self.publisher.messages.drop_held()
        self._after_stop()

    def _close(self, code: int, reason: str, receipt: Receipt[None]) -> None:
        if self.controller is not None:
            self._end(None, code, reason)
        elif not self.has_ended:
            self.has_ended = True
            self._end_streams(None)
            self._stopping.settle()
        self._release_if_done()
        when_all_done(tuple(self._closing), lambda: receipt.settle(None))

    def _interrupt(self, receipt: Receipt[None]) -> None:
        """Close, and give the closing handshakes less time than they may take."""
        shards = tuple(self._shards.values())
        self._close(1000, "", receipt)
        for shard in shards:
            shard.abort_after(INTERRUPTED)

    def _end(self, error: Exception | None, code: int = 1000, reason: str = "") -> None:
        if self.controller is None:
            return
        self.has_ended = True
        with self.loop.turn():
            self._dispose_run(code, reason)
            self.failure = error
            self._references.drop_active()
            self._end_streams(error)
        self._after_stop()

    def _end_streams(self, error: Exception | None) -> None:
        self._closing_on = threading.get_ident() if error is None else None
        try:
            self.publisher.end(error)
            self.wanted.on_ended()
        finally:
            self._closing_on = None

    def _dispose_run(self, code: int = 1000, reason: str = "") -> None:
        controller, self.controller = self.controller, None
        if controller is not None:
            controller.stop()
        self.wanted.stop_following()
        self.wanted.is_running = False
        following, self._following_auth = self._following_auth, None
        if following is not None:
            following.dispose()
        self.publisher.detector.stop()
        run, self._run, shards = self._run, None, tuple(self._shards.values())
        self._shards = {}
        if run is not None:
            closed = run.close(code, reason)
            self._closing.add(closed)
            closed.when_done(partial(self._on_closed, closed, shards))
        self._changes.stop()
        self.wanted.forget_unwanted()

    def _on_closed(self, receipt: Receipt[None], shards: Iterable[Shard | RemoteShard]) -> None:
        self._closing.discard(receipt)
        for shard in shards:
            self._sum.remove(shard)
        self._release_if_done()

    def _after_stop(self) -> None:
        if not self._references.is_used:
            self._stopping.settle()
        self._release_if_done()

    def _release_if_done(self) -> None:
        """Unbind the loop when nothing of the fleet is left on it (C26)."""
        if self.controller is not None or self._closing:
            return
        _fleets.discard(self)
        if self._watched_loop is not None:
            remove_shutdown(self._watched_loop, self._on_loop_shutdown)
            self._watched_loop = None
        self.loop.release(lambda: self.controller is None and not self._references.is_used)

    def _on_loop_shutdown(self) -> list[asyncio.Task[None]]:
        """The loop ends with the fleet still on it; its sockets see to themselves."""
        is_elsewhere = self._run is not None and self._run.is_elsewhere
        self._end(None)
        closing = tuple(self._closing) if is_elsewhere else ()
        return [asyncio.ensure_future(_settled(receipt)) for receipt in closing]

    # --- shards; on the loop

    def give_all(self, order: Order) -> None:
        """Give an order to every shard."""
        for shard in self._shards.values():
            shard.take(order)

    def _give(self, shard: str, order: Order) -> None:
        if shard in self._shards:
            self._shards[shard].take(order)

    def _deliver(self, shard: str, socket: int, key: Hashable) -> Callable[[Any], None]:
        return self.wanted.channels[key].inlet(SocketId(shard, socket)).on_next

    def _on_report(self, shard: str, report: Report) -> None:
        self.loop.run(lambda: self._take_report(shard, report))

    def _take_report(self, shard: str, report: Report) -> None:
        match report:
            case AuthSettled(number, outcome):
                self._changes.on_settled(number, outcome)
            case SocketEvent(event=event) if isinstance(event, Problem):
                self.publisher.on_problem(event)
            case _:
                pass
        if self.controller is not None:
            self.controller.on_report(shard, report)

    def _on_phase(self, channel: FleetChannel) -> None:
        if self.controller is not None:
            self.controller.moves.on_phase(channel)

    def _on_messages_needed(self) -> None:
        self.wanted.refresh()

    def _plan_soon(self) -> None:
        if self.controller is not None:
            self.controller.plan_soon()

    def _rebalance(self) -> None:
        if self.controller is not None:
            self.controller.plan_soon(rebalance=True)

    def _set_auth(self, value: Any, receipt: Receipt[AuthChange]) -> None:
        self.auth.pushed(value)
        order = self._changes.order(value, receipt, len(self._shards))
        if order is not None:
            self.give_all(order)


class _Reading:
    """What the gate pauses: all sockets at once."""

    def __init__(self, engine: FleetEngine) -> None:
        self._engine = weakref.ref(engine)

    def pause(self) -> None:
        self._give(PauseReading())

    def resume(self) -> None:
        self._give(ResumeReading())

    def _give(self, order: Order) -> None:
        engine = self._engine()
        if engine is not None:
            engine.give_all(order)


async def _settled(receipt: Receipt[None]) -> None:
    await receipt


_fleets: weakref.WeakSet[FleetEngine] = weakref.WeakSet()
"""Those that run, or are about to."""


def _forget_parents() -> None:
    """A forked child has neither the thread nor the loops of its parent's fleets."""
    for engine in tuple(_fleets):
        engine.forget_parent()
    _fleets.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)
