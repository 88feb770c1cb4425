"""The instruments of one provider, and the sockets that they are about.

::

    a reader collects ── instrument ── groups ── sum over sockets ── socket.stats

The API has no way to take a callback back. So each provider has one set of instruments, and what is
measured comes and goes behind it. Sockets whose attributes are equal, as they have no names, are a
group, which is told as one: a sum, that does not get less when one of them leaves.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from opentelemetry.metrics import (
    CallbackOptions,
    MeterProvider,
    Observation,
    get_meter_provider,
)

from rxsocket.engine.engine import Engine
from rxsocket.fleet.counts import FleetCounts
from rxsocket.fleet.running import FleetEngine
from rxsocket.metrics.attributes import Attributes
from rxsocket.state import State
from rxsocket.stats import Stats, stats_of
from rxsocket.version import VERSION

DIRECTION = "network.io.direction"
RECEIVED: Attributes = {DIRECTION: "receive"}
SENT: Attributes = {DIRECTION: "transmit"}
LOSS = "rxsocket.loss"

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Boundaries in seconds for what takes a round trip or a few."""
LONG = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
"""Boundaries in seconds for what may last."""

Counted: TypeAlias = Stats | FleetCounts
Measured: TypeAlias = Engine | FleetEngine
Read: TypeAlias = Callable[[Any], float]
"""What of ``Counted``: the counters have the same names in both."""


@dataclass(frozen=True)
class Observed:
    """An instrument that is read from the counters.

    Attributes:
        kind: Whether it only grows, goes up and down, or is not summed: the most is taken.
        reads: What is said, with attributes of its own.
    """

    name: str
    kind: Literal["counter", "up_down_counter", "gauge"]
    unit: str
    description: str
    reads: tuple[tuple[Attributes, Read], ...]


def _plain(read: Read) -> tuple[tuple[Attributes, Read], ...]:
    return (({}, read),)


def _in_state(state: State) -> Read:
    def read(counted: Counted) -> int:
        if isinstance(counted, FleetCounts):
            return counted.states.get(state, 0)
        return int(counted.state is state)

    return read


def counted_by(measured: Measured) -> Counted:
    """What a socket, or a fleet, has counted up to now."""
    return measured.counts if isinstance(measured, FleetEngine) else stats_of(measured)


OBSERVED = (
    Observed(
        "rxsocket.messages",
        "counter",
        "{message}",
        "Messages received and sent.",
        ((RECEIVED, lambda s: s.messages_received), (SENT, lambda s: s.messages_sent)),
    ),
    Observed(
        "rxsocket.io",
        "counter",
        "By",
        "Bytes of their payloads, without compression.",
        ((RECEIVED, lambda s: s.bytes_received), (SENT, lambda s: s.bytes_sent)),
    ),
    Observed(
        "rxsocket.messages.lost",
        "counter",
        "{message}",
        "Messages that did not get where they were to.",
        (
            ({LOSS: "dropped"}, lambda s: s.dropped),
            ({LOSS: "missed"}, lambda s: s.missed),
            ({LOSS: "undecodable"}, lambda s: s.undecodable),
            ({LOSS: "unsent"}, lambda s: s.unsent),
        ),
    ),
    Observed(
        "rxsocket.attempts",
        "counter",
        "{attempt}",
        "Attempts to connect.",
        _plain(lambda s: s.attempts),
    ),
    Observed(
        "rxsocket.connections",
        "counter",
        "{connection}",
        "Connections that opened.",
        _plain(lambda s: s.connections),
    ),
    Observed(
        "rxsocket.failures",
        "counter",
        "{attempt}",
        "Attempts that failed, for another reason than the credential.",
        _plain(lambda s: s.failures),
    ),
    Observed(
        "rxsocket.refusals",
        "counter",
        "{refusal}",
        "Times that the credential was refused.",
        _plain(lambda s: s.refusals),
    ),
    Observed(
        "rxsocket.renewals",
        "counter",
        "{renewal}",
        "Handovers, and changes of the credential in band.",
        _plain(lambda s: s.renewals),
    ),
    Observed(
        "rxsocket.disconnected.time",
        "counter",
        "s",
        "Time without a connection though one was wanted, the outage that lasts included.",
        _plain(lambda s: s.seconds_without_connection),
    ),
    Observed(
        "rxsocket.outage",
        "gauge",
        "s",
        "How long the outage has lasted; 0 while there is none.",
        _plain(lambda s: s.outage),
    ),
    Observed(
        "rxsocket.paused.time",
        "counter",
        "s",
        "Time for which reading was paused, as too many messages waited.",
        _plain(lambda s: s.seconds_paused),
    ),
    Observed(
        "rxsocket.queue.messages",
        "up_down_counter",
        "{message}",
        "Messages that wait to be sent.",
        _plain(lambda s: s.waiting),
    ),
    Observed(
        "rxsocket.queue.size",
        "up_down_counter",
        "By",
        "Bytes of the messages that wait to be sent.",
        _plain(lambda s: s.waiting_bytes),
    ),
    Observed(
        "rxsocket.sockets",
        "up_down_counter",
        "{socket}",
        "Sockets in each state.",
        tuple(({"rxsocket.state": state.name.lower()}, _in_state(state)) for state in State),
    ),
)
"""What is read from ``socket.stats``."""


@dataclass
class Group:
    """The sockets that have equal attributes.

    Attributes:
        attributes: What they have.
        members: Each, and what was read of it last.
        left: What the counters of those that left had come to, by name and place.
    """

    attributes: Attributes
    members: dict[weakref.ref[Measured], Counted]
    left: dict[tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])

    def refresh(self) -> None:
        """Read the members anew; those that nobody has any more are removed."""
        for reference in tuple(self.members):
            measured = reference()
            if measured is None:
                self.remove(reference)
            else:
                self.members[reference] = counted_by(measured)

    def remove(self, reference: weakref.ref[Measured]) -> None:
        stats = self.members.pop(reference, None)
        if stats is None:
            return
        for observed in OBSERVED:
            if observed.kind == "counter":
                for place, (_, read) in enumerate(observed.reads):
                    before = self.left.get((observed.name, place), 0.0)
                    self.left[observed.name, place] = before + read(stats)

    def values(self, observed: Observed) -> Iterable[tuple[Attributes, float]]:
        for place, (attributes, read) in enumerate(observed.reads):
            values = [read(stats) for stats in self.members.values()]
            if observed.kind == "gauge":
                value = max(values, default=0.0)
            else:
                value = sum(values) + self.left.get((observed.name, place), 0)
            yield {**self.attributes, **attributes}, value


class Instruments:
    """What is measured by one provider. Its methods may be called from any thread.

    Attributes:
        connect_duration, connection_duration, gap_duration, ping_duration: Histograms.
    """

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter("rxsocket", VERSION)
        self._lock = threading.Lock()
        self._groups: dict[tuple[tuple[str, str | int], ...], Group] = {}

        def histogram(name: str, description: str, boundaries: tuple[float, ...]) -> Any:
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=boundaries
            )

        self.connect_duration = histogram(
            "rxsocket.connect.duration", "Attempts, until they opened or failed.", SHORT
        )
        self.connection_duration = histogram(
            "rxsocket.connection.duration", "Connections, from their opening to their end.", LONG
        )
        self.gap_duration = histogram(
            "rxsocket.gap.duration", "From the end of a connection to the next opening.", LONG
        )
        self.ping_duration = histogram("rxsocket.ping.duration", "Pings, until the pong.", SHORT)
        for observed in OBSERVED:
            create = getattr(meter, f"create_observable_{observed.kind}")
            create(observed.name, [self._callback(observed)], observed.unit, observed.description)

    def add(self, measured: Measured, attributes: Attributes) -> Callable[[], None]:
        """Tell of a socket or a fleet, until the function that is returned is called."""
        key, reference = tuple(sorted(attributes.items())), weakref.ref(measured)
        with self._lock:
            group = self._groups.setdefault(key, Group(attributes, {}))
            group.members[reference] = counted_by(measured)

        def remove() -> None:
            with self._lock:
                group.refresh()
                group.remove(reference)
                if not group.members and self._groups.get(key) is group:
                    del self._groups[key]

        return remove

    def _callback(self, observed: Observed) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> list[Observation]:
            observations: list[Observation] = []
            with self._lock:
                for key, group in tuple(self._groups.items()):
                    group.refresh()
                    if not group.members:
                        del self._groups[key]
                        continue
                    for attributes, value in group.values(observed):
                        observations.append(Observation(value, attributes))
            return observations

        return observe


_instruments: weakref.WeakKeyDictionary[MeterProvider, Instruments] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def is_of_the_api(provider: MeterProvider) -> bool:
    """Whether it is what stands in for the global provider until one is set."""
    return type(provider).__module__.startswith("opentelemetry.metrics.")


def instruments_of(provider: MeterProvider) -> Instruments:
    """The instruments of a provider: one set, however many sockets it measures.

    What was made while no global provider was set goes to the one that is set later. So a second
    set for that one would count everything twice.
    """
    with _lock:
        found = _instruments.get(provider)
        if found is None and provider is get_meter_provider():
            found = next((i for p, i in _instruments.items() if is_of_the_api(p)), None)
        if found is None:
            found = Instruments(provider)
        _instruments[provider] = found
        return found
