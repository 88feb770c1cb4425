"""What holds the loop is told while it does: the thread that looks at sinks (C40)."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

import pytest
from reactivex.subject import Subject
from scripted_sink import ScriptedSink, store

from rxsocket.sinks import Outcome, Record, Stored, held_loop, into


def test_a_sink_that_holds_the_loop_is_told_while_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_loop, "AT_ONCE", 0.05)
    monkeypatch.setattr(held_loop, "PERIOD", 0.01)
    texts: list[str] = []
    told = threading.Event()

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "has held the loop" in record.getMessage():
                texts.append(record.getMessage())
                told.set()

    def blocks_until_it_is_told(sink: ScriptedSink, records: Sequence[Record]) -> list[Outcome]:
        assert told.wait(30)
        return store(sink, records)

    async def main() -> None:
        source = Subject[str]()
        stored: list[object] = []
        completed = asyncio.Event()
        source.pipe(into(ScriptedSink(blocks_until_it_is_told), id=str)).subscribe(
            stored.append, on_completed=completed.set
        )
        source.on_next("a")
        source.on_completed()
        await asyncio.wait_for(completed.wait(), 30)
        assert [type(receipt) for receipt in stored] == [Stored]

    handler = Watching()
    logging.getLogger("rxsocket").addHandler(handler)
    try:
        asyncio.run(main())
    finally:
        logging.getLogger("rxsocket").removeHandler(handler)
    (text,) = set(texts)
    assert "publish has held the loop for over 0.05 s at " in text
    assert "asyncio.to_thread" in text
    until = time.monotonic() + 30
    while any(thread.name == "rxsocket-sinks" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
