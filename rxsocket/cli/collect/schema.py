"""What a config may hold: its tables, their keys, and what to pass for each.

The text beside a type is what an error says after "pass".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

Whole = Annotated[int, "a whole number, such as 200"]
Seconds = Annotated[float, "a number of seconds"]
SecondsOrOff = Annotated[float | Literal[False], "a number of seconds, or false for none"]
Pace = Annotated[str | float, "'5/s', '300/5min', or a number of them a second"]
Texts = Annotated[list[str], "a list of texts"]
Function = Annotated[str, "'module:function'"]
Message = Annotated[
    dict[str, Any] | list[Any] | str,
    """the message, such as {op = "subscribe", args = ["{key}"]}, or 'module:function'""",
]
Places = Annotated[
    str | list[str],
    "where it is in a message, such as 'data.s' or a list of these, or 'module:function'",
]
Looks = Annotated[
    dict[str, Any] | list[dict[str, Any]],
    """what such a message has in it, such as {event = "subscribed"}, or a list of these""",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTable:
    """``[channel]``: how channels are asked for, and what is in their messages.

    Attributes:
        subscribe: The message that asks for keys.
        unsubscribe: The message that ends them.
        key: Where a message has the key of its channel.
        id: Where it has what no other message of its channel has.
        accepted: The answers that say yes.
        refused: The answers that say no.
        answered: Where an answer has the keys that it is about.
        assigned: Where an answer has what stands for the key from then on, on this connection.
        ignored: Messages that are not stored.
        acknowledged: Instead of the last five, a function as ``ChannelSpec`` has it.
        acknowledged_within: Seconds after which a key without an answer is asked for again.
        stale_after: Seconds of silence after which it is.
        weight: Bytes a second that are expected of a channel, for ``limits.bytes``.
    """

    subscribe: Message
    key: Places
    unsubscribe: Message | None = None
    id: Places | None = None
    accepted: Looks | None = None
    refused: Looks | None = None
    answered: Places | None = None
    assigned: Places | None = None
    ignored: Looks | None = None
    acknowledged: Function | None = None
    acknowledged_within: Seconds | None = None
    stale_after: Seconds | None = None
    weight: Annotated[float | str, "bytes a second, or 'module:function'"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsTable:
    """``[limits]``: the arguments of ``rxsocket.Limits``, which says what they are."""

    pace: Pace | None = None
    burst: Whole = 1
    batch: Whole = 1
    channels: Whole | None = None
    bytes: Annotated[float, "a number of bytes a second"] | None = None
    connects: Pace | None = None
    connections: Whole | None = None
    connections_per_credential: Whole | None = None
    lifetime: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierTable:
    """``[carrier]``: how the credential goes on a connection.

    Attributes:
        kind: The function that makes it; ``"none"`` for messages that hold it themselves.
        name: Of the header, the cookie, the parameter or the subprotocol.
        scheme: What stands before it in a header.
        message: The first message of a connection.
        accepted: The answer that says yes.
        rejected: The answer that says no.
        timeout: Seconds that the answer may take.
    """

    kind: Annotated[
        Literal["query", "header", "cookie", "subprotocol", "certificate", "first_message", "none"],
        "'query', 'header', 'cookie', 'subprotocol', 'certificate', 'first_message' or 'none'",
    ]
    name: Annotated[str, "the name of the header, cookie or parameter"] | None = None
    scheme: Annotated[str, "what stands before it, such as 'Bearer', or ''"] | None = None
    message: Message | None = None
    accepted: Looks | None = None
    rejected: Looks | None = None
    timeout: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkTable:
    """``[sink]``: where the messages go.

    Attributes:
        to: What it is.
        server: The address of the broker.
        stream: The stream there.
        create: JetStream: whether a stream that is missing is made.
        duplicate_window: Seconds for which the broker knows ids.
        max_len: Redis: entries that the stream keeps.
        path: The file.
        in_flight, batch, overflow, high_water, retry_for: See ``rxsocket.sinks.into``.
        timeout: Seconds that connecting, and an answer, may take.
    """

    to: Annotated[
        Literal["jetstream", "redis_streams", "file", "stdout"],
        "'jetstream', 'redis_streams', 'file' or 'stdout'",
    ]
    server: Annotated[str, "the address of the broker, or env:NAME or file:PATH"] | None = None
    stream: Annotated[str, "the name of the stream"] | None = None
    create: Annotated[bool, "true or false"] | None = None
    duplicate_window: Seconds | None = None
    max_len: Whole | None = None
    path: Annotated[str, "the path of a file"] | None = None
    in_flight: Whole | None = None
    batch: Whole | None = None
    overflow: (
        Annotated[
            Literal["pause", "drop_oldest", "drop_newest", "error"],
            "'pause', 'drop_oldest', 'drop_newest' or 'error'",
        ]
        | None
    ) = None
    high_water: Whole | None = None
    retry_for: Seconds | None = None
    timeout: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTable:
    """``[run]``: where the sockets are, and how it ends.

    Attributes:
        on: One loop, processes of this machine, or actors of Ray.
        shards: How many processes or actors.
        address: Ray: the cluster to join.
        resources: Ray: what each actor needs of its node.
        egress: Ray: the address that the sockets of each actor come from, by any name.
        sockets: How many sockets, instead of as few as the limits allow.
        settle: Seconds that what is under way to the broker may take at the end.
    """

    on: Annotated[Literal["loop", "processes", "ray"], "'loop', 'processes' or 'ray'"] = "loop"
    shards: Whole | None = None
    address: Annotated[str, "the address of a cluster, or 'auto'"] | None = None
    resources: Annotated[dict[str, float], "a table of numbers, such as {CPU = 1}"] | None = None
    egress: Annotated[str | list[str], "a name, or a list of one for each shard"] | None = None
    sockets: Whole | None = None
    settle: Seconds = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketTable:
    """``[socket]``: arguments of each ``Socket``, which says what they are; false is ``None``."""

    additional_headers: (
        Annotated[dict[str, str], "a table of texts, env:NAME or file:PATH"] | None
    ) = None
    close_timeout: Seconds | None = None
    compression: (
        Annotated[Literal["auto", "deflate", False], "'auto', 'deflate' or false"] | None
    ) = None
    auth_timeout: SecondsOrOff | None = None
    max_size: Annotated[int | Literal[False], "a number of bytes, or false for any"] | None = None
    on_auth_change: (
        Annotated[Literal["reconnect", "handover"], "'reconnect' or 'handover'"] | None
    ) = None
    on_stale: Annotated[Literal["event", "reconnect"], "'event' or 'reconnect'"] | None = None
    open_timeout: SecondsOrOff | None = None
    origin: Annotated[str, "a text"] | None = None
    ping_interval: SecondsOrOff | None = None
    ping_timeout: SecondsOrOff | None = None
    proxy: Annotated[str | bool, "an address, true for the environment's, or false"] | None = None
    stable_after: Seconds | None = None
    stale_after: Seconds | None = None
    subprotocols: Texts | None = None
    transport: Annotated[Literal["websockets", "picows"], "'websockets' or 'picows'"] | None = None
    user_agent_header: Annotated[str | Literal[False], "a text or false"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file.

    Attributes:
        url: Where to connect; env:NAME or file:PATH for one that holds a secret.
        name: What it is called in the log, and on Ray.
        channels: Their keys, or a file that has them, one a line.
        channel: How they are asked for.
        sink: Where their messages go.
        auth: The entries of the credential, or a function that gives it.
        carrier: How it goes on a connection.
        codec: What the messages are made of.
        limits: What the server allows.
        run: Where all of this runs.
        socket: Further arguments of the sockets.
    """

    url: Annotated[str | list[str], "an address such as 'wss://example.com/feed', or a list"]
    channels: Annotated[
        list[str] | str, "a list of keys, or 'file:PATH' of a file that has one a line"
    ]
    channel: ChannelTable
    sink: SinkTable
    name: Annotated[str, "a name on one line"] | None = None
    auth: (
        Annotated[dict[str, str] | str, "a table of env:NAME or file:PATH, or 'module:function'"]
        | None
    ) = None
    carrier: (
        Annotated[list[CarrierTable], "a name such as 'header', a table, or a list of these"] | None
    ) = None
    codec: Annotated[str, "'json', 'messagepack' or 'module:codec'"] = "json"
    limits: LimitsTable = field(default_factory=LimitsTable)
    run: RunTable = field(default_factory=RunTable)
    socket: SocketTable = field(default_factory=SocketTable)
