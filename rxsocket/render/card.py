"""What the card of a socket says: its state, its credential and connection, the last messages."""

from __future__ import annotations

from dataclasses import dataclass

from rxsocket.auth.expiry import jwt_expiry
from rxsocket.auth.shared_provider import SharedProvider
from rxsocket.engine.engine import Engine
from rxsocket.events import Closed, Connecting, Event, Problem
from rxsocket.explain.explanation import explain
from rxsocket.explain.wording import advice, sentence
from rxsocket.render.activity import Activity, recorder_of
from rxsocket.render.preview import Redact, preview
from rxsocket.render.timeline_model import CredentialUse
from rxsocket.state import State

RATE_WINDOW = 5.0
"""Seconds over which the rate is taken."""
MESSAGES = 5
"""Messages that are shown."""


@dataclass(frozen=True, slots=True)
class CardMessage:
    """When a message came, and how it begins."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class CardError:
    """When something went wrong, what it was, and what the user can do about it."""

    at: float
    text: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card says; nothing in it is secret (C28).

    Attributes:
        url: The address, without user info or query values.
        name: The name of the socket; empty if it has none.
        state: The state.
        now: The wall time of the card.
        since: The wall time since which the socket is in that state; ``None`` if nothing has
            happened yet.
        why: What led to the state, in words.
        next: What comes next by itself.
        advice: What the user can do.
        notes: What went wrong besides.
        credential: The one in use, masked; its number is its colour in the timeline.
        expires_at: The wall time at which it expires, if that is known.
        epoch: Number of the connection or of the attempt; 0 before the first one.
        rate: Messages a second; ``None`` if they are not counted.
        received: How many messages were counted.
        latency: Seconds between the last ping and its pong; ``None`` before the first.
        messages: The last ones, newest first.
        last_error: The last thing that went wrong.
    """

    url: str
    name: str = ""
    state: State
    now: float
    since: float | None = None
    why: str = ""
    next: str = ""
    advice: str = ""
    notes: tuple[str, ...] = ()
    credential: CredentialUse
    expires_at: float | None = None
    epoch: int = 0
    rate: float | None = None
    received: int = 0
    latency: float | None = None
    messages: tuple[CardMessage, ...] = ()
    last_error: CardError | None = None


def card_of(engine: Engine) -> Card:
    """The card of a socket at this moment; from any thread."""
    publisher, recorder, now = engine.publisher, recorder_of(engine), engine.loop.wall_time()
    activity = recorder.activity(now - RATE_WINDOW)
    history = publisher.history.events
    redact = activity.redact
    explanation = explain(history, publisher.state.value, now)
    uses = activity.model.credentials
    return Card(
        url=engine.options.address.shown,
        name=engine.options.name or "",
        state=explanation.state,
        now=now,
        since=explanation.since,
        why=redact(explanation.why),
        next=redact(explanation.next),
        advice=redact(explanation.advice),
        notes=tuple(redact(note) for note in explanation.notes),
        credential=uses[-1] if uses else CredentialUse(now, 0, "none yet"),
        expires_at=_expires_at(engine),
        epoch=next((one.epoch for one in reversed(history) if isinstance(one, Connecting)), 0),
        rate=_rate(activity) if recorder.is_recording else None,
        received=activity.received_count,
        latency=publisher.latency.value,
        messages=_messages(activity),
        last_error=_last_error(history, redact),
    )


def _rate(activity: Activity) -> float | None:
    now, since = activity.now, activity.counting_since
    if since is None:
        return None
    seconds = min(RATE_WINDOW, max(now - since, 1.0))
    return sum(one.total for one in activity.received if one.start >= now - RATE_WINDOW) / seconds


def _messages(activity: Activity) -> tuple[CardMessage, ...]:
    last = activity.payloads[-MESSAGES:]
    arrivals = activity.arrivals[-len(last) :] if last else ()
    newest_first = zip(reversed(arrivals), reversed(last), strict=True)
    return tuple(
        CardMessage(at, preview(payload, activity.redact)) for (at, _), payload in newest_first
    )


def _last_error(history: tuple[Event, ...], redact: Redact) -> CardError | None:
    for event in reversed(history):
        if isinstance(event, Problem) and not _was_wanted(event):
            return CardError(event.at, redact(sentence(event)), redact(advice(event)))
    return None


def _was_wanted(event: Problem) -> bool:
    return isinstance(event, Closed) and (event.verdict is None or event.code == 1000)


def _expires_at(engine: Engine) -> float | None:
    credential = engine.publisher.auth.value
    provider = engine.auth.provider
    expires_at = provider.expires_at(credential) if isinstance(provider, SharedProvider) else None
    return jwt_expiry(credential) if expires_at is None else expires_at
