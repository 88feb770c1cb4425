"""A sink whose calls go as a test says, on whatever clock, and that keeps what it stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from rxsocket.sinks import Duplicate, Failed, Outcome, Record, Stored

__all__ = ["Play", "ScriptedSink", "lose_the_answer", "refuse", "store"]

Play: TypeAlias = Callable[["ScriptedSink", Sequence[Record]], Any]
"""How a call goes: it returns outcomes, or a coroutine of them, or raises."""


class ScriptedSink:
    """Plays one function for each call, then stores.

    Attributes:
        stored: The data of the records that it has, by id or, without one, as they came.
        calls: The ids of each call; the opening one has none.
        most: The most records that were without an answer at a time.
        opened, closed: How often.
        released: Lets calls end that wait for it.
    """

    def __init__(self, *plays: Play, seconds: float = 0.0) -> None:
        self._plays = list(plays)
        self._seconds = seconds
        self._unanswered = 0
        self.opening: Play = store
        self.closing: Callable[[], Any] | None = None
        self.released = asyncio.Event()
        self.stored: list[tuple[str, bytes]] = []
        self.calls: list[list[str]] = []
        self.most = self.opened = self.closed = 0

    async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        if not records:
            self.opened += 1
            return await self._play(self.opening, records)
        self.calls.append([record.id for record in records])
        self._unanswered += len(records)
        self.most = max(self.most, self._unanswered)
        try:
            await asyncio.sleep(self._seconds)
            return await self._play(self._plays.pop(0) if self._plays else store, records)
        finally:
            self._unanswered -= len(records)

    async def close(self) -> None:
        self.closed += 1
        if self.closing is not None:
            await self.closing()

    async def _play(self, play: Play, records: Sequence[Record]) -> Any:
        result = play(self, records)
        return await result if asyncio.iscoroutine(result) else result

    def store_one(self, record: Record) -> Outcome:
        """As a broker does that remembers ids for ever."""
        known = [id for id, _ in self.stored if id]
        if record.id in known:
            return Duplicate(record.id, record.key, known.index(record.id))
        self.stored.append((record.id, record.data))
        return Stored(record.id, record.key, len(self.stored) - 1)


def store(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
    """It has them."""
    return [sink.store_one(record) for record in records]


def lose_the_answer(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
    """It has them, and nobody is told."""
    store(sink, records)
    raise ConnectionError("lost")


def refuse(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
    """It takes none of them, for good."""
    return [Failed(one.id, one.key, ValueError("too large"), one.data) for one in records]
