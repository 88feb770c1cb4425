"""What a process of a fleet runs: one shard, until its parent says so, or is gone (C43).

::

    parent   start ───────────────────────── Stop       or X: killed
    child      Started ···· beats ···· closes, ends       closes, ends
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from rxsocket.fleet.host import Host
from rxsocket.fleet.portable import trace_of
from rxsocket.fleet.questions import Raised, Stop

BEAT = 2.0
"""Seconds after which a shard that has nothing to say says so."""
CLOSING = 5.0
"""Seconds that the sockets have for their closing handshakes."""
LENGTH = struct.Struct("!Q")


def main(end: socket.socket) -> None:
    """Run the shard that the other end of the link says.

    Args:
        end: This end of it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the parent, which ends us
    threading.Thread(target=_end_with_parent, name="rxsocket-parent", daemon=True).start()
    asyncio.run(_serve(end))


def _end_with_parent() -> None:
    """The link says it as well, but not while a function of the user's holds the loop."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        time.sleep(CLOSING + 1.0)
        os._exit(1)


async def _serve(end: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=end, limit=2**20)
    task = asyncio.current_task()
    assert task is not None
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    host: Host | None = None
    stop = [Stop()]
    try:
        made_with, pipeline, first = pickle.loads(await read_frame(reader))
        host = Host(made_with, pipeline, first, f"process {os.getpid()}")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_listen(host, reader, task, stop))
            tasks.create_task(_tell(host, writer))
    except (asyncio.CancelledError, OSError, EOFError):
        pass  # told to end, or the parent is gone
    except BaseException as error:
        with suppress(OSError):
            write_frame(writer, pickle.dumps([Raised(trace_of(_first(error)))]))
            await writer.drain()
    finally:
        if host is not None:
            with suppress(asyncio.CancelledError, TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await host.close(stop[-1])
        writer.close()


def _first(error: BaseException) -> BaseException:
    group: Any = error
    return _first(group.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _listen(
    host: Host, reader: asyncio.StreamReader, task: asyncio.Task[Any], stop: list[Stop]
) -> None:
    while True:
        try:
            items: list[Any] = pickle.loads(await read_frame(reader))
        except (EOFError, OSError):
            items = [Stop()]  # the parent is gone
        for item in items:
            if isinstance(item, Stop):
                stop.append(item)
                task.cancel()
                return
        host.receive(items)


async def _tell(host: Host, writer: asyncio.StreamWriter) -> None:
    while True:
        write_frame(writer, await host.next(BEAT))
        await writer.drain()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next frame of a link.

    Raises:
        EOFError: If the other end is gone.
    """
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return await reader.readexactly(length)


def write_frame(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write a frame; ``drain()`` waits until there is room for more."""
    writer.write(LENGTH.pack(len(data)))
    writer.write(data)
