"""Shards in processes of this machine: ``on="processes"``, or ``Processes(count)`` (C45).

::

    parent ──┬── link ── process: shard 0      one interpreter, one loop, some sockets each
             ├── link ── process: shard 1
             └── admission                     one for all: they have the same address
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess, current_process
from typing import Any

from rxsocket.fleet.batches import WhenFull
from rxsocket.fleet.child import CLOSING, main, read_frame, write_frame
from rxsocket.fleet.host import HostSettings
from rxsocket.fleet.questions import Sealed, Stop
from rxsocket.fleet.remote import LinkLost
from rxsocket.fleet.told import Told
from rxsocket.runtime.threads import run_blocking
from rxsocket.validation import whole_number

GUARD = (
    "each process imports the script anew: put what starts the fleet under "
    "`if __name__ == '__main__':`"
)


@dataclass(frozen=True, slots=True)
class Processes:
    """Shards in processes of this machine, as ``on=`` of a fleet (C45).

    They are started anew, not forked, and import the script: what starts the fleet is under
    ``if __name__ == "__main__":``. Functions go there by their names, so they are functions of a
    module, not lambdas. A process that dies is started again; none outlives its parent.

    Args:
        count: How many; left out: one for each processor.
        when_full: What a shard does when the fleet takes less than comes: ``"pause"`` reading, or
            ``"drop"`` messages, which ``fleet.stats`` counts.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used.

    Examples:
        >>> Fleet(url, channel=spec, on=Processes(4))
    """

    count: int | None = None
    when_full: WhenFull = "pause"

    def __post_init__(self) -> None:
        if self.count is not None:
            whole_number("Processes(count)", self.count)
        if self.when_full not in ("pause", "drop"):
            raise ValueError(
                f"Processes(when_full): pass 'pause' or 'drop', not {self.when_full!r}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the shards."""
        return tuple(f"process {number}" for number in range(self.count or os.cpu_count() or 1))


def check_may_start() -> None:
    """Refuse to start processes while the script is only being imported by one.

    Raises:
        RuntimeError: If it is; the text says what to write.
    """
    if getattr(current_process(), "_inheriting", False):
        raise RuntimeError(f"this is a process of a fleet, and would start another fleet: {GUARD}")


class ProcessLink:
    """The link to a process; on the fleet's loop.

    Args:
        settings: What the shard is made with.
    """

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._process: BaseProcess | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._has_begun = False

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    async def start(self, first: Sealed | None, told: Told) -> bool:
        """Start a process, in place of the one before."""
        await self.kill()
        self._has_begun = False
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("spawn")
        name = f"rxsocket {self._settings.name}"
        process = context.Process(target=main, args=(theirs,), name=name, daemon=True)
        loop = asyncio.get_running_loop()
        try:
            await asyncio.shield(run_blocking(loop, partial(_start, process)))
        except OSError as error:
            ours.close()
            raise LinkLost(f"no process could be started: {error}") from error
        finally:
            theirs.close()
        self._process = process
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=2**20)
        write_frame(self._writer, pickle.dumps((self._settings, first), 5))
        return False

    async def send(self, items: list[Any], *, is_secret: bool) -> None:
        """Send, unless it is gone."""
        assert self._writer is not None
        with suppress(OSError):  # receive() says that it is gone
            write_frame(self._writer, pickle.dumps(items, 5))
            await self._writer.drain()

    async def receive(self) -> bytes:
        """What the shard has for the fleet."""
        assert self._reader is not None
        try:
            data = await read_frame(self._reader)
        except (EOFError, OSError):
            raise await self._lost() from None
        self._has_begun = True
        return data

    async def _lost(self) -> LinkLost:
        process = self._process
        if process is None:
            return LinkLost("the process is gone")
        await self._join(1.0)
        code = process.exitcode
        what = f"process {process.pid}"
        if code is None:
            return LinkLost(f"{what} closed its link")
        if code < 0:
            return LinkLost(f"{what} was killed by {signal.Signals(-code).name}")
        if self._has_begun:
            return LinkLost(f"{what} ended with exit code {code}")
        return LinkLost(f"{what} ended with exit code {code} before it had begun; {GUARD}")

    async def stop(self) -> None:
        """Have it close its sockets and end."""
        if self._process is None:
            return
        await self.send([Stop()], is_secret=False)
        await self._join(CLOSING + 1.0)
        await self.kill()

    async def kill(self) -> None:
        """End the process, and wait until it has."""
        process, self._process = self._process, None
        if process is not None:
            if process.is_alive():
                process.kill()
            await run_blocking(asyncio.get_running_loop(), partial(process.join, 5.0))
            process.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _join(self, seconds: float) -> None:
        process = self._process
        if process is not None:
            await run_blocking(asyncio.get_running_loop(), partial(process.join, seconds))


def _start(process: BaseProcess) -> None:
    process.start()
