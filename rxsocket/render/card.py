"""The card of a socket: its facts, as text and as HTML, and the view that a notebook shows.

The HTML has no script, style sheet or image, and can be read without its styles, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from reactivex import abc

from rxsocket.auth.expiry import jwt_expiry
from rxsocket.auth.shared_provider import SharedProvider
from rxsocket.engine.engine import Engine
from rxsocket.events import Closed, Connecting, Event, Problem
from rxsocket.explain.explanation import Explanation, explain
from rxsocket.explain.format import span
from rxsocket.explain.wording import advice, sentence
from rxsocket.render.activity import Activity, recorder_of
from rxsocket.render.live_view import LiveView
from rxsocket.render.preview import Redact, preview
from rxsocket.render.scene import FAULT, clock_time, colour_of
from rxsocket.render.timeline_model import CredentialUse
from rxsocket.render.view import Rendering, TimeWindow
from rxsocket.state import State
from rxsocket.stats import stats_of
from rxsocket.texts import markup

RATE_WINDOW = 5.0
"""Seconds over which the rate is taken."""
SHORTEST_RATE = 1.0
"""Seconds below which there is none: a few messages more or less would make too much of it."""
MESSAGES = 5
"""Messages that are shown."""

STATE_STYLES: dict[State, tuple[str, str]] = {
    State.IDLE: ("#6e7781", "○"),
    State.CONNECTING: ("#56b4e9", "◔"),
    State.OPEN: ("#009e73", "●"),
    State.WAITING: ("#e69f00", "◑"),
    State.AWAITING_AUTH: ("#cc79a7", "◆"),
    State.GATED: ("#0072b2", "◇"),
    State.CLOSED: ("#6e7781", "■"),
}
"""A colour of Okabe and Ito's, and a sign that most fonts have."""

BOX = (
    "font:13px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;max-width:760px;"
    "border:1px solid rgba(127,127,127,.35);border-left:4px solid {colour};border-radius:6px;"
    "padding:10px 14px;margin:2px 0;background:rgba(127,127,127,.05)"
)
MONO = "font:12px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
MUTED = "opacity:.72"
TABLE = "border-collapse:collapse;margin:6px 0 0;border:0;font:inherit;color:inherit"
CELL = "text-align:left;vertical-align:top;padding:1px 14px 1px 0;border:0;background:none"


@dataclass(frozen=True, slots=True)
class CardMessage:
    """The time of a message, and its first characters."""

    at: float
    text: str


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
    )


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
    return tuple(
        CardMessage(at, preview(payload, activity.redact)) for (at, _), payload in newest_first
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
    lines.extend(f"  {name:<11}{text}" for name, text in _facts(card))
    if card.last_error is not None:
        ago = span(card.now - card.last_error.at)
        lines.append(f"  {'last error':<11}{card.last_error.text} ({ago} ago)")
    lines.extend(f"  {'←':<11}{message.text}" for message in card.messages)
    return "\n".join(lines)


def _facts(card: Card) -> Iterator[tuple[str, str]]:
    yield "credential", _credential(card)
    if card.epoch:
        yield "connection", str(card.epoch)
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


def card_html(card: Card, zone: float) -> str:
    """Draw a card; ``zone`` is the seconds that local time is ahead of UTC."""
    box = BOX.format(colour=STATE_STYLES[card.state][0])
    return f'<div style="{box}">{"".join(_sections(card, zone))}</div>'


def _sections(card: Card, zone: float) -> Iterator[str]:
    colour, sign = STATE_STYLES[card.state]
    since = name = ""
    if card.name:
        name = f'<strong style="margin-left:12px">{markup(card.name)}</strong>'
    if card.since is not None:
        age = card.now - card.since
        at = clock_time(card.since, zone, 0.0)
        since = (
            f' <span style="{MUTED}">for <span data-age="{age:.2f}">{span(age)}</span>, '
            f"since {at}</span>"
        )
    yield (
        f'<div><span style="color:{colour};font-size:15px">{sign}</span> '
        f"<strong>{card.state.value}</strong>{since}"
        f'{name}<code style="{MONO};margin-left:12px;background:none">{markup(card.url)}</code>'
        "</div>"
    )
    if card.why:
        yield f'<div style="{MUTED}">{markup(card.why)}</div>'
    rows = "".join(_row(name, _fact_html(name, text, card)) for name, text in _facts(card))
    yield f'<table style="{TABLE}">{rows}</table>'
    if card.messages:
        yield _messages_html(card, zone)
    if card.last_error is not None:
        yield _error_html(card, card.last_error)


def _row(name: str, html: str) -> str:
    return (
        f'<tr style="background:none"><th style="{CELL};font-weight:400;{MUTED}">{name}</th>'
        f'<td style="{CELL}">{html}</td></tr>'
    )


def _fact_html(name: str, text: str, card: Card) -> str:
    if name != "credential":
        return markup(text)
    number = card.credential.number
    badge = ""
    if number:
        fill, text_colour = colour_of(number)
        badge = (
            f'<span style="background:{fill};color:{text_colour};border-radius:8px;padding:0 7px;'
            f'margin-right:6px">{number}</span>'
        )
    left = None if card.expires_at is None else card.expires_at - card.now
    if left is None or left <= 0:
        return badge + markup(text)
    label = markup(card.credential.label)
    return f'{badge}{label}, expires in <span data-left="{left:.2f}">{span(left)}</span>'


def _messages_html(card: Card, zone: float) -> str:
    lines = "".join(
        f'<div style="white-space:nowrap;overflow:hidden;text-overflow:ellipsis">'
        f'<span style="{MUTED}">{clock_time(message.at, zone, 0.0)}</span> '
        f"{markup(message.text)}</div>"
        for message in card.messages
    )
    return (
        f'<div style="{MONO};margin-top:6px;border-top:1px solid rgba(127,127,127,.25);'
        f'padding-top:5px">{lines}</div>'
    )


def _error_html(card: Card, error: CardError) -> str:
    age = card.now - error.at
    advice = ""
    if error.advice not in card.advice:  # else it stands above, or there is none
        advice = f'<div style="{MUTED}">you can: {markup(error.advice)}</div>'
    return (
        '<div style="margin-top:6px;border-top:1px solid rgba(127,127,127,.25);padding-top:5px">'
        f'<span style="color:{FAULT}">✕</span> last error, <span data-age="{age:.2f}">{span(age)}'
        f"</span> ago: {markup(error.text)}{advice}</div>"
    )


class CardView(LiveView):
    """Draws the card of one socket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        return recorder_of(self._engine).record_messages(on_change)

    def render(self, window: TimeWindow) -> Rendering:
        card = card_of(self._engine)
        # Without messages the rate still falls; ages are counted by the front end.
        return Rendering(
            card_html(card, _zone(card)),
            redraw_after=1.0 if card.rate or (card.rate is None and card.received) else None,
            status=f"{card.name or 'socket'}: {card.state.value}",
        )

    @property
    def title(self) -> str:
        return f"card of {self._engine.label}"

    def static(self) -> dict[str, Any]:
        """The card as it is now, for a page without script, and as text."""
        card = card_of(self._engine)
        return {"text/plain": card_text(card), "text/html": card_html(card, _zone(card))}


def card_view(engine: Engine) -> CardView:
    """The card of a socket; there is one, however often it is shown."""
    views = recorder_of(engine).views
    view = views.get("card")
    if not isinstance(view, CardView):
        view = views["card"] = CardView(engine)
    return view


def _zone(card: Card) -> float:
    return time.localtime(card.now).tm_gmtoff
