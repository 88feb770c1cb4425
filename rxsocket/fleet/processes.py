"""Shards in processes of this machine: ``on="processes"``, or ``Processes(count)`` (C43).

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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.process import BaseProcess, current_process
from typing import Any

from reactivex import Observable

from rxsocket.fleet.batches import WhenFull, check_when_full
from rxsocket.fleet.child import CLOSING, main, read_frame, write_frame
from rxsocket.fleet.host import HostSettings
from rxsocket.fleet.orders import SetAuth
from rxsocket.fleet.places import Run, Shards, Where
from rxsocket.fleet.plan import Place
from rxsocket.fleet.portable import function_pickled, plain, settings_pickled
from rxsocket.fleet.questions import Sealed, Stop
from rxsocket.fleet.remote import RemoteShard, all_closed
from rxsocket.fleet.shard import ShardSettings
from rxsocket.fleet.shard_link import LinkLost
from rxsocket.runtime.threads import run_blocking
from rxsocket.streams.receipts import Receipt
from rxsocket.validation import callback, whole_number

_EGRESS = "this machine"
GUARD = (
    "each process imports the script anew: put what starts the fleet under "
    "`if __name__ == '__main__':`"
)


@dataclass(frozen=True)
class Processes(Where):
    """Shards in processes of this machine, as ``on=`` of a fleet (rule C43, places).

    They are started anew, not forked, and import the script: what starts the fleet is under
    ``if __name__ == "__main__":``. Functions go there by their names, so they are functions of a
    module, not lambdas. A process that dies is started again; none outlives its parent.

    Args:
        count: How many; left out: one for each processor.
        pipeline: A function of a module, from the Observable of a shard's messages to one of what
            comes back: it runs in the shards. What it gives is on ``fleet.messages``.
        when_full: What a shard does when the fleet takes less than comes: ``"pause"`` reading, or
            ``"drop"`` messages, which are counted in a ``Dropped`` on ``errors``.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used.

    Examples:
        >>> Fleet(url, channel=spec, on=Processes(4))
    """

    count: int | None = None
    pipeline: Callable[[Observable[Any]], Observable[Any]] | None = None
    when_full: WhenFull = "pause"

    def __post_init__(self) -> None:
        if self.count is not None:
            whole_number("Processes(count)", self.count)
        if self.pipeline is not None:
            callback("Processes(pipeline)", self.pipeline)
        check_when_full("Processes", self.when_full)

    @property
    def places(self) -> tuple[Place, ...]:
        """The processes; their sockets come from the same address."""
        count = self.count or os.cpu_count() or 1
        return tuple(Place(f"process {number}", _EGRESS) for number in range(count))

    def check(self, settings: ShardSettings) -> None:
        """Check that its functions can go to another process, and that one may be started."""
        settings_pickled(replace(settings, auth=None), plain, "another process")
        self.pipeline_pickled()
        if getattr(current_process(), "_inheriting", False):
            raise RuntimeError(
                f"this is a process of a fleet, and would start another fleet: {GUARD}"
            )

    def pipeline_pickled(self) -> bytes | None:
        """The pipeline as bytes."""
        if self.pipeline is None:
            return None
        return function_pickled("Processes(pipeline)", self.pipeline, plain, "another process")

    def start(self, run: Run) -> Shards:
        """Have the processes started."""
        return _ProcessShards(self, run)


class _ProcessShards(Shards):
    is_elsewhere = True

    def __init__(self, on: Processes, run: Run) -> None:
        self._run = run
        self._shards: dict[str, RemoteShard] = {}
        self.named = self._shards
        relay = run.relay(self._push)
        self._following = relay.start()
        settings = settings_pickled(replace(run.settings, auth=None), plain, "another process")
        admission, pipeline = run.admission(on.places[0]), on.pipeline_pickled()
        for place in on.places:
            name = place.name
            link = ProcessLink(
                HostSettings(
                    name=name,
                    settings=settings,
                    auth=relay.kind,
                    lead=relay.lead,
                    when_full=on.when_full,
                ),
                pipeline,
            )
            self._shards[name] = RemoteShard(
                name,
                link,
                run.loop,
                partial(run.report, name),
                partial(run.deliver, name),
                relay,
                admission,
                run.output,
            )
        run.began({})

    def close(self, code: int, reason: str) -> Receipt[None]:
        self._following.dispose()
        return all_closed(self._run.loop, self._shards.values(), code, reason)

    def _push(self, value: Sealed) -> None:
        for shard in self._shards.values():
            shard.push(value)


class ProcessLink:
    """The link to a process; on the fleet's loop.

    Args:
        settings: What the shard is made with.
        pipeline: What is done beside the data, pickled.
    """

    def __init__(self, settings: HostSettings, pipeline: bytes | None = None) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._process: BaseProcess | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._has_begun = False
        self._starting: asyncio.Future[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    async def start(self, first: Sealed | None, auth: SetAuth | None) -> bool:
        """Start a process, in place of the one before."""
        await self.kill()
        self._has_begun = False
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("spawn")
        name = f"rxsocket {self._settings.name}"
        process = context.Process(target=main, args=(theirs,), name=name, daemon=True)
        starting = run_blocking(asyncio.get_running_loop(), partial(_start, process, theirs))
        self._process, self._starting = process, starting
        try:
            await asyncio.shield(starting)
            self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=2**20)
        except OSError as error:
            ours.close()
            self._process = None
            raise LinkLost(f"no process could be started: {error}") from error
        except BaseException:
            ours.close()  # whereupon it ends
            raise
        write_frame(self._writer, pickle.dumps((self._settings, self._pipeline, first), 5))
        return False

    async def send(self, items: list[Any], *, is_secret: bool) -> None:
        """Send, unless it is gone."""
        if self._writer is None:
            return
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
        return LinkLost(
            f"{what} ended with exit code {code} before it had begun; {GUARD}", is_final=True
        )

    async def stop(self, stop: Stop) -> None:
        """Have it close its sockets and end."""
        await self._started()
        if self._process is None:
            return
        await self.send([stop], is_secret=False)
        await self._join(CLOSING + 1.0)
        await self.kill()

    async def kill(self) -> None:
        """End the process, and wait until it has."""
        await self._started()
        process, self._process = self._process, None
        writer, self._writer = self._writer, None
        if process is not None and process.is_alive():
            process.kill()
        if writer is not None:
            writer.close()  # before anything is waited for: whoever waits may be cancelled
        if process is not None:
            await run_blocking(asyncio.get_running_loop(), partial(process.join, 5.0))
            process.close()
        if writer is not None:
            with suppress(OSError):
                await writer.wait_closed()

    async def _started(self) -> None:
        if self._starting is not None and not self._starting.done():
            await asyncio.wait((self._starting,))

    async def _join(self, seconds: float) -> None:
        process = self._process
        if process is not None:
            await run_blocking(asyncio.get_running_loop(), partial(process.join, seconds))


def _start(process: BaseProcess, theirs: socket.socket) -> None:
    with theirs:  # which the process has a copy of by then
        process.start()
