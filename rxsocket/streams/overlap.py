"""What came over an old connection and over a new one, too, by the keys of messages (C13).

::

    old   1  2  3  4  5
    new         3  4  5  6  7
                ^        ^
                a key of both: from here on nothing comes over the old one alone
                         its duplicates end
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator
from typing import Any

PATIENCE = 2.0
"""Seconds of silence after which an old connection has nothing more to say."""
DUPLICATES_WINDOW = 10.0
"""Seconds of reading, after the switch, in which a duplicate of the old one's may come."""

MAX_KEYS = 2**17
"""How many keys of an old connection's messages are kept."""
MAX_KEY_BYTES = 2**24
"""How many bytes they may have: ``dedupe`` may give whole messages."""


class RecentKeys:
    """The newest keys of messages; a server sends as many as it likes.

    Args:
        most: How many are kept.
        most_bytes: How many bytes they may have.
    """

    __slots__ = ("_bytes", "_most", "_most_bytes", "_sizes")

    def __init__(self, most: int = MAX_KEYS, most_bytes: int = MAX_KEY_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._sizes: dict[Any, int] = {}
        self._bytes = 0

    def add(self, key: Hashable) -> None:
        if key in self._sizes:
            return
        any_key: Any = key
        parts: Any = any_key if isinstance(key, tuple) else ()
        self._sizes[key] = size = sys.getsizeof(any_key) + sum(map(sys.getsizeof, parts))
        self._bytes += size
        while len(self._sizes) > self._most or self._bytes > self._most_bytes:
            self.discard(next(iter(self._sizes)))

    def discard(self, key: Hashable) -> None:
        self._bytes -= self._sizes.pop(key, 0)

    def discard_up_to(self, key: Hashable) -> None:
        """Forget a key, and those that were added before it; nothing if it is not there."""
        while key in self._sizes:
            self.discard(next(iter(self._sizes)))

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._sizes)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)


class Overlap:
    """Tells when an old connection and a new one had the same message, and which are duplicates.

    Args:
        most: How many keys of the old one are kept.
        most_bytes: How many bytes they may have.

    Attributes:
        old: The newest keys of the old one, without those that came over the new one since.
        new: The keys of what waits of the new one.
    """

    __slots__ = ("new", "old")

    def __init__(self, most: int = MAX_KEYS, most_bytes: int = MAX_KEY_BYTES) -> None:
        self.old = RecentKeys(most, most_bytes)
        self.new: set[Hashable] = set()

    def from_old(self, key: Hashable) -> bool:
        """A message came over the old one; return whether it came over the new one, too."""
        self.old.add(key)
        return key in self.new

    def from_new(self, key: Hashable) -> bool:
        """A message came over the new one, and waits; return whether the old one had it."""
        self.new.add(key)
        return key in self.old

    def is_duplicate(self, key: Hashable) -> bool:
        """Whether what came over the new one was delivered by the old one; ask once for each."""
        if key not in self.old:
            return False
        self.old.discard(key)
        return True


class Sequences:
    """Where sequences of messages meet that come over an old connection and over a new one.

    ::

        old    A4 A5          A6
        new       A2 A3 A4        met at A4: A2 and A3 are older than what was delivered
        old    B1
        new       B2              apart: nothing says yet which is older, or what is under way

    Args:
        of: What the messages of one sequence have in common, of their keys.

    Attributes:
        apart: The sequences of the old one without a message that both had.
    """

    __slots__ = ("_met", "_new", "_of", "apart")

    def __init__(self, of: Callable[[Any], Hashable]) -> None:
        self._of = of
        self._new: dict[Hashable, list[Hashable]] = {}  # the keys of each sequence of the new one
        self._met: dict[Hashable, set[Hashable]] = {}  # and those of them that both had
        self.apart: set[Hashable] = set()

    def from_old(self, key: Hashable, came_over_both: bool) -> None:
        """A message came over the old one."""
        sequence = self._of(key)
        if came_over_both:
            self._meet(sequence, key)
        elif sequence not in self._met:
            self.apart.add(sequence)

    def from_new(self, key: Hashable, came_over_both: bool) -> None:
        """A message came over the new one, and waits."""
        sequence = self._of(key)
        self._new.setdefault(sequence, []).append(key)
        if came_over_both:
            self._meet(sequence, key)

    def older(self) -> set[Hashable]:
        """The keys of the new one that are older than what the old one has delivered."""
        found: set[Hashable] = set()
        for sequence, keys in self._met.items():
            for key in self._new[sequence]:
                if key in keys:
                    break
                found.add(key)
        return found

    def _meet(self, sequence: Hashable, key: Hashable) -> None:
        self._met.setdefault(sequence, set()).add(key)
        self.apart.discard(sequence)
