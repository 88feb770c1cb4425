"""A view in a front end, through anywidget."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from typing import Any, ClassVar

import anywidget
import traitlets
from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.pictures.live_pace import Pace
from rxsocket.pictures.live_view import Drawn, View, Window

__all__ = ["LiveWidget", "widget_bundle"]

MIME = "application/vnd.jupyter.widget-view+json"


class LiveWidget(anywidget.AnyWidget):
    """Shows what a view draws, for as long as a front end says that it is seen.

    Args:
        view: What to show.
        kernel: The loop of the kernel.
    """

    _esm: ClassVar[str] = (
        resources.files("rxsocket.pictures").joinpath("live.js").read_text(encoding="utf-8")
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
    loop = _kernel_loop()
    if loop is None:
        return {}
    if view.widget is None:
        view.widget = LiveWidget(view, loop)
    else:
        view.widget.pace.begin()
    widget: LiveWidget = view.widget
    return {MIME: {"version_major": 2, "version_minor": 1, "model_id": widget.model_id}}


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    io_loop = getattr(getattr(shell, "kernel", None), "io_loop", None)
    loop: asyncio.AbstractEventLoop | None = getattr(io_loop, "asyncio_loop", None)
    return loop
