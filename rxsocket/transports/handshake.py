"""Opening a connection, alike on every transport that dials: time limit, redirects, safe errors.

::

    handshake ── Redirect ── handshake ── start      within open_timeout, all together
    handshake ── X                                   on_error, with nothing of the request (C28)

A redirect within the origin takes the credential along; one to another origin never does.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from reactivex import Observable, abc
from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from rxsocket.errors import HandshakeInvalid, RedirectRefused
from rxsocket.runtime.direct import DirectObservable
from rxsocket.transports.answers import Redirect
from rxsocket.transports.base import Request, Signal
from rxsocket.transports.proxies import Proxy, mention_proxy, proxy_address, proxy_for
from rxsocket.url import Address

Start: TypeAlias = Callable[[abc.ObserverBase[Signal]], None]
Handshake: TypeAlias = Callable[[Request, WebSocketURI, Proxy | None, str | None], Awaitable[Start]]

MAX_REDIRECTS = 10
_DROPPED_ON_REDIRECT = ("authorization", "cookie", "proxy-authorization")


def from_handshake(
    request: Request,
    handshake: Handshake,
    translate: Callable[[Exception, Proxy | None], Exception | None],
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
        translate: Callable[[Exception, Proxy | None], Exception | None],
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
        translate: Callable[[Exception, Proxy | None], Exception | None],
    ) -> None:
        try:
            async with asyncio.timeout(request.options.open_timeout):
                start = await self._follow_redirects(request, handshake)
        except Exception as error:
            failure = _without_secrets(error, translate, self._proxy)
        else:
            self._task = None  # all that it held to dial goes with it
            start(self._observer)
            return
        self._observer.on_error(failure)

    async def _follow_redirects(self, request: Request, handshake: Handshake) -> Start:
        first = request
        for _ in range(MAX_REDIRECTS):
            uri = parse_uri(without_user_info(request.url))
            url = proxy_for(uri, request.options.proxy)
            self._proxy = None if url is None else proxy_address(url)
            try:
                return await handshake(request, uri, self._proxy, url)
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


def _without_secrets(
    error: Exception,
    translate: Callable[[Exception, Proxy | None], Exception | None],
    proxy: Proxy | None,
) -> Exception:
    """The error to show: without a traceback or a chain, whose frames hold the request (C28)."""
    shown: Exception
    if isinstance(error, TimeoutError) and error.errno is None:
        shown = TimeoutError("the handshake took longer than open_timeout")
    elif isinstance(error, InvalidURI):
        shown = HandshakeInvalid("the address is not one that can be dialled")
    else:
        shown = translate(error, proxy) or error
    if proxy is not None:
        shown = mention_proxy(shown, proxy)
    shown.__cause__ = shown.__context__ = None
    return shown.with_traceback(None)


def authorization(url: str) -> list[tuple[str, str]]:
    """The header that carries the user info of an address (RFC 7617); none if it has none."""
    if "@" not in url or (parts := urlsplit(url)).username is None:
        return []
    # websockets decodes it in its newest versions only.
    name, password = (unquote_to_bytes(part) for part in (parts.username, parts.password or ""))
    return [("Authorization", f"Basic {b64encode(name + b':' + password).decode()}")]


def without_user_info(url: str) -> str:
    """The address without its user info."""
    if "@" not in url or (parts := urlsplit(url)).username is None:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


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
