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
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from reactivex import Observable, abc
from reactivex.subject import Subject

from rxsocket.fleet.asking import Questions, RemoteAuth
from rxsocket.fleet.batches import Batches, WhenFull
from rxsocket.fleet.orders import PauseReading, Report, ResumeReading, SetAuth
from rxsocket.fleet.portable import trace_of
from rxsocket.fleet.questions import Answered, Output, Pushed, Raised, Started
from rxsocket.fleet.shard import Shard, ShardSettings
from rxsocket.fleet.told import Told
from rxsocket.runtime.loop import SocketLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What a shard in another process is made with.

    Attributes:
        name: The name of the shard.
        settings: What its sockets are made with, pickled; without their credential.
        auth: What the source of the credential is; see ``RemoteAuth``.
        lead: For ``refreshing()``, seconds before the expiry.
        pipeline: The user's function, pickled.
        when_full: What is done when the fleet takes less than comes.
        asks_to_dial: Whether a socket waits for its turn to dial.
    """

    name: str
    settings: bytes = field(repr=False)
    auth: str
    lead: float = 300.0
    pipeline: bytes | None = field(default=None, repr=False)
    when_full: WhenFull = "pause"
    asks_to_dial: bool = True


class Host:
    """A shard, and what it has for its fleet. All on the loop that runs.

    Args:
        made_with: What it is made with.
        first: The credential to begin with, if it is given or pushed.
        where: Where it is, for people.
    """

    def __init__(self, made_with: HostSettings, first: Any, where: str) -> None:
        loop = asyncio.get_running_loop()
        self._batches = Batches(self._on_full, made_with.when_full)
        self.questions = Questions(self._batches.put)
        self._auth = RemoteAuth(made_with.auth, made_with.lead, self.questions)
        if first is not None:
            self._auth.push(first)
        settings: ShardSettings = pickle.loads(made_with.settings)
        self._input: Subject[Any] | None = None
        self._output: abc.DisposableBase | None = None
        self.told = Told()
        self._is_full = False
        self._is_paused = False
        self._ended: asyncio.Future[None] = loop.create_future()
        self._shard = Shard(
            made_with.name,
            replace(settings, auth=self._auth.source()),
            SocketLoop(loop),
            self._report,
            self._deliver,
            admit=self.questions.admit if made_with.asks_to_dial else None,
        )
        self._batches.put(Started(where))
        if made_with.pipeline is not None:
            self._start_pipeline(pickle.loads(made_with.pipeline))

    def receive(self, items: list[Any]) -> None:
        """Carry out what the fleet says."""
        for item in items:
            match item:
                case Answered():
                    self.questions.on_answer(item)
                case Pushed(value):
                    self._auth.push(value)
                case PauseReading() | ResumeReading():
                    self.told.take(item)
                    self._pause_or_resume()
                case SetAuth(number, value):
                    self.told.take(item)
                    self._shard.take(SetAuth(number, value.open()))
                case _:
                    self.told.take(item)
                    self._shard.take(item)

    async def next(self, patience: float) -> bytes:
        """What there is for the fleet, pickled; empty after so many seconds without anything.

        Raises:
            Exception: What ended the shard, once that was told.
        """
        if self._ended.done() and not self._batches.has_more:
            self._ended.result()
        return await self._batches.next(patience)

    async def close(self) -> None:
        """Close all sockets; returns when nothing is left of them."""
        if self._output is not None:
            self._output.dispose()
        await self._shard.close()

    # --- from the sockets

    def _report(self, report: Report) -> None:
        self._batches.put(report)

    def _deliver(self, socket: int, key: Hashable) -> Callable[[Any], None]:
        if self._input is not None:
            return self._input.on_next
        message = self._batches.message
        return lambda data: message(socket, key, data)

    def _on_full(self, is_full: bool) -> None:
        self._is_full = is_full
        self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        is_paused = self._is_full or self.told.paused
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
