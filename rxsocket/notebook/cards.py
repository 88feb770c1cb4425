"""The card of a socket, to be shown, kept or laid out."""

from __future__ import annotations

from typing import Any

from rxsocket.render.card_view import CardView, card_view
from rxsocket.socket import Socket
from rxsocket.validation import instance


def card(socket: Socket[Any, Any]) -> CardView:
    """The card that a socket shows as the last line of a cell, as an object.

    It neither connects nor keeps the socket connected (rule C1, lazy and shared), and holds no
    secret (rule C28, secrets). There is one for each socket.

    Args:
        socket: The socket.

    Raises:
        TypeError: If ``socket`` is not a ``Socket``.

    Examples:
        >>> card(socket).freeze()               # as the last line of a cell: this moment
        >>> VBox([card(socket).widget, timeline(socket).widget])
    """
    instance("card(socket)", socket, Socket, "a Socket")
    return card_view(socket._engine)  # pyright: ignore[reportPrivateUsage]
