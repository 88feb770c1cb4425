"""C54 on the wire: a socket goes on while a picture of it is drawn."""

from __future__ import annotations

import threading

from extras import needs
from reactivex import operators as ops

from rxsocket import Socket
from rxsocket.notebook import marbles
from rxsocket.testing import server

pytestmark = needs("anywidget")


def test_messages_come_while_a_picture_is_drawn() -> None:
    """Its first drawing waits for the last of 500 messages, which come meanwhile."""
    drawn, last = threading.Event(), threading.Event()
    threads: set[str] = set()
    outcome: list[bool] = []

    class Slow:
        def __repr__(self) -> str:
            threads.add(threading.current_thread().name)
            if not drawn.is_set():
                drawn.set()
                outcome.append(last.wait(20))
            return "value"

    def on_next(message: str | bytes) -> None:
        if message == "499":
            last.set()

    with server() as peer, Socket(peer.url) as socket:
        picture = marbles(socket.messages.pipe(ops.map(lambda _: Slow())))
        widget = picture.widget
        socket.messages.subscribe(on_next)
        socket.opened().result(10)
        peer.push("first")
        assert drawn.wait(20)
        for number in range(500):
            peer.push(str(number))
        assert last.wait(20)
        widget.close()
        picture.dispose()
    assert outcome == [True], "the socket waited for the picture"
    assert threads == {"rxsocket-drawing"}
