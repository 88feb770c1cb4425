"""rxsocket: authenticated WebSockets as observable streams, on RxPY and websockets."""

from rxsocket.auth.carriers import Carried, Carrier, header, query
from rxsocket.auth.changes import AuthChange, InEffect, Overtaken, Refused, Stored
from rxsocket.auth.credentials import Credential, Secret
from rxsocket.auth.sources import Ask, Reason
from rxsocket.errors import (
    ConnectionLost,
    CredentialRefused,
    HandshakeError,
    HandshakeInvalid,
    HandshakeRefused,
    IdentityChanged,
    NotConnected,
    ProviderFailed,
    QueueFull,
    RedirectRefused,
    SocketError,
    SocketFailed,
    SubscriptionRefused,
    Unauthorized,
)
from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Dropped,
    Ended,
    Event,
    Message,
    ObserverFailed,
    Opened,
    Problem,
    Rejected,
    SendFailed,
    SourceFailed,
    State,
    TopicFailed,
    Waiting,
)
from rxsocket.held import Session
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.verdicts import End, Row, Verdict, Verdicts, standard
from rxsocket.receipts import Receipt
from rxsocket.sending.outbox import Sent
from rxsocket.sending.outgoing import Outgoing
from rxsocket.socket import Socket
from rxsocket.streams import Stream, ValueStream
from rxsocket.topics.channel import Channel
from rxsocket.topics.emitter import Emitter
from rxsocket.topics.envelope import Envelope
from rxsocket.topics.listener import Listener
from rxsocket.transports.seam import (
    Link,
    Options,
    PeerClosed,
    Request,
    Signal,
    Transport,
)

__all__ = [
    "Aborted",
    "Ask",
    "AuthChange",
    "AwaitingAuth",
    "Backoff",
    "Carried",
    "Carrier",
    "Cause",
    "Channel",
    "Closed",
    "ConnectFailed",
    "Connecting",
    "ConnectionLost",
    "Credential",
    "CredentialRefused",
    "Dropped",
    "Emitter",
    "End",
    "Ended",
    "Envelope",
    "Event",
    "HandshakeError",
    "HandshakeInvalid",
    "HandshakeRefused",
    "IdentityChanged",
    "InEffect",
    "Link",
    "Listener",
    "Message",
    "NotConnected",
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
    "RedirectRefused",
    "Refused",
    "Rejected",
    "Request",
    "Row",
    "Secret",
    "SendFailed",
    "Sent",
    "Session",
    "Signal",
    "Socket",
    "SocketError",
    "SocketFailed",
    "SourceFailed",
    "State",
    "Stored",
    "Stream",
    "SubscriptionRefused",
    "TopicFailed",
    "Transport",
    "Unauthorized",
    "ValueStream",
    "Verdict",
    "Verdicts",
    "Waiting",
    "header",
    "query",
    "standard",
]
