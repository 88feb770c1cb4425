"""What parts above the engine add to a socket: channels, requests, interceptors, pictures.

Everything that is called or kept inside and was put there from outside is listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from rxsocket.transports.base import Link

T = TypeVar("T")


class EarlyAnswers(Protocol):
    """The answers to what was subscribed to on a connection that does not deliver yet (C13)."""

    @property
    def is_complete(self) -> bool:
        """Whether all of them came."""
        ...

    def on_message(self, message: Any) -> None: ...


class _NothingAsked:
    is_complete = True

    def on_message(self, message: Any) -> None:
        pass


def _no_frames(epoch: int) -> Sequence[str | bytes]:
    return ()


def _no_cursor() -> Any:
    return None


def _nothing_asked(link: Link, epoch: int) -> EarlyAnswers:
    return _NothingAsked()


OpeningFrames: TypeAlias = Callable[[int], Sequence[str | bytes]]
SubscribeEarly: TypeAlias = Callable[[Link, int], EarlyAnswers]


@dataclass(slots=True)
class Hooks:
    """What is called, on the loop of the socket unless it says otherwise, and what is kept.

    Attributes:
        opening_frames: Given the number of a connection that opens: what is written on it before
            everything else (C19, C22).
        subscribe_early: Given a connection that does not deliver yet: subscribes on it (C13).
        before_send: What goes out goes through these before it is encoded, on the thread that
            sends it (C20).
        after_receive: What comes in goes through these before any stream has it (C20).
        before_identity_change: Called before another identity's credential is used (C14).
        on_written: Called with the number of messages that were handed to the transport.
        cursor: Gives the newest place in the stream, from any thread; ``None`` without one (C38).
        attached: One object of a class, kept as long as the socket: what pictures of it are made
            of.
    """

    opening_frames: OpeningFrames = _no_frames
    subscribe_early: SubscribeEarly = _nothing_asked
    before_send: tuple[Callable[[Any], Any], ...] = ()
    after_receive: tuple[Callable[[Any], Any], ...] = ()
    before_identity_change: tuple[Callable[[], None], ...] = ()
    on_written: tuple[Callable[[int], None], ...] = ()
    cursor: Callable[[], Any] = _no_cursor
    attached: dict[type[Any], object] = field(default_factory=dict[type[Any], object])


def without(functions: tuple[T, ...], function: T) -> tuple[T, ...]:
    """The functions but one."""
    return tuple(other for other in functions if other is not function)
