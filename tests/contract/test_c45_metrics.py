"""C45: what ``measure()`` gives to OpenTelemetry: the counters, lengths of time, and spans."""

from __future__ import annotations

import json as plain_json
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from fleet_scene import MakeFleet, names
from scene import A, B, Make, Scene
from surfaces import CANARY, PLACES
from test_c28_surfaces import FORMS, told

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rxsocket import Limits, Socket, handover, in_band
from rxsocket.metrics import measure
from rxsocket.testing import VirtualClock, accept, reject, unreachable

RENEWABLE: dict[str, Any] = {"auth": A, "identity": lambda _: "me"}


def ours(name: str) -> str:
    """A name of an instrument or an attribute."""
    return ".".join(("rxsocket", name))


class Otel:
    """Providers of the SDK, and what they have."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider(metric_readers=[self.reader])
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def measure(self, socket: Socket[Any, Any]) -> Any:
        return measure(socket, meter_provider=self.meters, tracer_provider=self.tracers)

    @property
    def all(self) -> dict[str, list[Any]]:
        """The points of each instrument."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def values(self, name: str, by: str = "") -> dict[Any, float]:
        """The values of an instrument, by one of its attributes."""
        points = self.all.get(name, [])
        return {point.attributes.get(by): point.value for point in points}

    def lengths(self, name: str, by: str = "error.type") -> dict[Any, tuple[int, float]]:
        """How many there were, and the sum, of a histogram."""
        points = self.all.get(name, [])
        return {p.attributes.get(by): (p.count, round(p.sum, 6)) for p in points}

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture
def otel() -> Otel:
    return Otel()


def lasted(span: ReadableSpan) -> float:
    assert span.start_time is not None and span.end_time is not None
    return round((span.end_time - span.start_time) / 1e9, 3)


def test_the_counters_are_those_of_stats(clock: VirtualClock, scene: Make, otel: Otel) -> None:
    """Each is what ``socket.stats`` says at the moment of the collection."""
    it = scene(accept().send("héllo", b"xyz").wait(5.0).drop(), *[unreachable()] * 2, name="feed")
    otel.measure(it.socket)
    it.socket.send("ab")
    clock.advance(1.0)
    direction = "network.io.direction"
    assert otel.values(ours("messages"), direction) == {"receive": 2, "transmit": 1}
    assert otel.values(ours("io"), direction) == {"receive": 9, "transmit": 2}
    assert otel.values(ours("sockets"), ours("state"))["open"] == 1
    clock.advance(7.0)
    it.socket.send("waits")
    stats = it.socket.stats
    assert stats.outage == 3.0
    for name, value in {
        ours("outage"): stats.outage,
        ours("disconnected.time"): stats.seconds_without_connection,
        ours("attempts"): stats.attempts,
        ours("connections"): stats.connections,
        ours("failures"): stats.failures,
        ours("refusals"): 0,
        ours("renewals"): 0,
        ours("paused.time"): 0.0,
        ours("queue.messages"): 1,
        ours("queue.size"): 5,
    }.items():
        assert otel.values(name, ours("name")) == {"feed": value}, name
    states = otel.values(ours("sockets"), ours("state"))
    assert {name for name, count in states.items() if count} == {"waiting"}


def test_an_outage_that_lasts_is_seen_each_time(
    clock: VirtualClock, scene: Make, otel: Otel
) -> None:
    """It grows from one collection to the next: an alert can be set on it."""
    it = scene(*[unreachable()] * 20)
    otel.measure(it.socket)
    seen = []
    for _ in range(3):
        clock.advance(15.0)
        (outage,) = otel.values(ours("outage")).values()
        (total,) = otel.values(ours("disconnected.time")).values()
        assert outage == total
        seen.append(outage)
    assert seen == pytest.approx([15.0, 30.0, 45.0])


def test_lengths_of_time(clock: VirtualClock, scene: Make, otel: Otel) -> None:
    """Attempts with how they ended, gaps, connections with their ends, pings."""
    it = scene(
        accept().delay(0.5).wait(30.0).drop(),
        unreachable(),
        reject(503),
        accept().stay(),
        latency=0.25,
    )
    otel.measure(it.socket)
    clock.advance(60.0)
    assert otel.lengths(ours("connect.duration")) == {
        None: (2, pytest.approx(0.75 + 0.25)),
        "ConnectionRefusedError": (1, 0.25),
        "503": (1, 0.25),
    }
    ((count, gaps),) = otel.lengths(ours("gap.duration")).values()
    assert count == 1 and gaps == pytest.approx(2 + 4 + 8 + 0.75)
    connections = otel.lengths(ours("connection.duration"), ours("cause"))
    assert connections == {"lost": (1, pytest.approx(30.0))}
    ((pings, seconds),) = otel.lengths(ours("ping.duration")).values()
    assert pings >= 1 and seconds == pytest.approx(0.25 * pings)


def test_attempts_are_spans(clock: VirtualClock, scene: Make, otel: Otel) -> None:
    """From their beginning to their outcome, with where to and why, without parents."""
    it = scene(unreachable(), reject(503), accept().delay(0.5).stay(), name="feed")
    otel.measure(it.socket)
    clock.advance(60.0)
    failed, refused, opened = otel.spans
    assert {span.name for span in otel.spans} == {ours("connect")}
    assert all(span.parent is None for span in otel.spans)
    assert [span.status.is_ok for span in otel.spans] == [False, False, True]
    assert lasted(opened) == 0.5
    common = {
        "network.protocol.name": "websocket",
        ours("name"): "feed",
        "server.address": "fake.test",
        "server.port": 80,
        "url.scheme": "ws",
    }
    assert dict(failed.attributes or {}) == {
        **common,
        ours("cause"): "started",
        ours("epoch"): 1,
        ours("attempt"): 1,
        "error.type": "ConnectionRefusedError",
    }
    assert dict(refused.attributes or {}) == {
        **common,
        ours("cause"): "failed",
        ours("epoch"): 2,
        ours("attempt"): 2,
        "error.type": "503",
        "http.response.status_code": 503,
    }


def test_a_handover_is_a_span_around_its_attempt(
    clock: VirtualClock, scene: Make, otel: Otel
) -> None:
    """Also one that fails, which goes on with the old connection."""
    it = scene(
        accept().stay(),
        accept().delay(0.5).stay(),
        reject(401),
        on_auth_change=handover(),
        **RENEWABLE,
    )
    otel.measure(it.socket)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.set_auth({"token": "c"})
    clock.advance(1.0)
    assert [span.name for span in otel.spans] == [
        ours("connect"),
        ours("connect"),
        ours("renew"),
        ours("connect"),
        ours("renew"),
    ]
    _, attempt, renewal, rejected, failed = otel.spans
    assert attempt.parent == renewal.context and rejected.parent == failed.context
    assert lasted(renewal) == lasted(attempt) == 0.6  # until it has caught up
    assert (renewal.attributes or {})[ours("cause")] == "auth_changed"
    assert (failed.attributes or {})["error.type"] == "401"
    assert not failed.status.is_ok
    (renewals,) = otel.values(ours("renewals")).values()
    assert renewals == 1


@pytest.mark.parametrize("answer", ["ok", "no"])
def test_a_renewal_in_band_is_a_span(
    clock: VirtualClock, scene: Make, otel: Otel, answer: str
) -> None:
    """When it was answered; a refusal is an error."""
    strategy = in_band(
        lambda value: f"auth {value['token']}",
        accepted=lambda message: message == "ok",
        rejected=lambda message: message == "no",
        otherwise="keep",
    )
    it = scene(accept().expect().send(answer).stay(), on_auth_change=strategy, **RENEWABLE)
    otel.measure(it.socket)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert [span.name for span in otel.spans] == [ours("connect"), ours("renew")]
    assert otel.spans[1].status.is_ok == (answer == "ok")


def test_disposing_ends_it(clock: VirtualClock, scene: Make, otel: Otel) -> None:
    """Nothing is told any more, and what was under way is ended."""
    it = scene(accept().stay(), accept().delay(60.0), watch=True)
    measuring = otel.measure(it.socket)
    clock.advance(1.0)
    it.socket.reconnect()
    clock.advance(1.0)
    assert len(otel.spans) == 1
    measuring.dispose()
    measuring.dispose()
    assert len(otel.spans) == 2
    assert otel.values(ours("messages")) == {}
    before = otel.lengths(ours("connect.duration"))
    clock.advance(100.0)
    assert otel.lengths(ours("connect.duration")) == before


def test_an_end_and_a_new_start(clock: VirtualClock, scene: Make, otel: Otel) -> None:
    """The last numbers stay to be collected; a socket that is started again counts on."""
    it = scene(accept().send("1").wait(1.0).close(1000), accept().send("2").stay(), latency=0.1)
    otel.measure(it.socket)
    clock.advance(5.0)
    states = otel.values(ours("sockets"), ours("state"))
    assert states["closed"] == 1
    it.watch()
    clock.advance(30.0)
    assert otel.values(ours("messages"), "network.io.direction")["receive"] == 2
    assert len(otel.spans) == 2
    ((pings, _),) = otel.lengths(ours("ping.duration")).values()
    assert pings == 1


def test_several_sockets(clock: VirtualClock, scene: Make, otel: Otel) -> None:
    """Told apart by their names; without names those of one address are a sum that only grows."""
    names = ("a", "b", None, None)
    several = [scene(accept().send("x"), name=name, watch=False) for name in names]
    measured = [otel.measure(one.socket) for one in several]
    for one in several:
        one.watch()
    clock.advance(1.0)
    assert otel.values(ours("attempts"), ours("name")) == {"a": 1, "b": 1, None: 2}
    measured[2].dispose()
    assert otel.values(ours("attempts"), ours("name")) == {"a": 1, "b": 1, None: 2}
    open_ones = [p.value for p in otel.all[ours("sockets")] if "open" in p.attributes.values()]
    assert open_ones == [1, 1, 1]


def test_measured_twice_it_is_told_once(clock: VirtualClock, scene: Make, otel: Otel) -> None:
    """As a cell that runs again does; another provider measures it besides."""
    it = scene(accept().stay(), watch=False)
    other = Otel()
    for one in (otel, otel, other):
        one.measure(it.socket)
    it.watch()
    clock.advance(1.0)
    for one in (otel, other):
        assert list(one.values(ours("connections")).values()) == [1]
        assert len(one.spans) == 1


def test_server_sent_events_are_http(otel: Otel) -> None:
    """C50: their address says so; and a unix socket is one by its path."""
    for url, expected in {
        "https://u:p@feed.test:8443/events?key=c4n4ry": ("http", "https", "feed.test", 8443),
        "wss://feed.test/events": ("websocket", "wss", "feed.test", 443),
        "unix:/run/feed.sock:/path": ("websocket", "ws", "/run/feed.sock", None),
    }.items():
        with otel.measure(Socket(url)):
            (point,) = otel.all[ours("outage")]
        names = ("network.protocol.name", "url.scheme", "server.address", "server.port")
        assert tuple(point.attributes.get(name) for name in names) == expected
        assert "c4n4ry" not in str(dict(point.attributes))


class Broken:
    """Providers whose instruments and spans raise."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("get_", "create_")):
            return lambda *_, **__: self

        def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError("no disk is left")

        return broken


def test_what_a_provider_raises_breaks_nothing(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once; the socket has no problem of it."""
    it = scene(accept().send("1").wait(1.0).drop(), accept().send("2").stay())
    broken: Any = Broken()
    measuring = measure(it.socket, meter_provider=broken, tracer_provider=broken)
    clock.advance(10.0)
    measuring.dispose()
    assert it.names.count("Message") == 2 and "ObserverFailed" not in it.names
    lines = [line for line in caplog.messages if "OpenTelemetry" in line]
    expected = "ws://fake.test/: a provider of OpenTelemetry raised RuntimeError; it is measured on"
    assert lines == [expected]


def test_without_a_provider_it_says_what_to_do(scene: Make) -> None:
    """Nobody would see the numbers; with one that is no use, but given, it is meant so."""
    it = scene(watch=False)
    with pytest.warns(RuntimeWarning, match=r"no meter provider is set.*set_meter_provider"):
        measure(it.socket).dispose()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measure(it.socket, meter_provider=NoOpMeterProvider()).dispose()


def test_a_provider_without_a_reader_is_told(scene: Make) -> None:
    """Somebody has set the SDK up, and nobody collects."""
    it = scene(watch=False)
    with pytest.warns(RuntimeWarning, match=r"has no reader, so nobody.*metric_readers=\["):
        measure(it.socket, meter_provider=MeterProvider()).dispose()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        provider = MeterProvider(metric_readers=[InMemoryMetricReader()])
        measure(it.socket, meter_provider=provider).dispose()


def test_a_fleet_is_told_as_the_sum_of_its_sockets(
    clock: VirtualClock, company: MakeFleet, otel: Otel
) -> None:
    """The same instruments; the counters outlive a close, and it is measured once."""
    it = company(limits=Limits(batch=10, channels=2), name="quotes")
    measuring = measure(it.fleet, meter_provider=otel.meters)
    it.fleet.want(names(4))
    clock.advance(5.0)
    for key in names(4):
        it.venue.say(key)
    clock.advance(1.0)
    direction = "network.io.direction"
    stats = it.fleet.stats
    assert otel.values(ours("messages"), direction) == {
        "receive": stats.messages_received,
        "transmit": stats.messages_sent,
    }
    assert otel.values(ours("sockets"), ours("state"))["open"] == 2
    (name,) = otel.values(ours("connections"), ours("name"))
    assert name == "quotes"
    again = measure(it.fleet, meter_provider=otel.meters)
    assert otel.values(ours("connections")) == {None: 2}
    measuring.dispose()  # which has ended already
    it.fleet.close()
    clock.advance(5.0)
    assert otel.values(ours("connections")) == {None: 2}
    assert otel.values(ours("sockets"), ours("state"))["open"] == 0
    again.dispose()
    assert otel.values(ours("connections")) == {}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            lambda socket: ((object(),), {}),
            r"\(socket\): pass a Socket or a Fleet, not object",
        ),
        (lambda socket: ((socket,), {"meter_provider": 1}), "meter_provider: pass a MeterProvider"),
        (lambda socket: ((socket,), {"tracer_provider": 1}), "tracer_provider: pass a TracerProv"),
    ],
)
def test_wrong_arguments(scene: Make, arguments: Callable[[Any], Any], error: str) -> None:
    """Each says what to pass."""
    positional, keywords = arguments(scene(watch=False).socket)
    with pytest.raises(TypeError, match=error):
        measure(*positional, **keywords)


def test_without_the_package_it_names_the_extra(
    scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install, in the error."""
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"pip install 'rxsocket\[otel\]'"):
        measure(scene(watch=False).socket)


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_in_any_attribute(clock: VirtualClock, otel: Otel, place: str) -> None:
    """C28: whatever a server repeats, wherever it says it."""

    class Measured(Scene):
        def watch(self) -> None:
            otel.measure(self.socket)
            super().watch()

    def make(*scripts: Any, **options: Any) -> Scene:
        return Measured(clock, *scripts, **options)

    it = PLACES[place](make, clock, FORMS["as it is"](CANARY))
    clock.advance(60.0)
    it.end()
    clock.advance(10.0)
    data = otel.reader.get_metrics_data()
    spans = [plain_json.loads(span.to_json()) for span in otel.spans]
    assert data is not None and spans
    assert not told(data.to_json()) and not told(plain_json.dumps(spans))
    assert isinstance(otel.meters, AnyMeterProvider)
