"""Functions that see, and may replace, everything that goes out or comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.callables import function, is_async
from rxsocket.publishing.publisher import Publisher

__all__ = ["Interceptor", "Interceptors"]

Interceptor: TypeAlias = Callable[[Any], Any]


class Interceptors:
    """The interceptors of one socket, called in the order they were added.

    An interceptor is given a value and returns the one to go on with. What is sent is intercepted
    before it is encoded, on the thread that sends it; one that raises makes that ``send`` raise.
    What comes in is intercepted once, before any stream has it (and once more while
    ``handover(ready="acknowledged")`` looks for answers in it); one that raises is reported on
    ``errors``, and that message goes no further. For one stream only, the same function is an
    operator as it is: ``socket.messages.pipe(ops.map(function))``.

    ::

        send             --1-----2----
        before_send        +1      +1
        on the wire      --2-----3----

    Examples:
        >>> stamped = socket.before_send(lambda message: {**message, "at": time.time()})
        >>> stamped.dispose()
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._out: tuple[Interceptor, ...] = ()

    def before_send(self, interceptor: Interceptor) -> abc.DisposableBase:
        """Add one for everything that is sent, until disposed."""
        one = _checked("before_send(function)", interceptor)
        self._out = (*self._out, one)

        def remove() -> None:
            self._out = tuple(other for other in self._out if other is not one)

        return Disposable(remove)

    def after_receive(self, interceptor: Interceptor) -> abc.DisposableBase:
        """Add one for everything that comes in, until disposed."""
        one = _checked("after_receive(function)", interceptor)
        publisher = self._publisher
        publisher.intercepted = (*publisher.intercepted, one)

        def remove() -> None:
            publisher.intercepted = tuple(
                other for other in publisher.intercepted if other is not one
            )

        return Disposable(remove)

    def coming_in(self, value: Any) -> Any:
        """What a value that came in becomes after all of them."""
        for interceptor in self._publisher.intercepted:
            value = interceptor(value)
        return value

    def going_out(self, value: Any) -> Any:
        """What a value that is sent has become after all of them."""
        for interceptor in self._out:
            value = interceptor(value)
        return value


def _checked(name: str, interceptor: Any) -> Interceptor:
    if is_async(interceptor):
        raise TypeError(f"{name}: pass a plain function; an async one would never be awaited")
    checked = function(name, interceptor)
    return lambda value: checked(value)  # an object of its own: it may be added twice
