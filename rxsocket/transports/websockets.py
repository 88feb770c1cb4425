"""The default transport, on the ``websockets`` library: its handshake, and its errors."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from reactivex import Observable
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidProxyStatus, ProtocolError
from websockets.typing import Origin, Subprotocol

from rxsocket.transports.base import Request, Signal
from rxsocket.transports.handshake import (
    TransportLog,
    authorization,
    invalid_answer,
    opening,
    proxy_refused,
    without_user_info,
)
from rxsocket.transports.tcp import open_tcp, proxied
from rxsocket.transports.websockets_connection import WebSocketsConnection

__all__ = ["websockets_transport"]

LOG = TransportLog()


def websockets_transport(request: Request) -> Observable[Signal]:
    """One connection over ``websockets``; see ``rxsocket.transports.base`` for what it emits."""
    return opening(request, _handshake, _explained)


async def _handshake(request: Request) -> WebSocketsConnection:
    options = request.options
    if options.proxy is not None and (options.proxy is not True or proxied()):
        return await _connect(request, proxy=options.proxy)
    parts = urlsplit(request.url)
    tcp = await open_tcp(parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80))
    return await _connect(request, proxy=None, sock=tcp)


async def _connect(request: Request, **arguments: Any) -> WebSocketsConnection:
    options = request.options
    subprotocols = [Subprotocol(name) for name in (*options.subprotocols, *request.subprotocols)]
    arguments["create_connection"] = partial(
        WebSocketsConnection, limit=options.max_size, go=request.go
    )
    if options.ssl is not None:
        arguments["ssl"] = options.ssl
    # A fresh one for each attempt: a connect() rewrites its own address after a redirect.
    connection = await connect(
        without_user_info(request.url),
        origin=None if options.origin is None else Origin(options.origin),
        subprotocols=subprotocols or None,
        compression=options.compression,
        additional_headers=[
            *authorization(request.url),
            *options.additional_headers,
            *request.headers,
        ],
        user_agent_header=options.user_agent_header,
        open_timeout=None,  # ours spans the look-up and redirects
        ping_interval=None,  # the keepalive is the socket's own, on any transport
        close_timeout=options.close_timeout,
        max_size=options.max_size,
        max_queue=None,  # nothing is queued: messages are pushed
        logger=LOG,
        **arguments,
    )
    assert isinstance(connection, WebSocketsConnection)
    return connection


def _explained(error: Exception) -> Exception | None:
    if isinstance(error, InvalidProxyStatus):
        return proxy_refused(error.response.status_code)
    if isinstance(error, (InvalidHandshake, ProtocolError, EOFError)):
        return invalid_answer(type(error).__name__)
    return None
