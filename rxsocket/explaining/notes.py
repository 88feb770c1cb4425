"""What happened beside the state of a socket and is worth knowing: the notes of an explanation."""

from __future__ import annotations

from collections.abc import Sequence

from rxsocket.amounts import amount
from rxsocket.events import (
    DecodeFailed,
    Dropped,
    Event,
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
from rxsocket.explaining.causes import describe, failure
from rxsocket.explaining.durations import span

__all__ = ["notes_about"]

MOST = 3
"""Notes in one explanation."""


def notes_about(history: Sequence[Event], now: float) -> tuple[str, ...]:
    """What happened since the last connection was opened, oldest first: the last three things.

    Of what repeats, as messages that are not sent do, the latest is told, and how many there were.

    Args:
        history: What happened, oldest first.
        now: The wall time, in seconds since the epoch.

    Examples:
        >>> notes_about([Dropped(epoch=1, count=2, reason="nobody subscribed", at=1.0)], 2.0)
        ('2 messages dropped: nobody subscribed',)
    """
    notes: dict[object, str] = {}
    counts: dict[object, int] = {}
    for event in reversed(history):
        if isinstance(event, Opened):
            break
        text = _note(event, f"{span(now - event.at)} ago")
        if text:
            about = _about(event)
            counts[about] = counts.get(about, 0) + 1
            notes.setdefault(about, text)
    latest = list(notes)[:MOST]
    return tuple(notes[about] + _so_often(about, counts[about]) for about in reversed(latest))


def _about(event: Event) -> object:
    """What two events must have in common to be told as one."""
    match event:
        case Renewed() | RenewalFailed():
            return Renewed  # only the latest of either is still true
        case SlowConsumer(observer=observer, stream=stream):
            return SlowConsumer, observer, stream
        case TopicFailed(topic=topic):
            return TopicFailed, topic
        case SendFailed() | DecodeFailed() | SourceFailed():
            return type(event)
        case _:
            return id(event)


def _so_often(about: object, count: int) -> str:
    return f" (the latest of {count})" if count > 1 and about is not Renewed else ""


def _note(event: Event, ago: str) -> str:
    match event:
        case ObserverFailed(observer=observer, stream=stream, error=error, detached=detached):
            rest = " and gets nothing more" if detached else ""
            return f"observer {observer} of {stream} raised {describe(error)} {ago}{rest}"
        case Resumed(slept=slept):
            return f"time jumped by {span(slept)} {ago}: the computer slept, or its clock was set"
        case Dropped(count=count, reason=reason):
            return f"{amount(count, 'message')} dropped: {reason}"
        case Renewed(epoch=epoch):
            return f"connection {epoch} took another credential {ago}, and goes on"
        case RenewalFailed(error=error, refused=refused, retry_in=retry_in):
            then = "at the next attempt to connect"
            if retry_in is not None:
                then = f"{span(retry_in)} after that"
            elif refused:
                then += ", unless set_auth(...) gives another"
            return (
                f"the credential could not be changed {ago}: {failure(error)}; the connection "
                f"goes on with the one it had, and the change is tried again {then}"
            )
        case SourceFailed(error=error):
            return f"what was given as auth= failed {ago}: {describe(error)}"
        case SendFailed(error=error):
            return f"a message was not sent {ago}: {describe(error).removeprefix('not sent: ')}"
        case DecodeFailed(error=error):
            return f"{describe(error)}, {ago}; check codec="
        case TopicFailed(topic=topic, error=error):
            return f"a payload of topic {topic!r} was not decoded {ago}: {describe(error)}"
        case SlowConsumer(observer=observer, stream=stream, seconds=seconds):
            return (
                f"observer {observer} of {stream} held the loop for {span(seconds)} {ago}; "
                "move its work off the loop: asyncio.to_thread(...)"
            )
        case _:
            return ""
