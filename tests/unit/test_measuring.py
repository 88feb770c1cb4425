"""Measuring a socket does not keep it (C45)."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("opentelemetry.sdk")

PROGRAM = """
import gc

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from rxsocket import Socket
from rxsocket.metrics import measure

reader = InMemoryMetricReader()
socket = Socket("ws://fake.test/", name="gone")
measuring = measure(socket, meter_provider=MeterProvider(metric_readers=[reader]))
assert "gone" in reader.get_metrics_data().to_json()
del socket
gc.collect()
after = reader.get_metrics_data()
assert after is None or "gone" not in after.to_json()
measuring.dispose()
"""


def test_a_socket_that_nobody_has_is_not_measured() -> None:
    """Its numbers are told no more; in a process where no check of a test keeps it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
