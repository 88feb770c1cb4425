"""The widget that shows a view live, in a front end that can run its script.

What goes to the front end goes from the thread that draws, also while a cell runs; what comes from
it comes on whatever thread the kernel chooses. No state comes from it, only messages: what a user
types there is in no state, which may be saved.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import resources
from typing import Any, ClassVar

import anywidget
import traitlets
from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.explain.causes import describe
from rxsocket.render.redraw import INTERVAL, RedrawThrottle
from rxsocket.render.view import Rendering, TimeWindow, View
from rxsocket.runtime.threads import kernel_loop, running_loop

LONGEST = 200_000
"""Characters of a text that the front end is told."""


class LiveWidget(anywidget.AnyWidget):
    """Shows a view while a front end says that it is visible.

    Args:
        view: The view; it is not kept.
        kernel: The loop on which the front end's messages arrive; ``None`` if that is not known.
        on_change: Called when it looks different.
        on_rest: Called when nobody looks any more.
        on_hold: Called with whether somebody reads it just now, who is not to be disturbed.
    """

    _esm: ClassVar[str] = (
        resources.files("rxsocket.render").joinpath("live.js").read_text(encoding="utf-8")
    )
    _interval: ClassVar[float] = INTERVAL
    html = traitlets.Unicode("").tag(sync=True)
    span = traitlets.Float(None, allow_none=True).tag(sync=True)
    until = traitlets.Float(None, allow_none=True).tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)
    actions = traitlets.Any([]).tag(sync=True)
    key = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        view: View,
        kernel: asyncio.AbstractEventLoop | None,
        *,
        on_change: Callable[[], None],
        on_rest: Callable[[], None],
        on_hold: Callable[[bool], None],
    ) -> None:
        # The front end's registry keeps every widget for good, which must not keep the socket.
        self._view = weakref.ref(view)
        self._on_change, self._on_hold = on_change, on_hold
        self._window = TimeWindow()
        self._holders: set[str] = set()
        first = self._rendering = view.render(self._window)
        super().__init__(
            html=first.html,
            span=first.span,
            until=first.until,
            status=first.status,
            title=view.title,
            actions=[asdict(action) for action in view.actions],
        )
        self.key = str(self.model_id or "")
        self.throttle = RedrawThrottle(
            self._subscribe,
            self._render,
            self._show,
            kernel,
            interval=self._interval,
            beat=self._beat,
            on_rest=on_rest,
        )
        self.on_msg(self._on_message)  # pyright: ignore[reportUnknownMemberType]
        self.throttle.start()

    def close(self) -> None:
        self.throttle.suspend()
        super().close()

    def _subscribe(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        view = self._view()
        return Disposable() if view is None else view.subscribe_changes(on_change)

    # --- on the thread that draws

    def _render(self) -> Rendering:
        view = self._view()
        if view is None:
            return replace(self._rendering, redraw_after=None)
        self._rendering = view.render(self._window)
        return self._rendering

    def _show(self, rendering: Rendering) -> None:
        with self.hold_sync():
            self.span, self.until = rendering.span, rendering.until
            self.status = rendering.status
            self.html = rendering.html
        self._on_change()

    def _beat(self) -> None:
        self.send({"kind": "beat"})  # pyright: ignore[reportUnknownMemberType]

    # --- messages of the front end

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        match content:
            case {"kind": "visible", "viewer": str(viewer)}:
                self.throttle.on_visible(viewer)
            case {"kind": "hidden", "viewer": str(viewer)}:
                self.throttle.on_hidden(viewer)
            case {"kind": "hold", "viewer": str(viewer), "held": bool(held)}:
                self._hold(viewer, held)
            case {"kind": "zoom", "last": last, **more}:
                self._look_at(last, more.get("until"))
            case {"kind": "width", "width": int(width)}:
                if width != self._window.width:
                    self._window = replace(self._window, width=max(200, min(width, 4000)))
                    self.throttle.invalidate()
            case {"kind": "act", "name": str(name), "value": value}:
                self._act(name, value)
            case _:
                pass

    def _hold(self, viewer: str, held: bool) -> None:
        before = bool(self._holders)
        (self._holders.add if held else self._holders.discard)(viewer)
        if before != bool(self._holders):
            self._on_hold(not before)
            view = self._view()
            if view is not None:
                view.hold(not before)

    def _look_at(self, last: Any, until: Any) -> None:
        seconds = float(last) if isinstance(last, (int, float)) and last > 0 else None
        end = float(until) if isinstance(until, (int, float)) else None
        newest = self._rendering.newest
        if end is not None and (newest is None or end >= newest):
            end = None
        self._window = replace(self._window, last=seconds, until=end)
        self.throttle.invalidate()

    def _act(self, name: str, value: Any) -> None:
        """Do it on a thread of its own: it may wait for something."""

        def act() -> None:
            view = self._view()
            try:
                text = "it is not there any more" if view is None else view.act(name, value)
            except Exception as error:
                text = f"{type(error).__name__}: {describe(error)}"
            reply = {"kind": "reply", "name": name, "text": text[:LONGEST]}
            self.send(reply)  # pyright: ignore[reportUnknownMemberType]

        threading.Thread(target=act, name="rxsocket-drawing", daemon=True).start()


def loop_of_front_end() -> asyncio.AbstractEventLoop | None:
    """The loop on which messages of a front end arrive, if that is known."""
    return kernel_loop() or running_loop()
