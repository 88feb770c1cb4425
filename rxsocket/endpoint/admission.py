"""When a socket of a fleet may dial: one owner for all sockets of one address says.

::

    socket   Connecting ── admit(beside) ····· Admitted ── credential ── dial ── answered ── gone
                            waits for its turn                       the server's answer   closed
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Admitted:
    """What a socket tells of a dial that it was admitted to, on its loop.

    Attributes:
        answered: Called when the server has answered the handshake, or never will; maybe again.
        gone: Called once, when nothing is left of the connection, or of the attempt.
    """

    answered: Callable[[], None]
    gone: Callable[[], None]


Admit: TypeAlias = Callable[[bool], Awaitable[Admitted | None]]
"""Returns when a socket may dial; told whether that is beside a connection that delivers."""
