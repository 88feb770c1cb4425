"""What a socket is doing, at one glance: the card that it shows as the last line of a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rxsocket.amounts import amount
from rxsocket.arguments import is_list, is_mapping
from rxsocket.auth.credentials import Credential, Secret
from rxsocket.auth.identity import jwt_claims
from rxsocket.auth.shares import Share
from rxsocket.engine.engine import Engine
from rxsocket.events import (
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Event,
    ObserverFailed,
    Rejected,
    RenewalFailed,
    SendFailed,
    SlowConsumer,
    SourceFailed,
    TopicFailed,
)
from rxsocket.explaining.causes import (
    advice_about,
    advice_about_closing,
    closing,
    describe,
    failure,
)
from rxsocket.explaining.explanation import Explanation, explain
from rxsocket.pictures.timeline_excerpt import excerpt
from rxsocket.pictures.timeline_story import Story, Token
from rxsocket.pictures.timeline_tape import Record, Tape
from rxsocket.states import State

__all__ = ["Card", "Line", "Trouble", "card"]

WINDOW = 5.0
"""Seconds over which the rate is taken."""
LINES = 5
"""Messages that are shown."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message: when it came, and how it begins."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong: when, what, and what one can do about it."""

    at: float
    text: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card shows; nothing in it is secret (C28).

    Attributes:
        url: The address, without user info or query values.
        name: What the socket is called; empty if it has no name.
        state: The state.
        now: The wall time of the card.
        since: Since when the socket is in that state; ``None`` if nothing has happened yet.
        doing: What it is doing and why, in words.
        next: What comes next by itself.
        advice: What the user can do.
        notes: What went wrong besides.
        credential: Which one is in use, masked; its number is its colour in the timeline.
        expires: The wall time at which it expires, where that is known.
        epoch: Number of the connection or of the attempt; 0 before the first one.
        connections: How many attempts there were, of those that are remembered.
        rate: Messages a second; ``None`` if nobody counts them.
        received: How many messages were counted.
        latency: Seconds of the last ping and its pong; ``None`` before the first.
        messages: The last ones, newest first.
        trouble: The last thing that went wrong.
    """

    url: str
    name: str = ""
    state: State
    now: float
    since: float | None = None
    doing: str = ""
    next: str = ""
    advice: str = ""
    notes: tuple[str, ...] = ()
    credential: Token
    expires: float | None = None
    epoch: int = 0
    rate: float | None = None
    received: int = 0
    latency: float | None = None
    messages: tuple[Line, ...] = ()
    trouble: Trouble | None = None


def card(engine: Engine, tape: Tape) -> Card:
    """What there is to show of a socket at this moment; from any thread."""
    publisher, now = engine.publisher, engine.home.wall_time()
    record = tape.record(now - WINDOW)
    past = publisher.past.events
    mask: Callable[[str], str] = record.mask
    told: Explanation = explain(past, publisher.state.value, now)
    return Card(
        url=engine.plan.address.shown,
        name=engine.plan.name or "",
        state=told.state,
        now=now,
        since=told.since,
        doing=mask(told.why),
        next=mask(told.next),
        advice=mask(told.advice),
        notes=tuple(mask(note) for note in told.notes),
        credential=_token(record.story, now),
        expires=_expires(engine),
        epoch=_epoch(past),
        rate=_rate(record, tape.watched),
        received=record.count,
        latency=publisher.latency.value,
        messages=_messages(record),
        trouble=_trouble(past, mask),
    )


def _token(story: Story, now: float) -> Token:
    return story.tokens[-1] if story.tokens else Token(now, 0, "none yet")


def _epoch(past: tuple[Event, ...]) -> int:
    return next((one.epoch for one in reversed(past) if isinstance(one, Connecting)), 0)


def _rate(record: Record, counted: bool) -> float | None:
    if not counted or record.since is None:
        return None
    spent = min(WINDOW, max(record.now - record.since, 1.0))
    many = sum(count for at, _, count in record.received if at >= record.now - WINDOW)
    return many / spent


def _messages(record: Record) -> tuple[Line, ...]:
    shown = min(LINES, len(record.payloads))
    newest = zip(reversed(record.heard), reversed(record.payloads), strict=False)
    lines = (Line(at, excerpt(data, record.mask)) for (at, _), data in newest)
    return tuple(line for line, _ in zip(lines, range(shown), strict=False))


def _trouble(past: tuple[Event, ...], mask: Callable[[str], str]) -> Trouble | None:
    for event in reversed(past):
        said = _wrong(event)
        if said is not None:
            return Trouble(event.at, mask(said[0]), mask(said[1]))
    return None


def _wrong(event: Event) -> tuple[str, str] | None:
    """What went wrong, and what helps; ``None`` if nothing did."""
    match event:
        case Closed(verdict=verdict, code=code, epoch=epoch):
            if verdict is None or code == 1000:
                return None
            return f"connection {epoch}: {closing(event)}", advice_about_closing(event)
        case ConnectFailed(error=error) | Rejected(error=error):
            return failure(error), advice_about(error)
        case RenewalFailed(error=error):
            return f"the credential was not renewed: {failure(error)}", advice_about(error)
        case ObserverFailed(observer=observer, stream=stream, error=error):
            return f"observer {observer} of {stream} raised {describe(error)}", ""
        case SourceFailed(error=error) | SendFailed(error=error) | DecodeFailed(error=error):
            return describe(error), advice_about(error)
        case TopicFailed(topic=topic, error=error):
            return f"a message of {topic}: {describe(error)}", ""
        case SlowConsumer(observer=observer, seconds=seconds):
            return f"{observer} held the loop for {seconds:.1f} s", ""
        case Dropped(count=count, reason=reason):
            return f"{amount(count, 'message')} dropped: {reason}", ""
        case _:
            return None


def _expires(engine: Engine) -> float | None:
    credential = engine.publisher.auth.value
    provider = engine.custody.provider
    if isinstance(provider, Share):
        known = provider.expires_at(credential)
        if known is not None:
            return known
    claims = (jwt_claims(text) for text in _texts(credential))
    times = [found["exp"] for found in claims if found is not None and "exp" in found]
    return min((float(at) for at in times if isinstance(at, (int, float))), default=None)


def _texts(credential: Credential) -> Iterator[str]:
    value = credential.reveal()
    for entry in value.values() if is_mapping(value) else (value,):
        for item in entry if is_list(entry) else (entry,):
            text = item.reveal() if isinstance(item, Secret) else item
            if isinstance(text, str):
                yield text
