"""A shard in another process: its end of the link to the fleet.

::

    link ── receive ──►  Host ── take ──►  Shard ── sockets
    link ◄── next ─────  Batches ◄── reports, messages, questions
                            ▲
                         pipeline(messages)       a function of the user's, if there is one
"""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reactivex import Observable, abc
from reactivex.subject import Subject

from rxsocket.events import Closed, Opened
from rxsocket.fleet.asking import Questions, RemoteAdmission, RemoteAuth
from rxsocket.fleet.batches import Batches, WhenFull
from rxsocket.fleet.counts import FleetCounts
from rxsocket.fleet.desired_state import DesiredState
from rxsocket.fleet.orders import (
    ChannelError,
    CloseSocket,
    Live,
    Order,
    PauseReading,
    Report,
    ResumeReading,
    SetAuth,
    SocketEvent,
    Unsubscribe,
)
from rxsocket.fleet.portable import trace_of
from rxsocket.fleet.questions import (
    Answered,
    Counted,
    OnlyThese,
    Output,
    Pushed,
    Raised,
    Sealed,
    Started,
    Stop,
)
from rxsocket.fleet.shard import Shard, ShardAdmission, ShardSettings
from rxsocket.runtime.loop import SocketLoop

COUNTED_EVERY = 1.0
"""Seconds after which what the sockets have counted is told again, if it has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What a shard in another process is made with.

    Attributes:
        name: The name of the shard.
        settings: What its sockets are made with, pickled; without their credential.
        auth: What the source of the credential is; see ``RemoteAuth``.
        lead: For ``refreshing()``, seconds before the expiry.
        when_full: What is done when the fleet takes less than comes.
    """

    name: str
    settings: bytes = field(repr=False)
    auth: str
    lead: float = 300.0
    when_full: WhenFull = "pause"


class Host:
    """A shard, and what it has for its fleet. All on the loop that runs.

    Args:
        made_with: What it is made with.
        pipeline: A function of the user's, pickled.
        first: The credential to begin with, if it is given or pushed.
        where: Where it is, for people.
        admission: Says when its sockets may dial; left out: the fleet does.
    """

    def __init__(
        self,
        made_with: HostSettings,
        pipeline: bytes | None,
        first: Sealed | None,
        where: str,
        admission: ShardAdmission | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._batches = Batches(self._on_full, made_with.when_full)
        self.questions = Questions(self._batches.put)
        self._auth = RemoteAuth(made_with.auth, made_with.lead, self.questions)
        self.newest = first
        if first is not None:
            self._auth.push(first)
        settings: ShardSettings = pickle.loads(made_with.settings)
        self._input: Subject[Any] | None = None
        self._output: abc.DisposableBase | None = None
        self.desired = DesiredState()
        self._live: dict[int, dict[Hashable, int]] = {}
        self._open: dict[int, Opened] = {}
        self._is_full = False
        self._is_paused = False
        self._ended: asyncio.Future[None] = loop.create_future()
        lives_on = SocketLoop(loop)
        lives_on.bind()
        self._shard = Shard(
            made_with.name,
            replace(settings, auth=self._auth.source()),
            lives_on,
            self.report,
            self._deliver,
            admission=admission or RemoteAdmission(self.questions),
        )
        self._counted, self._counted_at = FleetCounts(), time.monotonic()
        self._where = where
        self._batches.put(Started(where))
        if pipeline is not None:
            self._start_pipeline(pickle.loads(pipeline))

    def receive(self, items: list[Any]) -> None:
        """Carry out what the fleet says."""
        for item in items:
            match item:
                case Answered():
                    self.questions.on_answer(item)
                case Pushed(value):
                    self.newest = value
                    self._auth.push(value)
                case OnlyThese(keys, generation):
                    self._keep_only(keys, generation)
                case PauseReading() | ResumeReading():
                    self.desired.take(item)
                    self._pause_or_resume()
                case SetAuth(number, value):
                    self.desired.take(item)
                    self._shard.take(SetAuth(number, value.open()))
                case _:
                    self.desired.take(item)
                    self._forget(item)
                    self._shard.take(item)

    async def next(self, patience: float) -> bytes:
        """What there is for the fleet, pickled; empty after so many seconds without anything.

        Raises:
            Exception: What ended the shard, once that was told.
        """
        if self._ended.done() and not self._batches.has_more:
            self._ended.result()
        self._count()
        return await self._batches.next(patience)

    async def close(self, stop: Stop) -> None:
        """Close all sockets; returns when nothing is left of them."""
        if self._output is not None:
            self._output.dispose()
        await self._shard.close(stop.code, stop.reason)

    def attach(self) -> None:
        """There is another driver, or the same one again: tell it what there is."""
        self.questions.fail("the fleet's driver was away")
        self._batches.put(Started(self._where))
        self._batches.put(Counted(self._counted))
        for socket, opened in self._open.items():
            self._batches.put(SocketEvent(socket, opened))
        now = time.time()
        for socket, have in self._live.items():
            by_generation: dict[int, list[Hashable]] = {}
            for key, generation in have.items():
                by_generation.setdefault(generation, []).append(key)
            for generation, keys in by_generation.items():
                self._batches.put(Live(socket, tuple(keys), generation, now))

    def _keep_only(self, keys: Mapping[int, tuple[Hashable, ...]], generation: int) -> None:
        for socket, have in tuple(self.desired.sockets.items()):
            if socket not in keys:
                self.receive([CloseSocket(socket)])
            elif surplus := tuple(key for key in have if key not in set(keys[socket])):
                self.receive([Unsubscribe(socket, surplus, generation)])

    def _count(self) -> None:
        now = time.monotonic()
        if now - self._counted_at >= COUNTED_EVERY:
            self._counted_at, before = now, self._counted
            self._counted = self._shard.counts
            if self._counted != before:
                self._batches.put(Counted(self._counted))

    # --- from the sockets

    def report(self, report: Report) -> None:
        """The shard reports something."""
        match report:
            case Live(socket, keys, generation):
                self._live.setdefault(socket, {}).update(dict.fromkeys(keys, generation))
            case SocketEvent(socket, Opened() as opened):
                self._open[socket] = opened
            case SocketEvent(socket, Closed(epoch=epoch)):
                if socket in self._open and self._open[socket].epoch == epoch:
                    del self._open[socket]
                    self._live.pop(socket, None)
            case ChannelError(socket, key):
                self._live.get(socket, {}).pop(key, None)
            case _:
                pass
        self._batches.put(report)

    def _forget(self, order: Order) -> None:
        match order:
            case CloseSocket(number):
                self._live.pop(number, None)
                self._open.pop(number, None)
            case Unsubscribe(socket, keys):
                for key in keys:
                    self._live.get(socket, {}).pop(key, None)
            case _:
                pass

    def _deliver(self, socket: int, key: Hashable) -> Callable[[Any], None]:
        if self._input is not None:
            return self._input.on_next
        message = self._batches.message
        return lambda data: message(socket, key, data)

    def _on_full(self, is_full: bool) -> None:
        self._is_full = is_full
        self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        is_paused = self._is_full or self.desired.paused
        if is_paused is not self._is_paused:
            self._is_paused = is_paused
            self._shard.take(PauseReading() if is_paused else ResumeReading())

    # --- what a user wants done beside the data

    def _start_pipeline(self, function: Callable[[Observable[Any]], Observable[Any]]) -> None:
        self._input = Subject()
        try:
            made = function(self._input)
            if not isinstance(made, Observable):
                kind = type(made).__name__
                raise TypeError(f"pipeline: return an Observable, not {kind}")
            self._output = made.subscribe(
                lambda value: self._batches.put(Output((value,))), self._fail
            )
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._batches.put(Raised(trace_of(error)))
        if not self._ended.done():
            self._ended.set_exception(error)
            self._ended.exception()  # it is raised by next()
