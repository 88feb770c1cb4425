"""C56 on the wire: where the points of a plot are not joined, and rows by key."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

from extras import needs

from rxsocket import Socket, handover
from rxsocket.notebook import frame, plot
from rxsocket.testing import server

pytestmark = needs("numpy", "matplotlib", "pandas")


def shape(picture: Any) -> list[float | None]:
    """The values of its line; ``None`` where it is broken."""
    (line,) = picture.figure.axes[0].lines
    return [None if one != one else one for one in line.get_ydata()]


class Stage:
    """A socket with a plot and a table; what is said has come when ``say`` returns."""

    def __init__(self, peer: Any, socket: Socket[Any, Any]) -> None:
        self.peer, self.socket, self.count = peer, socket, 0
        self.plot = plot(socket.messages, y="v", window=None)
        self.table = frame(socket.messages, key="v")

    def say(self, *values: int) -> None:
        self.count += len(values)
        told = self.socket.messages
        got: list[Any] = []
        last = Event()

        def on_next(message: Any) -> None:
            got.append(message)
            if len(got) == len(values):
                last.set()

        listening = told.subscribe(on_next)
        self.peer.push(*(json.dumps({"v": value}) for value in values))
        assert last.wait(20)
        listening.dispose()


def test_points_are_not_joined_over_an_outage() -> None:
    with server() as peer, Socket(peer.url, codec="auto") as socket:
        stage = Stage(peer, socket)
        socket.opened().result(20)
        stage.say(1, 2)
        again = Event()
        watching = socket.opens.subscribe(lambda opened: again.set() if opened.epoch > 1 else None)
        socket.reconnect()
        assert again.wait(20)
        watching.dispose()
        stage.say(3)
        assert shape(stage.plot) == [1, 2, None, 3]
        stage.plot.dispose()
        stage.table.dispose()


def test_points_are_joined_where_one_connection_takes_over() -> None:
    """A change of the credential without a gap is no outage."""
    with (
        server(tokens={"a", "b"}) as peer,
        Socket(
            peer.url,
            auth={"token": "a"},
            codec="auto",
            on_auth_change=handover(),
            identity=lambda _: "the same",
        ) as socket,
    ):
        stage = Stage(peer, socket)
        socket.opened().result(20)
        stage.say(1, 2)
        socket.set_auth({"token": "b"}).result(20)
        stage.say(3)
        assert shape(stage.plot) == [1, 2, 3]
        stage.plot.dispose()
        stage.table.dispose()


def test_the_latest_row_of_each_key() -> None:
    with server() as peer, Socket(peer.url, codec="auto") as socket:
        stage = Stage(peer, socket)
        socket.opened().result(20)
        stage.say(1, 2, 1)
        df = stage.table.df
        assert list(df["v"]) == [1, 2]
        assert list(df["connection"]) == [1, 1]
        assert "2 of 3 values, the latest of each key" in repr(stage.table)
        stage.plot.dispose()
        stage.table.dispose()
