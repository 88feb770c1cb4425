"""What ``--check`` shows: the plan, and how long it takes, without connecting.

::

    4,200 channels on 5 sockets: 840 each
    connecting   5 of the 300 dials that may go in 300 s: at once
    subscribing  5 messages on each socket, 1 s
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from rxsocket.auth.strategies import Reconnect
from rxsocket.cli.collect.fleets import fleet_of
from rxsocket.cli.collect.settings import Settings
from rxsocket.cli.collect.storing import sink_of
from rxsocket.cli.output import console
from rxsocket.fleet.on import where_of
from rxsocket.fleet.plan import Place, Plan
from rxsocket.fleet.planner import plan
from rxsocket.limits import Limits
from rxsocket.texts import printable

SHOWN = 12
"""Sockets that have a line of their own."""
NAMED = 4
"""Keys that are named in it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line about the plan.

    Attributes:
        name: What it is about.
        text: What it says.
    """

    name: str
    text: str


def check_plan(settings: Settings) -> int:
    """Write the plan to standard output; return the exit code.

    Raises:
        UsageError: If there is no plan, or the fleet or the sink cannot be made.
    """
    sink = sink_of(settings.sink, has_json=True)
    fleet_of(settings)
    places = where_of(settings.on).places
    out = console(sys.stdout)
    for each in lines_of(settings, _plan(settings, places), places):
        out.print(Text.assemble((f"{each.name:<12}", "cyan"), " ", printable(each.text)))
    out.print(Text.assemble((f"{'sink':<12}", "cyan"), " ", printable(repr(sink))))
    return 0


def _plan(settings: Settings, places: Sequence[Place]) -> Plan:
    """The plan with which the fleet begins, which it has found to be possible."""
    hands_over = not isinstance(settings.options.get("on_auth_change"), Reconnect)
    return plan(
        settings.keys,
        None,
        places,
        settings.limits,
        weights=settings.weight,
        sockets=settings.run.sockets,
        spare=int(hands_over),
    )


def lines_of(settings: Settings, made: Plan, places: Sequence[Place]) -> Iterator[Line]:
    """The plan, in lines."""
    loads = made.loads
    yield Line(
        "plan",
        f"{_many(len(made.assignment), 'channel')} on {_many(len(loads), 'socket')}"
        f" in {_many(len(made.places), 'place')}, {_spread(list(loads.values()))}",
    )
    if len(loads) <= SHOWN:
        for socket, count in loads.items():
            keys = [str(key) for key in made.keys_on(socket)[:NAMED]]
            more = ", ..." if count > len(keys) else ""
            yield Line(str(socket), f"{_many(count, 'channel')}: {', '.join(keys)}{more}")
    limits = settings.limits
    yield Line("caps", ", ".join(_caps(limits, made, settings, places)) or "none in [limits]")
    yield Line("connecting", _connecting(limits, made, places))
    yield Line("subscribing", _subscribing(limits, max(loads.values(), default=0)))


def _spread(counts: list[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return f"{low:,} each" if low == high else f"{low:,} to {high:,} each"


def _caps(limits: Limits, made: Plan, settings: Settings, places: Sequence[Place]) -> Iterator[str]:
    loads = made.loads
    if limits.channels is not None:
        yield f"{max(loads.values(), default=0):,} of {limits.channels:,} channels a connection"
    if limits.bytes is not None and settings.weight is not None:
        heaviest: Counter[object] = Counter()
        for key, socket in made.assignment.items():
            heaviest[socket] += settings.weight(key)  # type: ignore[assignment]
        yield f"{max(heaviest.values()):,.0f} of {limits.bytes:,.0f} bytes/s a connection"
    if limits.connections is not None:
        most = max(_of_egresses(made, places).values(), default=0)
        yield f"{most:,} of {limits.connections:,} connections an address"
    if limits.connections_per_credential is not None:
        yield f"{len(loads):,} of {limits.connections_per_credential:,} connections a credential"
    if limits.lifetime is not None:
        yield f"a connection is renewed within {_seconds(limits.lifetime)}"


def _of_egresses(made: Plan, places: Sequence[Place]) -> Counter[str]:
    egress_of = {place.name: place.egress for place in places}
    return Counter(egress_of[socket.place] for socket in made.loads)


def _connecting(limits: Limits, made: Plan, places: Sequence[Place]) -> str:
    dials = max(_of_egresses(made, places).values(), default=0)
    rate = limits.connect_rate
    if rate is None:
        return f"{_many(dials, 'dial')} from one address, all at once: limits.connects is not set"
    count, window = rate
    took = (math.ceil(dials / count) - 1) * window
    pace = f"{_many(dials, 'dial')} from one address, {count:,} in {_seconds(window)}"
    return f"{pace}: {'at once' if took <= 0 else 'at least ' + _seconds(took)}"


def _subscribing(limits: Limits, channels: int) -> str:
    messages = math.ceil(channels / limits.batch)
    text = f"{_many(messages, 'message')} on the fullest socket"
    bucket = limits.bucket()
    if bucket is None:
        return f"{text}, all at once: limits.pace is not set"
    now = 0.0
    for _ in range(messages):
        now = bucket.next_at(now)
        bucket.take(1, now)
    return f"{text}, {'at once' if now <= 0 else _seconds(now)}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _seconds(value: float) -> str:
    """A time in words that are short: ``250 ms``, ``1.5 s``, ``5 min``, ``24 h``."""
    if value < 1:
        return f"{value * 1000:.3g} ms"
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if value >= 2 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} s"
