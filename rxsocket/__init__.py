"""Authenticated WebSockets as observable streams, on RxPY and websockets.

A credential is a value in a stream. Each new one is followed by a new connection, each failure is
told and dealt with, and subscribers stay where they are::

    auth        A--------------B-----------bad-----C------
    connection    ===========    =========   x       =====
    messages    ---1--2-----3----4----5---------------6---

    from rxsocket import Socket

    socket = Socket("wss://example.com/feed", auth={"token": "initial"})
    socket.messages.subscribe(print)            # connects; lives through every reconnect
    socket.set_auth({"token": "updated"})       # another connection, the same subscriber
    print(socket.explain())                     # what it is doing, why, and what you can do
    socket.wait()                               # until Ctrl-C; or await socket.wait_closed()

What there is, with ``help(rxsocket.Socket)`` and so on for each:

========================  ======================================================================
to connect and observe    Socket, Stream, Session, State, Stats, history
what happens              Event and its classes, from Connecting to Ended; Cause; Problem
credentials               refreshing, Ask, Reason, Ticket, Credential
where a credential goes   query, header, cookie, subprotocol, first_message, client_certificate
how a change is made      reconnect, handover, in_band; InEffect, Refused, Overtaken, Stored
addresses and resuming    endpoint, cursor
sending and asking        Receipt, Sent, Limits, Listener, Emitter, Channel, Channels
types of messages         json_codec, messagepack_codec, Codec
what follows an end       Verdict, Verdicts, standard, Backoff, heartbeat
what goes wrong           SocketError and its classes, from HandshakeRefused to SocketFailed
rxsocket.operators        for slow consumers, async functions, state over reconnects
rxsocket.testing          server, fake, clock: tests in virtual time or on loopback
rxsocket.recording        record, replay
rxsocket.notebook         timeline, marbles, frame, plot, peek
rxsocket.oauth            tokens by OAuth 2; rxsocket.credentials: secrets from files
rxsocket.protocols        graphql, json_rpc, socket_io, jupyter; rxsocket.sse
rxsocket.fleet, .sinks    many channels over many sockets; streams stored in brokers
rxsocket.metrics          the numbers of a socket for OpenTelemetry; rxsocket.schema
========================  ======================================================================

On the command line: ``rxsocket --help``. A rule that a docstring names, as in "rule C21, while not
open", is one of the contract: what is promised, and held by tests.
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
    HandshakeFailed,
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
    "HandshakeFailed",
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
