"""How many of a thing, in words for people."""

from __future__ import annotations

__all__ = ["amount"]


def amount(count: int, thing: str) -> str:
    """Say how many there are.

    >>> amount(1, "message"), amount(2000, "message")
    ('1 message', '2,000 messages')
    """
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"
