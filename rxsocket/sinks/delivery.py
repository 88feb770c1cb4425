"""From one stream into one sink: what waits, what is under way, and what is tried again (C40).

::

    source ── WaitingBuffer ── records ── publish ──┬── Stored, Duplicate, Failed ── observer
              pause, or drop      ▲                 │
                                  └── tried again ──┘   after a backoff, one call at a time

Everything here runs on one loop, but for ``start``, ``dispose`` and ``_wake``. One task is the life
of it: it opens the sink, waits for the end, and closes the sink.
"""

from __future__ import annotations

import asyncio
import contextvars
from bisect import insort
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxsocket.operators.overflow import BufferedObservable
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.scheduler import LoopScheduler
from rxsocket.runtime.threads import as_exception, exit_soon, is_end_of, running_loop
from rxsocket.sinks.calls import bounded
from rxsocket.sinks.handling import Handling
from rxsocket.sinks.held_loop import HeldLoop
from rxsocket.sinks.outage import Outage
from rxsocket.sinks.ownership import own
from rxsocket.sinks.pressure import Pressure, WaitingBuffer
from rxsocket.sinks.published import all_failed, fault_of
from rxsocket.sinks.records import Dropped, Failed, Outcome, Record
from rxsocket.sinks.sink import Sink
from rxsocket.streams.buffers import NOTHING, BufferedInput

T = TypeVar("T")

MOST_BYTES = 2**20
"""Bytes after which a call takes no further record."""
CLOSE_TIMEOUT = 2.0
"""Seconds that closing it may take (C26)."""


class _Batch:
    """Records that are published together.

    Attributes:
        number: Its place among the others, from which what is tried again comes first.
        until: When there is no other attempt any more, on the loop's clock.
    """

    __slots__ = ("number", "records", "until")

    def __init__(self, number: int, records: list[Record], until: float) -> None:
        self.number = number
        self.records = records
        self.until = until

    def __lt__(self, other: _Batch) -> bool:
        return self.number < other.number


class Delivery(Generic[T]):
    """One subscription; it owns the sink until it has closed it.

    Args:
        sink: Where to.
        handling: How.
        observer: Gets what became of the messages.

    Raises:
        RuntimeError: If another subscription has the sink.
    """

    def __init__(
        self,
        sink: Sink,
        handling: Handling,
        observer: abc.ObserverBase[Outcome | Dropped],
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        self._sink = sink
        self._handling = handling
        self._observer = observer
        self._scheduler = scheduler
        self._context = contextvars.copy_context()
        self._outage = Outage(sink, handling.backoff, handling.retry_for)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._input: BufferedInput[T] | None = None
        self._buffer: WaitingBuffer[T] | None = None
        self._pressure: Pressure | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._again: list[_Batch] = []
        self._unanswered = self._number = self._told_dropped = 0
        self._is_woken = self._is_open = self._is_over = self._is_ending = False
        self._timer: asyncio.TimerHandle | None = None
        self._life: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None] | None = None
        self._give_back: Callable[[], None] = _nothing
        self._ownership = own(sink)
        self._held = HeldLoop(sink)

    # --- from any thread

    def start(self, source: Observable[T]) -> None:
        """Open the sink, and subscribe to the source."""
        try:
            self._loop, self._give_back = self._acquire_loop()
            self._ownership.loop = self._loop
            if isinstance(source, BufferedObservable):
                buffered: BufferedObservable[T] = source
                self._input, source = buffered.new_input(self._wake), buffered.source
            else:
                waiting = WaitingBuffer[T](self._handling.high_water, self._handling.overflow)
                self._buffer = waiting
                if self._handling.overflow == "pause":
                    self._pressure = Pressure(self._handling.high_water, waiting.__len__)
                self._input = BufferedInput(waiting, self._handling.drops, self._wake)
            self._on_loop(self._begin)
            self._input.subscribe_to(source, self._scheduler)  # what comes now waits
        except BaseException:
            self.dispose()
            raise

    def _acquire_loop(self) -> tuple[asyncio.AbstractEventLoop, Callable[[], None]]:
        """The loop of the socket that it is piped behind, or the one here, or the shared one."""
        scheduler = self._scheduler
        if self._handling.loop is None and isinstance(scheduler, LoopScheduler):
            return scheduler.socket_loop.acquire()
        return SocketLoop(self._handling.loop).acquire()

    def dispose(self) -> None:
        """Cancel what is under way, and close the sink."""
        self._is_over = self._ownership.is_leaving = True
        if self._input is not None:
            self._input.dispose()
        if self._pressure is not None:
            self._pressure.close()
        if self._loop is None:
            self._ownership.release()
            return
        try:
            self._on_loop(self._cancel)
        except RuntimeError:  # it is closed: nothing runs any more
            self._ownership.release()

    def _wake(self) -> None:
        pressure, loop = self._pressure, self._loop
        if pressure is not None and pressure.waiting >= pressure.high:
            pressure.pause()
        if not self._is_woken and loop is not None:
            self._is_woken = True
            if running_loop() is loop:
                loop.call_soon(self._pump, context=self._context)
            else:
                with suppress(RuntimeError):  # it is closed
                    loop.call_soon_threadsafe(self._pump, context=self._context)

    def _on_loop(self, function: Callable[[], None]) -> None:
        if running_loop() is self._loop:
            function()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(function)

    # --- its life

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        self._life = loop.create_task(self._live(self._over), context=self._context.copy())
        self._life.add_done_callback(self._give_up)  # it may be cancelled before it begins
        if self._is_over:
            self._cancel()

    def _cancel(self) -> None:
        life = self._life
        if life is None:  # its turn to begin has not come yet
            return
        if not self._is_ending and asyncio.current_task() is not life:
            self._is_ending = True
            life.cancel()

    async def _live(self, over: asyncio.Future[None]) -> None:
        self._held.open()
        failure: Exception | None = None
        try:
            await self._ownership.there()
            failure = await self._open()
            if failure is None:
                self._is_open = True
                asyncio.get_running_loop().call_soon(self._pump, context=self._context)
                await over
        except GeneratorExit:  # the loop was closed with this under way: nothing runs any more
            self._ownership.release()
            raise
        except BaseException:  # it was disposed, or the loop is being shut down
            await self._close()
            raise
        await self._close()
        if not self._is_over:
            self._end_observer(failure)

    async def _open(self) -> Exception | None:
        """Open the sink; else fail what waits, and return why."""
        try:
            opening = partial(self._sink.publish, ())
            await bounded(self._held, "opening it", opening, self._handling.timeout)
        except BaseException as error:
            if is_end_of(asyncio.current_task(), error):
                raise
            failure = as_exception(error)
        else:
            return None
        waiting = self._input
        if waiting is not None:
            waiting.unsubscribe()
            while (value := waiting.take()) is not NOTHING:
                record = self._record(value)
                if record is not None:
                    self._emit(Failed(record.id, record.key, failure, record.data))
            self._tell_dropped()
        return failure

    async def _close(self) -> None:
        """Cancel what is under way, and close the sink, in a time that is bounded."""
        self._is_ending = self._ownership.is_leaving = True
        if self._timer is not None:
            self._timer.cancel()
        if self._pressure is not None:
            self._pressure.close()
        if not self._ownership.is_there:
            return
        for call in self._calls:
            call.cancel()
        try:
            if self._calls:
                await asyncio.wait(self._calls, timeout=CLOSE_TIMEOUT)
            await bounded(self._held, "close", self._sink.close, CLOSE_TIMEOUT, grace=0.0)
        except BaseException as error:
            if is_end_of(asyncio.current_task(), error):
                raise
            self._outage.fail_to_close(error)

    def _give_up(self, _: object) -> None:
        self._held.close()
        self._ownership.release()
        self._give_back()

    # --- on the loop

    def _pump(self) -> None:
        """Begin what can be begun; tell what was dropped; see whether all is done."""
        self._is_woken = False
        if self._is_over or not self._is_open:
            return
        self._tell_dropped()
        while not self._is_over and (batch := self._next_batch()) is not None:
            call = asyncio.get_running_loop().create_task(
                self._publish(batch), context=self._context.copy()
            )
            self._calls.add(call)
        if self._pressure is not None:
            self._pressure.relieve()
        waiting = self._input
        if not (self._calls or self._again) and waiting is not None and waiting.is_finished:
            self._tell_dropped()
            if self._over is not None and not self._over.done():
                self._over.set_result(None)

    def _next_batch(self) -> _Batch | None:
        """What to publish now, if anything.

        While a call is under way the next one begins when there is a whole batch for it: so a call
        has the more records the faster they come, and none waits longer than one call.
        """
        if self._timer is not None or (self._outage.failures and self._calls):
            return None
        if self._again:
            return self._again.pop(0)
        waiting, handling = self._input, self._handling
        room = min(handling.batch, handling.in_flight - self._unanswered)
        if waiting is None or not room or (self._calls and waiting.count < handling.batch):
            return None
        records: list[Record] = []
        bytes_left = MOST_BYTES
        self._held.begin("key, id or encode")
        while len(records) < room and bytes_left > 0 and (value := waiting.take()) is not NOTHING:
            record = self._record(value)
            if record is not None:
                records.append(record)
                bytes_left -= len(record.data)
        self._held.end()
        if not records or self._is_over:
            return None
        self._unanswered += len(records)
        self._number += 1
        now = asyncio.get_running_loop().time()
        return _Batch(self._number, records, now + handling.retry_for)

    def _record(self, value: T) -> Record | None:
        """The record of a message; what a function of the user's raises is its ``Failed``."""
        try:
            return self._handling.to_record(value)
        except BaseException as error:
            self._emit(Failed("", "", as_exception(error)))
            return None

    async def _publish(self, batch: _Batch) -> None:
        call, records = asyncio.current_task(), batch.records
        outcomes: Sequence[Outcome]
        try:
            publish = partial(self._sink.publish, records)
            outcomes = await bounded(self._held, "publish", publish, self._handling.timeout)
        except BaseException as error:
            if is_end_of(call, error):
                raise
            outcomes = all_failed(records, as_exception(error), temporary=True)
        else:
            fault = fault_of(outcomes, len(records))
            if fault is not None:  # what it did with them is anybody's guess
                outcomes = all_failed(records, fault, temporary=False)
        if call is not None:
            self._calls.discard(call)
        self._settle(batch, outcomes)
        self._pump()

    def _settle(self, batch: _Batch, outcomes: Sequence[Outcome]) -> None:
        """Tell what became of records, and keep those that are to be tried again."""
        now = asyncio.get_running_loop().time()
        again: list[Record] = []
        failure: Exception | None = None
        for record, outcome in zip(batch.records, outcomes, strict=True):
            if type(outcome) is Failed:
                if outcome.temporary:
                    failure = outcome.error
                    if now < batch.until:
                        again.append(record)
                        continue
                    self._outage.give_up(outcome)
                else:
                    self._outage.refuse(outcome)
            self._emit(outcome)
        self._unanswered -= len(batch.records) - len(again)
        if again:
            batch.records = again
            insort(self._again, batch)
        if failure is None:
            self._outage.end()
        elif self._timer is None:
            self._wait(self._outage.add_failure(failure))

    def _wait(self, delay: float) -> None:
        """Begin nothing for a while, but try each record once more at the end of its time."""
        loop = asyncio.get_running_loop()
        due = min([loop.time() + delay, *(batch.until for batch in self._again)])
        self._timer = loop.call_at(due, self._on_timer, context=self._context)

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()

    # --- to the observer

    def _tell_dropped(self) -> None:
        if self._buffer is not None and self._buffer.dropped > self._told_dropped:
            count = self._buffer.dropped - self._told_dropped
            self._told_dropped += count
            self._emit(Dropped(count))

    def _emit(self, outcome: Outcome | Dropped) -> None:
        if not self._is_over:
            try:
                self._observer.on_next(outcome)
            except BaseException as error:
                self.dispose()
                self._report(error)

    def _end_observer(self, failure: Exception | None) -> None:
        self._is_over = True
        if failure is None and self._input is not None:
            failure = self._input.error
        try:
            if failure is None:
                self._observer.on_completed()
            else:
                self._observer.on_error(failure)
        except BaseException as error:
            self._report(error)

    def _report(self, error: BaseException) -> None:
        """Report what the observer raised, on the socket's ``errors`` if there is one (C23)."""
        if self._input is not None and self._input.report(error):
            return
        asyncio.get_running_loop().call_exception_handler(
            {"message": "an observer behind into() raised", "exception": error}
        )
        exit_soon(error)


def _nothing() -> None:
    pass
