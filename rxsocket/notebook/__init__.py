"""Pictures of sockets and streams in a notebook: ``rxsocket[notebook]``.

A socket that is the last line of a cell shows a card. Here are the pictures that are asked for.
"""

from rxsocket.notebook.marbles import Marbles, marbles
from rxsocket.notebook.timeline import Timeline, timeline

__all__ = ["Marbles", "Timeline", "marbles", "timeline"]
