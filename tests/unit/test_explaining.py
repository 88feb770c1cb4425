"""What is said about each state, as golden texts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import get_args

import pytest
from golden_ends import GOLDEN
from golden_events import LIVED

from rxsocket import (
    Cause,
    Event,
    Message,
    State,
    TopicFailed,
)
from rxsocket.explain.explanation import explain

TEXTS: dict[str, str] = {}
for section in Path(__file__).with_name("explanations.txt").read_text("utf-8").split("## ")[1:]:
    title, _, body = section.partition("\n")
    TEXTS[title] = body.strip()


@pytest.mark.parametrize("name", GOLDEN)
def test_what_a_user_reads(name: str) -> None:
    """C3, C9, C15, C17: exact, short, and with what to do, for each thing that a socket may do."""
    events, state = GOLDEN[name]
    assert str(explain(events, state, 1000.0)) == TEXTS[name]


def test_each_event_and_each_cause_has_a_text() -> None:
    """C2: whatever may happen to a socket is among the golden texts; messages are not kept."""
    shown = [event for events, _ in GOLDEN.values() for event in events]
    assert {type(event) for event in shown} == set(get_args(Event)) - {Message}
    causes = {getattr(event, "cause", None) for event in shown} - {None}
    assert causes == set(Cause)
    assert set(TEXTS) == set(GOLDEN)


def test_the_latest_three_notes_are_told() -> None:
    """C3: an explanation stays short, however much went wrong."""
    events = [*LIVED]
    for at in range(900, 910):
        events.append(TopicFailed(topic=f"t{at}", error=ValueError("no"), at=float(at)))
    notes = explain(events, State.OPEN, 1000.0).notes
    assert [note.split("'")[1] for note in notes] == ["t907", "t908", "t909"]


def test_the_fields_say_the_same() -> None:
    """C3: a program reads state, since and due; the text is made of the same fields."""
    events, state = GOLDEN["waiting, Retry-After"]
    told = explain(events, state, 1000.0)
    assert (told.state, told.since, told.due) == (State.WAITING, 999.0, 1119.0)
    for part in (told.doing, told.why, told.next, told.advice):
        assert part and part in str(told)


@pytest.mark.parametrize("seed", range(20))
def test_it_never_fails_whatever_happened(seed: int) -> None:
    """C2: also for events in an order that cannot be, and for a history that lost its beginning."""
    chance = random.Random(seed)
    known = [event for events, _ in GOLDEN.values() for event in events]
    for _ in range(200):
        events = chance.choices(known, k=chance.randrange(12))
        for state in State:
            text = str(explain(events, state, chance.uniform(0.0, 2000.0)))
            assert text.strip() and "None" not in text and len(text) < 1000, text
