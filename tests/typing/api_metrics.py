"""The types of ``rxsocket.metrics``, as mypy and pyright see them. It is checked, not run."""

from __future__ import annotations

from typing import assert_type

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from reactivex.abc import DisposableBase

from rxsocket import Socket, Stats
from rxsocket.fleet import Fleet
from rxsocket.metrics import measure


def measured(
    fleet: Fleet,
    text: Socket,
    typed: Socket[int, str],
    meters: MeterProvider,
    tracers: TracerProvider,
) -> Stats:
    assert_type(measure(text), DisposableBase)
    assert_type(measure(fleet), DisposableBase)
    assert_type(fleet.stats.bytes_received, int)
    assert_type(measure(typed, meter_provider=meters, tracer_provider=tracers), DisposableBase)
    return typed.stats
