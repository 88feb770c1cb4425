"""The default transport, on the ``websockets`` library.

What it stands on, all of it here: ``connect(create_connection=...)`` with a subclass of
``ClientConnection`` that overrides ``handshake``, ``process_event`` and ``connection_lost``, and
reads ``protocol.close_rcvd``, ``close_sent`` and ``close_rcvd_then_sent``.

Messages are pushed: ``process_event`` hands each one to the observer as soon as its last frame is
parsed, with no queue and no task switch. So a connection that is being closed always drains.
"""

from __future__ import annotations

import asyncio
import codecs
import ssl
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProtocolError,
)
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from rxsocket.address import Address
from rxsocket.errors import (
    ConnectionLost,
    HandshakeInvalid,
    HandshakeRefused,
    RedirectRefused,
)
from rxsocket.logs import TransportLog
from rxsocket.transports.dial import open_tcp, proxied
from rxsocket.transports.seam import PeerClosed, Request, Signal

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


class _Redirect(Exception):
    def __init__(self, location: str) -> None:
        self.location = location


class _Connection(ClientConnection):
    """A ``ClientConnection`` that pushes; it is the link, too."""

    _observer: abc.ObserverBase[Signal] | None = None
    _opcode: Opcode | None = None
    _ended: PeerClosed | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._early: list[str | bytes] = []
        self._fragments: list[bytes] = []
        self._closing = False
        self._answered = asyncio.Event()

    async def handshake(self, *args: Any, **kwargs: Any) -> None:
        """Turn refusals into errors that hold nothing of the request or the response's body.

        It also keeps ``connect`` from following redirects by itself: it would drop the credential's
        query, or take other headers along to another origin.
        """
        failure: Exception
        try:
            await super().handshake(*args, **kwargs)
            return
        except InvalidStatus as error:
            status, headers = error.response.status_code, error.response.headers
            if 300 <= status < 400 and "Location" in headers:
                failure = _Redirect(headers["Location"])
            else:
                failure = HandshakeRefused(status, retry_after=headers.get("Retry-After"))
        raise failure

    def begin(self, observer: abc.ObserverBase[Signal]) -> None:
        """Announce the link, then what came with the handshake's answer, then what comes."""
        self._observer = observer
        observer.on_next(_Link(self))
        early, self._early = self._early, []
        for message in early:
            observer.on_next(message)
        if self._ended is not None:
            self._finish(self._ended)

    def process_event(self, event: Any) -> None:
        """Take data frames before the queue of ``websockets`` does; the others are its own."""
        if self.response is None or not isinstance(event, Frame):
            super().process_event(event)
        elif event.opcode is Opcode.CLOSE:
            self._answered.set()
            self._end(self._how_closed())
        elif event.opcode in (Opcode.PING, Opcode.PONG):
            super().process_event(event)
        else:
            self._data(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection is gone."""
        super().connection_lost(exc)
        self._answered.set()
        self._end(self._how_closed())

    def _data(self, frame: Frame) -> None:
        if self._ended is not None:
            return  # what follows a failure is dropped, not kept for an observer that will not come
        opcode = frame.opcode if frame.opcode is not Opcode.CONT else self._opcode
        if not frame.fin:
            self._opcode = opcode
            self._fragments.append(bytes(frame.data))
            return
        data = bytes(frame.data)
        if self._fragments:
            data = b"".join((*self._fragments, data))
            self._fragments.clear()
        self._opcode = None
        if opcode is Opcode.BINARY:
            self._push(data)
            return
        try:
            text = codecs.decode(data, "utf-8")
        except UnicodeDecodeError as error:
            self._fail(1007, f"{error.reason} at position {error.start}")
        else:
            self._push(text)

    def _push(self, message: str | bytes) -> None:
        if self._observer is None:
            self._early.append(message)
        else:
            self._observer.on_next(message)

    def _fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455, section 7.1.7): say why, and take no more."""
        self._end(PeerClosed(1006, reason, sent=code))
        self.start_closing(code, reason)

    def start_closing(self, code: int, reason: str) -> None:
        """Send a close frame, once; whoever waits for the rest puts a bound on it."""
        if not self._closing and self.protocol.state is State.OPEN:
            self.protocol.send_close(code, reason)
            self.send_data()
        self._closing = True

    def data_received(self, data: bytes) -> None:
        """Bytes came; when they made the parser fail the connection, no more messages will."""
        super().data_received(data)
        failed = self.protocol.close_sent
        if failed is not None and self._ended is None and not self._closing:
            self._fail(failed.code, failed.reason)

    def _how_closed(self) -> PeerClosed:
        received, sent = self.protocol.close_rcvd, self.protocol.close_sent
        ours = None if sent is None or self.protocol.close_rcvd_then_sent else sent.code
        if received is None:
            reason = sent.reason if sent is not None else self._lost_because()
            return PeerClosed(1006, reason, ours, lost=True)
        return PeerClosed(received.code, received.reason, ours)

    def _lost_because(self) -> str:
        # Before 17.0 websockets called it recv_exc.
        error = getattr(self, "connection_exc", None) or getattr(self, "recv_exc", None)
        return str(error or "")

    def _end(self, ended: PeerClosed) -> None:
        if self._ended is None:
            self._ended = ended
            if self._observer is not None:
                self._finish(ended)

    def _finish(self, ended: PeerClosed) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.on_next(ended)
            observer.on_completed()

    async def answered(self) -> None:
        """Return when the peer sent a close frame, or the connection is gone."""
        await self._answered.wait()


class _Link:
    """The socket's view of a connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @property
    def subprotocol(self) -> str | None:
        return self._connection.subprotocol

    async def send(self, data: str | bytes) -> None:
        try:
            await self._connection.send(data)
            return
        except ConnectionClosed:
            pass
        raise ConnectionLost("the connection closed before the message was written")

    async def ping(self) -> float:
        try:
            return await (await self._connection.ping())
        except ConnectionClosed:
            pass
        raise ConnectionLost("the connection closed before the pong came")

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        self._connection.start_closing(code, reason)
        return self._connection.answered()

    async def wait_closed(self) -> None:
        await self._connection.wait_closed()

    def abort(self) -> None:
        self._connection.transport.abort()


async def _dial(request: Request) -> _Connection:
    """Open a connection; a redirect within the origin takes the credential along (C28)."""
    async with asyncio.timeout(request.options.open_timeout):
        first = request
        for _ in range(MAX_REDIRECTS):
            try:
                return await _handshake(request)
            except _Redirect as redirect:
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


async def _handshake(request: Request) -> _Connection:
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
        create_connection=_Connection,
        **arguments,
    )
    assert isinstance(connection, _Connection)
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
