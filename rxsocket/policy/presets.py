"""Verdict tables for protocols that give close codes a meaning of their own (C16).

Each is the standard table with a few lines replaced. A preset is a value like any other table::

    Socket(url, verdicts=centrifugo().override({4404: Verdict.FAIL}))
"""

from __future__ import annotations

from collections.abc import Mapping

from rxsocket.policy.verdicts import Key, Row, Verdict, Verdicts, standard

RECONNECT, AWAIT_AUTH, FAIL = Verdict.RECONNECT, Verdict.AWAIT_AUTH, Verdict.FAIL
PATIENT = Row(RECONNECT, in_a_row=5)

GRAPHQL_TRANSPORT_WS: Mapping[Key, Verdict | Row] = {
    4004: FAIL,  # bad response: the two ends do not speak the same protocol
    4005: FAIL,  # internal client error
    4400: FAIL,  # invalid message: the same one would come again
    4401: AWAIT_AUTH,  # unauthorized: subscribed before the connection was acknowledged
    4403: AWAIT_AUTH,  # forbidden: the payload of connection_init was refused
    4406: FAIL,  # subprotocol not acceptable
    4408: RECONNECT,  # connection_init came too late
    4409: FAIL,  # a subscriber with this id exists already
    4429: FAIL,  # connection_init was sent twice: a mistake of the client, not a rate limit
    4499: RECONNECT,  # terminated
    4500: PATIENT,  # internal server error
    4504: RECONNECT,  # the acknowledgement took too long
}

# The exact codes come first: 3000, 3003, 4401 and 4403 have lines of their own in the standard
# table, and one number goes before a range.
CENTRIFUGO: Mapping[Key, Verdict | Row] = {
    1000: RECONNECT,  # a transport that closed normally is reconnected like any other
    3000: RECONNECT,
    3003: RECONNECT,
    3005: AWAIT_AUTH,  # connection expired: it takes a new token
    3500: AWAIT_AUTH,  # invalid token
    3507: AWAIT_AUTH,  # permission denied
    4401: RECONNECT,
    4403: RECONNECT,
    range(3000, 3500): RECONNECT,  # Centrifugo's own codes, to be reconnected after
    range(3500, 4000): FAIL,  # Centrifugo's own codes, final
    range(4000, 4500): RECONNECT,  # the application's codes, to be reconnected after
    range(4500, 5000): FAIL,  # the application's codes, final
}

JUPYTER_KERNEL: Mapping[Key, Verdict | Row] = {
    1000: RECONNECT,  # the server lets go of a client without saying that the kernel is done
    404: FAIL,  # there is no such kernel; an id is never used again
}


def graphql_transport_ws() -> Verdicts:
    """The table for the subprotocol ``graphql-transport-ws``.

    A wrong message, a second ``connection_init`` or a subprotocol that does not fit ends the
    socket; 4401 and 4403 await another credential; 4408 and 4504, in which only time ran out, are
    tried again. 4500 is tried again, but not more than 5 times in a row.

    The codes are those of "GraphQL over WebSocket Protocol" (``PROTOCOL.md`` of graphql-ws) and of
    its reference implementation.

    Examples:
        >>> graphql_transport_ws()(End(code=4406))
        FAIL
    """
    return standard().override(GRAPHQL_TRANSPORT_WS)


def centrifugo() -> Verdicts:
    """The table for Centrifugo, and for servers that use its library.

    3000 to 3499 and 4000 to 4499 are reconnected after, 3500 to 3999 and 4500 to 4999 are final:
    so 3000 and 3003 do not mean what the IANA registry says. A refused or expired token (3005,
    3500, 3507) awaits another one.

    The classes are those of "Client protocol codes" in Centrifugo's documentation.

    Examples:
        >>> centrifugo()(End(code=3000)), centrifugo()(End(code=3503))
        (RECONNECT, FAIL)
    """
    return standard().override(CENTRIFUGO)


def jupyter_kernel() -> Verdicts:
    """The table for the ``channels`` endpoint of a kernel on a Jupyter server.

    A kernel that does not exist (HTTP 404) ends the socket at once. A normal closure is no end:
    the kernel goes on without its client, which connects again. HTTP 403 awaits another token.

    The endpoint is that of "WebSocket kernel wire protocols" in Jupyter Server's documentation.

    Examples:
        >>> jupyter_kernel()(End(error=HandshakeRefused(404)))
        FAIL
    """
    return standard().override(JUPYTER_KERNEL)
