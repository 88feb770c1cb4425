"""What parts above the engine add to a socket: channels, requests, interceptors, pictures.

Everything that is called or kept inside and was put there from outside is listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from rxsocket.auth.credentials import Credential
from rxsocket.transports.base import Link

T = TypeVar("T")


class EarlyAnswers(Protocol):
    """The answers to what was subscribed to on a connection that does not deliver yet (C13)."""

    @property
    def is_asked(self) -> bool:
        """Whether everything was asked for: with ``limits=`` that takes its time (C36)."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether it was, and all answers came."""
        ...

    @property
    def waited(self) -> float:
        """Seconds that it waited until something might be asked for (C36)."""
        ...

    def on_message(self, message: Any) -> None: ...

    def stop(self) -> None:
        """Ask for nothing more: the connection delivers from now on, or is given up."""


class _NothingAsked:
    is_asked = is_complete = True
    waited = 0.0

    def on_message(self, message: Any) -> None:
        pass

    def stop(self) -> None:
        pass


def _no_frame(epoch: int) -> str | bytes | None:
    return None


def _has_no_frame(epoch: int) -> bool:
    return False


def _nothing_asked(
    link: Link, epoch: int, credential: Credential, on_asked: Callable[[], None]
) -> EarlyAnswers:
    return _NothingAsked()


def _no_cursor() -> Any:
    return None


def _has_no_place(place: Any) -> None:
    pass


SubscribeEarly: TypeAlias = Callable[[Link, int, Credential, Callable[[], None]], EarlyAnswers]


@dataclass(slots=True)
class Hooks:
    """What is called, on the loop of the socket unless it says otherwise, and what is kept.

    Attributes:
        next_frame: Given the number of the connection that is open: what channels ask for next,
            made as it is about to be written (C19, C22); ``None`` for nothing more.
        has_frame: Whether there is something like that.
        subscribe_early: Given a connection that does not deliver yet, and its credential:
            subscribes on it, and calls back when everything was asked for (C13).
        on_subscription: Called with the key of each channel that was asked for on the connection
            that delivers, and whether it is live: acknowledged, or there is no ``acknowledged=``.
        before_send: What goes out goes through these before it is encoded, on the thread that
            sends it (C20).
        after_receive: What comes in goes through these before any stream has it (C20).
        before_identity_change: Called before another identity's credential is used (C14).
        on_read: Called with the messages of each read, as they came, and the number of their
            connection; before anything is done with them.
        on_written: Called with messages that were handed to the transport, and the number of their
            connection where that is known. One in fragments is the iterable of these.
        on_place: Called with the newest place in the stream where it moves without a message.
        cursor: Gives the newest place in the stream, from any thread; ``None`` without one (C38).
        attached: One object of a class, kept as long as the socket: what pictures of it are made
            of.
    """

    next_frame: Callable[[int], str | bytes | None] = _no_frame
    has_frame: Callable[[int], bool] = _has_no_frame
    subscribe_early: SubscribeEarly = _nothing_asked
    on_subscription: Callable[[Any, bool], None] | None = None
    before_send: tuple[Callable[[Any], Any], ...] = ()
    after_receive: tuple[Callable[[Any], Any], ...] = ()
    before_identity_change: tuple[Callable[[], None], ...] = ()
    on_read: tuple[Callable[[list[str | bytes], int], None], ...] = ()
    on_written: tuple[Callable[[Sequence[Any], int | None], None], ...] = ()
    on_place: Callable[[Any], None] = _has_no_place
    cursor: Callable[[], Any] = _no_cursor
    attached: dict[type[Any], object] = field(default_factory=dict[type[Any], object])


def without(functions: tuple[T, ...], function: T) -> tuple[T, ...]:
    """The functions but one."""
    return tuple(other for other in functions if other is not function)
