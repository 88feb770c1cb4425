"""rxsocket: authenticated WebSockets as observable streams, on RxPY and websockets.

A number such as (C13) in a docstring is a rule of the contract, ``tests/CONTRACT.md``.
"""

from rxsocket.auth.carrier import Carried, Carrier, carrier
from rxsocket.auth.carriers import cookie, first_message, header, query, subprotocol
from rxsocket.auth.certificates import ClientCertificate
from rxsocket.auth.client_certificate import client_certificate
from rxsocket.auth.credentials import Credential, Secret, Ticket
from rxsocket.auth.outcomes import (
    AuthChange,
    InEffect,
    NotInEffect,
    Overtaken,
    Refused,
    Stored,
)
from rxsocket.auth.providers import Ask, Reason
from rxsocket.auth.refresh import Refreshing, refreshing
from rxsocket.auth.strategies import Strategy, handover, in_band, reconnect
from rxsocket.codecs import Codec, json_codec, messagepack, messagepack_codec
from rxsocket.codecs import json as json  # not in __all__: a * would hide that of Python
from rxsocket.endpoint.endpoint import AddressSource, Endpoint, endpoint
from rxsocket.errors import (
    AddressFailed,
    Attempted,
    BufferOverflow,
    ConnectionLost,
    CredentialRefused,
    HandshakeError,
    HandshakeInvalid,
    HandshakeRefused,
    IdentityChanged,
    NoMoreEvents,
    NotAnEventStream,
    NotConnected,
    ProviderFailed,
    QueueFull,
    ReceiveOnly,
    RedirectRefused,
    SocketError,
    SocketFailed,
    SubscriptionRefused,
    Unauthorized,
    Undecodable,
)
from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    ChannelFailed,
    ChannelStale,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Fresh,
    Gated,
    Message,
    Missed,
    ObserverFailed,
    Opened,
    Problem,
    Rejected,
    RenewalFailed,
    Renewed,
    Resumed,
    SendFailed,
    SlowConsumer,
    SourceFailed,
    Stale,
    TopicFailed,
    Waiting,
)
from rxsocket.explain.explanation import Explanation
from rxsocket.history import history
from rxsocket.limits import Limits
from rxsocket.liveness.heartbeat import Heartbeat, heartbeat
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.presets import centrifugo, graphql_transport_ws, jupyter_kernel
from rxsocket.policy.verdicts import End, Row, Verdict, Verdicts, standard
from rxsocket.resume.cursor import Cursor, cursor
from rxsocket.sending.interceptors import Outgoing
from rxsocket.sending.outbox import Sent
from rxsocket.socket import Socket
from rxsocket.state import State
from rxsocket.stats import Stats
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.replay import Session
from rxsocket.streams.stream import Stream, ValueStream
from rxsocket.topics.channels import Channel, Channels
from rxsocket.topics.listeners import Listener
from rxsocket.topics.subscribing import Subscribing
from rxsocket.topics.topic import Emitter, Envelope
from rxsocket.transports.base import (
    Link,
    Options,
    PeerClosed,
    Request,
    Signal,
    StreamNotice,
    Transport,
)

__all__ = [
    "Aborted",
    "AddressFailed",
    "AddressSource",
    "Ask",
    "Attempted",
    "AuthChange",
    "AwaitingAuth",
    "Backoff",
    "BufferOverflow",
    "Carried",
    "Carrier",
    "Cause",
    "Channel",
    "ChannelFailed",
    "ChannelStale",
    "Channels",
    "ClientCertificate",
    "Closed",
    "Codec",
    "ConnectFailed",
    "Connecting",
    "ConnectionLost",
    "Credential",
    "CredentialRefused",
    "Cursor",
    "DecodeFailed",
    "Dropped",
    "Emitter",
    "End",
    "Ended",
    "Endpoint",
    "Envelope",
    "Event",
    "Explanation",
    "Fresh",
    "Gated",
    "HandshakeError",
    "HandshakeInvalid",
    "HandshakeRefused",
    "Heartbeat",
    "IdentityChanged",
    "InEffect",
    "Limits",
    "Link",
    "Listener",
    "Message",
    "Missed",
    "NoMoreEvents",
    "NotAnEventStream",
    "NotConnected",
    "NotInEffect",
    "ObserverFailed",
    "Opened",
    "Options",
    "Outgoing",
    "Overtaken",
    "PeerClosed",
    "Problem",
    "ProviderFailed",
    "QueueFull",
    "Reason",
    "Receipt",
    "ReceiveOnly",
    "RedirectRefused",
    "Refreshing",
    "Refused",
    "Rejected",
    "RenewalFailed",
    "Renewed",
    "Request",
    "Resumed",
    "Row",
    "Secret",
    "SendFailed",
    "Sent",
    "Session",
    "Signal",
    "SlowConsumer",
    "Socket",
    "SocketError",
    "SocketFailed",
    "SourceFailed",
    "Stale",
    "State",
    "Stats",
    "Stored",
    "Strategy",
    "Stream",
    "StreamNotice",
    "Subscribing",
    "SubscriptionRefused",
    "Ticket",
    "TopicFailed",
    "Transport",
    "Unauthorized",
    "Undecodable",
    "ValueStream",
    "Verdict",
    "Verdicts",
    "Waiting",
    "carrier",
    "centrifugo",
    "client_certificate",
    "cookie",
    "cursor",
    "endpoint",
    "first_message",
    "graphql_transport_ws",
    "handover",
    "header",
    "heartbeat",
    "history",
    "in_band",
    "json_codec",
    "jupyter_kernel",
    "messagepack",
    "messagepack_codec",
    "query",
    "reconnect",
    "refreshing",
    "standard",
    "subprotocol",
]
