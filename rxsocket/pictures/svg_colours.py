"""Colours of pictures.

They are those of Okabe and Ito, which can be told apart by those who see colours differently; each
is named by a number or a text besides. A picture that is saved has a ground of its own, so that it
can be read on a dark page as on a light one; where it is shown live it takes the colours of the
page.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAULT", "PAGE", "PAPER", "Theme", "colour_of"]

PALETTE = (
    ("#0072b2", "#ffffff"),
    ("#e69f00", "#000000"),
    ("#009e73", "#ffffff"),
    ("#cc79a7", "#000000"),
    ("#56b4e9", "#000000"),
)
"""Colours of credentials and what is written on them."""
NEUTRAL = ("#8c959f", "#ffffff")
FAULT = "#d55e00"


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of the ground and of what is written on it."""

    paper: str
    ink: str
    muted: str
    line: str


PAPER = Theme("#ffffff", "#1f2328", "#59636e", "#d1d9e0")
"""For a picture that is saved."""
PAGE = Theme(
    "var(--rx-paper,#ffffff)",
    "var(--rx-ink,#1f2328)",
    "var(--rx-muted,#59636e)",
    "var(--rx-line,#d1d9e0)",
)
"""For one that is shown in a page: the page's own colours."""


def colour_of(number: int) -> tuple[str, str]:
    """The colour with a number and the one to write on it."""
    return PALETTE[(number - 1) % len(PALETTE)] if number else NEUTRAL
