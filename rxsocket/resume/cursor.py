"""What a socket is told of the places in its stream: ``cursor=`` (C38)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from rxsocket.validation import function_of_one, instance, is_async


@dataclass(frozen=True, slots=True)
class Cursor:
    """See :func:`cursor`.

    Attributes:
        place_of: Of an event stream, the place that the id of an event is: then it is that
            (rule C50, server-sent events).
    """

    function: Callable[[Any], Any]
    start: Hashable
    gaps: bool
    place_of: Callable[[str], Any] | None = None

    def first(self) -> Any:
        """The place to begin at."""
        return self.start

    def __repr__(self) -> str:  # a place may be long
        gaps = "" if self.gaps else ", gaps=False"
        return f"cursor({getattr(self.function, '__qualname__', 'a function')}{gaps})"


def cursor(
    function: Callable[[Any], Hashable | None], *, start: Hashable = None, gaps: bool = True
) -> Cursor:
    """Say what the place of a message in its stream is, to go on from there after a reconnect.

    ::

        messages     1--2--3--x       o--4--5--7--
        cursor       1--2--3-------------4--5--7--
        next dial             ?after=3
        errors       ------------------------(Missed 6)

    The newest place is given to what is made for the next connection: a function given as ``url=``
    or ``auth=`` finds it in ``Ask.cursor``; a carrier, and ``encode`` of ``first_message()``, get
    it as a second argument; a function given as ``subscribe=`` gets it, too. It stays when a
    connection ends without a message, when the socket ends, and when its credential is renewed. It
    is forgotten when the credential is another identity's (rule C14, identity).

    Args:
        function: Given a message as observers get it, its place: a sequence number, an id, a time;
            anything that can be hashed. ``None`` if it has none.
        start: The place to begin at, as it was stored by an earlier program.
        gaps: Whether a place that is a whole number, and more than one ahead of the one before it,
            is a ``Missed`` on ``errors``.

    Raises:
        TypeError: If an argument is of a wrong type.

    Examples:
        >>> Socket(lambda ask: f"wss://example.com/feed?after={ask.cursor or 0}",
        ...        codec=json_codec(), cursor=lambda message: message.get("seq"))
        >>> Socket(url, codec=json_codec(), cursor=cursor(lambda one: one["id"], start=stored))
    """
    example = "a function of a message, such as lambda message: message.get('seq')"
    function_of_one("cursor(function)", function, example)
    if is_async(function):
        raise TypeError("cursor(function): pass a plain function; an async one is never awaited")
    instance("cursor(gaps)", gaps, bool, "True or False")
    if start is not None:
        check_place("cursor(start)", start)
    return Cursor(function, start, gaps)


def cursor_or_none(given: Any) -> Cursor | None:
    """Check the argument ``cursor``.

    Raises:
        TypeError: If it is neither a function of a message nor a :class:`Cursor`.
    """
    if given is None or isinstance(given, Cursor):
        return given
    if given is cursor:
        raise TypeError("cursor: call it, cursor(function, start=...)")
    return cursor(given)


def check_place(argument: str, value: object) -> None:
    """Check that a value can be the place of a message.

    Raises:
        TypeError: If it cannot; the text does not show it.
    """
    if type(value) is int or type(value) is str:
        return
    if inspect.iscoroutine(value):
        value.close()  # nobody awaits it
    kind = type(value).__name__
    if isinstance(value, bool) or inspect.isawaitable(value) or callable(value):
        raise TypeError(f"{argument}: a place is a sequence number, an id or the like, not {kind}")
    try:
        hash(value)
        is_itself = bool(value == value)
    except Exception:
        is_itself = False
    if not is_itself:
        raise TypeError(f"{argument}: a place can be hashed and compared; this {kind} not")
