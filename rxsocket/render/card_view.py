"""The card of a socket as text and as HTML, and the view that a notebook shows.

The HTML has no script, style sheet or image, and can be read without its styles, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from reactivex import abc

from rxsocket.engine.engine import Engine
from rxsocket.explain.format import span
from rxsocket.render.activity import recorder_of
from rxsocket.render.card import Card, CardError, card_of
from rxsocket.render.mimebundle import mimebundle
from rxsocket.render.scene import FAULT, clock_time, colour_of
from rxsocket.render.view import Rendering, TimeWindow, View
from rxsocket.state import State

STATE_STYLES: dict[State, tuple[str, str]] = {
    State.IDLE: ("#6e7781", "○"),
    State.CONNECTING: ("#56b4e9", "◔"),
    State.OPEN: ("#009e73", "●"),
    State.WAITING: ("#e69f00", "◑"),
    State.AWAITING_AUTH: ("#cc79a7", "◆"),
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


def card_text(card: Card) -> str:
    """A card in a few lines, for a terminal and for readers of text."""
    name = f"{card.name} " if card.name else ""
    age = "" if card.since is None else f" for {span(card.now - card.since)}"
    lines = [f"Socket {name}{card.url}: {card.state.value}{age}"]
    if card.why:
        lines.append(f"  {card.why}")
    lines.extend(f"  {name:<11}{text}" for name, text in _facts(card))
    for name, text in (("next", card.next), ("you can", card.advice)):
        if text:
            lines.append(f"  {name:<11}{text}")
    lines.extend(f"  {'note':<11}{note}" for note in card.notes)
    if card.last_error is not None:
        ago = span(card.now - card.last_error.at)
        lines.append(f"  {'last error':<11}{card.last_error.text} ({ago} ago)")
    lines.extend(f"  {'←':<11}{message.text}" for message in card.messages)
    return "\n".join(lines)


def _facts(card: Card) -> Iterator[tuple[str, str]]:
    """What can be said in a name and a few words: credential, connection, rate, latency."""
    yield "credential", _credential(card)
    if card.epoch:
        yield "connection", str(card.epoch)
    if card.rate is not None:
        yield "messages", f"{_rate(card.rate)}/s, {card.received:,} in all"
    if card.latency is not None:
        yield "latency", f"{card.latency * 1000:.1f} ms"


def _credential(card: Card) -> str:
    if card.expires_at is None:
        return card.credential.label
    left = card.expires_at - card.now
    when = f"expires in {span(left)}" if left > 0 else f"expired {span(-left)} ago"
    return f"{card.credential.label}, {when}"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def card_html(card: Card, zone: float) -> str:
    """Draw a card.

    Args:
        card: What to show.
        zone: Seconds that local time is ahead of UTC.
    """
    box = BOX.format(colour=STATE_STYLES[card.state][0])
    return f'<div style="{box}">{"".join(_sections(card, zone))}</div>'


def _sections(card: Card, zone: float) -> Iterator[str]:
    colour, sign = STATE_STYLES[card.state]
    since = name = ""
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
    if card.why:
        yield f'<div style="{MUTED}">{escape(card.why)}</div>'
    yield f'<table style="{TABLE}">{_rows(card)}</table>'
    if card.messages:
        yield _messages_html(card, zone)
    if card.last_error is not None:
        yield _error_html(card, card.last_error)


def _rows(card: Card) -> str:
    rows = [_row(name, _fact(name, text, card)) for name, text in _facts(card)]
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
        fill, text_colour = colour_of(number)
        badge = (
            f'<span style="background:{fill};color:{text_colour};border-radius:8px;padding:0 7px;'
            f'margin-right:6px">{number}</span>'
        )
    left = None if card.expires_at is None else card.expires_at - card.now
    if left is None or left <= 0:
        return badge + escape(text)
    label = escape(card.credential.label)
    return f'{badge}{label}, expires in <span data-left="{left:.2f}">{span(left)}</span>'


def _messages_html(card: Card, zone: float) -> str:
    lines = "".join(
        f'<div style="white-space:nowrap;overflow:hidden;text-overflow:ellipsis">'
        f'<span style="{MUTED}">{clock_time(message.at, zone, 0.0)}</span> '
        f"{escape(message.text)}</div>"
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
        advice = f'<div style="{MUTED}">you can: {escape(error.advice)}</div>'
    return (
        '<div style="margin-top:6px;border-top:1px solid rgba(127,127,127,.25);padding-top:5px">'
        f'<span style="color:{FAULT}">✕</span> last error, <span data-age="{age:.2f}">{span(age)}'
        f"</span> ago: {escape(error.text)}{advice}</div>"
    )


class CardView(View):
    """Draws the card of one socket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        return recorder_of(self._engine).record_messages(on_change)

    def render(self, window: TimeWindow) -> Rendering:
        card = card_of(self._engine)
        # The rate sinks when nothing comes any more; ages are counted by the front end.
        return Rendering(card_html(card, _zone(card)), redraw_after=1.0 if card.rate else None)

    def static(self) -> dict[str, str]:
        """The card as it is now, for a page without script and for text."""
        card = card_of(self._engine)
        return {"text/plain": card_text(card), "text/html": card_html(card, _zone(card))}


def card_mimebundle(engine: Engine) -> dict[str, Any]:
    """The card of a socket in every form there is."""
    views = recorder_of(engine).views
    view = views.get("card")
    if not isinstance(view, CardView):
        view = views["card"] = CardView(engine)
    return mimebundle(view, view.static())


def _zone(card: Card) -> float:
    return time.localtime(card.now).tm_gmtoff
