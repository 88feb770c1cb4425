"""What the server is asked on a connection that does not deliver yet (C13, C22)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from rxsocket.transports.seam import Link

__all__ = ["Answers", "AskAhead", "nothing_asked"]


class Answers(Protocol):
    """The answers to what was asked."""

    @property
    def done(self) -> bool:
        """Whether all of them came."""
        ...

    def hear(self, message: Any) -> None:
        """Look at a message that came there, decoded."""
        ...


AskAhead: TypeAlias = Callable[[Link, int], Answers]
"""Given a connection and its number: asks there for what is wanted."""


class _Nothing:
    done = True

    def hear(self, message: Any) -> None:
        """There is nothing to answer."""


def nothing_asked(link: Link, epoch: int) -> Answers:
    """Ask for nothing."""
    return _Nothing()
