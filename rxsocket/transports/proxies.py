"""Which proxy to use, and a TCP connection through one: HTTP CONNECT or SOCKS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Any, Literal, NamedTuple, TypeAlias, cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from websockets.headers import build_authorization_basic, build_host
from websockets.uri import WebSocketURI

from rxsocket.errors import HandshakeInvalid, HandshakeRefused
from rxsocket.transports.answers import Answer, AnswerReader
from rxsocket.transports.default_tls import default_context
from rxsocket.transports.tcp import (
    AddressInfo,
    LocalAddress,
    addresses,
    open_tcp,
    race,
    reachable_from,
    server_name,
)

__all__ = [
    "Proxy",
    "check_proxy",
    "connect_socks",
    "is_socks",
    "mention_proxy",
    "open_tunnel",
    "proxy_address",
    "proxy_for",
    "proxy_shown",
]


class Proxy(NamedTuple):
    """The address of a proxy; what is in ``repr`` is no secret (C28)."""

    scheme: str
    host: str
    port: int
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"<proxy {proxy_url(self)}>"


Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port of an address."""

_PORTS = {"http": 80, "https": 443} | dict.fromkeys(
    ("socks4", "socks4a", "socks5", "socks5h"), 1080
)
"""The port of a proxy that names none."""

_PASSED_ON = frozenset({407, 408, 425, 429, *range(500, 600)})
"""Statuses of a proxy that mean the same as a server's; the others say that it will not."""

_KINDS_FOR = {
    "wss": ("wss", "socks", "https", "all"),
    "ws": ("ws", "socks", "https", "http", "all"),
    "https": ("socks", "https", "all"),
    "http": ("socks", "http", "all"),
}
_VARIABLES = tuple(
    name
    for kind in ("wss", "ws", "http", "socks", "https", "all")
    for name in (f"{kind}_proxy", f"{kind}_proxy".upper())
)
_ASKS_SYSTEM = sys.platform in ("darwin", "win32")
"""Whether there are other places than the environment."""

_BAD_ENVIRONMENT = (
    "the environment (HTTPS_PROXY, ALL_PROXY and the like) names a proxy with an address that "
    "cannot be used; correct it, or pass proxy=None"
)

_SOCKS_REFUSED = frozenset({1, 3, 4, 5, 6, 91})
"""SOCKS replies about the network behind it (RFC 1928, section 6), which may change."""


def check_proxy(origin: Origin, option: str | Literal[True] | None) -> None:
    """Check the proxy that an address is going to be dialled through.

    Raises:
        ValueError: If it cannot be used; the text holds nothing of it (C28).
        ModuleNotFoundError: If it speaks SOCKS and ``python-socks`` is not installed.
    """
    url = _proxy_for_origin(origin, option)
    proxy = None if url is None else _parsed(url)
    if proxy is not None and is_socks(proxy):
        _socks_library()
    elif url is not None and proxy is None:
        if option is True:
            raise ValueError(f"proxy: {_BAD_ENVIRONMENT}")
        raise ValueError(
            "proxy: pass an address such as 'http://user:password@proxy.example:3128', with what "
            "is special in user and password percent-encoded"
        )


def proxy_shown(origin: Origin, option: str | Literal[True] | None) -> str | None:
    """The proxy that an address is dialled through, without its password; ``None`` if none is."""
    url = _proxy_for_origin(origin, option)
    proxy = None if url is None else _parsed(url)
    return None if proxy is None else proxy_url(proxy)


def proxy_for(
    uri: WebSocketURI, option: str | Literal[True] | None, *, is_http: bool = False
) -> str | None:
    """The address of the proxy to use for an address.

    Args:
        uri: What to dial.
        option: The ``proxy`` option; ``True`` asks the environment, in the order of
            ``websockets``: one for WebSockets, SOCKS, HTTPS, HTTP; then one for everything.
            It has no say about this machine itself.
        is_http: Whether it is an event stream: then the one for WebSockets is left out.
    """
    scheme = ("https" if uri.secure else "http") if is_http else "wss" if uri.secure else "ws"
    return _proxy_for_origin((scheme, uri.host, uri.port), option)


def _proxy_for_origin(origin: Origin, option: str | Literal[True] | None) -> str | None:
    if option is not True:
        return option
    scheme, host, port = origin
    return None if _is_loopback(host) else _of_environment(scheme, host, port)


def _of_environment(scheme: str, host: str, port: int) -> str | None:
    if not _ASKS_SYSTEM and not any(name in os.environ for name in _VARIABLES):
        return None  # urllib decodes the whole environment, twice
    proxies = getproxies()
    if _is_excluded(host, proxies) or proxy_bypass(f"{host}:{port}"):
        return None
    for kind in _KINDS_FOR[scheme]:
        url = proxies.get(kind)
        if url and kind == "socks":  # systems write it as http://
            url = f"socks5h://{url.removeprefix('http://')}" if _is_http_or_bare(url) else url
        if url:
            return url if "://" in url else f"http://{url}"  # as curl and requests read it
    return None


def _is_http_or_bare(url: str) -> bool:
    return url.startswith("http://") or "://" not in url


def proxy_address(url: str) -> Proxy:
    """The parts of a proxy's address.

    Raises:
        HandshakeInvalid: If it cannot be used; the text holds nothing of it (C28).
    """
    proxy = _parsed(url)
    if proxy is None:
        raise HandshakeInvalid(_BAD_ENVIRONMENT)  # an option is checked before
    return proxy


def _parsed(url: str) -> Proxy | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        user, password = (text and unquote(text) for text in (parts.username, parts.password))
        if host is not None and ":" not in host:
            host = host.encode("idna").decode()
    except ValueError:
        return None
    meaningless = parts.path not in ("", "/") or "?" in url or "#" in url
    if parts.scheme not in _PORTS or not host or meaningless or (user and password is None):
        return None
    return Proxy(parts.scheme, host, port or _PORTS[parts.scheme], user, password)


def proxy_url(proxy: Proxy) -> str:
    """The address of a proxy without its password, to be shown."""
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return f"{proxy.scheme}://{host}:{proxy.port}"


def is_socks(proxy: Proxy) -> bool:
    """Whether a proxy speaks SOCKS, not HTTP."""
    return proxy.scheme.startswith("socks")


@lru_cache
def _is_loopback(host: str) -> bool:
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_excluded(host: str, proxies: Mapping[str, str]) -> bool:
    """Whether ``no_proxy`` has an address, or a network that it is in; names are urllib's."""
    for entry in proxies.get("no", "").split(","):
        with suppress(ValueError):
            if ip_address(host) in ip_network(entry.strip().strip("[]"), strict=False):
                return True
    return False


async def open_tunnel(
    proxy: Proxy,
    uri: WebSocketURI,
    user_agent: str | None,
    create_connection: Callable[..., Awaitable[tuple[asyncio.Transport, Any]]],
    local: LocalAddress | None = None,
) -> asyncio.Transport:
    """Connect to a server through a proxy that speaks HTTP (RFC 9110, section 9.3.6).

    Raises:
        OSError: If the proxy cannot be reached, hangs up, or cannot reach the server.
        HandshakeError: If it will not.
    """
    target = build_host(uri.host, uri.port, uri.secure, always_include_port=True)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username is not None:
        value = build_authorization_basic(proxy.username, proxy.password or "")
        lines.append(f"Proxy-Authorization: {value}")
    if user_agent is not None:
        lines.append(f"User-Agent: {user_agent}")
    tunnel = _Tunnel("\r\n".join((*lines, "\r\n")).encode())
    context = default_context() if proxy.scheme == "https" else None
    name = None if context is None else server_name(proxy.host)
    tcp = await open_tcp(proxy.host, proxy.port, local)
    try:
        transport, _ = await create_connection(
            lambda: tunnel, sock=tcp, ssl=context, server_hostname=name
        )
        answer = await tunnel.answer
        if not 200 <= answer.status < 300:
            raise _refusal(proxy, answer)
    except BaseException:
        tunnel.abort()
        raise
    return transport


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a connection."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def abort(self) -> None:
        """Let go of a connection that is not wanted any more."""
        if not self.answer.cancel() and not self.answer.cancelled():
            self.answer.exception()  # nobody else may have asked
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.answer.done():
            return
        try:
            answer = self._reader.feed(data)
        except HandshakeInvalid as error:
            self.answer.set_exception(error)
        else:
            if answer is not None:
                self.answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            closed = ConnectionError("the connection was closed without an answer")
            self.answer.set_exception(exc or closed)


def _refusal(proxy: Proxy, answer: Answer) -> Exception:
    if answer.status in _PASSED_ON:
        return HandshakeRefused(
            answer.status,
            retry_after=answer.header("retry-after"),
            proxy=proxy_url(proxy),
            body=answer.body(),
        )
    return HandshakeInvalid(f"the proxy {proxy_url(proxy)} answered with HTTP {answer.status}")


def _socks_library() -> Any:
    try:
        return import_module("python_socks.async_.asyncio")
    except ModuleNotFoundError as error:
        missing = error.name
    raise ModuleNotFoundError(
        f"proxy: one that speaks SOCKS needs {missing}; run pip install 'python-socks[asyncio]'",
        name=missing,
    )


async def connect_socks(
    proxy: Proxy, host: str, port: int, local: LocalAddress | None = None
) -> socket.socket:
    """Connect to a server through a proxy that speaks SOCKS.

    Raises:
        OSError: If the proxy cannot be reached, hangs up, or cannot reach the server.
        HandshakeError: If it will not.
    """
    library = _socks_library()
    from python_socks import ProxyError, ProxyType

    if proxy.scheme in ("socks4", "socks5"):  # these leave the look-up to the client
        found = await addresses(host, port)
        if proxy.scheme == "socks4":
            found = [one for one in found if one[0] is socket.AF_INET]
        if not found:
            raise OSError(f"no address found for {host!r} that the proxy can take")
        host = found[0][4][0]

    to_proxy, from_each = await addresses(proxy.host, proxy.port), None
    if local is not None:
        to_proxy, from_each = await reachable_from(local, to_proxy, proxy.host)

    def connect(found: AddressInfo) -> Any:
        return library.Proxy(
            ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5,
            found[4][0],
            proxy.port,
            proxy.username,
            proxy.password,
            rdns=proxy.scheme in ("socks4a", "socks5h"),
        ).connect(host, port, local_addr=from_each[found[0]][:2] if from_each else None)

    failure: Exception
    try:
        return await race(to_proxy, connect)
    except ProxyError as error:
        failure = _socks_error(error)
    raise failure


def _socks_error(error: Exception) -> Exception:
    """What an error of ``python-socks`` means: the network, or a proxy that will not."""
    code = getattr(error, "error_code", None)
    if code in _SOCKS_REFUSED:
        return ConnectionError("it could not connect to the server")
    if "closed" in str(error).lower():  # it has no class of its own for this
        return ConnectionError("the connection was closed without an answer")
    return HandshakeInvalid("it did not open the connection")


def mention_proxy(error: Exception, proxy: Proxy) -> Exception:
    """The same error, that says which proxy it happened at; ``proxy`` of it has its address."""
    address = proxy_url(proxy)
    shown = f"through the proxy {address}"
    told: Any = error
    if isinstance(error, ssl.SSLError):  # a new one would lack the attributes that OpenSSL sets
        error.strerror = f"{error.strerror}, {shown}"
        if isinstance(error, ssl.SSLCertVerificationError):
            error.verify_message = f"{error.verify_message}, {shown}"
    elif isinstance(error, OSError):
        text = error.strerror or str(error)
        more = f"{text}, {shown}"
        told = type(error)(more) if error.errno is None else type(error)(error.errno, more)
    elif isinstance(error, HandshakeInvalid) and address not in str(error):
        told = HandshakeInvalid(f"{error}, {shown}")
    told.proxy = address
    return cast(Exception, told)
