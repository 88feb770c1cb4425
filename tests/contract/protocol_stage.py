"""What the tests of protocols share: stages that are closed at the end, and an observer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from rxsocket import Socket
from rxsocket.testing import VirtualClock

__all__ = ["Heard", "stages"]


class HasSocket(Protocol):
    @property
    def socket(self) -> Socket[Any, Any]: ...


S = TypeVar("S", bound=HasSocket)


def stages(clock: VirtualClock, stage: Callable[..., S]) -> Iterator[Callable[..., S]]:
    """Make stages for a test, and close their sockets behind it."""
    made: list[S] = []

    def make(*scripts: Any, **options: Any) -> S:
        made.append(stage(clock, *scripts, **options))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()
    clock.advance(3.0)


class Heard:
    """What an observer got: values, then ``"completed"`` or the error."""

    def __init__(self, observable: Any) -> None:
        self.values: list[Any] = []
        add = self.values.append
        self.subscription = observable.subscribe(add, add, lambda: add("completed"))

    @property
    def error(self) -> Any:
        return self.values[-1]

    @property
    def types(self) -> list[str]:
        """The types of the messages."""
        return [getattr(value, "type", type(value).__name__) for value in self.values]
