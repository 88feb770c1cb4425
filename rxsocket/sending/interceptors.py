"""What messages pass on their way: interceptors that may replace them, and ``outgoing`` (C20)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.hooks import Hooks, without
from rxsocket.runtime.threads import as_exception
from rxsocket.validation import function, is_async

Interceptor: TypeAlias = Callable[[Any], Any]


class Interceptors:
    """The interceptors of one socket, called in the order they were added.

    An interceptor is given a value and returns the one to go on with; one that returns nothing has
    forgotten to, which is a ``TypeError``. What is sent is intercepted before it is encoded, on the
    thread that sends it; one that raises makes that ``send`` raise. What comes in is intercepted
    once, before any stream has it (and once more while ``handover(ready="acknowledged")`` looks for
    answers in it); one that raises is reported on ``errors``, and that message goes no further. For
    one stream only, the same function is an operator as it is:
    ``socket.messages.pipe(ops.map(function))``.

    ::

        send             --1-----2----
        before_send        +1      +1
        on the wire      --2-----3----

    Examples:
        >>> stamped = socket.before_send(lambda message: {**message, "at": time.time()})
        >>> stamped.dispose()
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def before_send(self, interceptor: Interceptor) -> abc.DisposableBase:
        """Add one for everything that is sent, until disposed."""
        hooks, added = self._hooks, _checked("before_send(function)", interceptor)
        hooks.before_send = (*hooks.before_send, added)

        def remove() -> None:
            hooks.before_send = without(hooks.before_send, added)

        return Disposable(remove)

    def after_receive(self, interceptor: Interceptor) -> abc.DisposableBase:
        """Add one for everything that comes in, until disposed."""
        hooks, added = self._hooks, _checked("after_receive(function)", interceptor)
        hooks.after_receive = (*hooks.after_receive, added)

        def remove() -> None:
            hooks.after_receive = without(hooks.after_receive, added)

        return Disposable(remove)


def _checked(name: str, interceptor: Any) -> Interceptor:
    if is_async(interceptor):
        raise TypeError(f"{name}: pass a plain function; an async one would never be awaited")
    checked = function(name, interceptor)

    def intercept(value: Any) -> Any:  # an object of its own: it may be added twice
        result = checked(value)
        if result is None and value is not None:
            shown = getattr(checked, "__qualname__", type(checked).__name__)
            raise TypeError(f"{name}: {shown} returned None; return the message that is to go on")
        return result

    return intercept


class Outgoing(abc.ObserverBase[Any]):
    """Sends every value of a stream; ``socket.outgoing``.

    The stream's end is not the socket's: its completion does nothing, its error is reported on
    ``errors``. So is every message that is not sent.

    ::

        numbers    --1--2--X
        sent       --1--2----
        errors     --------e-

    Examples:
        >>> readings.pipe(ops.map(json.dumps)).subscribe(socket.outgoing)
    """

    def __init__(
        self, send: Callable[[Any], object], not_sent: Callable[[Exception], None]
    ) -> None:
        self._send = send
        self._not_sent = not_sent

    def on_next(self, value: Any) -> None:
        """Send a value."""
        try:
            self._send(value)
        except BaseException as error:  # what cannot be sent is no reason to stop the stream
            self._not_sent(as_exception(error))

    def on_error(self, error: Exception) -> None:
        """Report it: nothing more comes from that stream."""
        self._not_sent(error)

    def on_completed(self) -> None:
        """Nothing more comes from that stream; the socket goes on."""
