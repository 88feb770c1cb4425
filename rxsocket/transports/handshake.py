"""Opening a connection, alike on every transport that dials: time limit, redirects, safe errors.

::

    handshake ── Redirect ── handshake ── start      within open_timeout, all together
    handshake ── X                                   on_error, with nothing of the request (C28)

A redirect within the origin takes the credential along. One to another origin is followed by an
anonymous socket alone, without any header of the user's.
"""

from __future__ import annotations

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import quote, unquote_to_bytes, urlsplit

from reactivex import Observable, abc
from websockets.uri import WebSocketURI

from rxsocket.errors import CredentialRefused, RedirectRefused
from rxsocket.explain.causes import certificate_refusal, mention_certificate
from rxsocket.runtime.direct import DirectObservable
from rxsocket.transports.answers import Redirect, unanswered
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.default_tls import default_context
from rxsocket.transports.proxies import (
    Proxy,
    connect_socks,
    is_socks,
    mention_proxy,
    open_tunnel,
    proxy_address,
    proxy_for,
)
from rxsocket.transports.tcp import open_tcp, open_unix, server_name
from rxsocket.url import Address, split_unix
from rxsocket.version import USER_AGENT

Start: TypeAlias = Callable[[abc.ObserverBase[Signal]], None]
Handshake: TypeAlias = Callable[[Request, WebSocketURI, Proxy | None], Awaitable[Start]]
Translate: TypeAlias = Callable[[Exception], Exception | None]

MAX_REDIRECTS = 10
_ASCII = "".join(map(chr, range(33, 127)))
_is_uri = re.compile("[!-~]*").fullmatch


def from_handshake(
    request: Request,
    handshake: Handshake,
    translate: Translate,
) -> Observable[Signal]:
    """One connection, cold.

    Args:
        request: What to dial.
        handshake: Opens one connection, through a proxy if there is one, or raises ``Redirect``.
            When it is cancelled, it leaves nothing behind. It returns what makes the connection
            emit its link, then whatever comes.
        translate: The error to show instead of one of the library's own; ``None`` for others.
    """

    def subscribe(
        observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return _Dial(observer, request, handshake, translate)

    return DirectObservable(subscribe)


class _Dial(abc.DisposableBase):
    __slots__ = ("_observer", "_proxy", "_task")

    def __init__(
        self,
        observer: abc.ObserverBase[Signal],
        request: Request,
        handshake: Handshake,
        translate: Translate,
    ) -> None:
        self._observer = observer
        self._proxy: Proxy | None = None
        dial = self._run(request, handshake, translate)
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(dial)

    def dispose(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(
        self,
        request: Request,
        handshake: Handshake,
        translate: Translate,
    ) -> None:
        try:
            async with asyncio.timeout(request.options.open_timeout):
                start = await self._follow_redirects(request, handshake)
        except Exception as error:
            failure = _without_secrets(error, request, translate, self._proxy)
        else:
            self._task = None  # all that it held to dial goes with it
            start(self._observer)
            return
        self._observer.on_error(failure)

    async def _follow_redirects(self, request: Request, handshake: Handshake) -> Start:
        first, sets_cookie = request, False
        for _ in range(MAX_REDIRECTS):
            uri = to_uri(request.url)
            is_unix = split_unix(request.url)[0] is not None
            is_http = request.url[:4].lower() == "http"
            option = request.options.proxy
            url = None if is_unix else proxy_for(uri, option, is_http=is_http)
            self._proxy = None if url is None else proxy_address(url)
            try:
                return await handshake(request, uri, self._proxy)
            except Redirect as redirect:
                location = redirect.location
                sets_cookie = sets_cookie or redirect.sets_cookie
            request = _redirected(request, Address.parse(first.url), location)
        hint = (
            "; the cookie that they set is not sent: carry it with cookie()" if sets_cookie else ""
        )
        raise RedirectRefused(f"more than {MAX_REDIRECTS} redirects{hint}")


def _redirected(request: Request, origin: Address, location: str) -> Request:
    try:
        target = Address.parse(request.url).join(location)
    except ValueError:
        target = None
    if target is None:
        kind = "event stream" if origin.is_http else "WebSocket"
        raise RedirectRefused(f"redirected to what is no {kind} address")
    if origin.secure and not target.secure:
        raise RedirectRefused(
            f"redirected from {origin.origin[0]}:// to {target.origin[0]}://, which is not safe to "
            "follow"
        )
    if target.origin == origin.origin and request.redirected is not None:
        return request.redirected(location)
    if not request.anonymous or origin.has_user_info:
        scheme, host, port = target.origin
        raise RedirectRefused(
            f"redirected to another origin, {scheme}://{host}:{port}, where the credential is not "
            "sent; use that address if you trust it"
        )
    options = replace(  # no header of the user's is for another origin, whatever it holds
        request.options,
        additional_headers=(),
        subprotocols=(),
        origin=None,
        user_agent_header=None if request.options.user_agent_header is None else USER_AGENT,
    )
    return Request(url=target.url, options=options, last_event_id=request.last_event_id)


def _without_secrets(
    error: Exception,
    request: Request,
    translate: Translate,
    proxy: Proxy | None,
) -> Exception:
    """The error to show: without a traceback or a chain, whose frames hold the request (C28)."""
    shown: Exception
    if isinstance(error, TimeoutError) and error.errno is None:
        shown = TimeoutError("the handshake took longer than open_timeout")
    else:
        shown = translate(error) or error
    # With a proxy that is spoken to over TLS, it cannot be told which of the two refuses.
    if request.has_certificate and (proxy is None or proxy.scheme != "https"):
        refusal = certificate_refusal(shown)
        shown = shown if refusal is None else CredentialRefused(refusal)  # (C39)
        shown = mention_certificate(shown) if proxy is None else shown
    if proxy is not None:
        shown = mention_proxy(shown, proxy)
    shown.__cause__ = shown.__context__ = None
    return shown.with_traceback(None)


async def open_transport(
    request: Request,
    uri: WebSocketURI,
    proxy: Proxy | None,
    protocol: asyncio.BaseProtocol,
    *,
    create_connection: Callable[..., Awaitable[tuple[asyncio.Transport, Any]]],
    start_tls: Callable[..., Awaitable[asyncio.Transport | None]],
) -> None:
    """Connect a protocol to the server: by TCP, a unix socket or through a proxy, then TLS.

    Args:
        request: What is dialled.
        uri: Its address.
        proxy: The proxy, if there is one.
        protocol: What is connected.
        create_connection: That of an event loop, or one like it.
        start_tls: Likewise.

    Raises:
        OSError: If the server or the proxy cannot be reached.
        HandshakeError: If the proxy will not.
    """
    context = request.options.ssl or default_context() if uri.secure else None
    name = None if context is None else server_name(uri.host)
    if proxy is None or is_socks(proxy):
        path, local = split_unix(request.url)[0], request.options.local_address
        if path is not None:
            tcp = await open_unix(path)
        elif proxy is None:
            tcp = await open_tcp(uri.host, uri.port, local)
        else:
            tcp = await connect_socks(proxy, uri.host, uri.port, local)
        await create_connection(lambda: protocol, sock=tcp, ssl=context, server_hostname=name)
        return
    agent = request.options.user_agent_header
    local = request.options.local_address
    transport = await open_tunnel(proxy, uri, agent, create_connection, local)
    try:
        transport.set_protocol(protocol)
        if context is not None:
            secured = await start_tls(transport, protocol, context, server_hostname=name)
            transport = secured or transport
        if transport.is_closing():
            raise unanswered()
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(transport)


def authorization(url: str) -> list[tuple[str, str]]:
    """The header that carries the user info of an address (RFC 7617); none if it has none."""
    if "@" not in url or (parts := urlsplit(url)).username is None:
        return []
    name, password = (unquote_to_bytes(part) for part in (parts.username, parts.password or ""))
    return [("Authorization", f"Basic {b64encode(name + b':' + password).decode()}")]


def to_uri(url: str) -> WebSocketURI:
    """The parts of an address to be dialled, without its user info; of one behind a unix socket.

    An IRI becomes the URI that it stands for (RFC 3987, section 3.1): what is percent-encoded
    stays as it is. A zone of IPv6 becomes what look-ups understand (RFC 6874).
    """
    parts = urlsplit(split_unix(url)[1])
    host = parts.hostname or ""
    path, query = parts.path, parts.query
    if not _is_uri(url):
        path, query = quote(path, safe=_ASCII), quote(query, safe=_ASCII)
    if ":" in host:
        host = host.replace("%25", "%", 1)
    elif not host.isascii():
        host = host.encode("idna").decode()
    secure = parts.scheme in ("wss", "https")
    return WebSocketURI(secure, host, parts.port or (443 if secure else 80), path, query)


def header_uri(uri: WebSocketURI) -> WebSocketURI:
    """The same for the Host header, in which no zone is sent (RFC 6874, section 4)."""
    return replace(uri, host=uri.host.partition("%")[0]) if "%" in uri.host else uri


class TransportLog(logging.LoggerAdapter[logging.Logger]):
    """The log of the transport, without what it may hold: URLs, headers, payloads.

    Only numbers come through; every text is replaced. Frames are logged by ``websockets`` with
    their payload and the handshake with its headers, and any of these may be a credential.
    """

    def __init__(self) -> None:
        super().__init__(logging.getLogger("rxsocket.transport"), {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a record with its arguments masked, as DEBUG: the socket says what matters."""
        kwargs.pop("exc_info", None)  # a traceback's message may quote what was parsed
        super().log(min(level, logging.DEBUG), msg, *map(_masked_argument, args), **kwargs)


def _masked_argument(argument: object) -> object:
    return argument if isinstance(argument, (int, float)) else "***"


LOG = TransportLog()
