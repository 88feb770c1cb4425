"""A card as text."""

from __future__ import annotations

from collections.abc import Iterator

from rxsocket.explaining.durations import span
from rxsocket.pictures.card import Card

__all__ = ["card_text", "facts"]


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
