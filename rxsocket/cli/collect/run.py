"""``rxsocket collect``: the channels of a fleet into a sink, until it is told to end.

::

    fleet.messages ── counted ── into(sink) ── counted ──┐
    fleet.events, fleet.errors, signals ─────────────────┴──► queue ── main thread: lines

What may take long, or fail, happens on the loop of the fleet; the main thread writes and waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import NoneType
from typing import Any

from reactivex import abc
from reactivex import operators as ops

from rxsocket.cli.collect.counts import Counts
from rxsocket.cli.collect.fleets import fleet_of
from rxsocket.cli.collect.progress import TERMINAL_INTERVAL, CollectProgress
from rxsocket.cli.collect.received import Received, data_of
from rxsocket.cli.collect.settings import Settings
from rxsocket.cli.collect.signals import RELOAD, Reload, Signalled, signals_to
from rxsocket.cli.collect.storing import arguments_of, in_words_of_config, sink_of
from rxsocket.cli.collect.watched import WatchedSink
from rxsocket.cli.credentials import UsageError
from rxsocket.cli.output import Notice
from rxsocket.events import Closed
from rxsocket.fleet.events import Placed
from rxsocket.sinks import Failed, Sink, into
from rxsocket.state import State

CLOSE_TIMEOUT = 5.0
"""Seconds that closing the sockets may take."""
MOST_WAITING = 1000
"""Things to be told that wait for the main thread."""


@dataclass(frozen=True, slots=True)
class CollectingEnded:
    """The stream of outcomes has ended.

    Attributes:
        error: Why, if it failed.
    """

    error: Exception | None


@dataclass(frozen=True, slots=True)
class NobodyReads:
    """Standard output was closed: what goes there cannot be stored."""


_UNTOLD = (NoneType, Placed, Closed, Signalled, Reload, CollectingEnded, NobodyReads)
"""What is for the command itself, and what the progress and ``Lost`` say as well."""


class Collector:
    """A fleet and the sink of its messages.

    Args:
        settings: What is collected.
        count: How many messages to store; ``None`` for no end.

    Raises:
        UsageError: If one of them cannot be made.
    """

    def __init__(self, settings: Settings, count: int | None = None) -> None:
        self._settings = settings
        self._count = count
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._counts = Counts()
        self._progress = CollectProgress(self._counts)
        self._over = threading.Event()
        self._was_live = self._is_refused = False
        self._look_at = 0.0
        sink = sink_of(
            settings.sink,
            has_json=str(settings.options["codec"]) == "json",
            on_broken=lambda: self._queue.put(NobodyReads()),
        )
        self._sink = WatchedSink(sink, self._queue.put)
        self._fleet = fleet_of(settings)

    def run(self) -> int:
        """Collect; return the exit code.

        Raises:
            BrokenPipeError: If nobody reads standard output any more.
        """
        if not self._opens():
            return 1
        with signals_to(self._queue.put), self._progress:
            outcomes = self._start()
            try:
                code = self._follow()
            except BaseException:
                self._finish(outcomes, 0.0)
                raise
            self._tell_rest()
            self._progress.show(self._fleet.stats)  # once more: it may have been short
            try:
                self._finish(outcomes, self._settings.run.settle)
            except KeyboardInterrupt:  # told a second time
                outcomes.dispose()
            self._tell_of_sink()
        self._progress.summarize()
        return 1 if self._counts.under_way else code

    def _opens(self) -> bool:
        """Whether the sink can be used: nothing is asked of the server otherwise."""
        try:
            asyncio.run(_opened(self._sink))
        except Exception as error:
            self._progress.say("Failed", in_words_of_config(error), "red")
            return False
        return True

    def _start(self) -> abc.DisposableBase:
        fleet, settings = self._fleet, self._settings
        own_id = None if settings.own_id is None else _id_of
        store = into(
            self._sink, key=_key_of, id=own_id, encode=data_of, **arguments_of(settings.sink)
        )
        fleet.errors.subscribe(self._put, lambda _: None)
        fleet.events.subscribe(self._queue.put, lambda _: None)
        outcomes = fleet.messages.pipe(ops.do_action(self._counts.on_message), store).subscribe(
            self._on_outcome,
            lambda error: self._on_end(error),
            lambda: self._on_end(None),
        )
        return outcomes

    def _on_outcome(self, outcome: Any) -> None:
        self._counts.on_outcome(outcome)
        if isinstance(outcome, Failed):
            self._put(outcome)

    def _put(self, item: Any) -> None:
        """Something that may come in a flood, of which few lines are shown."""
        if self._queue.qsize() < MOST_WAITING:
            self._queue.put(item)

    def _on_end(self, error: Exception | None) -> None:
        self._over.set()
        self._queue.put(CollectingEnded(error))

    def _follow(self) -> int:
        """Show what happens until the end of it; return the exit code."""
        while True:
            match self._next():
                case Signalled(number=number):
                    return 128 + number
                case NobodyReads():
                    raise BrokenPipeError
                case CollectingEnded(error=None):
                    return 0
                case CollectingEnded(error=error):
                    self._progress.say("Failed", in_words_of_config(error) if error else "", "red")
                    return 1
                case Reload():
                    self._reload()
                case item:
                    self._tell(item)
            if self._count is not None and self._counts.stored >= self._count:
                return 0
            if time.monotonic() >= self._look_at and self._is_hopeless():
                return 1

    def _is_hopeless(self) -> bool:
        """Show how far it is, and whether the credential was refused before anything was live."""
        self._look_at = time.monotonic() + TERMINAL_INTERVAL
        stats = self._fleet.stats  # which looks at each channel
        self._progress.show(stats)
        refused = stats.states.get(State.AWAITING_AUTH, 0)
        is_refused = 0 < refused == stats.sockets
        if is_refused and not self._is_refused:
            self._explain()
        self._is_refused = is_refused
        self._was_live = self._was_live or stats.live > 0
        return is_refused and not self._was_live

    def _tell(self, item: Any) -> None:
        if not isinstance(item, _UNTOLD):
            self._progress.tell(item)

    def _tell_rest(self) -> None:
        """What has happened and was not told yet."""
        while not self._queue.empty():
            self._tell(self._queue.get())

    def _tell_of_sink(self) -> None:
        """What the sink said while all was closed; what else happened was our doing."""
        while not self._queue.empty():
            item = self._queue.get()
            if isinstance(item, (Failed, Notice)):
                self._tell(item)

    def _next(self) -> Any:
        with suppress(Empty):
            return self._queue.get(timeout=TERMINAL_INTERVAL)
        return None

    def _explain(self) -> None:
        for text in str(self._fleet.explain()).splitlines():
            self._progress.say("Explained", text, "yellow")
        if self._settings.read_auth is not None and RELOAD is not None:
            self._progress.say("Notice", "SIGHUP reads the credential anew", "yellow")

    def _reload(self) -> None:
        if self._settings.read_auth is None:
            self._progress.say("Notice", "SIGHUP: there is no credential to read anew")
            return
        try:
            receipt = self._fleet.set_auth(self._settings.read_auth())
        except (UsageError, TypeError, ValueError) as error:
            self._progress.say("Notice", f"the credential stays: {error}", "yellow")
        else:
            receipt.subscribe(self._queue.put, lambda _: None)

    def _finish(self, outcomes: abc.DisposableBase, settle: float) -> None:
        """Close the sockets, and wait so long for what is under way to the sink."""
        until = time.monotonic() + settle
        closing = self._fleet.close()
        with suppress(TimeoutError):
            closing.result(CLOSE_TIMEOUT)
        while not self._over.wait(0.1) and time.monotonic() < until:
            pass
        if not self._over.is_set():
            outcomes.dispose()


async def _opened(sink: Sink) -> None:
    try:
        await sink.publish([])
    finally:
        await sink.close()


def _key_of(message: Received) -> str:
    return message.key


def _id_of(message: Received) -> str:
    return f"{message.key}:{message.own_id}"
