"""Carriers: how a credential is put on a connection (C10).

A carrier is a function from a credential's value, a string or a mapping, to the :class:`Carried`
that it adds to the handshake. It is asked again for each attempt.

Of a string, every carrier carries the string. Of a mapping it carries every entry, or those that
``only=`` names; what it cannot carry fails at once. So a mapping is split like this::

    auth = {"key": "k1", "token": "t1", "room": 7}
    carrier = query(only=["key", "room"]) & header(only="token")
"""

from rxsocket.auth.carriers.carried import Carried
from rxsocket.auth.carriers.combining import Carrier, Combinable, carrier
from rxsocket.auth.carriers.cookies import cookie
from rxsocket.auth.carriers.first_message import first_message
from rxsocket.auth.carriers.headers import header
from rxsocket.auth.carriers.queries import query
from rxsocket.auth.carriers.subprotocols import subprotocol

__all__ = [
    "Carried",
    "Carrier",
    "Combinable",
    "carrier",
    "cookie",
    "first_message",
    "header",
    "query",
    "subprotocol",
]
