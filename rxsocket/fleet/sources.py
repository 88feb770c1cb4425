"""Where a fleet's credential and its set of channels come from (C41)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxsocket.auth.refresh import Refreshing
from rxsocket.runtime.loop import SocketLoop
from rxsocket.topics import asking
from rxsocket.validation import is_behavior, is_iterable, is_observable

FOR_EXAMPLE = "a list or a set of keys, or an Observable of these"


class SharedAuth:
    """The credential of all sockets: an Observable is subscribed to once, and shared.

    A value, a function or ``refreshing()`` is what each socket is given.

    Args:
        auth: What ``Fleet(auth=)`` was given.
        loop: The loop of the fleet.
        failed: Called with the error of the Observable.

    Attributes:
        for_sockets: What ``Socket(auth=)`` is given.
    """

    def __init__(self, auth: Any, loop: SocketLoop, failed: Callable[[Exception], None]) -> None:
        is_shared = is_observable(auth) and not isinstance(auth, Refreshing)
        self._source: Observable[Any] | None = auth if is_shared else None
        self._loop = loop
        self._failed = failed
        self._values: Subject[Any] = Subject()
        self._newest: list[Any] = []
        self.for_sockets: Any = auth
        if self._source is not None:
            self.for_sockets = Observable(self._subscribe)
            if is_behavior(self._source):
                self._newest = [self._source.value]

    def follow(self) -> abc.DisposableBase:
        """Follow the Observable, if it is one, until disposed."""
        if self._source is None:
            return Disposable()
        return self._source.subscribe(
            lambda value: self._loop.run(lambda: self._take(value)), self._failed
        )

    def pushed(self, value: Any) -> None:
        """Another credential was set; the Observable's is older."""
        self._newest = [value]

    def _take(self, value: Any) -> None:
        self._newest = [value]
        self._values.on_next(value)

    def _subscribe(
        self, observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        for value in self._newest:
            observer.on_next(value)
        return self._values.subscribe(observer)


def set_of_keys(name: str, keys: Any) -> tuple[Hashable, ...]:
    """Check what is wanted: each key counts once, where it came first. It may be empty.

    Raises:
        TypeError: If they are not several, or one cannot be looked up.
        ValueError: If ``None`` is among them.
    """
    if isinstance(keys, (str, bytes)) or not is_iterable(keys):
        raise TypeError(f"{name}: pass {FOR_EXAMPLE}, not {type(keys).__name__}")
    several = tuple(keys)
    for key in several:
        check_key(name, key)
    return tuple(dict.fromkeys(several))


def check_key(name: str, key: Any) -> None:
    """Check the key of a channel.

    Raises:
        TypeError: If it cannot be looked up.
        ValueError: If it is ``None``.
    """
    if key is None:
        raise ValueError(f"{name}: None is no key; it stands for a message that has none")
    asking.check_key(name, key)
