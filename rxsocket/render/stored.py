"""What a notebook has saved of a picture: kept as it was last seen.

::

    changes     ..::::::::::::::::::...........
    visible     ====================x
    saved       |         |         |             when it is shown, each 10 s, when it is hidden

A cell's output is saved with the notebook. It is made when the cell runs, and the front end is told
of a newer one by its display id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from rxsocket.render.drawing import Timer
from rxsocket.runtime.threads import log

EVERY = 10.0
"""Least seconds between two updates of what is saved, while it is shown."""
LOAD = 0.1
"""Largest part of the time for drawing it, where each cell's end updates it."""


class StoredOutput:
    """Keeps one saved output of a picture up to date.

    Args:
        static: Draws the picture for a page without script, by MIME type.
        publish: Replaces what is saved.
        first: What was saved at first.
        loop: The loop to draw on; left out, the thread that draws.
    """

    def __init__(
        self,
        static: Callable[[], dict[str, Any]],
        publish: Callable[[dict[str, Any]], None],
        first: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._static = static
        self._publish = publish
        self._last = first
        self._timer = Timer(self.store, loop)
        self._stored_at = self._timer.now()
        self._cost = 0.0
        self._is_held = False

    def on_change(self) -> None:
        """Save it when it is time to; from any thread."""
        if not self._is_held and self._timer.due is None:
            self._timer.set(max(0.0, self._stored_at + EVERY - self._timer.now()))

    def store_soon(self) -> None:
        """Save it now, as it is not looked at any more; from any thread."""
        if not self._is_held:
            self._timer.set(0.0)

    def hold(self, is_held: bool) -> None:
        """Let it be, while the user reads it: a front end that is told of it draws it anew."""
        self._is_held = is_held
        if is_held:
            self._timer.cancel()

    def store_at_end_of_cell(self) -> None:
        """Save it, but for what takes long to draw and was drawn just now."""
        if self._timer.now() - self._stored_at >= self._cost / LOAD:
            self.store()

    def store(self) -> None:
        """Save it, if it looks different."""
        began = self._timer.now()
        try:
            static = self._static()
        except Exception as error:  # a value of the user's is drawn, too
            log(logging.WARNING, "what is saved of a picture is not up to date", error=error)
            static = self._last
        self._stored_at = self._timer.now()
        self._cost = self._stored_at - began
        if static != self._last:
            self._last = static
            self._publish(static)
