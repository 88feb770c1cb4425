"""What ``Fleet(weight=)`` says of channels, and what it raises (C41)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Weigh: TypeAlias = Callable[[Any], float]
"""Gives the bytes a second that are expected of a channel."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What was said of channels.

    Attributes:
        weights: What each is expected to bring, in bytes a second.
        unweighed: Those of which nothing is known, as this was raised.
        error: The first of what was raised, also of a channel of which the weight was known.
    """

    weights: Mapping[Hashable, float]
    unweighed: Mapping[Hashable, BaseException]
    error: BaseException | None


class Weights:
    """Asks for the weights of channels, and keeps what it was told last.

    Args:
        weight: What ``Fleet(weight=)`` was given.

    Attributes:
        function: The same, whose results are checked.
        known: The weights that it was told last.
    """

    def __init__(self, weight: Weigh) -> None:
        self.function = checked(weight)
        self.known: Mapping[Hashable, float] = {}

    def of(self, keys: Iterable[Hashable]) -> Weighed:
        """Ask for each of these, and forget all others."""
        weights: dict[Hashable, float] = {}
        unweighed: dict[Hashable, BaseException] = {}
        error: BaseException | None = None
        for key in keys:
            try:
                weights[key] = self.function(key)
            except BaseException as raised:  # of the user's function
                error = error or raised
                if key in self.known:
                    weights[key] = self.known[key]
                else:
                    unweighed[key] = raised
        self.known = weights
        return Weighed(weights, unweighed, error)


def checked(weight: Weigh) -> Weigh:
    """Check what the function returns.

    Raises:
        TypeError: If that is no number, when it is called.
        ValueError: If that is a number that cannot be used, likewise.
    """

    def weigh(key: Any) -> float:
        expected = weight(key)
        if isinstance(expected, bool) or not isinstance(expected, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(expected).__name__
            raise TypeError(f"weight(key): return a number of bytes a second, not {kind}")
        if not 0 <= expected < math.inf:  # nor NaN
            raise ValueError(f"weight(key): return 0 bytes a second or more, not {expected}")
        return expected

    return weigh
