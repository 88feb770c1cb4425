"""The widget of a plot: its lines are drawn in the browser, by uPlot.

uPlot is a script of 51 KB under the MIT licence, which lies beside this with its licence: a page
needs no network. With 4 lines of 1,400 points each, replaced 10 times a second in JupyterLab on two
cores, the browser used so much of one, and showed so many frames a second::

    library                            browser   kernel   frames a second   sent at first
    nothing                               6 %      0 %          59
    uPlot 1.6                            15 %      1 %          59            0.2 MB
    Plotly 7.1, FigureWidget             96 %     10 %          25            5.5 MB
    Plotly 7.1, WebGL without a GPU     111 %      3 %           3            5.5 MB
    Bokeh 3.9, jupyter_bokeh            121 %     29 %          31

Points go as binary messages, not as state: what is saved of a notebook does not hold them.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any, ClassVar

from rxsocket.render.chart import COLOURS, Chart, ChartView
from rxsocket.render.live import LiveWidget
from rxsocket.render.view import Rendering

_FILES = resources.files("rxsocket.render")


def _text(*path: str) -> str:
    return _FILES.joinpath(*path).read_text(encoding="utf-8")


class ChartWidget(LiveWidget):
    """Shows the lines of a view, with what :class:`LiveWidget` does for each."""

    _esm: ClassVar[str] = "\n".join(
        (_text("uplot", "uPlot.iife.min.js"), _text("chart.js"), _text("live.js"))
    )
    _css: ClassVar[str] = _text("uplot", "uPlot.min.css")
    _interval: ClassVar[float] = 0.1
    _sent: Chart | None = None

    def _render(self) -> Rendering:
        rendering = super()._render()
        view = self._view()
        if isinstance(view, ChartView):
            self._send_chart(view.chart(self._window))
        return rendering

    def _send_chart(self, chart: Chart) -> None:
        sent, self._sent = self._sent, replace(chart, points=())
        message: dict[str, Any] = {"kind": "window", "begin": chart.begin, "end": chart.end}
        if sent is not None and sent.version == chart.version:
            if (sent.begin, sent.end) != (chart.begin, chart.end):
                self.send(message)  # pyright: ignore[reportUnknownMemberType]
            return
        message |= {
            "kind": "points",
            "names": list(chart.names),
            "colours": COLOURS,
            "isTime": chart.is_time,
            "isZoomed": self._window.last is not None,
            "x": chart.x,
            "y": chart.y,
        }
        self.send(message, [part for line in chart.points for part in line])  # pyright: ignore[reportUnknownMemberType]

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        match content:
            case {"kind": "draw"}:  # a new view has nothing yet
                self._sent = None
                self.throttle.invalidate()
            case {"kind": "width" | "zoom"}:
                self._sent = None
                super()._on_message(_, content, __)
            case _:
                super()._on_message(_, content, __)
