"""Opening the TCP connection: name look-up on a daemon thread, then one address after another.

asyncio looks names up on a pool whose threads the exit of the process waits for; a resolver that
hangs would keep Ctrl-C waiting with it (C26).
"""

from __future__ import annotations

import asyncio
import socket

from rxsocket.runtime import run_blocking

__all__ = ["open_tcp"]


async def open_tcp(host: str, port: int) -> socket.socket:
    """Connect to a host.

    Raises:
        OSError: If the name is unknown or no address of it answers; the last one's error.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await run_blocking(
            loop, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except socket.gaierror as error:
        raise socket.gaierror(
            error.errno, f"no address found for {host!r}: {error.strerror}"
        ) from None
    failures: list[OSError] = []
    for family, kind, protocol, _, address in found:
        tcp = socket.socket(family, kind, protocol)
        tcp.setblocking(False)
        try:
            await loop.sock_connect(tcp, address)
        except OSError as error:
            tcp.close()
            failures.append(error)
        except BaseException:
            tcp.close()
            raise
        else:
            return tcp
    raise failures[-1] if failures else OSError(f"no address found for {host!r}")
