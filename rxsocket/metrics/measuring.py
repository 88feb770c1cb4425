"""``measure()``: numbers and spans of a socket or a fleet for the providers of OpenTelemetry."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from reactivex import abc

from rxsocket.fleet import Fleet
from rxsocket.socket import Socket

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

NOBODY_COLLECTS = (
    "measure(socket): no meter provider is set, so nobody collects; call "
    "opentelemetry.metrics.set_meter_provider(MeterProvider(metric_readers=[...])) of "
    "opentelemetry-sdk, or pass meter_provider="
)
NO_READERS = (
    "measure(socket): the meter provider has no reader, so nobody sees the numbers; make it with "
    "MeterProvider(metric_readers=[...]), such as a PrometheusMetricReader()"
)


def measure(
    socket: Socket[Any, Any] | Fleet,
    *,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
) -> abc.DisposableBase:
    """Give what a socket or a fleet counts, and how long things take, to OpenTelemetry
    (rule C45, stats and metrics).

    The counters are those of ``socket.stats``, read when a reader collects, so a message costs
    nothing. Attempts to connect and renewals are spans. Measuring does not connect. Nothing that is
    said holds a credential, a path, a query, or a text of the server's. What a provider raises is
    logged, once, and everything else goes on.

    ::

        socket.stats          1 ... 250 ... 980 ...
        a reader collects     ------|--------|-----
        rxsocket.messages         250      980

    It is measured until the result is disposed, or nobody has the socket any more; a socket that
    has ended keeps its numbers, and counts on if it is started again. Measured once more for the
    same provider, the first measuring ends. Sockets are told apart by their ``name``; those without
    one that have the same address are told as one.

    A fleet is told as one, by the sums over its sockets; those in other processes say what they
    have counted once in one or two seconds. What has a length, and spans, are of sockets alone.

    Args:
        socket: What to measure; it may be a ``Fleet``.
        meter_provider: Who collects; left out, the global one.
        tracer_provider: Who gets the spans; left out, the global one.

    Returns:
        Disposed, it is not measured any more.

    Raises:
        TypeError: If an argument is of a wrong type.
        ImportError: If ``opentelemetry-api`` is not installed.

    Warns:
        RuntimeWarning: If there is no provider of meters, or one that has no reader, so that nobody
            will see the numbers.

    Examples:
        >>> from opentelemetry.exporter.prometheus import PrometheusMetricReader
        >>> from opentelemetry.metrics import set_meter_provider
        >>> from opentelemetry.sdk.metrics import MeterProvider
        >>> set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))
        >>> measure(Socket("wss://example.com/feed", name="feed"))
    """
    if not isinstance(socket, (Socket, Fleet)):
        kind = type(socket).__name__
        raise TypeError(f"measure(socket): pass a Socket or a Fleet, not {kind}")
    _check("meter_provider", meter_provider, "get_meter")
    _check("tracer_provider", tracer_provider, "get_tracer")
    try:
        from opentelemetry import metrics, trace
    except ImportError:
        raise ImportError(
            "measure(socket) needs opentelemetry-api: run pip install 'rxsocket[otel]'",
            name="opentelemetry",
        ) from None
    from rxsocket.metrics.attributes import NAME, of_socket
    from rxsocket.metrics.fleets import FleetMeasurement  # it imports opentelemetry
    from rxsocket.metrics.instruments import is_of_the_api
    from rxsocket.metrics.measurement import Measurement

    if meter_provider is None:
        meter_provider = metrics.get_meter_provider()
        if is_of_the_api(meter_provider):
            warnings.warn(NOBODY_COLLECTS, RuntimeWarning, stacklevel=2)
    if _has_no_reader(meter_provider):
        warnings.warn(NO_READERS, RuntimeWarning, stacklevel=2)
    if isinstance(socket, Fleet):
        attributes = of_socket(socket._probe._engine)  # pyright: ignore[reportPrivateUsage]
        if socket.name is not None:
            attributes[NAME] = socket.name
        fleet = socket._engine  # pyright: ignore[reportPrivateUsage]
        return FleetMeasurement(fleet, attributes, meter_provider)
    tracer_provider = tracer_provider or trace.get_tracer_provider()
    engine = socket._engine  # pyright: ignore[reportPrivateUsage]
    return Measurement(engine, meter_provider, tracer_provider)


def _has_no_reader(provider: object) -> bool:
    """Whether a provider of the SDK has nobody who collects; of others that is not known."""
    readers: object = getattr(provider, "_metric_readers", None)
    return isinstance(readers, (tuple, list, set, frozenset)) and not readers


def _check(name: str, provider: object, method: str) -> None:
    if provider is not None and not callable(getattr(provider, method, None)):
        kind = type(provider).__name__
        what = f"{name.removesuffix('_provider').capitalize()}Provider"
        raise TypeError(f"{name}: pass a {what} of opentelemetry, not {kind}")
