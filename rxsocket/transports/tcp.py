"""Opening the TCP connection: name look-up on a daemon thread, then a race of the addresses.

asyncio looks names up on a pool whose threads the exit of the process waits for; a resolver that
hangs would keep Ctrl-C waiting with it (C26).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeAlias

from rxsocket.runtime.threads import run_blocking

AddressInfo: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]

ATTEMPT_DELAY = 0.25
"""Seconds after which the next address is tried beside those before it (RFC 8305, section 5)."""


async def open_tcp(host: str, port: int) -> socket.socket:
    """Connect to a host.

    Raises:
        OSError: If the name is unknown or no address of it answers; the last one's error.
    """
    return await race(await addresses(host, port), connect_address)


def server_name(host: str) -> str:
    """What TLS calls a host: without a last dot (RFC 6066, section 3), and without a zone."""
    return host.removesuffix(".").partition("%")[0]


async def race(
    found: Sequence[AddressInfo], connect: Callable[[AddressInfo], Awaitable[socket.socket]]
) -> socket.socket:
    """Connect to the first of some addresses that answers (RFC 8305, "happy eyeballs").

    An address that fails is followed by the next at once, one that is silent after a while.
    """
    if len(found) == 1:
        return await connect(found[0])
    failure: Exception = OSError("no address found that can be used")
    waiting = iter(found)
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        while True:
            if (address := next(waiting, None)) is not None:
                running.add(asyncio.ensure_future(connect(address)))
            if not running:
                raise failure
            patience = None if address is None else ATTEMPT_DELAY
            done, running = await asyncio.wait(
                running, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            connected: list[socket.socket] = []
            for task in done:
                error = task.exception()
                if error is None:
                    connected.append(task.result())
                elif isinstance(error, Exception):
                    failure = error
            if connected:
                for spare in connected[1:]:
                    spare.close()
                return connected[0]
    finally:
        for task in running:
            task.add_done_callback(_close)
            task.cancel()


def _close(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def connect_address(found: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = found
    tcp = socket.socket(family, kind, protocol)
    tcp.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(tcp, address)
    except BaseException:
        tcp.close()
        raise
    return tcp


async def addresses(host: str, port: int) -> Sequence[AddressInfo]:
    """Look up the addresses of a host, in the order to try them.

    Raises:
        OSError: If the name is unknown.
    """
    found = _numeric(host, port) or _interleaved(await _looked_up(host, port))
    if not found:
        raise OSError(f"no address found for {host!r}")
    return found


def _interleaved(found: Sequence[AddressInfo]) -> Sequence[AddressInfo]:
    """One family after the other by turns: the network may route one of them nowhere."""
    if not found:
        return found
    first = [one for one in found if one[0] == found[0][0]]
    others = [one for one in found if one[0] != found[0][0]]
    return [one for one in chain(*zip_longest(first, others)) if one is not None]


def _numeric(host: str, port: int) -> Sequence[AddressInfo]:
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


async def _looked_up(host: str, port: int) -> Sequence[AddressInfo]:
    failure: socket.gaierror
    try:
        return await run_blocking(
            asyncio.get_running_loop(),
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
        )
    except socket.gaierror as error:
        failure = socket.gaierror(error.errno, f"no address found for {host!r}: {error.strerror}")
    raise failure
