"""rxsocket: authenticated WebSockets as observable streams, on RxPY and websockets."""

from rxsocket.auth.carriers import Carried, Carrier, header, query
from rxsocket.auth.changes import AuthChange, InEffect, Overtaken, Refused, Stored
from rxsocket.auth.credentials import Credential, Secret
from rxsocket.auth.first_message import first_message
from rxsocket.auth.sources import Ask, Reason
from rxsocket.auth.strategies import Strategy, handover, in_band, reconnect
from rxsocket.errors import (
    ConnectionLost,
    CredentialRefused,
    HandshakeError,
    HandshakeInvalid,
    HandshakeRefused,
    NotConnected,
    ProviderFailed,
    RedirectRefused,
    SocketError,
    SocketFailed,
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
    RenewalFailed,
    Renewed,
    SendFailed,
    SourceFailed,
    Waiting,
)
from rxsocket.held import Session
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.verdicts import End, Row, Verdict, Verdicts, standard
from rxsocket.receipts import Receipt
from rxsocket.sending.outbox import Sent
from rxsocket.socket import Socket
from rxsocket.states import State
from rxsocket.streams import Stream, ValueStream
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
    "Closed",
    "ConnectFailed",
    "Connecting",
    "ConnectionLost",
    "Credential",
    "CredentialRefused",
    "Dropped",
    "End",
    "Ended",
    "Event",
    "HandshakeError",
    "HandshakeInvalid",
    "HandshakeRefused",
    "InEffect",
    "Link",
    "Message",
    "NotConnected",
    "ObserverFailed",
    "Opened",
    "Options",
    "Overtaken",
    "PeerClosed",
    "Problem",
    "ProviderFailed",
    "Reason",
    "Receipt",
    "RedirectRefused",
    "Refused",
    "Rejected",
    "RenewalFailed",
    "Renewed",
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
    "Strategy",
    "Stream",
    "Transport",
    "Unauthorized",
    "ValueStream",
    "Verdict",
    "Verdicts",
    "Waiting",
    "first_message",
    "handover",
    "header",
    "in_band",
    "query",
    "reconnect",
    "standard",
]
