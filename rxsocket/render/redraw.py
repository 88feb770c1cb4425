"""How often a live picture is drawn, and when it rests.

A picture is drawn at most 4 times a second, and only while it is visible::

    changes           ..:::.:::::::::::::::::::::::::::::::
    drawn             |   |   |   |   |   |           |   |
    beat              .       .       .               .
    front end         visible     visible     hidden  visible
    subscribed        ========================x       o====

The front end sends "visible" when the picture comes into sight, and again after an update if it has
not sent it for 5 s. It sends "hidden" when the picture goes out of sight. A front end that was
closed sends nothing: 15 s after an update without an answer, the picture is suspended, without a
subscription and without a timer.

The 15 s are counted on the kernel's own loop, where the answers arrive: a cell that keeps it busy
delays both. Everything else runs on the thread that draws, so that a busy cell does not stop the
picture, and drawing stops no socket. What changes seldom still has a beat, from which the front end
knows that the kernel is there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from reactivex import abc

from rxsocket.render.drawing import Timer
from rxsocket.render.view import Rendering
from rxsocket.runtime.threads import log

INTERVAL = 0.25
"""Least seconds between two drawings, where nothing else is said."""
LOAD = 0.2
"""Largest part of the time for drawing: a slow picture is drawn less often."""
VIEWER_TIMEOUT = 15.0
"""Seconds after an unanswered update until the front end counts as closed."""
BEAT = 2.0
"""Seconds without an update after which the front end is told that the kernel is there."""


class RedrawThrottle:
    """Decides when a live picture is drawn.

    Args:
        subscribe: Subscribes a callback to the changes of the picture.
        render: Draws it.
        show: Shows the drawing.
        kernel: The loop on which the front end's answers arrive; ``None`` if that is not known.
        loop: The loop to draw on; left out, the thread that draws.
        interval: Least seconds between two drawings.
        beat: Tells the front end that the kernel is there; left out, it is not told.
        on_rest: Called when it is suspended.

    Attributes:
        is_active: Whether it is subscribed to changes.
        drawings: The number of drawings so far.
    """

    def __init__(
        self,
        subscribe: Callable[[Callable[[], None]], abc.DisposableBase],
        render: Callable[[], Rendering],
        show: Callable[[Rendering], None],
        kernel: asyncio.AbstractEventLoop | None,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        interval: float = INTERVAL,
        beat: Callable[[], None] | None = None,
        on_rest: Callable[[], None] | None = None,
    ) -> None:
        self._subscribe = subscribe
        self._render = render
        self._show = show
        self._beat = beat
        self._on_rest = on_rest
        self._lock = threading.RLock()
        self._viewers: set[str] = set()
        self._subscription: abc.DisposableBase | None = None
        self._timer = Timer(self._redraw, loop)
        self._beat_timer = Timer(self._on_beat, loop)
        self._viewer_timer = Timer(self.suspend, kernel or loop)
        self._drawn_at = self._sent_at = float("-inf")
        self._least = self._interval = interval
        self._shown: Rendering | None = None
        self._has_failed = False
        self.is_active = False
        self.drawings = 0

    # --- messages of the front end, on whatever thread

    def start(self) -> None:
        """Draw it, and expect a front end to answer that it is visible."""
        self._activate()
        self._expect_answer()

    def on_visible(self, viewer: str) -> None:
        with self._lock:
            self._viewers.add(viewer)
        self._viewer_timer.cancel()
        self._activate()

    def on_hidden(self, viewer: str) -> None:
        with self._lock:
            self._viewers.discard(viewer)
            is_seen = bool(self._viewers)
        if not is_seen:
            self.suspend()

    def invalidate(self) -> None:
        """Draw and show it again, as it is to look different."""
        self._shown = None
        self._on_change()

    def suspend(self) -> None:
        """Unsubscribe from changes until it is visible again."""
        with self._lock:
            was_active, self.is_active = self.is_active, False
            self._viewers.clear()
            subscription, self._subscription = self._subscription, None
        for timer in (self._timer, self._beat_timer, self._viewer_timer):
            timer.cancel()
        if subscription is not None:
            subscription.dispose()
        if was_active and self._on_rest is not None:
            self._on_rest()

    # --- from any thread

    def _activate(self) -> None:
        with self._lock:
            if self.is_active:
                return
            self.is_active = True
        subscription = self._subscribe(self._on_change)
        with self._lock:
            is_active = self.is_active
            if is_active:
                self._subscription = subscription
        if not is_active:  # it was suspended meanwhile
            subscription.dispose()
            return
        self._on_change()
        if self._beat is not None:
            self._sent_at = float("-inf")
            self._beat_timer.set(0.0)

    def _on_change(self) -> None:
        """Schedule a drawing as early as allowed; called for every message."""
        due, earliest = self._timer.due, self._drawn_at + self._interval
        if (due is None or due > earliest) and self.is_active:
            self._timer.set(max(0.0, earliest - self._timer.now()))

    def _expect_answer(self) -> None:
        self._viewer_timer.set(VIEWER_TIMEOUT)

    # --- on the loop where it is drawn

    def _redraw(self) -> None:
        if not self.is_active:
            return
        self._drawn_at = self._timer.now()
        rendering = self._rendered()
        self.drawings += 1
        spent = self._timer.now() - self._drawn_at
        self._interval = max(self._least, spent / LOAD)
        if rendering is None or not self.is_active:
            return
        if self._shown is None or rendering.html != self._shown.html:
            self._shown = rendering
            self._show(rendering)
            self._sent_at = self._timer.now()
            self._expect_answer()
        if rendering.redraw_after is not None:
            self._timer.set(max(rendering.redraw_after, self._interval) - spent)

    def _rendered(self) -> Rendering | None:
        try:
            return self._render()
        except Exception as error:  # a value of the user's is drawn, too
            if not self._has_failed:
                self._has_failed = True
                log(logging.ERROR, "a live picture cannot be drawn", error=error)
            return None

    def _on_beat(self) -> None:
        if not self.is_active or self._beat is None:
            return
        if self._beat_timer.now() - self._sent_at >= BEAT:
            self._beat()
            self._sent_at = self._beat_timer.now()
            self._expect_answer()
        self._beat_timer.set(BEAT)
