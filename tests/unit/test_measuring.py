"""Measuring a socket does not keep it (C45)."""

from __future__ import annotations

import gc
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from rxsocket import Socket
from rxsocket.metrics import measure


def test_a_socket_that_nobody_has_is_not_measured() -> None:
    """Its numbers are told no more."""
    reader = InMemoryMetricReader()
    socket: Socket[Any, Any] | None = Socket("ws://fake.test/", name="gone")
    measuring = measure(socket, meter_provider=MeterProvider(metric_readers=[reader]))
    before = reader.get_metrics_data()
    assert before is not None and "gone" in before.to_json()
    del socket
    gc.collect()
    after = reader.get_metrics_data()
    assert after is None or "gone" not in after.to_json()
    measuring.dispose()
