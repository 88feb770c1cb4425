"""The fast transport, on the ``picows`` library: its handshake, and its errors.

Like the default one, with these differences, all of them of ``picows``: no compression; a message
buffer that grows with the largest frame and stays so; where two frames in one read are invalid in
two ways, the later one may be the one reported; masks that come from the C library's ``rand()``.

::

    TCP, a proxy, TLS ── _Handshake ── 101 ── _Watched ── frames
                         reads the answer     before the protocol of picows

What it uses besides that of ``picows_connection.py``: the protocol of ``picows``, ``WSProtocol``,
which gets an answer only when it is a 101, and of that only what RFC 6455 speaks of.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio import BufferedProtocol
from collections.abc import Iterable
from functools import partial
from typing import Any, cast

import aiofastnet
from picows import WSError, WSTransport, WSUpgradeRequest, WSUpgradeResponse
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from reactivex import Observable
from websockets.headers import build_host
from websockets.uri import WebSocketURI

from rxsocket.errors import HandshakeInvalid
from rxsocket.transports.answers import Answer, AnswerReader, invalid_answer, unanswered
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.handshake import (
    LOG,
    Start,
    authorization,
    from_handshake,
    header_uri,
    open_transport,
)
from rxsocket.transports.picows_connection import PicowsConnection
from rxsocket.transports.proxies import Proxy
from rxsocket.url import split_unix

__all__ = ["picows_transport"]

READ_SIZE = 512 * 2**10
"""Bytes to read at once. By itself ``picows`` takes ever more, megabytes that no cache holds."""


def picows_transport(request: Request) -> Observable[Signal]:
    """One connection over ``picows``; see ``rxsocket.transports.base`` for what it emits."""
    return from_handshake(request, _handshake, _translate)


async def _handshake(request: Request, uri: WebSocketURI, proxy: Proxy | None) -> Start:
    loop = asyncio.get_running_loop()
    handshake = _Handshake(request, uri)
    is_unix = split_unix(request.url)[0] is not None
    try:
        await open_transport(
            request,
            uri,
            proxy,
            handshake,
            # Both libraries set options of TCP without asking whether it is one.
            create_connection=loop.create_connection
            if is_unix
            else partial(aiofastnet.create_connection, loop),
            start_tls=partial(aiofastnet.start_tls, loop),
        )
        await request.go()
        connection = await handshake.run()
    except BaseException:
        handshake.abort()
        raise
    return connection.start


class _Handshake(asyncio.Protocol):
    """Sends the request, reads the answer, and hands the connection to ``picows``."""

    def __init__(self, request: Request, uri: WebSocketURI) -> None:
        options = request.options
        self._connection = PicowsConnection(options.max_size)
        self._offered = (*options.subprotocols, *request.subprotocols)
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._protocol: Any = WSProtocol(
            host_port=uri.host,  # _headers() has the right one
            ws_path=uri.resource_name,
            is_client_side=True,
            ws_listener_factory=self._listener,
            logger=LOG,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,  # ours spans the look-up and redirects
            enable_auto_ping=False,
            auto_ping_idle_timeout=0,
            auto_ping_reply_timeout=0,
            auto_ping_strategy=0,
            enable_auto_pong=False,  # it would not look at a ping's reserved bits
            max_frame_size=sys.maxsize if options.max_size is None else options.max_size,
            extra_headers=_headers(uri, request, self._offered),
            read_buffer_init_size=2**14,
        )

    async def run(self) -> PicowsConnection:
        """Shake hands."""
        if not self._answered.done():
            is_unix = self._transport_is_unix()
            self._protocol.connection_made(
                _UnixTransport(self._transport) if is_unix else self._transport
            )
        await self._answered
        await self._protocol.wait_until_handshake_complete()
        return self._connection

    def _transport_is_unix(self) -> bool:
        tcp = None if self._transport is None else self._transport.get_extra_info("socket")
        return tcp is not None and tcp.family == getattr(socket, "AF_UNIX", None)

    def abort(self) -> None:
        """Let go of a connection that is not wanted any more."""
        if not self._answered.cancel() and not self._answered.cancelled():
            self._answered.exception()  # nobody else may have asked
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answered.done():
            return
        try:
            answer = self._reader.feed(data)
            if answer is None:
                return
            if self._protocol.transport is None:
                raise invalid_answer("it came before the request")
        except HandshakeInvalid as error:
            self._answered.set_exception(error)
            return
        if answer.status == 101:
            self._switch(answer)
        else:
            self._answered.set_exception(answer.refusal())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc or unanswered())

    def _switch(self, answer: Answer) -> None:
        assert self._transport is not None
        self._answered.set_result(None)
        watched = _Watched(self._connection, self._protocol)
        self._transport.set_protocol(watched)
        watched.feed(answer.upgrade() + answer.rest)

    def _listener(self, _: WSUpgradeRequest, response: WSUpgradeResponse) -> PicowsConnection:
        if response.headers.get("Sec-WebSocket-Extensions"):
            raise invalid_answer("an extension that was not offered")
        self._connection.subprotocol = _chosen(response, self._offered)
        return self._connection


class _UnixTransport:
    """The transport of a unix socket, on which ``picows`` may set options of TCP."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = self._transport.get_extra_info(name, default)
        return _UnixSocket(found) if name == "socket" else found


class _UnixSocket:
    def __init__(self, unix: Any) -> None:
        self._unix = unix

    def fileno(self) -> int:
        return cast(int, self._unix.fileno())

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if level != socket.IPPROTO_TCP:
            self._unix.setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int) -> int:
        return 0 if level == socket.IPPROTO_TCP else self._unix.getsockopt(level, option)


class _Watched(BufferedProtocol):
    """The protocol of ``picows``, with an eye on what it tells no listener.

    It passes everything on until ``picows`` gives up; a call for each read is all that it costs.
    """

    def __init__(self, connection: PicowsConnection, protocol: Any) -> None:
        self._connection = connection
        self._transport: WSTransport = protocol.transport
        self._protocol = protocol
        self._updated = protocol.buffer_updated
        self._room = protocol.get_buffer
        self._flush = connection.flush

    def feed(self, data: bytes) -> None:
        """Pass on what was read already; the first of it is the answer to the handshake."""
        left = memoryview(data)
        while left and not self._transport.underlying_transport.is_closing():
            room = self._room(-1)
            size = min(len(room), len(left))
            room[:size] = left[:size]
            self.buffer_updated(size)
            left = left[size:]

    def get_buffer(self, sizehint: int) -> memoryview:
        room = cast(memoryview, self._room(sizehint))
        return room if len(room) <= READ_SIZE else room[:READ_SIZE]

    def buffer_updated(self, nbytes: int) -> None:
        transport = self._transport
        if transport.is_close_frame_sent and self._connection.check_failed():
            return  # its parser would take what it refused for a frame
        self._connection.reads += 1
        self._updated(nbytes)
        if transport.is_close_frame_sent:
            self._connection.check_failed()
        self._flush()

    def eof_received(self) -> bool | None:
        return cast(bool, self._protocol.eof_received())

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)
        self._connection.connection_lost(exc)


def _headers(uri: WebSocketURI, request: Request, offered: Iterable[str]) -> list[tuple[str, str]]:
    options = request.options
    headers = [("Host", build_host(header_uri(uri).host, uri.port, uri.secure))]
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


def _translate(error: Exception) -> Exception | None:
    return invalid_answer(type(error).__name__) if isinstance(error, WSError) else None
