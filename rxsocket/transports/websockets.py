"""The default transport, on the ``websockets`` library: its handshake, and its errors."""

from __future__ import annotations

from functools import partial
from typing import Any

from reactivex import Observable
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidProxyStatus, ProtocolError, ProxyError
from websockets.typing import Origin, Subprotocol
from websockets.uri import WebSocketURI

from rxsocket.transports.answers import invalid_answer
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.handshake import (
    LOG,
    Start,
    authorization,
    from_handshake,
    without_user_info,
)
from rxsocket.transports.proxies import Proxy, connect_through, proxy_error, proxy_refusal
from rxsocket.transports.tcp import addresses, open_tcp
from rxsocket.transports.websockets_connection import WebSocketsConnection


def websockets_transport(request: Request) -> Observable[Signal]:
    """One connection over ``websockets``; see ``rxsocket.transports.base`` for what it emits."""
    return from_handshake(request, _handshake, _translate)


async def _handshake(
    request: Request, uri: WebSocketURI, proxy: Proxy | None, proxy_url: str | None
) -> Start:
    if proxy is None:
        tcp = await open_tcp(uri.host, uri.port)
    elif proxy.scheme != "https":
        tcp = await connect_through(proxy, uri, request)
    else:
        await addresses(proxy.host, proxy.port)  # if this hangs, it is on a thread of ours (C26)
        return await _connect(request, proxy=proxy_url)
    return await _connect(request, proxy=None, sock=tcp)


async def _connect(request: Request, **arguments: Any) -> Start:
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
    return connection.start


def _translate(error: Exception, proxy: Proxy | None) -> Exception | None:
    if isinstance(error, InvalidProxyStatus) and proxy is not None:
        response = error.response
        return proxy_refusal(proxy, response.status_code, response.headers.get("Retry-After"))
    if isinstance(error, ProxyError):
        return proxy_error(error.__cause__ or error)
    if isinstance(error, (InvalidHandshake, ProtocolError, EOFError)):
        return invalid_answer(type(error).__name__)
    return None
