"""Spans of time and numbers of things, as people say them."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400


def span(seconds: float) -> str:
    """A span in at most two units, no finer than people would read it.

    Examples:
        >>> span(0.42), span(12.3), span(125), span(850), span(7300), span(190_000)
        ('0.4 s', '12 s', '2 min 5 s', '14 min', '2 h 1 min', '2 d 4 h')
    """
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < 10 * MINUTE:
        return _two(whole, MINUTE, "min", 1, "s")
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return _two(whole, HOUR, "h", MINUTE, "min")
    return _two(whole, DAY, "d", HOUR, "h")


def _two(whole: int, large: int, name: str, small: int, smaller: str) -> str:
    first, rest = divmod(whole, large)
    return f"{first} {name}" + (f" {rest // small} {smaller}" if rest // small else "")


def amount(count: int, thing: str) -> str:
    """A number of things.

    >>> amount(1, "message"), amount(2000, "message")
    ('1 message', '2,000 messages')
    """
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
