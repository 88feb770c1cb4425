"""Where labels go so that none covers another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["BOLD", "cut", "placed", "width_of"]

NARROW = frozenset(" !'()*,-./:;I[\\]`fijlrt|·")
BROAD = frozenset("%+<=>@MW_mw~—…")
GAP = 8.0
BOLD = 1.13
"""How much wider bold text is."""


def width_of(text: str) -> float:
    """About how wide a text of 11 px is, rather too wide than too narrow: fonts differ."""
    return sum(map(_width, text))


def _width(letter: str) -> float:
    if letter in NARROW:
        return 4.6
    if letter in BROAD:
        return 10.0
    if ord(letter) >= 0x2E80:  # as wide as tall, from here on
        return 11.0
    return 7.6 if letter.isupper() else 7.0


def cut(text: str, room: float) -> str:
    """As much of a text as there is room for."""
    if width_of(text) <= room:
        return text
    kept = text
    while kept and width_of(kept) > room - 10.0:
        kept = kept[:-1]
    return f"{kept}…"


def placed(
    labels: Sequence[tuple[float, str, bool]], left: float, right: float, lines: int
) -> Iterator[tuple[float, int, str, bool]]:
    """Place labels below what they are about.

    Urgent ones first, then from left to right; each on the first line where it has room, cut if it
    is longer than the room. What has no room anywhere is left out.

    Args:
        labels: Where each belongs, its text, whether it is urgent.
        left: Where the lines begin.
        right: Where they end.
        lines: How many there are.

    Returns:
        Where each begins, its line, its text, whether it is urgent.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(lines)]
    for x, text, urgent in sorted(labels, key=lambda label: (not label[2], label[0])):
        short = text if len(text) <= 28 else text[:27] + "…"
        wide = width_of(short) * (BOLD if urgent else 1.0)
        for line, spans in enumerate(taken):
            start = _room(x, wide, spans, left, right)
            if start is not None:
                spans.append((start, start + wide))
                yield start, line, short, urgent
                break


def _room(
    x: float, wide: float, spans: list[tuple[float, float]], left: float, right: float
) -> float | None:
    for start in (x - wide / 2, x - 4, x - wide + 4):
        inside = min(max(start, left), right - wide)
        free = all(inside >= end + GAP or inside + wide + GAP <= begin for begin, end in spans)
        if inside >= left and free:
            return inside
    return None
