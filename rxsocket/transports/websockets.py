"""The default transport, on the ``websockets`` library: dialling, redirects, and errors to show."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from functools import partial
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from websockets.asyncio.client import connect
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxyStatus,
    InvalidURI,
    ProtocolError,
)
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from rxsocket.address import Address
from rxsocket.errors import HandshakeInvalid, RedirectRefused
from rxsocket.logs import TransportLog
from rxsocket.transports.dial import open_tcp, proxied
from rxsocket.transports.pushing import PushingConnection, Redirect
from rxsocket.transports.seam import Request, Signal

__all__ = ["websockets_transport"]

MAX_REDIRECTS = 10
_DROPPED_ON_REDIRECT = ("authorization", "cookie", "proxy-authorization")


def websockets_transport(request: Request) -> Observable[Signal]:
    """One connection over ``websockets``; see ``rxsocket.transports.seam`` for what it emits."""

    def subscribe(
        observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        async def run() -> None:
            try:
                connection = await _dial(request)
            except Exception as error:
                failure = _masked(error)
            else:
                connection.begin(observer)
                return
            observer.on_error(failure)

        task = asyncio.get_running_loop().create_task(run())

        def dispose() -> None:
            task.cancel()

        return Disposable(dispose)

    return Observable(subscribe)


async def _dial(request: Request) -> PushingConnection:
    """Open a connection; a redirect within the origin takes the credential along (C28)."""
    async with asyncio.timeout(request.options.open_timeout):
        first = request
        for _ in range(MAX_REDIRECTS):
            try:
                return await _handshake(request)
            except Redirect as redirect:
                location = redirect.location
            request = _redirected(request, Address.parse(first.url), location)
    raise RedirectRefused(f"more than {MAX_REDIRECTS} redirects")


def _redirected(request: Request, origin: Address, location: str) -> Request:
    try:
        target = Address.parse(request.url).join(location)
    except ValueError:
        target = None
    if target is None:
        raise RedirectRefused("redirected to what is no WebSocket address")
    if origin.secure and not target.secure:
        raise RedirectRefused("redirected from wss:// to ws://, which is not safe to follow")
    if target.origin == origin.origin and request.redirected is not None:
        return request.redirected(location)
    if not request.anonymous or origin.has_user_info:
        scheme, host, port = target.origin
        raise RedirectRefused(
            f"redirected to another origin, {scheme}://{host}:{port}, where the credential is not "
            "sent; use that address if you trust it"
        )
    kept = tuple(
        (name, value)
        for name, value in request.options.additional_headers
        if name.lower() not in _DROPPED_ON_REDIRECT
    )
    return Request(url=target.url, options=replace(request.options, additional_headers=kept))


async def _handshake(request: Request) -> PushingConnection:
    options = request.options
    subprotocols = [Subprotocol(name) for name in (*options.subprotocols, *request.subprotocols)]
    pushing = partial(PushingConnection, limit=options.max_size)
    arguments: dict[str, Any] = {"create_connection": pushing}
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
        **arguments,
    )
    assert isinstance(connection, PushingConnection)
    return connection


def _masked(error: Exception) -> Exception:
    """The error to show: without a traceback or a chain, whose frames hold the request (C28)."""
    shown: Exception
    if isinstance(error, TimeoutError):
        shown = TimeoutError("the handshake took longer than open_timeout")
    elif isinstance(error, InvalidProxyStatus):
        shown = HandshakeInvalid(f"the proxy answered with HTTP {error.response.status_code}")
    elif isinstance(error, ssl.SSLCertVerificationError):
        shown = error
    elif isinstance(error, InvalidURI):
        shown = HandshakeInvalid("the address is not one that websockets can dial")
    elif isinstance(error, (InvalidHandshake, ProtocolError, EOFError)):
        shown = HandshakeInvalid(
            f"the answer to the handshake is not valid ({type(error).__name__})"
        )
    else:
        shown = error
    shown.__cause__ = shown.__context__ = None
    return shown.with_traceback(None)
