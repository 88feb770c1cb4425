"""into(): whatever a sink does, each message that came is accounted for once (C40)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import abc
from reactivex.subject import Subject
from scripted_sink import Play, ScriptedSink, lose_the_answer, refuse, store

from rxsocket import Backoff
from rxsocket.sinks import Dropped, Duplicate, Failed, Outcome, Record, Stored, into
from rxsocket.sinks.ownership import _owners as owned
from rxsocket.testing import clock


def _raise(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
    raise ConnectionError("away")


def _hang(sink: ScriptedSink, records: Sequence[Record]) -> Any:
    return asyncio.sleep(1e9)


def _swallow_the_cancel(sink: ScriptedSink, records: Sequence[Record]) -> Any:
    async def hold() -> list[Outcome]:
        try:
            await asyncio.sleep(1e9)
        except asyncio.CancelledError:
            return store(sink, records)
        return []

    return hold()


def _answer_nonsense(sink: ScriptedSink, records: Sequence[Record]) -> Any:
    return [None] * len(records)


def _answer_too_little(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
    return store(sink, records)[1:]


def _delayed(seconds: float) -> Play:
    """Answers of several calls come in another order than the calls."""

    def play(sink: ScriptedSink, records: Sequence[Record]) -> Any:
        async def wait() -> list[Outcome]:
            await asyncio.sleep(seconds)
            return store(sink, records)

        return wait()

    return play


def _some(fates: list[int]) -> Play:
    """Each record has a fate of its own."""

    def outcome(sink: ScriptedSink, record: Record, fate: int) -> Outcome:
        if fate == 0:
            return sink.store_one(record)
        error = OSError("no")
        return Failed(record.id, record.key, error, record.data, temporary=fate == 1)

    def play(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
        return [
            outcome(sink, record, fates[index % len(fates)]) for index, record in enumerate(records)
        ]

    return play


PLAYS: st.SearchStrategy[Play] = st.one_of(
    st.sampled_from(
        [
            store,
            _raise,
            _hang,
            _swallow_the_cancel,
            lose_the_answer,
            refuse,
            _answer_nonsense,
            _answer_too_little,
        ]
    ),
    st.floats(0.1, 40.0).map(_delayed),
    st.lists(st.integers(0, 2), min_size=1, max_size=5).map(_some),
)
STEPS = st.one_of(st.integers(1, 12), st.floats(0.1, 50.0))
"""So many messages come; or so many seconds pass."""


@settings(max_examples=80)
@given(
    plays=st.lists(PLAYS, max_size=20),
    steps=st.lists(STEPS, max_size=12),
    in_flight=st.integers(1, 8),
    batch=st.integers(1, 8),
    high_water=st.integers(1, 12),
    overflow=st.sampled_from(["pause", "drop_oldest", "drop_newest", "error"]),
    retry_for=st.sampled_from([0.0, 3.0, 60.0]),
)
def test_each_message_is_accounted_for(
    plays: list[Play],
    steps: list[int | float],
    in_flight: int,
    batch: int,
    high_water: int,
    overflow: Any,
    retry_for: float,
) -> None:
    """By one receipt; the broker has each id once; bounds hold; it ends, and the sink is closed."""
    with clock() as time:
        sink = ScriptedSink(*plays)
        source: Subject[int] = Subject()
        receipts: list[Outcome | Dropped] = []
        ends: list[Any] = []
        storing = into(
            sink,
            id=str,
            in_flight=in_flight,
            batch=batch,
            high_water=high_water,
            overflow=overflow,
            retry_for=retry_for,
            backoff=Backoff(first=0.5, base=0.5, cap=2.0),
        )
        source.pipe(storing).subscribe(receipts.append, ends.append, lambda: ends.append(None))
        came = 0
        for step in steps:
            if isinstance(step, float):
                time.advance(step)
                continue
            for _ in range(step):
                came += bool(source.observers)
                source.on_next(came - 1)
        source.on_completed()
        time.advance(100_000)

        told = [one.id for one in receipts if not isinstance(one, Dropped)]
        dropped = sum(one.count for one in receipts if isinstance(one, Dropped))
        assert len(told) == len(set(told)) and len(told) + dropped == came
        has = [id for id, _ in sink.stored]
        assert len(has) == len(set(has))
        assert {one.id for one in receipts if isinstance(one, Stored | Duplicate)} <= set(has)
        assert sink.most <= in_flight and max(map(len, sink.calls), default=0) <= batch
        assert (sink.opened, sink.closed, len(ends)) == (1, 1, 1)
        assert not source.observers and not time.tasks


@settings(max_examples=60)
@given(
    plays=st.lists(PLAYS, max_size=6),
    steps=st.lists(st.one_of(st.sampled_from(["subscribe", "dispose"]), STEPS), max_size=14),
    closing=st.sampled_from([0.0, 1.0, 1e9]),
)
def test_whoever_comes_next_gets_the_sink(
    plays: list[Play], steps: list[str | int | float], closing: float
) -> None:
    """One has it at a time; each opening has its closing, and nothing is left in the end."""
    before = set(owned)  # of other tests, whose loops are closed
    with clock() as time:
        sink = ScriptedSink(*plays)
        sink.closing = lambda: asyncio.sleep(closing)
        source: Subject[int] = Subject()
        storing = into(sink, backoff=Backoff(first=0.5, base=0.5, cap=2.0))
        held: list[abc.DisposableBase] = []
        for step in [*steps, "dispose"]:
            if step == "subscribe" and not held:
                held.append(source.pipe(storing).subscribe())
            elif step == "subscribe":
                with pytest.raises(RuntimeError, match="is in use by another subscription"):
                    source.pipe(storing).subscribe()
            elif step == "dispose":
                while held:
                    held.pop().dispose()
            elif isinstance(step, float):
                time.advance(step)
            else:
                for number in range(step):
                    source.on_next(number)
            assert sink.opened - sink.closed in (0, 1)
        time.advance(10_000)
        assert sink.opened <= sink.closed
        assert not (source.observers or time.tasks or set(owned) - before)
