"""Opening a connection, alike on every transport that dials: time limit, redirects, safe errors.

::

    dial ── Redirect ── dial ── begin      within open_timeout, all together
    dial ── X                              on_error, with nothing of the request in it (C28)


Following redirects: within the origin the credential goes along, to another one never (C28).

User name and password of an address, as a header (RFC 7617).

Done here, as only the newest versions of ``websockets`` decode what is percent-encoded.

What a transport may say of itself: nothing that was on the wire (C28).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from reactivex import Observable, abc
from websockets.exceptions import InvalidURI

from rxsocket.errors import HandshakeInvalid, RedirectRefused
from rxsocket.runtime.direct import DirectObservable
from rxsocket.transports.base import Request, Signal
from rxsocket.url import Address

__all__ = [
    "Connection",
    "Redirect",
    "TransportLog",
    "authorization",
    "following",
    "invalid_answer",
    "opening",
    "proxy_refused",
    "without_user_info",
]

T = TypeVar("T")

MAX_REDIRECTS = 10
_DROPPED_ON_REDIRECT = ("authorization", "cookie", "proxy-authorization")


class Redirect(Exception):
    """The server answered with a redirect; ``location`` says where to."""

    def __init__(self, location: str) -> None:
        self.location = location


async def following(request: Request, handshake: Callable[[Request], Awaitable[T]]) -> T:
    """Make the handshake of a request, and that of each address it is redirected to.

    Args:
        request: What to dial first.
        handshake: Opens one connection, or raises :class:`Redirect`.

    Raises:
        RedirectRefused: If following would be unsafe, or endless.
    """
    first = request
    for _ in range(MAX_REDIRECTS):
        try:
            return await handshake(request)
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


class Connection(Protocol):
    """A connection whose handshake succeeded."""

    def begin(self, observer: abc.ObserverBase[Signal]) -> None:
        """Emit the link, then whatever comes."""
        ...


def opening(
    request: Request,
    handshake: Callable[[Request], Awaitable[Connection]],
    explained: Callable[[Exception], Exception | None],
) -> Observable[Signal]:
    """One connection, cold.

    Args:
        request: What to dial.
        handshake: Opens one connection, or raises ``Redirect``. When it is cancelled, it leaves
            nothing behind.
        explained: The error to show instead of one of the library's own; ``None`` for others.
    """

    def subscribe(
        observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return _Opening(observer, request, handshake, explained)

    return DirectObservable(subscribe)


class _Opening(abc.DisposableBase):
    __slots__ = ("_observer", "_task")

    def __init__(
        self,
        observer: abc.ObserverBase[Signal],
        request: Request,
        handshake: Callable[[Request], Awaitable[Connection]],
        explained: Callable[[Exception], Exception | None],
    ) -> None:
        self._observer = observer
        dial = self._dial(request, handshake, explained)
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(dial)

    def dispose(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _dial(
        self,
        request: Request,
        handshake: Callable[[Request], Awaitable[Connection]],
        explained: Callable[[Exception], Exception | None],
    ) -> None:
        try:
            async with asyncio.timeout(request.options.open_timeout):
                connection = await following(request, handshake)
        except Exception as error:
            failure = _masked(error, explained)
        else:
            self._task = None  # all that it held to dial goes with it
            connection.begin(self._observer)
            return
        self._observer.on_error(failure)


def invalid_answer(what: str) -> HandshakeInvalid:
    """The answer to the handshake is none."""
    return HandshakeInvalid(f"the answer to the handshake is not valid ({what})")


def proxy_refused(status: int) -> HandshakeInvalid:
    """The proxy did not let us through."""
    return HandshakeInvalid(f"the proxy answered with HTTP {status}")


def _masked(error: Exception, explained: Callable[[Exception], Exception | None]) -> Exception:
    """The error to show: without a traceback or a chain, whose frames hold the request (C28)."""
    shown: Exception
    if isinstance(error, TimeoutError):
        shown = TimeoutError("the handshake took longer than open_timeout")
    elif isinstance(error, ssl.SSLCertVerificationError):
        shown = error
    elif isinstance(error, InvalidURI):
        shown = HandshakeInvalid("the address is not one that can be dialled")
    else:
        shown = explained(error) or error
    shown.__cause__ = shown.__context__ = None
    return shown.with_traceback(None)


def authorization(url: str) -> list[tuple[str, str]]:
    """The header that carries the user info of an address; none if it has none."""
    if "@" not in url or (parts := urlsplit(url)).username is None:
        return []
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
        """Write a record with its arguments masked."""
        kwargs.pop("exc_info", None)  # a traceback's message may quote what was parsed
        super().log(level, msg, *map(_masked_argument, args), **kwargs)


def _masked_argument(argument: object) -> object:
    return argument if isinstance(argument, (int, float)) else "***"
