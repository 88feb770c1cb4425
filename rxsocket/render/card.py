"""What a socket is doing, at one glance: the card that it shows as the last line of a cell.

A card as HTML: without script, style sheet or image, and legible without its styles, too.

A card as text.

The card of a socket in a notebook.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from reactivex import abc

from rxsocket.auth.expiry import jwt_expiry
from rxsocket.auth.shared_provider import SharedProvider
from rxsocket.engine.engine import Engine
from rxsocket.events import Closed, Connecting, Event, Problem
from rxsocket.explain.explanation import Explanation, explain
from rxsocket.explain.format import span
from rxsocket.explain.wording import advice, sentence
from rxsocket.render.activity import Record, Tape, excerpt, tape_of
from rxsocket.render.mimebundle import bundle
from rxsocket.render.scene import clock_time, colour_of
from rxsocket.render.timeline_model import Story, Token
from rxsocket.render.view import Drawn, View, Window
from rxsocket.state import State

__all__ = [
    "Card",
    "CardView",
    "Line",
    "Trouble",
    "card",
    "card_bundle",
    "card_html",
    "card_text",
    "facts",
    "static_card",
]

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
    publisher, now = engine.publisher, engine.loop.wall_time()
    record = tape.record(now - WINDOW)
    history = publisher.history.events
    mask: Callable[[str], str] = record.mask
    told: Explanation = explain(history, publisher.state.value, now)
    return Card(
        url=engine.options.address.shown,
        name=engine.options.name or "",
        state=told.state,
        now=now,
        since=told.since,
        doing=mask(told.why),
        next=mask(told.next),
        advice=mask(told.advice),
        notes=tuple(mask(note) for note in told.notes),
        credential=_token(record.story, now),
        expires=_expires(engine),
        epoch=_epoch(history),
        rate=_rate(record, tape.watched),
        received=record.count,
        latency=publisher.latency.value,
        messages=_messages(record),
        trouble=_trouble(history, mask),
    )


def _token(story: Story, now: float) -> Token:
    return story.tokens[-1] if story.tokens else Token(now, 0, "none yet")


def _epoch(history: tuple[Event, ...]) -> int:
    return next((one.epoch for one in reversed(history) if isinstance(one, Connecting)), 0)


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


def _trouble(history: tuple[Event, ...], mask: Callable[[str], str]) -> Trouble | None:
    for event in reversed(history):
        if isinstance(event, Problem) and not _was_wanted(event):
            return Trouble(event.at, mask(sentence(event)), mask(advice(event)))
    return None


def _was_wanted(event: Problem) -> bool:
    return isinstance(event, Closed) and (event.verdict is None or event.code == 1000)


def _expires(engine: Engine) -> float | None:
    credential = engine.publisher.auth.value
    provider = engine.auth.provider
    if isinstance(provider, SharedProvider):
        known = provider.expires_at(credential)
        if known is not None:
            return known
    return jwt_expiry(credential)


def card_text(card: Card) -> str:
    """A card in a few lines, for a terminal and for readers of text."""
    lines = [
        f"Socket {f'{card.name} ' if card.name else ''}{card.url}: {card.state.value}{_for(card)}"
    ]
    if card.doing:
        lines.append(f"  {card.doing}")
    lines.extend(f"  {name:<11}{text}" for name, text in facts(card))
    for name, text in (("next", card.next), ("you can", card.advice)):
        if text:
            lines.append(f"  {name:<11}{text}")
    lines.extend(f"  {'note':<11}{note}" for note in card.notes)
    if card.trouble is not None:
        ago = span(card.now - card.trouble.at)
        lines.append(f"  {'last error':<11}{card.trouble.text} ({ago} ago)")
    lines.extend(f"  {'←':<11}{line.text}" for line in card.messages)
    return "\n".join(lines)


def facts(card: Card) -> Iterator[tuple[str, str]]:
    """What can be said in a name and a word: credential, connection, rate, latency."""
    yield "credential", _credential(card)
    if card.epoch:
        yield "connection", str(card.epoch)
    if card.rate is not None:
        yield "messages", f"{_number(card.rate)}/s, {card.received:,} in all"
    if card.latency is not None:
        yield "latency", f"{card.latency * 1000:.1f} ms"


def _credential(card: Card) -> str:
    if card.expires is None:
        return card.credential.label
    left = card.expires - card.now
    when = f"expires in {span(left)}" if left > 0 else f"expired {span(-left)} ago"
    return f"{card.credential.label}, {when}"


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def _for(card: Card) -> str:
    return "" if card.since is None else f" for {span(card.now - card.since)}"


STATES: dict[State, tuple[str, str]] = {
    State.IDLE: ("#6e7781", "○"),
    State.CONNECTING: ("#56b4e9", "◔"),
    State.OPEN: ("#009e73", "●"),
    State.WAITING: ("#e69f00", "◑"),
    State.AWAITING_AUTH: ("#cc79a7", "◆"),
    State.CLOSED: ("#6e7781", "■"),
}
"""A colour that those who see colours differently can tell apart, and a sign of most fonts."""

BOX = (
    "font:13px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;max-width:760px;"
    "border:1px solid rgba(127,127,127,.35);border-left:4px solid {colour};border-radius:6px;"
    "padding:10px 14px;margin:2px 0;background:rgba(127,127,127,.05)"
)
MONO = "font:12px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
MUTED = "opacity:.72"
TABLE = "border-collapse:collapse;margin:6px 0 0;border:0;font:inherit;color:inherit"
CELL = "text-align:left;vertical-align:top;padding:1px 14px 1px 0;border:0;background:none"


def card_html(card: Card, zone: float) -> str:
    """Draw a card.

    Args:
        card: What to show.
        zone: Seconds that local time is ahead of UTC.
    """
    box = BOX.format(colour=STATES[card.state][0])
    return f'<div style="{box}">{"".join(_parts(card, zone))}</div>'


def _parts(card: Card, zone: float) -> Iterator[str]:
    colour, sign = STATES[card.state]
    since = ""
    name = ""
    if card.name:
        name = f'<strong style="margin-left:12px">{escape(card.name)}</strong>'
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
        f'{name}<code style="{MONO};margin-left:12px;background:none">{escape(card.url)}</code>'
        "</div>"
    )
    if card.doing:
        yield f'<div style="{MUTED}">{escape(card.doing)}</div>'
    yield f'<table style="{TABLE}">{_rows(card)}</table>'
    if card.messages:
        yield _messages_html(card, zone)
    if card.trouble is not None:
        yield _trouble_html(card)


def _rows(card: Card) -> str:
    rows = [_row(name, _fact(name, text, card)) for name, text in facts(card)]
    if card.next:
        rows.append(_row("next", escape(card.next)))
    if card.advice:
        rows.append(_row("you can", escape(card.advice)))
    rows.extend(_row("note", escape(note)) for note in card.notes)
    return "".join(rows)


def _row(name: str, html: str) -> str:
    return (
        f'<tr style="background:none"><th style="{CELL};font-weight:400;{MUTED}">{name}</th>'
        f'<td style="{CELL}">{html}</td></tr>'
    )


def _fact(name: str, text: str, card: Card) -> str:
    if name != "credential":
        return escape(text)
    number = card.credential.number
    badge = ""
    if number:
        fill, ink = colour_of(number)
        badge = (
            f'<span style="background:{fill};color:{ink};border-radius:8px;padding:0 7px;'
            f'margin-right:6px">{number}</span>'
        )
    left = None if card.expires is None else card.expires - card.now
    if left is None or left <= 0:
        return badge + escape(text)
    label = escape(card.credential.label)
    return f'{badge}{label}, expires in <span data-left="{left:.2f}">{span(left)}</span>'


def _messages_html(card: Card, zone: float) -> str:
    lines = "".join(
        f'<div style="white-space:nowrap;overflow:hidden;text-overflow:ellipsis">'
        f'<span style="{MUTED}">{clock_time(line.at, zone, 0.0)}</span> '
        f"{escape(line.text)}</div>"
        for line in card.messages
    )
    return (
        f'<div style="{MONO};margin-top:6px;border-top:1px solid rgba(127,127,127,.25);'
        f'padding-top:5px">{lines}</div>'
    )


def _trouble_html(card: Card) -> str:
    trouble = card.trouble
    if trouble is None:
        return ""
    age = card.now - trouble.at
    advice = f'<div style="{MUTED}">you can: {escape(trouble.advice)}</div>'
    said = trouble.advice in card.advice  # above, or there is none
    return (
        '<div style="margin-top:6px;border-top:1px solid rgba(127,127,127,.25);padding-top:5px">'
        f'<span style="color:#d55e00">✕</span> last error, <span data-age="{age:.2f}">{span(age)}'
        f"</span> ago: {escape(trouble.text)}{'' if said else advice}</div>"
    )


class CardView(View):
    """Draws the card of one socket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tape = tape_of(engine)

    def card(self) -> Card:
        """What it shows at this moment."""
        return card(self._engine, self._tape)

    def watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each thing that happened to the socket, until disposed."""
        return self._tape.watch(changed)

    def drawn(self, window: Window) -> Drawn:
        """Draw it."""
        now = self.card()
        # The rate sinks when nothing comes any more; ages are counted by the front end.
        return Drawn(card_html(now, _zone(now)), again=1.0 if now.rate else None)

    def static(self) -> dict[str, str]:
        """It as it is now, for a page without script and for text."""
        now = self.card()
        return {"text/plain": card_text(now), "text/html": card_html(now, _zone(now))}


def card_bundle(engine: Engine) -> dict[str, Any]:
    """The card of a socket in every form there is."""
    view = _view(engine)
    return bundle(view, view.static())


def static_card(engine: Engine) -> dict[str, str]:
    """The card of a socket as it is now: HTML and text."""
    return _view(engine).static()


def _view(engine: Engine) -> CardView:
    views = tape_of(engine).views
    view = views.get("card")
    if not isinstance(view, CardView):
        view = views["card"] = CardView(engine)
    return view


def _zone(shown: Card) -> float:
    return time.localtime(shown.now).tm_gmtoff
