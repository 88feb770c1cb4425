"""The card of a socket as HTML: without script, style sheet or image.

It can be read without its styles, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rxsocket.explain.format import span
from rxsocket.render.card import Card, CardError, CardMessage, card_facts
from rxsocket.render.durations import sparkline
from rxsocket.render.scene import FAULT, clock_time, colour_of
from rxsocket.state import State
from rxsocket.texts import markup

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
    "font:13px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;max-width:min(100%,1000px);"
    "box-sizing:border-box;"
    "border:1px solid rgba(127,127,127,.35);border-left:4px solid {colour};border-radius:6px;"
    "padding:10px 14px;margin:2px 0;background:rgba(127,127,127,.05)"
)
MONO = "font:12px/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
MUTED = "opacity:.72"
TABLE = "border-collapse:collapse;margin:6px 0 0;border:0;font:inherit;color:inherit"
CELL = "text-align:left;vertical-align:top;padding:1px 14px 1px 0;border:0;background:none"


def card_html(
    card: Card, zone: float, *, is_live: bool = False, rates: Sequence[float] = ()
) -> str:
    """Draw a card.

    Args:
        card: Its facts.
        zone: Seconds that local time is ahead of UTC.
        is_live: Whether there is a kernel to ask for a whole message.
        rates: Messages a second, in the last seconds, oldest first.
    """
    box = BOX.format(colour=STATE_STYLES[card.state][0])
    return f'<div style="{box}">{"".join(_sections(card, zone, is_live, rates))}</div>'


def _sections(card: Card, zone: float, is_live: bool, rates: Sequence[float]) -> Iterator[str]:
    colour, sign = STATE_STYLES[card.state]
    since = name = ""
    if card.name:
        name = f' <strong style="margin-left:12px">{markup(card.name)}</strong>'
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
        f'{name} <code style="{MONO};margin-left:12px;background:none">{markup(card.url)}</code>'
        "</div>"
    )
    if card.why:
        yield f'<div style="{MUTED}">{markup(card.why)}</div>'
    rows = "".join(
        _row(name, _fact_html(name, text, card, rates)) for name, text in card_facts(card)
    )
    yield f'<table style="{TABLE}">{rows}</table>'
    if card.messages:
        yield _messages_html(card, zone, is_live)
    if card.last_error is not None:
        yield _error_html(card, card.last_error)


def _row(name: str, html: str) -> str:
    return (
        f'<tr style="background:none"><th style="{CELL};font-weight:400;{MUTED}">{name}</th>'
        f'<td style="{CELL}">{html}</td></tr>'
    )


def _fact_html(name: str, text: str, card: Card, rates: Sequence[float]) -> str:
    match name:
        case "credential":
            return _credential_html(text, card)
        case "messages" if rates:
            title = f"messages a second, in the last {len(rates)} s: at most {max(rates):,.0f}"
            return (
                f'{markup(text)} <span title="{title}" role="img" aria-label="{title}" '
                f'style="letter-spacing:0;opacity:.8">{sparkline(rates)}</span>'
            )
        case "next" if card.due is not None and card.due > card.now:
            left = card.due - card.now
            before, when, after = text.rpartition(span(left))
            counted = f'<span data-left="{left:.2f}">{when}</span>' if when else ""
            return f"{markup(before)}{counted}{markup(after)}"
        case _:
            return markup(text)


def _credential_html(text: str, card: Card) -> str:
    number = card.credential.number
    badge = ""
    if number:
        fill, text_colour = colour_of(number)
        badge = (
            f'<span style="background:{fill};color:{text_colour};border-radius:8px;padding:0 7px;'
            f'margin-right:6px">{number}</span> '
        )
    left = None if card.expires_at is None else card.expires_at - card.now
    if left is None or left <= 0:
        return badge + markup(text)
    label = markup(card.credential.label)
    return f'{badge}{label}, expires in <span data-left="{left:.2f}">{span(left)}</span>'


def _messages_html(card: Card, zone: float, is_live: bool) -> str:
    lines = "".join(
        f'<div style="white-space:nowrap;overflow:hidden;text-overflow:ellipsis">'
        f"{_whole_button(message) if is_live else ''}"
        f'<span style="{MUTED}">{clock_time(message.at, zone, 0.0)}</span> '
        f"{markup(message.text)}</div>"
        for message in card.messages
    )
    return (
        f'<div style="{MONO};margin-top:6px;border-top:1px solid rgba(127,127,127,.25);'
        f'padding-top:5px">{lines}</div>'
    )


def _whole_button(message: CardMessage) -> str:
    name = "show this message whole"
    return (
        f'<button type="button" data-act="message" data-value="{message.number}" '
        f'aria-label="{name}" title="{name}" style="font:inherit;color:inherit;cursor:pointer;'
        'border:0;background:none;padding:0 6px 0 0">▸</button>'
    )


def _error_html(card: Card, error: CardError) -> str:
    age = card.now - error.at
    advice = ""
    is_over = card.state is State.OPEN and card.since is not None and error.at <= card.since
    if error.advice not in card.advice and not is_over:  # else it stands above, or there is none
        advice = f'<div style="{MUTED}">you can: {markup(error.advice)}</div>'
    said = error.text.partition(": ")[2]
    text = "as said above" if said and said in card.why else error.text
    return (
        '<div style="margin-top:6px;border-top:1px solid rgba(127,127,127,.25);padding-top:5px">'
        f'<span style="color:{FAULT}">✕</span> last error, <span data-age="{age:.2f}">{span(age)}'
        f"</span> ago: {markup(text)}{advice}</div>"
    )
