"""Opening the TCP connection: name look-up on a daemon thread, then one address after another.

asyncio looks names up on a pool whose threads the exit of the process waits for; a resolver that
hangs would keep Ctrl-C waiting with it (C26).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.request import getproxies

from rxsocket.runtime.threads import run_blocking

__all__ = ["Found", "addresses", "open_tcp", "proxied"]

Found: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


_PROXIES = tuple(
    variant(f"{scheme}_proxy")
    for scheme in ("ws", "wss", "socks", "https", "http")
    for variant in (str.lower, str.upper)
)


def proxied() -> bool:
    """Whether the environment may name a proxy; which one, and for whom, is not decided here."""
    if sys.platform in ("darwin", "win32"):  # these have settings besides the environment
        return bool(getproxies())
    return any(map(os.environ.get, _PROXIES))


async def open_tcp(host: str, port: int) -> socket.socket:
    """Connect to a host.

    Raises:
        OSError: If the name is unknown or no address of it answers; the last one's error.
    """
    loop = asyncio.get_running_loop()
    failures: list[OSError] = []
    for family, kind, protocol, _, address in await addresses(host, port):
        tcp = socket.socket(family, kind, protocol)
        tcp.setblocking(False)
        try:
            await _connect(loop, tcp, address)
        except OSError as error:
            tcp.close()
            failures.append(error)
        except BaseException:
            tcp.close()
            raise
        else:
            return tcp
    raise failures[-1] if failures else OSError(f"no address found for {host!r}")


async def _connect(loop: asyncio.AbstractEventLoop, tcp: socket.socket, address: Any) -> None:
    if sys.platform == "linux":
        # On loopback it is connected at once, but says so only when asked again; the loop asks
        # first thing, and saves a turn. On other ways the loop finds the connect in progress.
        begun = tcp.connect_ex(address)
        if begun == 0:
            return
        if begun != errno.EINPROGRESS:
            raise OSError(begun, os.strerror(begun))
    await loop.sock_connect(tcp, address)


async def addresses(host: str, port: int) -> Sequence[Found]:
    """Look up the addresses of a host, in the order to try them.

    Raises:
        OSError: If the name is unknown.
    """
    return _numeric(host, port) or await _looked_up(host, port)


def _numeric(host: str, port: int) -> Sequence[Found]:
    """A host that is an address needs no look-up, and no thread for it."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        pass
    else:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


async def _looked_up(host: str, port: int) -> Sequence[Found]:
    failure: socket.gaierror
    try:
        return await run_blocking(
            asyncio.get_running_loop(),
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
        )
    except socket.gaierror as error:
        failure = socket.gaierror(error.errno, f"no address found for {host!r}: {error.strerror}")
    raise failure
