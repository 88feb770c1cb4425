"""What else happened to a socket, in notes: what went wrong without changing what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rxsocket.events import (
    ChannelFailed,
    ChannelStale,
    DecodeFailed,
    Dropped,
    Event,
    Missed,
    ObserverFailed,
    Opened,
    RenewalFailed,
    Renewed,
    Resumed,
    SendFailed,
    SlowConsumer,
    SourceFailed,
    TopicFailed,
)
from rxsocket.explain.format import span
from rxsocket.explain.wording import advice, sentence

_NONE: Mapping[type[Event], int] = MappingProxyType({})

MOST = 3
"""Notes in one explanation."""

NOTED = (
    Renewed,
    RenewalFailed,
    Resumed,
    ObserverFailed,
    SourceFailed,
    SendFailed,
    DecodeFailed,
    TopicFailed,
    ChannelFailed,
    ChannelStale,
    Dropped,
    Missed,
    SlowConsumer,
)
"""Events that lead to no state, and are worth a note."""


def notes_about(
    history: Sequence[Event],
    now: float,
    forgotten: Mapping[type[Event], int] = _NONE,
) -> tuple[str, ...]:
    """What else happened since the last connection opened: the last three things, oldest first.

    Of what repeats, as messages that are not sent do, there is the latest, and how many there were.

    Args:
        history: What happened, oldest first.
        now: The wall time, in seconds since the epoch.
        forgotten: How many of each kind the history has left out.

    Examples:
        >>> notes_about([Dropped(epoch=1, count=2, reason="nobody subscribed", at=1.0)], 2.0)
        ('2 messages dropped: nobody subscribed',)
    """
    notes: dict[object, str] = {}
    counts: dict[object, int] = dict(forgotten.items())
    for event in reversed(history):
        if isinstance(event, Opened):
            break
        if isinstance(event, NOTED):
            subject = _subject(event)
            counts[subject] = counts.get(subject, 0) + 1
            if subject not in notes:
                notes[subject] = _note(event, now)
    latest = list(notes)[:MOST]
    return tuple(notes[one] + _repeated(one, counts[one]) for one in reversed(latest))


def _subject(event: Event) -> object:
    """What two events have in common of which only the latest is noted."""
    match event:
        case Renewed() | RenewalFailed():
            return Renewed  # only the latest of either is still true
        case SlowConsumer(observer=observer, stream=stream):
            return SlowConsumer, observer, stream
        case TopicFailed(topic=topic):
            return TopicFailed, topic
        case ChannelFailed() | ChannelStale():
            return type(event)
        case SendFailed() | DecodeFailed() | SourceFailed() | Missed():
            return type(event)
        case _:
            return id(event)


def _note(event: Event, now: float) -> str:
    text = sentence(event, f"{span(now - event.at)} ago")
    return f"{text}; {advice(event)}" if isinstance(event, (DecodeFailed, SlowConsumer)) else text


def _repeated(subject: object, count: int) -> str:
    return f" (the latest of {count})" if count > 1 and subject is not Renewed else ""
