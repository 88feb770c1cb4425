"""The dashboard: the pictures of one socket, below each other."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rxsocket.notebook.cards import card
from rxsocket.notebook.inspector import Inspector, inspect
from rxsocket.notebook.rates import Part, Rates, rates
from rxsocket.notebook.timeline import Timeline, timeline
from rxsocket.render.live_view import WIDGET, LiveView
from rxsocket.socket import Socket
from rxsocket.validation import instance


class Dashboard:
    """Card, timeline, rates and inspector of one socket. Made by :func:`dashboard`.

    Attributes:
        card: The card.
        timeline: The timeline.
        rates: The rates; ``None`` without ``by`` and ``time``, as the card has those of all.
        inspector: The inspector.
    """

    def __init__(self, socket: Socket[Any, Any], by: Part, time: Part) -> None:
        self.card = card(socket)
        self.timeline: Timeline = timeline(socket)
        self.inspector: Inspector = inspect(socket, by=by)
        has_rates = by is not None or time is not None
        self.rates: Rates | None = rates(socket, by, time=time) if has_rates else None
        self._widget: Any = None

    @property
    def widget(self) -> Any:
        """A ``VBox`` of ipywidgets with all of them, for layouts of other libraries.

        Raises:
            ModuleNotFoundError: Without ``rxsocket[notebook]``.
        """
        children = [view.widget for view in self._views]
        if self._widget is None:
            widgets: Any = import_module("ipywidgets")
            self._widget = widgets.VBox(children)
        return self._widget

    @property
    def _views(self) -> list[LiveView]:
        views = (self.card, self.timeline, self.rates, self.inspector)
        return [view for view in views if view is not None]

    def dispose(self) -> None:
        """Count and keep no more; what there is stays."""
        self.timeline.dispose()
        self.inspector.dispose()
        if self.rates is not None:
            self.rates.dispose()

    def static(self) -> dict[str, Any]:
        """All of them as they are now, as a page shows them and as text."""
        parts = [view.static() for view in self._views]
        pages = [part.get("text/html") or part.get("image/svg+xml", "") for part in parts]
        return {
            "text/plain": "\n\n".join(str(part["text/plain"]) for part in parts),
            "text/html": "".join(f"<div>{page}</div>" for page in pages),
        }

    def __repr__(self) -> str:
        return str(self.static()["text/plain"])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        try:
            bundle = self.widget._repr_mimebundle_()
        except ImportError:  # without rxsocket[notebook]
            return self.static()
        return self.static() | {WIDGET: bundle[WIDGET]}


def dashboard(socket: Socket[Any, Any], *, by: Part = None, time: Part = None) -> Dashboard:
    """Show a socket's card, timeline, rates and inspector in one.

    In a notebook with ``rxsocket[notebook]`` it is live; what is saved is a page without script. It
    holds no secret of the socket's credential (rule C28, secrets). What is counted for rates is
    subscribed to: it connects, if ``by`` or ``time`` is given; all else only looks
    (rule C1, lazy and shared).

    Args:
        socket: The socket.
        by: What messages are told apart by, in the rates and in the inspector: the name of a field
            or a function.
        time: Where a message says what time it is of; see ``rates()``.

    Raises:
        TypeError: If ``socket`` is not a ``Socket``, or ``by`` or ``time`` is no name or function.

    Examples:
        >>> dashboard(socket, by="symbol", time="ts")   # as the last line of a cell
    """
    instance("dashboard(socket)", socket, Socket, "a Socket")
    return Dashboard(socket, by, time)
