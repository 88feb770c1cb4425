"""Parts of an object that are made when they are first asked for: most sockets need few of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["lazy", "made"]

T = TypeVar("T")


class lazy(Generic[T]):
    """A property that is made once, whatever threads ask for it at the same time.

    ``functools.cached_property`` may make two of them then, and one would be lost with all that it
    knows.

    Args:
        make: A method that returns the value.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> T | lazy[T]:
        if instance is None:
            return self
        made = vars(instance)  # where it is found without this method from then on
        with self._lock:
            if self._name not in made:
                made[self._name] = self._make(instance)
            value: T = made[self._name]
            return value


def made(instance: object, name: str) -> Any:
    """A part of an object if it was ever asked for, else ``None``."""
    return vars(instance).get(name)
