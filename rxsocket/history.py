"""The last events of a socket."""

from __future__ import annotations

from rxsocket.events import Event
from rxsocket.socket import Socket


def history(socket: Socket, last: int | None = None) -> tuple[Event, ...]:
    """The last events of a socket, oldest first: everything but messages.

    The last 100 are kept, from construction on, whether or not anybody subscribes; an ended socket
    has them, too. Those that lead to no state, such as failed sends, go first once they are the
    half, and the last of each kind stays. Credentials are masked in them as everywhere
    (rule C28, secrets). The exception of an ``ObserverFailed`` is kept as text, without its
    traceback. Safe to call from any thread.

    Args:
        socket: The socket.
        last: How many at most.

    Raises:
        TypeError: If ``socket`` is not a socket, or ``last`` not a whole number.
        ValueError: If ``last`` is negative.

    Examples:
        >>> for event in history(socket, 20):
        ...     print(event)
    """
    if not isinstance(socket, Socket):
        raise TypeError(f"history(socket): pass a Socket, not {type(socket).__name__}")
    if last is not None and (not isinstance(last, int) or isinstance(last, bool)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"last: pass a whole number or None, not {type(last).__name__}")
    if last is not None and last < 0:
        raise ValueError(f"last: pass 0 or more, or None for all that are kept, not {last}")
    events = socket._publisher.history.events  # pyright: ignore[reportPrivateUsage]
    return events if last is None else events[len(events) - min(last, len(events)) :]
