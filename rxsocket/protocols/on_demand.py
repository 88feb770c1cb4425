"""What a protocol asks for over a socket, as Observables (C48)."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from reactivex import abc

from rxsocket.connection.decoding import why_undecodable
from rxsocket.errors import Undecodable
from rxsocket.events import TopicFailed
from rxsocket.socket import Socket
from rxsocket.streams.stream import CheckedObservable

T = TypeVar("T")


class OnDemand(CheckedObservable[T]):
    """What is asked for over a socket, anew by each subscription, as an Observable.

    It is awaited and iterated as streams are, and its observers are called on the socket's loop.

    Args:
        socket: The socket.
        name: What it is called, in errors.
        subscribe: Asks for an observer, and returns what ends that.
        is_lazy: Whether it is a mistake to make one and not to await it: nothing was asked then.
    """

    def __init__(
        self,
        socket: Socket[Any, Any],
        name: str,
        subscribe: Callable[[abc.ObserverBase[T]], abc.DisposableBase],
        *,
        is_lazy: bool = False,
    ) -> None:
        publisher = socket._engine.publisher  # pyright: ignore[reportPrivateUsage]
        super().__init__(name, origin=publisher.messages)
        self._ask = subscribe
        self._is_forgotten = is_lazy

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self._is_forgotten = False
        return self._ask(observer)

    def __del__(self) -> None:
        if getattr(self, "_is_forgotten", False):
            text = f"{self._name} was never awaited or subscribed to, so it was not sent"
            warnings.warn(text, RuntimeWarning, stacklevel=2)


class _Numbers:
    """The ids of one socket, whatever asks for them."""

    def __init__(self) -> None:
        self.count = itertools.count(1)


def numbers_of(socket: Socket[Any, Any]) -> Iterator[int]:
    """Numbers that nothing else of a protocol on this socket has."""
    engine = socket._engine  # pyright: ignore[reportPrivateUsage]
    with engine.loop.lock:
        numbers = engine.hooks.attached.setdefault(_Numbers, _Numbers())
    assert isinstance(numbers, _Numbers)
    return numbers.count


def as_read(socket: Socket[Any, Any], text: str) -> str:
    """A text of the server's, as it may be shown: in one line, without secrets (C28, C32)."""
    return socket._engine.publisher.history.as_read(text)  # pyright: ignore[reportPrivateUsage]


def undecodable(error: BaseException) -> Undecodable:
    """That data has not the type that was asked for, with nothing of the data (C28)."""
    return Undecodable(why_undecodable(error))


def publish_undecodable(socket: Socket[Any, Any], topic: str, error: BaseException) -> None:
    """Say so of a stream that goes on (C29)."""
    engine = socket._engine  # pyright: ignore[reportPrivateUsage]
    at = engine.loop.wall_time()
    engine.publisher.publish(TopicFailed(topic=topic, error=undecodable(error), at=at))
