"""The card of a socket: its facts, and these as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from rxsocket.auth.expiry import jwt_expiry
from rxsocket.auth.shared_provider import SharedProvider
from rxsocket.engine.engine import Engine
from rxsocket.events import Closed, Connecting, Event, Opened, Problem
from rxsocket.explain.explanation import Explanation, explain
from rxsocket.explain.format import span
from rxsocket.explain.wording import advice, sentence
from rxsocket.render.activity import Activity, recorder_of
from rxsocket.render.preview import Redact, preview
from rxsocket.render.timeline_model import CredentialUse
from rxsocket.stats import stats_of

RATE_WINDOW = 5.0
"""Seconds over which the rate is taken."""
SHORTEST_RATE = 1.0
"""Seconds below which there is none: a few messages more or less would make too much of it."""
MESSAGES = 5
"""Messages that are shown."""
WIDE, NARROW = 160, 72
"""Characters of a message that are shown, on a page and as text."""


@dataclass(frozen=True, slots=True)
class CardMessage:
    """The time of a message, its first characters, and which of those that were recorded it is."""

    at: float
    text: str
    number: int
    payload: Any = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CardError:
    """An error, its time, and how the user can mend it."""

    at: float
    text: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(Explanation):
    """An explanation of a socket and more facts; nothing in it is secret (C28).

    Attributes:
        url: The address, without user info or query values.
        name: The name of the socket, or an empty one.
        now: The wall time of the card.
        credential: The one in use, masked; its number is its colour in the timeline.
        expires_at: The wall time at which it expires, if known.
        epoch: Number of the connection or of the attempt; 0 before the first one.
        proxy: Address of the proxy that it goes through, without its password.
        rate: Messages a second, over the last 5 s or as long as it has been in sight; ``None`` in
            the first second of that, and where nobody looks.
        received: Messages that the socket has received, whoever looked; see ``socket.stats``.
        latency: Seconds between the last ping and its pong; ``None`` before the first.
        messages: The last ones, newest first.
        last_error: The last thing that went wrong.
        has_opened: Whether that connection opened; else it is an attempt.
    """

    url: str
    name: str
    now: float
    credential: CredentialUse
    expires_at: float | None
    epoch: int
    proxy: str | None
    rate: float | None
    received: int
    latency: float | None
    messages: tuple[CardMessage, ...]
    last_error: CardError | None
    has_opened: bool = True


def card_of(engine: Engine) -> Card:
    """The card of a socket at this moment; from any thread."""
    publisher, recorder, now = engine.publisher, recorder_of(engine), engine.loop.wall_time()
    activity = recorder.activity(now - RATE_WINDOW)
    history, forgotten = publisher.history.events, publisher.history.forgotten
    redact, paused = activity.redact, publisher.read_gate.explain()
    state, upcoming = publisher.state.value, engine.upcoming()
    stats = stats_of(engine)
    asked = engine.auth.source_problem(), engine.run_state.asking
    more = stats.outage, stats.waiting, *asked
    explanation = asdict(explain(history, state, now, forgotten, paused, upcoming, *more))
    explanation = {name: redact(value) for name, value in explanation.items()}
    explanation["notes"] = tuple(map(redact, explanation["notes"]))
    uses = activity.model.credentials
    attempt = next((one for one in reversed(history) if isinstance(one, Connecting)), None)
    return Card(
        **explanation,
        url=engine.addresses.shown,
        name=engine.options.name or "",
        now=now,
        credential=uses[-1] if uses else CredentialUse(now, 0, "none yet"),
        expires_at=_expires_at(engine),
        epoch=0 if attempt is None else attempt.epoch,
        proxy=None if attempt is None else attempt.proxy,
        rate=_messages_per_second(activity),
        received=stats.messages_received,
        latency=publisher.latency.value,
        messages=_messages(activity),
        last_error=_last_error(history, redact),
        has_opened=attempt is None or _has_opened(history, attempt.epoch),
    )


def _has_opened(history: tuple[Event, ...], epoch: int) -> bool:
    """Whether a connection opened; one that the history has forgotten did."""
    seen = any(isinstance(one, Connecting) and one.epoch == epoch for one in history)
    return not seen or any(isinstance(one, Opened) and one.epoch == epoch for one in history)


def _messages_per_second(activity: Activity) -> float | None:
    now, since = activity.now, activity.recording_since
    if since is None or now - since < SHORTEST_RATE:
        return None
    seconds = min(RATE_WINDOW, now - since)
    return sum(one.total for one in activity.received if one.start >= now - seconds) / seconds


def _messages(activity: Activity) -> tuple[CardMessage, ...]:
    last = activity.payloads[-MESSAGES:]
    arrivals = activity.arrivals[-len(last) :] if last else ()
    newest_first = zip(reversed(arrivals), reversed(last), strict=True)
    count, redact = activity.received_count, activity.redact
    return tuple(
        CardMessage(at, preview(payload, redact, WIDE), count - back, payload)
        for back, ((at, _), payload) in enumerate(newest_first)
    )


def _last_error(history: tuple[Event, ...], redact: Redact) -> CardError | None:
    for event in reversed(history):
        if isinstance(event, Closed) and (event.verdict is None or event.code == 1000):
            continue
        if isinstance(event, Problem):
            return CardError(event.at, redact(sentence(event)), redact(advice(event)))
    return None


def _expires_at(engine: Engine) -> float | None:
    credential = engine.publisher.auth.value
    provider = engine.auth.provider
    expires_at = provider.expires_at(credential) if isinstance(provider, SharedProvider) else None
    return jwt_expiry(credential) if expires_at is None else expires_at


def card_text(card: Card) -> str:
    name = f"{card.name} " if card.name else ""
    age = "" if card.since is None else f" for {span(card.now - card.since)}"
    lines = [f"Socket {name}{card.url}: {card.state.value}{age}"]
    if card.why:
        lines.append(f"  {card.why}")
    lines.extend(f"  {name:<11}{text}" for name, text in card_facts(card))
    if card.last_error is not None:
        ago = span(card.now - card.last_error.at)
        lines.append(f"  {'last error':<11}{card.last_error.text} ({ago} ago)")
    lines.extend(f"  {'←':<11}{_short(message.text)}" for message in card.messages)
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= NARROW else text[: NARROW - 1] + "…"


def card_facts(card: Card) -> Iterator[tuple[str, str]]:
    """The rows of a card: a name and a text each."""
    yield "credential", _credential(card)
    if card.epoch:
        yield "connection" if card.has_opened else "attempt", str(card.epoch)
    if card.proxy:
        yield "proxy", card.proxy
    if card.rate is not None or card.received:
        rate = "" if card.rate is None else f"{_rate(card.rate)}/s, "
        yield "messages", f"{rate}{card.received:,} in all"
    if card.latency is not None:
        yield "latency", f"{card.latency * 1000:.1f} ms"
    if card.next:
        yield "next", card.next
    if card.advice:
        yield "you can", card.advice
    for note in card.notes:
        yield "note", note


def _credential(card: Card) -> str:
    if card.expires_at is None:
        return card.credential.label
    left = card.expires_at - card.now
    when = f"expires in {span(left)}" if left > 0 else f"expired {span(-left)} ago"
    return f"{card.credential.label}, {when}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"
