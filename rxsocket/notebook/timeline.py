"""The timeline: a marble diagram of what a socket did."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable, SerialDisposable

from rxsocket.explain.format import amount
from rxsocket.notebook.marbles import EVERYTHING, MARGIN, SHORTEST, SceneView
from rxsocket.render.activity import recorder_of
from rxsocket.render.scene import Scene
from rxsocket.render.timeline_scene import first_time, last_time, timeline_scene
from rxsocket.render.view import TimeWindow
from rxsocket.socket import Socket
from rxsocket.state import State
from rxsocket.validation import instance, more_than_zero


class Timeline(SceneView):
    """A picture of what a socket did; it holds no secret (rule C28, secrets). Made by
    :func:`timeline`.

    As the last line of a cell it is drawn; ``svg()`` gives the picture for a file.
    """

    def __init__(self, socket: Socket[Any, Any], last: float | None) -> None:
        super().__init__(last)
        self._label = socket._engine.label  # pyright: ignore[reportPrivateUsage]
        self._recorder = recorder_of(socket._engine)  # pyright: ignore[reportPrivateUsage]
        self._recording = SerialDisposable()

    def scene(self, window: TimeWindow = EVERYTHING) -> Scene:
        """The content of the picture, in a span of time."""
        activity = self._recorder.activity()
        last = window.last or self._last
        newest = activity.now if self._is_running else last_time(activity)
        end = newest if window.until is None else min(window.until, newest)
        begin = first_time(activity) if last is None else end - last
        if not self._is_running and window.until is None:
            end += max((end - begin) * MARGIN, SHORTEST)
        begin = min(begin, end - SHORTEST)
        return timeline_scene(self._label, activity, begin, end, time.localtime(end).tm_gmtoff)

    def newest(self) -> float:
        """The wall time of the latest that it can show."""
        activity = self._recorder.activity()
        return activity.now if self._is_running else last_time(activity)

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"timeline of {self._label}"

    def record(self) -> None:
        """Record messages from now on, if they are not recorded already."""
        self._recording.disposable = self._recorder.record_messages()

    def dispose(self) -> None:
        """Record no more messages for this picture."""
        self._recording.disposable = Disposable()

    def __repr__(self) -> str:
        activity = self._recorder.activity()
        connections = amount(len(activity.model.connections), "connection")
        messages = amount(activity.received_count, "message")
        return f"<Timeline {self._label}: {connections}, {messages}>"

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each thing that the socket did, until disposed."""
        return self._recorder.record_messages(on_change)

    @property
    def _is_running(self) -> bool:
        return self._recorder.state not in (State.IDLE, State.CLOSED)


def timeline(socket: Socket[Any, Any], *, last: float | None = None) -> Timeline:
    """Draw what a socket did: its credentials, connections, messages, and what was sent.

    ::

        credential   1 token=*** ---------------|2 token=*** ----------
        connection   o=== connection 1 =========|-o=== connection 2 ===
                                      new credential
        messages     --1--2-----3------4------------5---6---7----------
        sent         -----^------------------------^-------------------

    It does not connect, and does not keep the socket connected (rule C1, lazy and shared). Earlier
    connections and credentials are in the picture, too; messages are recorded from the first call
    on, in bounded memory: the longer ago, the coarser. Calling it again draws the same recording.
    In a notebook with ``rxsocket[notebook]`` the picture is live and can be zoomed; it is drawn up
    to 4 times a second while it is visible. Saved, it is SVG.

    Args:
        socket: The socket.
        last: Only so many seconds before now.

    Raises:
        TypeError: If ``socket`` is not a ``Socket``.
        ValueError: If ``last`` is not more than 0.

    Examples:
        >>> timeline(socket)                    # as the last line of a cell
        >>> Path("what happened.svg").write_text(timeline(socket, last=60).svg())
    """
    instance("timeline(socket)", socket, Socket, "a Socket")
    last = more_than_zero("last", last)
    views = recorder_of(socket._engine).views  # pyright: ignore[reportPrivateUsage]
    view = views.get(("timeline", last))
    if not isinstance(view, Timeline):
        view = views["timeline", last] = Timeline(socket, last)
    view.record()
    return view
