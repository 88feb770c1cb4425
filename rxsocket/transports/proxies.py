"""Which proxy to use, and a TCP connection through one that speaks SOCKS, by ``python-socks``."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from python_socks import ProxyConnectionError, ProxyType
from python_socks.async_.asyncio import Proxy as Tunnel
from websockets.uri import WebSocketURI

from rxsocket.errors import HandshakeInvalid
from rxsocket.transports.tcp import addresses, proxied

__all__ = ["Proxy", "proxy_for", "through_socks"]

_SOCKS = {
    "socks4": ProxyType.SOCKS4,
    "socks4a": ProxyType.SOCKS4,
    "socks5": ProxyType.SOCKS5,
    "socks5h": ProxyType.SOCKS5,
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, with its credentials.

    Attributes:
        url: Its whole address. A secret.
    """

    url: str = field(repr=False)
    scheme: str
    host: str
    port: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Check an address.

        Raises:
            HandshakeInvalid: If it is not that of a proxy.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in ("http", "https", *_SOCKS) or not host:
            raise HandshakeInvalid("the address of the proxy is not one that can be dialled")
        username, password = parts.username, parts.password
        return cls(
            url,
            parts.scheme,
            host,
            port or (443 if parts.scheme == "https" else 80),
            None if username is None else unquote(username),
            None if username is None else unquote(password or ""),
        )

    @property
    def socks(self) -> bool:
        """Whether it speaks SOCKS, rather than HTTP."""
        return self.scheme in _SOCKS


def proxy_for(uri: WebSocketURI, wanted: str | Literal[True] | None) -> Proxy | None:
    """The proxy to use for an address.

    Args:
        uri: What to dial.
        wanted: The ``proxy`` option; ``True`` asks the environment, in the order of
            ``websockets``: one for WebSockets, SOCKS, HTTPS, HTTP.
    """
    if isinstance(wanted, str):
        return Proxy.parse(wanted)
    if wanted is None or not proxied() or proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    found = getproxies()
    for scheme in ("wss", "socks", "https") if uri.secure else ("ws", "socks", "https", "http"):
        if address := found.get(scheme):
            if scheme == "socks" and address.startswith("http://"):
                address = "socks5h://" + address.removeprefix("http://")
            return Proxy.parse(address)
    return None


async def through_socks(proxy: Proxy, host: str, port: int) -> socket.socket:
    """Connect to a host through a SOCKS proxy; names are looked up as in ``dial``.

    Raises:
        OSError: If the proxy cannot be reached, or a name is unknown.
        python_socks.ProxyError: If the proxy refuses.
    """
    if proxy.scheme in ("socks4", "socks5"):  # these leave the look-up to the client
        found = await addresses(host, port)
        if proxy.scheme == "socks4":
            found = [one for one in found if one[0] is socket.AF_INET]
        if not found:
            raise OSError(f"no address found for {host!r} that the proxy can take")
        host = found[0][4][0]
    failure: OSError = OSError(f"no address found for {proxy.host!r}")
    for _, _, _, _, address in await addresses(proxy.host, proxy.port):
        tunnel = Tunnel(
            _SOCKS[proxy.scheme],
            address[0],
            proxy.port,
            proxy.username,
            proxy.password,
            rdns=proxy.scheme in ("socks4a", "socks5h"),
        )
        try:
            return await tunnel.connect(host, port)
        except ProxyConnectionError as error:
            failure = error
    raise failure
