"""The timeline: the marble diagram of what really happened to a socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.explain.format import amount
from rxsocket.render.activity import Tape, tape_of
from rxsocket.render.mimebundle import bundle
from rxsocket.render.scene import PAGE, Scene
from rxsocket.render.svg import svg
from rxsocket.render.timeline_scene import begin_of, end_of, picture
from rxsocket.render.view import Drawn, View, Window
from rxsocket.socket import Socket
from rxsocket.state import State
from rxsocket.validation import instance, more_than_zero

__all__ = ["Timeline", "timeline"]

LEAST = 0.05
"""Seconds that a picture spans at least."""
ROOM = 0.03
"""The part of a picture that is left free after the last thing that happened."""

EVERYTHING = Window()


class Timeline(View):
    """A picture of what happened to a socket. Made by :func:`timeline`.

    As the last line of a cell it is drawn; :meth:`svg` gives the picture for a file.
    """

    def __init__(self, socket: Socket[Any, Any], last: float | None) -> None:
        self._url = socket.url
        self._tape = _tape(socket)
        self._last = last
        self._remembering: abc.DisposableBase = Disposable()

    def svg(self, *, last: float | None = None) -> str:
        """The picture as SVG: it needs nothing else, has no script, and holds no secret (C28).

        Args:
            last: Only so many seconds before now; left out, what ``timeline()`` was given.
        """
        return svg(self.scene(Window(more_than_zero("last", last))))

    def scene(self, window: Window = EVERYTHING) -> Scene:
        """What the picture consists of, in a span of time."""
        record = self._tape.record()
        last = window.last or self._last
        running = self._tape.state not in (State.IDLE, State.CLOSED)
        first = begin_of(record)
        newest = record.now if running else end_of(record)
        end = newest - window.ago
        begin = first if last is None else end - last
        if not running and not window.ago:
            end += max((end - begin) * ROOM, LEAST)
        begin = min(begin, end - LEAST)
        return picture(self._url, record, begin, end, time.localtime(end).tm_gmtoff)

    def dispose(self) -> None:
        """Remember no more messages for this picture."""
        self._remembering.dispose()

    def remember(self) -> None:
        """Remember messages from now on."""
        before, self._remembering = self._remembering, self._tape.watch()
        before.dispose()

    def __repr__(self) -> str:
        record = self._tape.record()
        connections = amount(len(record.story.connections), "connection")
        return f"<Timeline {self._url}: {connections}, {amount(record.count, 'message')}>"

    # --- shown in a notebook

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return bundle(self, {"text/plain": repr(self), "image/svg+xml": self.svg()})

    def watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each thing that happened to the socket, until disposed."""
        return self._tape.watch(changed)

    def drawn(self, window: Window) -> Drawn:
        """Draw it for a page."""
        scene = self.scene(window)
        moves = self._tape.state not in (State.IDLE, State.CLOSED) and not window.ago
        again = 1.0 if moves else None
        return Drawn(svg(scene, PAGE), again, scene.end - scene.begin)


def timeline(socket: Socket[Any, Any], *, last: float | None = None) -> Timeline:
    """Draw what happened to a socket: its credentials, connections, messages, and what was sent.

    ::

        credential   1 token=*** ---------------|2 token=*** ----------
        connection   o=== connection 1 =========|-o=== connection 2 ===
                                      new credential
        messages     --1--2-----3------4------------5---6---7----------
        sent         -----^------------------------^-------------------

    It only looks: it does not connect, and keeps nobody connected (C1). Connections and credentials
    are known from before, too; messages are remembered from the first call on, in bounded memory:
    the longer ago, the coarser. Calling it again draws the same memory again. In a notebook with
    ``rxsocket[notebook]`` the picture is live, up to 4 times a second while somebody sees it, and
    can be zoomed; saved, it is SVG.

    Args:
        socket: What to look at.
        last: Only so many seconds before now.

    Raises:
        TypeError: If it is no socket.
        ValueError: If ``last`` is not more than 0.

    Examples:
        >>> timeline(socket)                    # as the last line of a cell
        >>> Path("what happened.svg").write_text(timeline(socket, last=60).svg())
    """
    instance("timeline(socket)", socket, Socket, "a Socket")
    last = more_than_zero("last", last)
    views = _tape(socket).views
    view = views.get(("timeline", last))
    if not isinstance(view, Timeline):
        view = views["timeline", last] = Timeline(socket, last)
    view.remember()
    return view


def _tape(socket: Socket[Any, Any]) -> Tape:
    return tape_of(socket._engine)  # pyright: ignore[reportPrivateUsage]
