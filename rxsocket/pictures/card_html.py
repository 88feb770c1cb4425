"""A card as HTML: without script, style sheet or image, and legible without its styles, too."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from rxsocket.explaining.durations import span
from rxsocket.pictures.card import Card
from rxsocket.pictures.card_text import facts
from rxsocket.pictures.svg_axis import clock_time
from rxsocket.pictures.svg_colours import colour_of
from rxsocket.states import State

__all__ = ["card_html"]

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
        yield _messages(card, zone)
    if card.trouble is not None:
        yield _trouble(card)


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


def _messages(card: Card, zone: float) -> str:
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


def _trouble(card: Card) -> str:
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
