"""The progress of a collector on standard error: a live line on a terminal, now and then in a pipe.

::

    12:00:10  Progress      4,998 of 5,000 channels live, 2 refused; 25 of 25 sockets open;
                            20,114 messages/s; 201,140 stored
"""

from __future__ import annotations

import sys
import time
from typing import Any

from rich.live import Live
from rich.text import Text

from rxsocket.cli.collect.counts import Counts
from rxsocket.cli.collect.telling import Damper, style_of, words_of
from rxsocket.cli.output import console, line
from rxsocket.explain.format import amount
from rxsocket.fleet import FleetStats

TERMINAL_INTERVAL = 0.25
"""Seconds between two updates on a terminal."""
PIPE_INTERVAL = 10.0
"""The same where the lines are kept."""


class CollectProgress:
    """Lines on standard error.

    Args:
        counts: What has become of the messages.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._console = console(sys.stderr)
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._console.is_terminal
            else None
        )
        self._damper = Damper()
        self._began = self._shown_at = self._told_at = time.monotonic()
        self._received = 0
        self._rate = 0.0
        self._was_complete = False

    def __enter__(self) -> CollectProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, item: Any) -> None:
        """A line about something that happened, unless there were many like it."""
        if self._damper.lets(item):
            at = getattr(item, "at", None)
            self._console.print(line(at, type(item).__name__, style_of(item), words_of(item)))

    def say(self, name: str, text: str, colour: str = "dim") -> None:
        """A line of the command itself."""
        self._console.print(line(None, name, colour, text))

    def show(self, stats: FleetStats) -> None:
        """Show how far it is, if it is time."""
        now = time.monotonic()
        is_complete = stats.wanted > 0 and not stats.waiting
        if is_complete and not self._was_complete:
            self.say("Complete", _channels(stats), "green")
        self._was_complete = is_complete
        if now - self._told_at >= PIPE_INTERVAL:
            self._told_at = now
            for text in self._damper.rest():
                self.say("Notice", text, "yellow")
            if self._live is None:
                self.say("Progress", self._words(stats, now))
        if self._live is not None and now - self._shown_at >= TERMINAL_INTERVAL:
            self._live.update(Text(self._words(stats, now), "dim"), refresh=True)

    def summarize(self) -> None:
        """The last line, of which the numbers add up."""
        took = time.monotonic() - self._began
        self.say("Summary", f"{self._counts.summary}, in {took:.1f} s")

    def _words(self, stats: FleetStats, now: float) -> str:
        passed, received = now - self._shown_at, self._counts.received
        self._rate = (received - self._received) / passed if passed else self._rate
        self._shown_at, self._received = now, received
        sockets = f"{stats.open:,} of {amount(stats.sockets, 'socket')} open"
        rate = f"{self._rate:,.0f} messages/s"
        return "; ".join((_channels(stats), sockets, rate, self._counts.words))


def _channels(stats: FleetStats) -> str:
    parts = [f"{stats.live:,} of {amount(stats.wanted, 'channel')} live"]
    for name in ("waiting", "refused", "left_out"):
        count: int = getattr(stats, name)
        if count:
            parts.append(f"{count:,} {name.replace('_', ' ')}")
    return ", ".join(parts)
