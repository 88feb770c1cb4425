"""The numbers of a socket: one snapshot of what it has counted (C45)."""

from __future__ import annotations

from dataclasses import dataclass

from rxsocket.engine.engine import Engine
from rxsocket.publishing.counters import seconds_of
from rxsocket.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a socket has counted since it was made: no reconnect and no new start resets it
    (rule C45, stats and metrics).

    Bytes are those of payloads, of text in UTF-8: without the headers of frames, and as they are
    without compression. Pings, pongs and close frames are no messages. Each number is right for
    itself; two of them may be one read from the network apart.

    ::

        connection   --o======x------------o=======x--logged out--o====
        attempts       1      2  3  4      5                      6
        outage         0      0 ... 13     0       0              0         seconds that it lasts
        seconds_without_connection:  13, and those from each dial to its open

    Attributes:
        at: The wall time of the snapshot, in seconds since the epoch.
        state: What the socket is doing.
        since: The wall time since when; ``None`` if nothing was ever asked of it.
        messages_received: Messages that came on any connection, whatever became of them.
        bytes_received: Their bytes.
        messages_sent: Messages that were handed to the transport, credentials, heartbeats, what
            channels ask for and what a protocol answers by itself among them.
        bytes_sent: Their bytes.
        waiting: Messages that wait to be sent.
        waiting_bytes: Their bytes; those of an async iterable are not known yet.
        connections: Connections that opened.
        attempts: Attempts that began, to connect or to renew a connection by the next one.
        failures: Attempts that failed, for another reason than the credential.
        refusals: Times that the credential was refused: at the handshake, by the close of a
            connection, by a message, or as the answer to a renewal.
        renewals: Connections that were handed over to the next one, and credentials that were
            changed in band.
        seconds_without_connection: Seconds in all without a connection though one was wanted, the
            outage that lasts included. It is wanted from the first subscriber on, also while a
            refused credential is waited for; not while the socket is idle, gated, ended or logged
            out.
        outage: Those of the outage that lasts; 0 while there is none.
        seconds_paused: Seconds in all for which reading from an open connection was paused, as an
            ``async for`` or a sink had too many waiting; a pause that lasts included.
        dropped: Messages that were let go without a subscriber, see ``Dropped``.
        missed: Messages that did not come, by ``cursor=``, see ``Missed``.
        undecodable: Messages of which the codec made no value.
        unsent: Messages that were not sent, see ``SendFailed``.
        latency: Seconds between the last ping and its pong; ``None`` before the first.
    """

    at: float
    state: State
    since: float | None
    messages_received: int
    bytes_received: int
    messages_sent: int
    bytes_sent: int
    waiting: int
    waiting_bytes: int
    connections: int
    attempts: int
    failures: int
    refusals: int
    renewals: int
    seconds_without_connection: float
    outage: float
    seconds_paused: float
    dropped: int
    missed: int
    undecodable: int
    unsent: int
    latency: float | None


def stats_of(engine: Engine) -> Stats:
    """What a socket has counted up to now; from any thread."""
    counters, outbox, now = engine.publisher.counters, engine.outbox, engine.loop.time()
    state, since = counters.state
    outage = counters.outage
    return Stats(
        at=engine.loop.wall_time(),
        state=state,
        since=since,
        messages_received=counters.messages_received,
        bytes_received=counters.bytes_received,
        messages_sent=counters.messages_sent,
        bytes_sent=counters.bytes_sent,
        waiting=len(outbox),
        waiting_bytes=outbox.waiting_bytes,
        connections=counters.connections,
        attempts=counters.attempts,
        failures=counters.failures,
        refusals=counters.refusals,
        renewals=counters.renewals,
        seconds_without_connection=seconds_of(outage, now),
        outage=seconds_of((0.0, outage[1]), now),
        seconds_paused=seconds_of(counters.paused, now),
        dropped=counters.dropped,
        missed=counters.missed,
        undecodable=counters.undecodable,
        unsent=counters.unsent,
        latency=engine.publisher.latency.value,
    )
