"""The default transport, on the ``websockets`` library: its handshake, and its errors."""

from __future__ import annotations

import asyncio

from reactivex import Observable
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, NegotiationError, ProtocolError
from websockets.extensions.permessage_deflate import enable_client_permessage_deflate
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI

from rxsocket.transports.answers import invalid_answer
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.handshake import (
    LOG,
    Start,
    authorization,
    from_handshake,
    header_uri,
    open_transport,
)
from rxsocket.transports.proxies import Proxy
from rxsocket.transports.websockets_connection import NOT_UNDERSTOOD, WebSocketsConnection

__all__ = ["websockets_transport"]


def websockets_transport(request: Request) -> Observable[Signal]:
    """One connection over ``websockets``; see ``rxsocket.transports.base`` for what it emits."""
    return from_handshake(request, _handshake, _translate)


async def _handshake(request: Request, uri: WebSocketURI, proxy: Proxy | None) -> Start:
    options = request.options
    subprotocols = [Subprotocol(name) for name in (*options.subprotocols, *request.subprotocols)]
    protocol = ClientProtocol(
        header_uri(uri),
        origin=None if options.origin is None else Origin(options.origin),
        extensions=enable_client_permessage_deflate(None) if options.compression else None,
        subprotocols=subprotocols or None,
        max_size=options.max_size,
        logger=LOG,
    )
    connection = WebSocketsConnection(
        protocol,
        limit=options.max_size,
        ping_interval=None,  # the keepalive is the socket's own, on any transport
        close_timeout=options.close_timeout,
        max_queue=None,  # nothing is queued: messages are pushed
    )
    loop = asyncio.get_running_loop()
    await open_transport(
        request,
        uri,
        proxy,
        connection,
        create_connection=loop.create_connection,
        start_tls=loop.start_tls,
    )
    headers = [*authorization(request.url), *options.additional_headers, *request.headers]
    try:
        await request.go()  # all that comes before the request is done
        await connection.handshake(headers, options.user_agent_header)
    except BaseException:
        connection.transport.abort()
        raise
    return connection.start


def _translate(error: Exception) -> Exception | None:
    if isinstance(error, NegotiationError):
        return invalid_answer(NOT_UNDERSTOOD)
    if isinstance(error, (InvalidHandshake, ProtocolError, EOFError)):
        return invalid_answer(type(error).__name__)
    return None
