"""A view in a front end, through anywidget."""

from __future__ import annotations

import asyncio
import sys
from importlib import resources
from typing import Any, ClassVar

import anywidget
import traitlets

from rxsocket.notebook.live_pace import Pace
from rxsocket.notebook.live_view import Drawn, View, Window

__all__ = ["LiveWidget", "widget_bundle"]

MIME = "application/vnd.jupyter.widget-view+json"


class LiveWidget(anywidget.AnyWidget):
    """Shows what a view draws, for as long as a front end says that it is seen.

    Args:
        view: What to show.
        kernel: The loop of the kernel.
    """

    _esm: ClassVar[str] = (
        resources.files("rxsocket.notebook").joinpath("live.js").read_text(encoding="utf-8")
    )
    html = traitlets.Unicode("").tag(sync=True)
    span = traitlets.Float(None, allow_none=True).tag(sync=True)

    def __init__(self, view: View, kernel: asyncio.AbstractEventLoop) -> None:
        self._window = Window()
        drawn = view.drawn(self._window)
        super().__init__(html=drawn.html, span=drawn.span)
        self.pace = Pace(view.watch, lambda: view.drawn(self._window), self._show, kernel)
        self.on_msg(self._told)  # pyright: ignore[reportUnknownMemberType]
        self.pace.begin()

    def close(self) -> None:
        """Stop following, and leave the front end."""
        self.pace.rest()
        super().close()

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
