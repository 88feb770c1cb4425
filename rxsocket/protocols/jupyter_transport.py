"""How a socket connects to the channels of a kernel (C48)."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import uuid4

from rxsocket.protocols.jupyter_messages import V1, DefaultWire
from rxsocket.protocols.speaking import SpeakingTransport
from rxsocket.protocols.translating import TranslatingTransport, Wire
from rxsocket.transports.base import Transport
from rxsocket.transports.names import TransportName

PROTOCOL = "the protocol of Jupyter kernels"


class KernelTransport(SpeakingTransport):
    """What the socket and its link have to know of one another.

    Attributes:
        session: The id of the session.
    """

    def __init__(self, transport: TransportName | Transport, session: str | None) -> None:
        super().__init__(TranslatingTransport(transport, _wire, self._address), PROTOCOL)
        self.wraps = transport
        self.session = session or uuid4().hex

    def new_session(self) -> None:
        """What the server keeps is for nobody else (C14)."""
        self.session = uuid4().hex

    def _address(self, url: str) -> str:
        parts = urlsplit(url)
        query = "&".join(filter(None, (parts.query, urlencode({"session_id": self.session}))))
        return urlunsplit(parts._replace(query=query))


def _wire(subprotocol: str | None) -> Wire:
    return Wire() if subprotocol == V1 else DefaultWire()
