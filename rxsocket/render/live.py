"""Live pictures in a notebook: a widget, and how often it is drawn.

A picture is drawn at most 4 times a second, and only while it is visible::

    changes           ..:::.:::::::::::::::::::::::::::::::
    drawn             |   |   |   |   |   |           |   |
    front end         visible     visible     hidden  visible
    subscribed        ========================x       o====

The front end sends "visible" when the picture comes into sight, and again after an update if it has
not sent it for 5 s. It sends "hidden" when the picture goes out of sight. A front end that was
closed sends nothing: 15 s after an update without an answer, the picture is suspended, without a
subscription and without a timer.

The 15 s are counted on the kernel's own loop, where the answers arrive: a cell that keeps it busy
delays both. Everything else runs on the thread that sockets share, so that a busy cell does not
stop the picture.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from typing import Any, ClassVar

import anywidget
import traitlets
from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.render.view import Rendering, TimeWindow, View
from rxsocket.runtime.threads import background, kernel_loop

INTERVAL = 0.25
"""Least seconds between two drawings."""
LOAD = 0.05
"""Largest part of the loop's time for drawing: a slow picture is drawn less often."""
VIEWER_TIMEOUT = 15.0
"""Seconds after an unanswered update until the front end counts as closed."""
MIME = "application/vnd.jupyter.widget-view+json"


class RedrawThrottle:
    """Decides when a live picture is drawn.

    Args:
        subscribe: Subscribes a callback to the changes of the picture.
        render: Draws it.
        show: Shows the drawing.
        kernel: The loop on which the front end's answers arrive.
        loop: The loop to draw on; left out, the thread that sockets share, while needed.

    Attributes:
        is_active: Whether it is subscribed to changes.
        drawings: The number of drawings so far.
    """

    def __init__(
        self,
        subscribe: Callable[[Callable[[], None]], abc.DisposableBase],
        render: Callable[[], Rendering],
        show: Callable[[Rendering], None],
        kernel: asyncio.AbstractEventLoop,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._subscribe = subscribe
        self._render = render
        self._show = show
        self._kernel = kernel
        self._given_loop = loop
        self._lock = threading.RLock()
        self._viewers: set[str] = set()
        self._subscription: abc.DisposableBase | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._drawn_at = float("-inf")
        self._interval = INTERVAL
        self._shown: Rendering | None = None
        self._viewer_timer: asyncio.TimerHandle | None = None
        self._awaits_answer = False
        self.is_active = False
        self.drawings = 0

    # --- messages of the front end, on the kernel's loop

    def start(self) -> None:
        """Draw it, and expect a front end to answer that it is visible."""
        self._activate()
        self._expect_answer()

    def on_visible(self, viewer: str) -> None:
        self._viewers.add(viewer)
        self._stop_waiting()
        self._activate()

    def on_hidden(self, viewer: str) -> None:
        self._viewers.discard(viewer)
        if not self._viewers:
            self.suspend()

    def invalidate(self) -> None:
        """Draw and show it again, as it is to look different."""
        with self._lock:
            self._shown = None
        self._on_change()

    def suspend(self) -> None:
        """Unsubscribe from changes until it is visible again."""
        with self._lock:
            self.is_active = False
            self._viewers.clear()
            subscription, self._subscription = self._subscription, None
            self._stop_waiting()
            loop = self._loop
        if subscription is not None:
            subscription.dispose()
        if loop is not None:
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(self._release_loop)

    # --- from any thread

    def _activate(self) -> None:
        with self._lock:
            if self.is_active:
                return
            self.is_active = True
        subscription = self._subscribe(self._on_change)
        with self._lock:
            self._subscription = subscription
        self._on_change()

    def _on_change(self) -> None:
        """Schedule a drawing as early as allowed; called for every message."""
        next_due = self._drawn_at + self._interval
        if self._due is None or self._due > next_due:
            self._schedule(next_due)

    def _schedule(self, due: float) -> None:
        with self._lock:
            if not self.is_active:
                return
            if self._loop is None:
                self._loop = self._given_loop or background.acquire()
            self._due = due
            self._loop.call_soon_threadsafe(self._start_timer)

    # --- on the loop where it is drawn

    def _start_timer(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._loop is not None and self._due is not None:
                due = max(self._due, self._loop.time())
                self._timer = self._loop.call_at(due, self._redraw)

    def _redraw(self) -> None:
        with self._lock:
            loop = self._loop
            if not self.is_active or loop is None:
                return
            self._timer, self._due = None, None
            self._drawn_at = loop.time()
        rendering = self._render()
        self.drawings += 1
        self._interval = max(INTERVAL, (loop.time() - self._drawn_at) / LOAD)
        if self._shown is None or rendering.html != self._shown.html:
            self._shown = rendering
            self._show(rendering)
            self._expect_answer()
        if rendering.redraw_after is not None and self._due is None:
            self._schedule(self._drawn_at + max(rendering.redraw_after, self._interval))
        elif self._due is None:
            self._release_loop()

    def _release_loop(self) -> None:
        with self._lock:
            if self.is_active and self._due is not None:
                return
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due = None, None
            loop, self._loop = self._loop, None
        if loop is not None and self._given_loop is None:
            background.release(loop)

    # --- whether the front end is still there

    def _expect_answer(self) -> None:
        if not self._awaits_answer:
            self._awaits_answer = True
            with suppress(RuntimeError):  # the kernel ends
                self._kernel.call_soon_threadsafe(self._start_waiting)

    def _start_waiting(self) -> None:
        if self._awaits_answer and self._viewer_timer is None:
            self._viewer_timer = self._kernel.call_later(VIEWER_TIMEOUT, self.suspend)

    def _stop_waiting(self) -> None:
        self._awaits_answer = False
        if self._viewer_timer is not None:
            self._viewer_timer.cancel()
            self._viewer_timer = None


class LiveWidget(anywidget.AnyWidget):
    """Shows a view while a front end says that it is visible."""

    _esm: ClassVar[str] = (
        resources.files("rxsocket.render").joinpath("live.js").read_text(encoding="utf-8")
    )
    html = traitlets.Unicode("").tag(sync=True)
    span = traitlets.Float(None, allow_none=True).tag(sync=True)

    def __init__(self, view: View, kernel: asyncio.AbstractEventLoop) -> None:
        # The front end's registry keeps every widget for good, which must not keep the socket.
        self._view = weakref.ref(view)
        self._window = TimeWindow()
        self._rendering = view.render(self._window)
        super().__init__(html=self._rendering.html, span=self._rendering.span)
        self.throttle = RedrawThrottle(self._subscribe, self._render, self._show, kernel)
        self.on_msg(self._on_message)  # pyright: ignore[reportUnknownMemberType]
        self.throttle.start()

    def close(self) -> None:
        self.throttle.suspend()
        super().close()

    def _subscribe(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        view = self._view()
        return Disposable() if view is None else view.subscribe_changes(on_change)

    def _render(self) -> Rendering:
        view = self._view()
        if view is None:
            return replace(self._rendering, redraw_after=None)
        self._rendering = view.render(self._window)
        return self._rendering

    def _show(self, rendering: Rendering) -> None:
        with self.hold_sync():
            self.span = rendering.span
            self.html = rendering.html

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        match content:
            case {"kind": "visible", "viewer": str(viewer)}:
                self.throttle.on_visible(viewer)
            case {"kind": "hidden", "viewer": str(viewer)}:
                self.throttle.on_hidden(viewer)
            case {"kind": "zoom", "last": last, "ago": float() | int() as ago}:
                positive = isinstance(last, (int, float)) and last > 0
                self._window = TimeWindow(float(last) if positive else None, max(0.0, float(ago)))
                self.throttle.invalidate()
            case _:
                pass


def widget_mimebundle(view: View) -> dict[str, Any]:
    """The part of a MIME bundle that shows a view live; empty without a kernel."""
    kernel = kernel_loop()
    if kernel is None:
        return {}
    if view.widget is None:
        view.widget = LiveWidget(view, kernel)
    else:
        view.widget.throttle.start()
    widget: LiveWidget = view.widget
    return {MIME: {"version_major": 2, "version_minor": 1, "model_id": widget.model_id}}
