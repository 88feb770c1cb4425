"""What stands between a transport and the socket, on each link alone (C48)."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.runtime.direct import DirectObservable
from rxsocket.transports.base import Signal


class LinkObserver(abc.ObserverBase[Signal]):
    """Passes on how a link ended, once; ``on_next`` is what a protocol does about the rest."""

    def __init__(self, observer: abc.ObserverBase[Signal]) -> None:
        self._observer = observer
        self._is_stopped = False

    def on_error(self, error: Exception) -> None:
        """The attempt failed."""
        if not self._is_stopped:
            self.stop()
            self._observer.on_error(error)

    def on_completed(self) -> None:
        """The link ended."""
        if not self._is_stopped:
            self.stop()
            self._observer.on_completed()

    def stop(self) -> None:
        """Pass on nothing more."""
        self._is_stopped = True


def observed(
    signals: Observable[Signal],
    link_observer: Callable[[abc.ObserverBase[Signal]], LinkObserver],
) -> Observable[Signal]:
    """The signals of a link as an observer around the socket's passes them on.

    Args:
        signals: Those of the transport.
        link_observer: Makes the observer for one link.
    """

    def subscribe(
        observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        between = link_observer(observer)
        dialled = signals.subscribe(between)

        def dispose() -> None:
            between.stop()
            dialled.dispose()

        return Disposable(dispose)

    return DirectObservable(subscribe)
