"""Exploring sockets and streams in a notebook: ``rxsocket[notebook]``.

A socket that is the last line of a cell shows a card. Here are pictures of sockets and of streams,
and ways to explore what streams emit.
"""

from rxsocket.notebook.asking import ask
from rxsocket.notebook.cards import card
from rxsocket.notebook.dashboard import Dashboard, dashboard
from rxsocket.notebook.frames import Frame, frame
from rxsocket.notebook.inspecting.rows import InspectedRow
from rxsocket.notebook.inspector import Inspector, inspect
from rxsocket.notebook.marbles import Marbles, marbles
from rxsocket.notebook.peeking import peek
from rxsocket.notebook.plots import Plot, plot
from rxsocket.notebook.rates import Rate, Rates, rates
from rxsocket.notebook.timeline import Timeline, timeline
from rxsocket.runtime.cells import keep
from rxsocket.schema import Schema, schema

__all__ = [
    "Dashboard",
    "Frame",
    "InspectedRow",
    "Inspector",
    "Marbles",
    "Plot",
    "Rate",
    "Rates",
    "Schema",
    "Timeline",
    "ask",
    "card",
    "dashboard",
    "frame",
    "inspect",
    "keep",
    "marbles",
    "peek",
    "plot",
    "rates",
    "schema",
    "timeline",
]
