"""One socket that is measured: its events and pings, told to the instruments and as spans.

::

    engine ── lifecycle, latency ── Measurement ─┬─ histograms
       │                                         └─ spans
       └── counters ── read when somebody collects: Instruments
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from reactivex import Observer, abc

from rxsocket.engine.engine import Engine
from rxsocket.events import (
    Aborted,
    Closed,
    ConnectFailed,
    Connecting,
    Event,
    Opened,
    Rejected,
)
from rxsocket.metrics.attributes import CAUSE, Attributes, of_error, of_socket
from rxsocket.metrics.instruments import Instruments, instruments_of
from rxsocket.metrics.spans import Spans
from rxsocket.runtime.threads import exit_soon, log
from rxsocket.version import VERSION


class Measurement(abc.DisposableBase):
    """What is measured of one socket for one provider, until it is disposed.

    Args:
        engine: The running parts of the socket, which it does not keep.
        meter_provider: Who collects.
        tracer_provider: Who gets the spans.
    """

    def __init__(
        self, engine: Engine, meter_provider: MeterProvider, tracer_provider: TracerProvider
    ) -> None:
        self._engine = weakref.ref(engine)
        self._instruments = instruments = instruments_of(meter_provider)
        self._attributes = attributes = of_socket(engine)
        self._spans = Spans(tracer_provider.get_tracer("rxsocket", VERSION), attributes)
        self._began: dict[int, float] = {}
        self._has_failed = self._is_disposed = False
        # The hubs keep what is subscribed; from here it would keep the socket.
        self._events: weakref.ref[abc.DisposableBase] | None = None
        self._latency: weakref.ref[abc.DisposableBase] | None = None
        others = _measurements_of(engine)
        if (earlier := others.get(instruments)) is not None:
            earlier.dispose()
        others[instruments] = self
        self._remove = instruments.add(engine, attributes)
        lifecycle = engine.publisher.lifecycle
        self._events = weakref.ref(
            lifecycle.add_observer(Observer(self._on_event), is_passive=True)
        )
        self._follow_latency()

    def dispose(self) -> None:
        if self._is_disposed:
            return
        self._is_disposed = True
        for reference in (self._events, self._latency):
            subscription = None if reference is None else reference()
            if subscription is not None:
                subscription.dispose()
        self._remove()
        engine = self._engine()
        if engine is not None:
            others = _measurements_of(engine)
            if others.get(self._instruments) is self:
                del others[self._instruments]
            at = engine.loop.wall_time()
            engine.loop.run(lambda: self._guarded(lambda: self._spans.stop(at)))

    def _follow_latency(self) -> None:
        """Record each ping from now on, also after the socket has ended and was started again."""
        engine = self._engine()
        if engine is None or self._is_disposed:
            return
        is_first = True  # that was before

        def on_latency(seconds: float | None) -> None:
            nonlocal is_first
            was_first, is_first = is_first, False
            if seconds is not None and not was_first:
                self._record(self._instruments.ping_duration, seconds)

        def on_end() -> None:
            ended = self._engine()
            if ended is not None:
                ended.loop.run(self._follow_latency)

        observer = Observer(on_latency, on_completed=on_end)
        subscription = engine.publisher.latency.add_observer(observer, is_passive=True)
        self._latency = weakref.ref(subscription)

    def _on_event(self, event: Event) -> None:
        self._guarded(lambda: self._spans.on_event(event))
        engine = self._engine()
        if engine is not None:
            self._guarded(lambda: self._on_lifecycle(event, engine.loop.time()))

    def _on_lifecycle(self, event: Event, now: float) -> None:
        instruments = self._instruments
        match event:
            case Connecting():
                self._began[event.epoch] = now
            case Opened(gap=gap):
                self._attempted(event.epoch, now, {})
                if gap:
                    self._record(instruments.gap_duration, gap)
            case ConnectFailed(epoch=epoch, error=error) | Rejected(epoch=epoch, error=error):
                self._attempted(epoch, now, of_error(error))
            case Aborted():
                self._began.pop(event.epoch, None)
            case Closed(cause=cause, uptime=uptime):
                self._record(instruments.connection_duration, uptime, {CAUSE: cause.name.lower()})
            case _:
                pass

    def _attempted(self, epoch: int, now: float, error: Attributes) -> None:
        began = self._began.pop(epoch, None)
        if began is not None:  # else it was under way when the measuring began
            self._record(self._instruments.connect_duration, now - began, error)

    def _record(self, histogram: Any, seconds: float, more: Attributes | None = None) -> None:
        attributes = self._attributes if more is None else {**self._attributes, **more}
        self._guarded(lambda: histogram.record(max(0.0, seconds), attributes))

    def _guarded(self, function: Callable[[], None]) -> None:
        """A provider is the user's: what it raises ends neither the measuring nor the socket."""
        try:
            function()
        except BaseException as error:
            exit_soon(error)
            if not self._has_failed:
                self._has_failed = True
                engine = self._engine()
                label = "a socket" if engine is None else engine.label
                text = "%s: a provider of OpenTelemetry raised %s; it is measured on"
                log(logging.WARNING, text, label, type(error).__name__)


class _Measurements(dict["Instruments", Measurement]):
    """By whom a socket is measured; kept with it."""


def _measurements_of(engine: Engine) -> _Measurements:
    found = engine.hooks.attached.setdefault(_Measurements, _Measurements())
    assert isinstance(found, _Measurements)
    return found
