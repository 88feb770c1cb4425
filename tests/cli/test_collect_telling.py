"""What a collector says: events in words, floods counted, counts that add up."""

from __future__ import annotations

from typing import Any

import pytest

from rxsocket.cli.collect.counts import Counts
from rxsocket.cli.collect.telling import MOST, Damper, style_of, words_of
from rxsocket.cli.output import Notice
from rxsocket.events import Missed
from rxsocket.fleet import Capped, Lost, Moved, Placed, Restored, ShardFailed, Throttled
from rxsocket.sinks import Dropped, Duplicate, Failed, Stored

KEYS = tuple(f"K{number}" for number in range(1200))


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (
            Placed(keys=KEYS[:2], shard="loop", socket=3),
            "2 channels (K0, K1) live on loop/3",
        ),
        (
            Moved(keys=KEYS[:1], shard="b", socket=2, from_shard="a", from_socket=1),
            "1 channel (K0) moved from a/1 to b/2",
        ),
        (
            Lost(keys=KEYS, shard="loop", socket=1, why="the link was cut", since=0.0),
            "1,200 channels (K0, K1, K2, and 1,197 more) lost on loop/1: the link was cut",
        ),
        (
            Restored(keys=KEYS[:3], shard="loop", socket=1, gap=1.26),
            "3 channels (K0, K1, K2) back on loop/1; what was sent in 1.3 s is missing",
        ),
        (
            Throttled(shard="loop", rate=0.5, retry_after=30.0, why="it answered with 429"),
            "loop: fewer dials: it answered with 429; none for 30 s; 0.5 dials a second from now "
            "on",
        ),
        (
            Throttled(shard="loop", rate=None, retry_after=30.0, why="it answered with 429"),
            "loop: fewer dials: it answered with 429; none for 30 s",
        ),
        (
            Capped(shard="a", socket=1, what="channels", cap=150, why="it closed with 1008"),
            "a: the server takes 150 channels a connection: it closed with 1008",
        ),
        (
            Capped(shard="a", socket=None, what="connections", cap=7, why="403"),
            "a: the server takes 7 connections an address: 403",
        ),
        (
            ShardFailed(shard="a", error=ValueError("no"), restarts=True),
            "a failed, it is started again: no",
        ),
        (
            ShardFailed(shard="a", error=ValueError("no"), restarts=False),
            "a failed, it is not started again: no",
        ),
        (
            Failed("K0:5", "K0", ValueError("too large"), b"secret data"),
            "not stored: K0:5: too large",
        ),
        (Failed("", "", ValueError("no")), "not stored: a message: no"),
        (Notice("hello"), "hello"),
    ],
)
def test_an_event_in_words(item: Any, said: str) -> None:
    assert words_of(item) == said
    assert style_of(item)


def test_few_lines_of_a_kind_are_shown() -> None:
    """The others are counted, for each kind, and then it begins anew."""
    damper = Damper()
    assert [damper.lets(Notice("a")) for _ in range(MOST + 3)] == [True] * MOST + [False] * 3
    assert damper.lets(Failed("", "", ValueError()))
    assert damper.rest() == ["3 more Notice"]
    assert damper.rest() == [] and damper.lets(Notice("a"))


def test_counts_add_up() -> None:
    """What was received is what became of it, and what is under way."""
    counts = Counts()
    for _ in range(1010):
        counts.on_message("m")
    outcomes = [Stored("1", "k", 1)] * 1000, [Duplicate("1", "k", 1)] * 2
    failed = [Failed("1", "k", ValueError())] * 3
    for outcome in (*outcomes[0], *outcomes[1], *failed, Dropped(4)):
        counts.on_outcome(outcome)
    assert counts.under_way == 1
    assert counts.summary == (
        "1,010 messages received: 1,000 stored, 2 duplicate, 3 failed, 4 dropped, "
        "1 of which nothing is known"
    )
    assert counts.words == "1,000 stored, 2 duplicate, 3 failed, 4 dropped"


def test_what_did_not_happen_is_no_part_of_the_progress() -> None:
    counts = Counts()
    counts.on_message("m")
    counts.on_outcome(Stored("1", "k", 1))
    assert counts.words == "1 stored"
    assert counts.summary == "1 message received: 1 stored, 0 duplicate, 0 failed, 0 dropped"


def test_events_of_sockets_have_words_too() -> None:
    missed = Missed(epoch=1, first=2, last=3)
    assert words_of(missed)
