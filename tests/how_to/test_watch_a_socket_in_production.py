"""The page about watching a socket: its numbers, scraped as Prometheus does, and its spans."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from deadlines import stretched
from pages import Page

pytest.importorskip("opentelemetry.exporter.prometheus")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rxsocket import Backoff, Opened, Socket, State
from rxsocket.metrics import measure
from rxsocket.testing import Watch, accept, server

PAGE = Page("watch_a_socket_in_production")

SCRAPED = """
import socket as sockets, sys
from urllib.request import urlopen

from rxsocket import Waiting
from rxsocket.testing import Watch, accept, server, unreachable

with sockets.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]


def scrape():
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        print(answer.read().decode())
    print("---")


with server(accept().send("one", "two").expect("go").drop()) as peer:
    url = peer.url + "?token=c4n4ry"
    peer.default = unreachable()
    exec(sys.stdin.read())
    watch = Watch(socket)
    watch.until(lambda _: socket.stats.messages_received == 2)
    scrape()
    socket.send("go")
    watch.wait(Waiting)
    scrape()
    scrape()
    socket.close().result(5)
"""


@pytest.fixture
def given() -> Iterator[dict[str, Any]]:
    """What an example begins with; its sockets are closed at the end."""
    names: dict[str, Any] = {}
    yield names
    for one in names.values():
        if isinstance(one, Socket):
            one.close().result(10)


def test_the_numbers(given: dict[str, Any]) -> None:
    """C45: a line for a log, of a snapshot."""
    with server(accept().send("héllo", "two").stay()) as peer:
        given["url"] = peer.url
        exec(PAGE.example("The numbers"), given)
        watch = Watch(given["socket"])
        watch.wait(Opened)
        watch.until(lambda _: given["socket"].stats.messages_received == 2)
        assert re.fullmatch(
            r"trades open: 2 messages, 9 bytes, 1 connections, \d\.\d s without one, 0 waiting",
            given["line"](),
        )


def values(text: str, name: str) -> dict[str, float]:
    """The samples of a metric, by their labels."""
    found = re.findall(rf"^{name}\{{(.*?)\}} (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


@pytest.mark.slow  # a process that imports the SDK
def test_prometheus() -> None:
    """The example in a process of its own, scraped: also while an outage lasts, and grows."""
    done = subprocess.run(
        [sys.executable, "-c", SCRAPED],
        input=PAGE.example("Prometheus"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    is_open, later, latest, _ = done.stdout.split("---")
    assert "c4n4ry" not in done.stdout
    received = values(is_open, "rxsocket_messages_total")
    assert sorted(received.values()) == [0.0, 2.0]
    assert all('rxsocket_name="trades"' in labels for labels in received)
    assert [*values(is_open, "rxsocket_outage_seconds").values()] == [0.0]
    outages = [values(text, "rxsocket_outage_seconds") for text in (later, latest)]
    first, second = (next(iter(outage.values())) for outage in outages)
    assert 0.0 < first < second
    gone = values(latest, "rxsocket_disconnected_time_seconds_total")
    assert next(iter(gone.values())) >= second


MEASURED_AGAIN = """
import warnings

from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from rxsocket import Socket
from rxsocket.metrics import measure
from rxsocket.testing import accept, server

reader = InMemoryMetricReader()
with server(accept().send("one").close()) as peer:
    socket = Socket(peer.url)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        measure(socket)
        set_meter_provider(MeterProvider(metric_readers=[reader]))
        measure(socket)
    socket.messages.subscribe(lambda message: None)
    socket.wait()
metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
points = {metric.name: [*metric.data.data_points] for metric in metrics}
print(len(warned))
print([point.count for point in points["rxsocket.connection.duration"]])
print([point.value for point in points["rxsocket.messages"]])
"""


@pytest.mark.slow  # a process that imports the SDK
def test_a_provider_that_is_set_late_counts_once() -> None:
    """C45: measured, warned, and measured again, as one does in a notebook."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED_AGAIN],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["1", "[1]", "[1, 0]"]


def test_the_alerts_are_about_names_that_there_are() -> None:
    """What the rules ask for is what is scraped, up to what Prometheus adds to each name."""
    rules = PAGE.example("An alert", language="yaml")
    rules = rules.replace("$labels.rxsocket_name", "")
    asked = set(re.findall(r"\b(rxsocket_\w+?)(?:_total|_seconds)?\b(?=[\s{\[])", rules))
    named = {name.replace(".", "_") for name in re.findall(r"`(rxsocket\.[a-z.]+)` \|", PAGE.text)}
    assert asked and asked <= named


def test_spans(given: dict[str, Any]) -> None:
    """One attempt, which opened."""
    exporter = InMemorySpanExporter()
    given["processor"] = SimpleSpanProcessor(exporter)
    given["meters"] = MeterProvider(metric_readers=[InMemoryMetricReader()])
    with server() as peer:
        given["url"] = peer.url
        exec(PAGE.example("Spans"), given)
        given["socket"].opened(stretched(10)).result()
        (span,) = exporter.get_finished_spans()
        assert span.name == "rxsocket.connect" and span.status.is_ok


def test_the_names_are_all_there_are() -> None:
    """The table has each instrument with its unit, and no other one."""
    reader = InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader])
    soon = Backoff(first=0.01, base=0.01, cap=0.02, spacing=0.0)
    with server(accept().wait(0.01).close(1012)) as peer:
        socket = Socket(peer.url, ping_interval=0.02, backoff=soon)
        measure(socket, meter_provider=meters)
        pinged = threading.Event()
        socket.latency.subscribe(lambda seconds: pinged.set() if seconds else None)
        Watch(socket).wait(Opened, 2)
        assert pinged.wait(8.0)
        data = reader.get_metrics_data()
        socket.close().result(5)
    assert socket.stats.state is State.CLOSED and data is not None
    told = {
        (metric.name, metric.unit)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    rows = re.findall(
        r"^\| `(rxsocket\.[a-z.]+)` \| [a-z-]+(?: counter)?, `(\S+)` \|", PAGE.text, re.M
    )
    assert told == set(rows)
