"""What is known of a fleet at one moment; from any thread, and without a lock (C41)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from rxsocket.explain.causes import describe
from rxsocket.fleet.channel import FleetChannel
from rxsocket.fleet.explanation import FleetStats, Snapshot
from rxsocket.fleet.plan import SocketId
from rxsocket.fleet.planning import Fitting
from rxsocket.fleet.running import FleetEngine
from rxsocket.topics.asking import name_of

MOST_NAMED = 3
"""Refused channels that are named."""


def snapshot_of(engine: FleetEngine) -> Snapshot:
    """Take a snapshot of a fleet."""
    controller, masked = engine.controller, engine.publisher.masked
    channels = [one for one in tuple(engine.wanted.channels.values()) if one.wanted or one.error]
    sockets = () if controller is None else tuple(controller.sockets.by_id.values())
    open_sockets = {one.id for one in sockets if one.is_open}
    fitting = Fitting() if controller is None else controller.fitting
    refused = [one for one in channels if one.error is not None]
    live = sum(one.is_live for one in channels)
    left_out = len(fitting.left_out)
    wanted, counts = len(channels), engine.counts
    stats = FleetStats(
        wanted=wanted,
        live=live,
        waiting=wanted - live - len(refused) - left_out,
        refused=len(refused),
        left_out=left_out,
        moving=0 if controller is None else len(controller.moves.under_way),
        sockets=len(sockets),
        open=len(open_sockets),
        generation=fitting.plan.generation,
        states=dict(Counter(one.state for one in sockets)),
        messages_received=counts.messages_received,
        bytes_received=counts.bytes_received,
        messages_sent=counts.messages_sent,
        bytes_sent=counts.bytes_sent,
    )
    named = [
        f"{name_of(one.key)}: {describe(one.error)}" for one in refused[:MOST_NAMED] if one.error
    ]
    if len(refused) > MOST_NAMED:
        named.append(f"and {len(refused) - MOST_NAMED:,} more")
    return Snapshot(
        is_running=controller is not None,
        has_ended=engine.has_ended,
        failure="" if engine.failure is None else masked(describe(engine.failure)),
        stats=stats,
        sockets=[(str(one.id), one.state, len(one.keys)) for one in sockets],
        impossible="" if fitting.impossible is None else str(fitting.impossible),
        refused=[masked(text) for text in named],
        troubles=[masked(one.trouble) for one in sockets if one.trouble and not one.is_open],
        unanswered=sum(_is_unanswered(one, open_sockets) for one in channels),
        late=0 if controller is None else controller.unanswered.count(open_sockets),
        learnt=engine.publisher.learnt,
    )


def _is_unanswered(channel: FleetChannel, open_sockets: Set[SocketId]) -> bool:
    return not channel.is_live and channel.error is None and channel.socket in open_sockets
