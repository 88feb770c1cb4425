"""Store a stream in a broker, with a receipt for each message: ``rxsocket[nats]``, ``[redis]``.

::

    from rxsocket.sinks import into, jetstream

    socket.messages.pipe(into(jetstream("nats://127.0.0.1:4222", stream="TRADES"))).subscribe(print)
"""

from rxsocket.sinks.into import into
from rxsocket.sinks.jetstream import jetstream
from rxsocket.sinks.records import Dropped, Duplicate, Failed, Outcome, Record, Stored
from rxsocket.sinks.redis_streams import redis_streams
from rxsocket.sinks.sink import Sink, SinkUnavailable

__all__ = [
    "Dropped",
    "Duplicate",
    "Failed",
    "Outcome",
    "Record",
    "Sink",
    "SinkUnavailable",
    "Stored",
    "into",
    "jetstream",
    "redis_streams",
]
