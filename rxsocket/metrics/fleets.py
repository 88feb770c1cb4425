"""What is measured of a fleet: the sums of what its sockets count (C45)."""

from __future__ import annotations

import weakref

from opentelemetry.metrics import MeterProvider
from reactivex import abc

from rxsocket.fleet.running import FleetEngine
from rxsocket.metrics.attributes import Attributes
from rxsocket.metrics.instruments import Instruments, instruments_of


class FleetMeasurement(abc.DisposableBase):
    """What is measured of one fleet for one provider, until it is disposed.

    Args:
        engine: The running parts of the fleet, which it does not keep.
        attributes: What is true of the fleet.
        meter_provider: Who collects.
    """

    def __init__(
        self, engine: FleetEngine, attributes: Attributes, meter_provider: MeterProvider
    ) -> None:
        instruments = instruments_of(meter_provider)
        others = _measured.setdefault(engine, {})
        if (earlier := others.get(instruments)) is not None:
            earlier.dispose()
        others[instruments] = self
        self._is_disposed = False
        self._remove = instruments.add(engine, attributes)

    def dispose(self) -> None:
        """Measure it no more."""
        if not self._is_disposed:
            self._is_disposed = True
            self._remove()


_measured: weakref.WeakKeyDictionary[FleetEngine, dict[Instruments, FleetMeasurement]] = (
    weakref.WeakKeyDictionary()
)
