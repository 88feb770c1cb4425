"""A view in a front end, through anywidget.

How often a live picture is drawn: at most 4 times a second, and not at all when nobody sees it.

::

    things happen     ..:::.:::::::::::::::::::::::::::::::
    drawn             |   |   |   |   |   |           |   |
    front end         seen        seen        hidden  seen
    subscribed        ========================x       o====

The front end says "seen" when the picture comes into sight, and again when it got an update and has
not said so for 5 s. It says "hidden" when the picture goes out of sight. One that is gone says
nothing: 15 s after an update that nobody answered, the picture rests. It is subscribed to nothing
then, and has no timer.

The 15 s are counted on the kernel's own loop, where the answers come in: while a cell keeps that
busy, no answer can come, and none is missed. Everything else is on the thread that sockets share,
so that a busy cell does not stop the picture.
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

from rxsocket.render.view import Drawn, View, Window
from rxsocket.runtime.threads import background, kernel_loop

__all__ = ["INTERVAL", "PATIENCE", "LiveWidget", "Pace", "widget_bundle"]

INTERVAL = 0.25
"""Seconds between two drawings, at least."""
SHARE = 0.05
"""Of the loop's time that drawing may take: what takes long is drawn less often."""
PATIENCE = 15.0
"""Seconds after an unanswered update at which the front end is taken to be gone."""


class Pace:
    """Draws one live picture.

    Args:
        watch: Subscribes to what it is about: calls back after each change, until disposed.
        draw: Draws it.
        send: Shows what was drawn.
        kernel: The loop on which the front end's answers come in.
        loop: Where to draw; left out, the thread that sockets share, for as long as needed.

    Attributes:
        drawings: How often it was drawn.
    """

    def __init__(
        self,
        watch: Callable[[Callable[[], None]], abc.DisposableBase],
        draw: Callable[[], Drawn],
        send: Callable[[Drawn], None],
        kernel: asyncio.AbstractEventLoop,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._watch = watch
        self._draw = draw
        self._send = send
        self._kernel = kernel
        self._given = loop
        self._lock = threading.RLock()
        self._viewers: set[str] = set()
        self._awake = False
        self._watching: abc.DisposableBase | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._drawn_at = float("-inf")
        self._interval = INTERVAL
        self._last: Drawn | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._unanswered = False
        self.drawings = 0

    @property
    def awake(self) -> bool:
        """Whether it follows what happens; if not, it costs nothing."""
        return self._awake

    # --- what the front end says, on the kernel's loop

    def begin(self) -> None:
        """It is about to be shown, as far as anybody knows."""
        self._wake()
        self._expect_answer()

    def seen(self, viewer: str) -> None:
        """Somebody sees it."""
        self._viewers.add(viewer)
        self._unanswered = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._wake()

    def hidden(self, viewer: str) -> None:
        """Somebody sees it no more."""
        self._viewers.discard(viewer)
        if not self._viewers:
            self.rest()

    def refresh(self) -> None:
        """Draw it anew, because it is to look different."""
        with self._lock:
            self._last = None
        self._stir()

    def rest(self) -> None:
        """Follow nothing, until somebody sees it again."""
        with self._lock:
            self._awake = False
            self._viewers.clear()
            watching, self._watching = self._watching, None
            self._unanswered = False
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None
            loop = self._loop
        if watching is not None:
            watching.dispose()
        if loop is not None:
            with suppress(RuntimeError):  # it was closed
                loop.call_soon_threadsafe(self._disarm)

    # --- from any thread

    def _wake(self) -> None:
        with self._lock:
            if self._awake:
                return
            self._awake = True
        watching = self._watch(self._stir)
        with self._lock:
            self._watching = watching
        self._stir()

    def _stir(self) -> None:
        """Something changed; this is called for every message."""
        next_due = self._drawn_at + self._interval
        if self._due is None or self._due > next_due:
            self._arm(next_due)

    def _arm(self, due: float) -> None:
        with self._lock:
            if not self._awake:
                return
            if self._loop is None:
                self._loop = self._given or background.acquire()
            self._due = due
            self._loop.call_soon_threadsafe(self._set)

    # --- on the loop where it is drawn

    def _set(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._loop is not None and self._due is not None:
                due = max(self._due, self._loop.time())
                self._timer = self._loop.call_at(due, self._time)

    def _time(self) -> None:
        with self._lock:
            loop = self._loop
            if not self._awake or loop is None:
                return
            self._timer, self._due = None, None
            self._drawn_at = loop.time()
        drawn = self._draw()
        self.drawings += 1
        self._interval = max(INTERVAL, (loop.time() - self._drawn_at) / SHARE)
        if self._last is None or drawn.html != self._last.html:
            self._last = drawn
            self._send(drawn)
            self._expect_answer()
        if drawn.again is not None and self._due is None:
            self._arm(self._drawn_at + max(drawn.again, self._interval))
        elif self._due is None:
            self._disarm()

    def _disarm(self) -> None:
        with self._lock:
            if self._awake and self._due is not None:
                return
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due = None, None
            loop, self._loop = self._loop, None
        if loop is not None and self._given is None:
            background.release(loop)

    # --- is anybody there?

    def _expect_answer(self) -> None:
        if not self._unanswered:
            self._unanswered = True
            with suppress(RuntimeError):  # the kernel ends
                self._kernel.call_soon_threadsafe(self._be_patient)

    def _be_patient(self) -> None:
        if self._unanswered and self._patience is None:
            self._patience = self._kernel.call_later(PATIENCE, self.rest)


MIME = "application/vnd.jupyter.widget-view+json"


class LiveWidget(anywidget.AnyWidget):
    """Shows what a view draws, for as long as a front end says that it is seen.

    Args:
        view: What to show.
        kernel: The loop of the kernel.
    """

    _esm: ClassVar[str] = (
        resources.files("rxsocket.render").joinpath("live.js").read_text(encoding="utf-8")
    )
    html = traitlets.Unicode("").tag(sync=True)
    span = traitlets.Float(None, allow_none=True).tag(sync=True)

    def __init__(self, view: View, kernel: asyncio.AbstractEventLoop) -> None:
        # The front end's registry keeps every widget for good, which must not keep the socket.
        self._view = weakref.ref(view)
        self._window = Window()
        self._drawn = view.drawn(self._window)
        super().__init__(html=self._drawn.html, span=self._drawn.span)
        self.pace = Pace(self._watch, self._draw, self._show, kernel)
        self.on_msg(self._told)  # pyright: ignore[reportUnknownMemberType]
        self.pace.begin()

    def close(self) -> None:
        """Stop following, and leave the front end."""
        self.pace.rest()
        super().close()

    def _watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        view = self._view()
        return Disposable() if view is None else view.watch(changed)

    def _draw(self) -> Drawn:
        view = self._view()
        if view is not None:
            self._drawn = view.drawn(self._window)
        return self._drawn if view is not None else replace(self._drawn, again=None)

    def _show(self, drawn: Drawn) -> None:
        with self.hold_sync():
            self.span = drawn.span
            self.html = drawn.html

    def _told(self, _: Any, content: Any, __: Any) -> None:
        """The front end says something."""
        match content:
            case {"kind": "seen", "viewer": str(viewer)}:
                self.pace.seen(viewer)
            case {"kind": "hidden", "viewer": str(viewer)}:
                self.pace.hidden(viewer)
            case {"kind": "zoom", "last": last, "ago": float() | int() as ago}:
                positive = isinstance(last, (int, float)) and last > 0
                self._window = Window(float(last) if positive else None, max(0.0, float(ago)))
                self.pace.refresh()
            case _:
                pass


def widget_bundle(view: View) -> dict[str, Any]:
    """What a front end needs to show a view live; empty where there is no kernel."""
    loop = kernel_loop()
    if loop is None:
        return {}
    if view.widget is None:
        view.widget = LiveWidget(view, loop)
    else:
        view.widget.pace.begin()
    widget: LiveWidget = view.widget
    return {MIME: {"version_major": 2, "version_minor": 1, "model_id": widget.model_id}}
