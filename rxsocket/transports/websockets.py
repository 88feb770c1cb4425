"""The default transport, on the ``websockets`` library: its handshake, and its errors."""

from __future__ import annotations

from typing import Any

from reactivex import Observable
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidProxyStatus, ProtocolError
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from rxsocket.logs import TransportLog
from rxsocket.transports.dial import open_tcp, proxied
from rxsocket.transports.opening import Opening, invalid_answer, proxy_refused
from rxsocket.transports.pushing import PushingConnection
from rxsocket.transports.seam import Request, Signal

__all__ = ["websockets_transport"]


def websockets_transport(request: Request) -> Observable[Signal]:
    """One connection over ``websockets``; see ``rxsocket.transports.seam`` for what it emits."""
    return Opening(request, _handshake, _explained)


async def _handshake(request: Request) -> PushingConnection:
    options = request.options
    subprotocols = [Subprotocol(name) for name in (*options.subprotocols, *request.subprotocols)]
    arguments: dict[str, Any] = {}
    if options.ssl is not None:
        arguments["ssl"] = options.ssl
    uri = parse_uri(request.url)
    if options.proxy is None or (options.proxy is True and not proxied()):
        arguments["sock"] = await open_tcp(uri.host, uri.port)
        arguments["proxy"] = None
    else:
        arguments["proxy"] = options.proxy
    # A fresh one for each attempt: a connect() rewrites its own address after a redirect.
    connection = await connect(
        request.url,
        origin=None if options.origin is None else Origin(options.origin),
        subprotocols=subprotocols or None,
        compression=options.compression,
        additional_headers=[*options.additional_headers, *request.headers],
        user_agent_header=options.user_agent_header,
        open_timeout=None,  # ours spans the look-up and redirects
        ping_interval=None,  # the keepalive is the socket's own, on any transport
        close_timeout=options.close_timeout,
        max_size=options.max_size,
        max_queue=None,  # nothing is queued: messages are pushed
        logger=TransportLog(),
        create_connection=PushingConnection,
        **arguments,
    )
    assert isinstance(connection, PushingConnection)
    return connection


def _explained(error: Exception) -> Exception | None:
    if isinstance(error, InvalidProxyStatus):
        return proxy_refused(error.response.status_code)
    if isinstance(error, (InvalidHandshake, ProtocolError, EOFError)):
        return invalid_answer(type(error).__name__)
    return None
