"""The fast transport, on the ``picows`` library: its handshake, and its errors.

Like the default one, with these differences, all of them of ``picows``: no compression; a message
buffer that grows with the largest frame and stays so; where two frames in one read are invalid in
two ways, the later one may be the one reported; masks that come from the C library's ``rand()``.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress

from picows import (
    WSError,
    WSHandshakeError,
    WSUpgradeRequest,
    WSUpgradeResponse,
    ws_connect,  # pyright: ignore[reportUnknownVariableType] - its **kwargs, which are not used
)
from python_socks import ProxyError
from reactivex import Observable
from websockets.headers import build_host
from websockets.uri import WebSocketURI, parse_uri

from rxsocket.errors import HandshakeInvalid, HandshakeRefused
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.handshake import (
    Redirect,
    TransportLog,
    authorization,
    invalid_answer,
    opening,
    proxy_refused,
)
from rxsocket.transports.picows_connection import PicowsConnection
from rxsocket.transports.proxies import Proxy, proxy_for, through_socks
from rxsocket.transports.tcp import open_tcp

__all__ = ["picows_transport"]

LOG = TransportLog()


def picows_transport(request: Request) -> Observable[Signal]:
    """One connection over ``picows``; see ``rxsocket.transports.base`` for what it emits."""
    return opening(request, _handshake, _explained)


async def _handshake(request: Request) -> PicowsConnection:
    uri = parse_uri(request.url)
    proxy = proxy_for(uri, request.options.proxy)
    if proxy is None:
        tcp = await open_tcp(uri.host, uri.port)
    elif proxy.socks:
        tcp = await through_socks(proxy, uri.host, uri.port)
        proxy = None
    else:
        tcp = await open_tcp(proxy.host, proxy.port)
    try:
        await request.go()
    except BaseException:
        tcp.close()
        raise
    return await _connect(request, uri, proxy, tcp)


async def _connect(
    request: Request, uri: WebSocketURI, proxy: Proxy | None, tcp: socket.socket
) -> PicowsConnection:
    options = request.options
    offered = (*options.subprotocols, *request.subprotocols)
    made: list[PicowsConnection] = []

    def listener(_: WSUpgradeRequest, response: WSUpgradeResponse) -> PicowsConnection:
        if response.headers.get("Sec-WebSocket-Extensions"):
            raise invalid_answer("an extension that was not offered")
        chosen = _chosen(response, offered)
        made.append(PicowsConnection(options.max_size, chosen))
        return made[0]

    failure: Exception
    try:
        await ws_connect(
            listener,
            _address(uri),
            ssl_context=options.ssl,
            websocket_handshake_timeout=None,  # ours spans the look-up and redirects
            logger_name=LOG,
            enable_auto_pong=False,  # it would not look at a ping's reserved bits
            max_frame_size=sys.maxsize if options.max_size is None else options.max_size,
            extra_headers=_headers(uri, request, offered),
            max_redirects=0,
            proxy=None if proxy is None else proxy.url,
            socket_factory=lambda _: tcp,
        )
        if made:
            return made[0]
        failure = invalid_answer("the connection was closed")
    except WSHandshakeError as error:
        _abandon(tcp, made)
        failure = _refused(error)
    except BaseException:
        _abandon(tcp, made)
        raise
    raise failure


def _abandon(tcp: socket.socket, made: list[PicowsConnection]) -> None:
    """Let go of a connection that is not wanted any more.

    ``ws_connect`` leaves it open when it is cancelled, and closes it politely, over TLS with a wait
    for an answer, when the handshake fails. The transport is in nobody's hands before the handshake
    is over; cutting TCP below it makes it close itself.
    """
    for connection in made:
        connection.abort()
    with suppress(OSError):
        tcp.shutdown(socket.SHUT_RDWR)


def _address(uri: WebSocketURI) -> str:
    """The address as ``picows`` takes it: ASCII only, and without user info."""
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    return f"{'wss' if uri.secure else 'ws'}://{host}:{uri.port}{uri.resource_name}"


def _headers(uri: WebSocketURI, request: Request, offered: Iterable[str]) -> list[tuple[str, str]]:
    options = request.options
    headers = [("Host", build_host(uri.host, uri.port, uri.secure))]
    headers += authorization(request.url)
    if options.origin is not None:
        headers.append(("Origin", options.origin))
    if offered:
        headers.append(("Sec-WebSocket-Protocol", ", ".join(offered)))
    headers += (*options.additional_headers, *request.headers)
    names = {name.lower() for name, _ in headers}
    if options.user_agent_header is not None and "user-agent" not in names:
        headers.append(("User-Agent", options.user_agent_header))
    return headers


def _chosen(response: WSUpgradeResponse, offered: Iterable[str]) -> str | None:
    values = response.headers.getall("Sec-WebSocket-Protocol", [])
    names = [name.strip() for value in values for name in value.split(",")]
    if not names:
        return None
    if len(names) > 1 or names[0] not in offered:
        raise invalid_answer("a subprotocol that was not offered")
    return names[0]


def _refused(error: WSHandshakeError) -> Exception:
    """What an answer that is no 101 means. ``picows`` knows only the statuses Python has names for.

    So the answer is read again, from the bytes.
    """
    lines = (error.raw_header or b"").decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 (\d{3})( .*)?", lines[0])
    if status is None or (code := int(status[1])) == 101:
        return invalid_answer(type(error).__name__)
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    if 300 <= code < 400 and "location" in headers:
        return Redirect(headers["location"])
    return HandshakeRefused(code, retry_after=headers.get("retry-after"))


def _explained(error: Exception) -> Exception | None:
    if isinstance(error, ProxyError):
        status = re.search(r"status (\d{3})$", str(error))
        if status is not None:
            return proxy_refused(int(status[1]))
        return HandshakeInvalid("the proxy did not open the connection")
    if isinstance(error, WSError):
        return invalid_answer(type(error).__name__)
    return None
