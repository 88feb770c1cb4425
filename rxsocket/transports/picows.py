"""The fast transport, on the ``picows`` library: its handshake, and its errors.

Like the default one, with these differences, all of them of ``picows``: no compression; a message
buffer that grows with the largest frame and stays so; where two frames in one read are invalid in
two ways, the later one may be the one reported; masks that come from the C library's ``rand()``;
an interim answer (100, 103) before the one that opens fails the handshake, and so does a peer that
is no HTTP, but only when it sends an empty line, hangs up, or ``open_timeout`` is over.
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
from websockets.uri import WebSocketURI

from rxsocket.errors import HandshakeInvalid
from rxsocket.transports.answers import AnswerReader, invalid_answer, unanswered
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.handshake import LOG, Start, authorization, from_handshake
from rxsocket.transports.picows_connection import PicowsConnection
from rxsocket.transports.proxies import Proxy, connect_through, proxy_error, proxy_refusal
from rxsocket.transports.tcp import open_tcp


def picows_transport(request: Request) -> Observable[Signal]:
    """One connection over ``picows``; see ``rxsocket.transports.base`` for what it emits."""
    return from_handshake(request, _handshake, _translate)


async def _handshake(
    request: Request, uri: WebSocketURI, proxy: Proxy | None, proxy_url: str | None
) -> Start:
    if proxy is None:
        tcp = await open_tcp(uri.host, uri.port)
    elif proxy.scheme != "https":
        tcp, proxy_url = await connect_through(proxy, uri, request), None
    else:
        tcp = await open_tcp(proxy.host, proxy.port)
    try:
        await request.go()
    except BaseException:
        tcp.close()
        raise
    connection = await _connect(request, uri, proxy_url, tcp)
    return connection.start


async def _connect(
    request: Request, uri: WebSocketURI, proxy_url: str | None, tcp: socket.socket
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
            proxy=proxy_url,
            socket_factory=lambda _: tcp,
        )
        if made:
            return made[0]
        failure = unanswered()
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
    """What an answer means that ``picows`` does not take.

    It is read again from its bytes: ``picows`` knows only statuses that Python has names for, no
    HTTP/1.0, and no interim answers.
    """
    head, rest = error.raw_header or b"", error.raw_body or b""
    try:
        answer = AnswerReader().feed(head + b"\r\n\r\n" + rest)
    except HandshakeInvalid as invalid:
        return invalid
    if answer is None or answer.status == 101:
        return invalid_answer(type(error).__name__)
    return answer.refusal()


def _translate(error: Exception, proxy: Proxy | None) -> Exception | None:
    if isinstance(error, ProxyError):
        status = re.search(r"status (\d{3})$", str(error))
        if status is not None and proxy is not None:
            return proxy_refusal(proxy, int(status[1]))
        return proxy_error(error)
    if isinstance(error, WSError):
        return invalid_answer(type(error).__name__)
    return None
