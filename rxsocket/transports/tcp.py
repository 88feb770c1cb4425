"""Opening the TCP connection: name look-up on a daemon thread, then a race of the addresses.

Or that to a unix socket, which needs neither.

asyncio looks names up on a pool whose threads the exit of the process waits for; a resolver that
hangs would keep Ctrl-C waiting with it (C26).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import Any, TypeAlias

from rxsocket.runtime.threads import run_blocking

AddressInfo: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]

ATTEMPT_DELAY = 0.25
"""Seconds after which the next address is tried beside those before it (RFC 8305, section 5)."""


LocalAddress: TypeAlias = tuple[str, int]
"""A host of this machine, and a port; 0 for any."""


async def open_tcp(host: str, port: int, local: LocalAddress | None = None) -> socket.socket:
    """Connect to a host.

    Args:
        host: Its name, or an address of it.
        port: Its port.
        local: What to connect from; ``None`` leaves that to the system.

    Raises:
        OSError: If the name is unknown or no address of it answers; the last one's error.
    """
    found = await addresses(host, port)
    if local is None:
        return await race(found, connect_address)
    found, from_each = await reachable_from(local, found, host)
    return await race(found, partial(connect_address, from_each=from_each))


async def reachable_from(
    local: LocalAddress, found: Sequence[AddressInfo], host: str
) -> tuple[Sequence[AddressInfo], Mapping[socket.AddressFamily, Any]]:
    """Which addresses of a host can be reached from one of this machine's, and from where.

    Raises:
        OSError: If there is none.
    """
    from_each = {one[0]: one[4] for one in reversed(await _addresses_here(*local))}
    reached = [one for one in found if one[0] in from_each]
    if not reached:
        raise OSError(f"no address of {host!r} can be reached from local_address {local[0]!r}")
    return reached, from_each


async def _addresses_here(host: str, port: int) -> Sequence[AddressInfo]:
    failure: socket.gaierror
    try:
        return await addresses(host, port)
    except socket.gaierror as error:
        text = f"local_address {host!r} cannot be used: {error.strerror}"
        failure = socket.gaierror(error.errno, text)
    raise failure


async def open_unix(path: str) -> socket.socket:
    """Connect to a unix socket.

    Raises:
        OSError: If there is none, or nothing listens at it.
    """
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.setblocking(False)
    failure: OSError
    try:
        await _connect(unix, path)
        return unix
    except (FileNotFoundError, ConnectionRefusedError) as error:
        text = f"nothing listens at the unix socket {path!r}: {error.strerror}"
        failure = type(error)(error.errno, text)
    except OSError as error:
        text = f"cannot connect to the unix socket {path!r}: {error.strerror or error}"
        failure = type(error)(error.errno, text)
    except BaseException:
        unix.close()
        raise
    unix.close()
    raise failure


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


async def connect_address(
    found: AddressInfo, from_each: Mapping[socket.AddressFamily, Any] | None = None
) -> socket.socket:
    """Connect to an address.

    Args:
        found: What a look-up gave.
        from_each: What to connect from, for each family; left out, what the system chooses.

    Raises:
        OSError: If it cannot be reached, or not from there.
    """
    family, kind, protocol, _, address = found
    tcp = socket.socket(family, kind, protocol)
    tcp.setblocking(False)
    try:
        if from_each is not None:
            _bind(tcp, from_each[family])
        await _connect(tcp, address)
    except BaseException:
        tcp.close()
        raise
    return tcp


async def _connect(unconnected: socket.socket, address: Any) -> None:
    if sys.platform == "linux":
        # On loopback it is connected at once, but says so only when asked again; the loop asks
        # first thing, and saves a turn. On other ways the loop finds the connect in progress.
        begun = unconnected.connect_ex(address)
        if begun == 0:
            return
        if begun not in (errno.EINPROGRESS, errno.EAGAIN):
            raise OSError(begun, os.strerror(begun))
    await asyncio.get_running_loop().sock_connect(unconnected, address)


def _bind(tcp: socket.socket, local: Any) -> None:
    failure: OSError
    if local[1] and os.name == "posix":  # the connection before this one may linger in TIME_WAIT
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        tcp.bind(local)
        return
    except OSError as error:
        said = error.strerror or error
        failure = OSError(error.errno, f"cannot connect from local_address {local[:2]}: {said}")
    raise failure


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
