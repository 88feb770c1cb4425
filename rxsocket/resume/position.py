"""Where a stream is, and what of it is missing (C38)."""

from __future__ import annotations

from typing import Any

MOST_BITS = 128
"""Of a sequence number; a larger one is taken for an id."""


class Position:
    """The newest place in a stream, and the highest of its numbers.

    The newest place is the one that came last, also when it is before the one that came before: a
    server that goes on from there repeats something at worst. One that went on from the highest
    would be silent where it has begun to count anew.

    Numbers are missing between the highest one and a higher one. One that is not higher is late, or
    comes twice, and nothing is missing; but the first of a connection that is not higher says that
    the server repeats, or counts anew: it is the highest from here on.

    ::

        connection   1----------x 2----------------x 3--------
        places       8  9  11  10  10  11  12          1  2  4
        newest       8  9  11  10  10  11  12          1  2  4
        highest      8  9  11  11  10  11  12          1  2  4
        missing            10                                3

    Args:
        start: The place to begin at; ``None`` for none.

    Attributes:
        newest: The place that came last; ``None`` before the first.
    """

    __slots__ = ("_epoch", "_highest", "newest")

    def __init__(self, start: Any = None) -> None:
        self.newest = start
        self._highest = start if _is_number(start) else None
        self._epoch: int | None = None

    def move(self, place: Any, epoch: int | None) -> tuple[int, int] | None:
        """Take the place of the next message.

        Args:
            place: The place, not ``None``.
            epoch: Number of the connection that it came over.

        Returns:
            The first and the last number that are missing before it, if any are.
        """
        is_first, highest = epoch != self._epoch, self._highest
        self.newest, self._epoch = place, epoch
        if type(place) is int and highest is not None and place == highest + 1:
            self._highest = place  # as nearly every one
            return None
        if not _is_number(place):
            self._highest = None
            return None
        if highest is None or place > highest or is_first:
            self._highest = place
        if highest is None or place <= highest + 1:
            return None
        return highest + 1, place - 1


def _is_number(place: Any) -> bool:
    return isinstance(place, int) and place.bit_length() <= MOST_BITS
