"""What has become of the messages: each is counted where it came, and once more where it went.

::

    received = stored + duplicate + failed + dropped + under way
"""

from __future__ import annotations

from typing import Any

from rxsocket.explain.format import amount
from rxsocket.sinks import Dropped, Duplicate, Failed, Stored


class Counts:
    """Counted on one loop, read from any thread.

    Attributes:
        received: What the fleet delivered.
        stored: What the sink has.
        duplicate: What it had before.
        failed: What it refused, or could not be reached for.
        dropped: What was not tried, as too much waited.
    """

    def __init__(self) -> None:
        self.received = self.stored = self.duplicate = self.failed = self.dropped = 0

    def on_message(self, message: Any) -> None:
        self.received += 1

    def on_outcome(self, outcome: Any) -> None:
        match outcome:
            case Stored():
                self.stored += 1
            case Duplicate():
                self.duplicate += 1
            case Failed():
                self.failed += 1
            case Dropped(count=count):
                self.dropped += count
            case _:
                pass

    @property
    def under_way(self) -> int:
        """What has come, and nobody knows of yet what became of it."""
        return self.received - self.stored - self.duplicate - self.failed - self.dropped

    @property
    def words(self) -> str:
        """What became of them, without what did not happen."""
        parts = [f"{self.stored:,} stored"]
        for name in ("duplicate", "failed", "dropped"):
            count: int = getattr(self, name)
            if count:
                parts.append(f"{count:,} {name}")
        return ", ".join(parts)

    @property
    def summary(self) -> str:
        """All of them, in numbers that add up."""
        parts = [f"{getattr(self, name):,} {name}" for name in _BECAME]
        if self.under_way:
            parts.append(f"{self.under_way:,} of which nothing is known")
        return f"{amount(self.received, 'message')} received: {', '.join(parts)}"


_BECAME = ("stored", "duplicate", "failed", "dropped")
