"""A call of a sink's, which is a user's maybe, in a time that is bounded whatever it does (C40)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from rxsocket.runtime.threads import log
from rxsocket.sinks.held_loop import HeldLoop, Timed
from rxsocket.sinks.sink import Sink

T = TypeVar("T")

GRACE = 2.0
"""Seconds that a call has to end, once it was cancelled; then it is left behind."""


async def bounded(
    held: HeldLoop,
    name: str,
    call: Callable[[], Awaitable[T]],
    seconds: float,
    grace: float = GRACE,
) -> T:
    """Await a call of a sink's.

    Args:
        held: Times what it does on the loop.
        name: What is called, for people.
        call: Calls it.
        seconds: How long it may take; then it is cancelled.
        grace: How long it may take to end then. If it gives something nevertheless, that counts.

    Raises:
        TimeoutError: If it took too long.
        BaseException: What it raises.
    """
    task: asyncio.Task[T] = asyncio.get_running_loop().create_task(
        Timed(_awaited(call), held, name)
    )
    sink = held.sink
    try:
        await asyncio.wait((task,), timeout=seconds)
    except asyncio.CancelledError:
        await _end(sink, name, task, grace)
        raise
    if not task.done():
        await _end(sink, name, task, grace)
        if not task.done() or task.cancelled() or task.exception() is not None:
            raise TimeoutError(f"{name} not within {seconds:g} s")
    return task.result()


async def _awaited(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


async def _end(sink: Sink, name: str, task: asyncio.Task[Any], grace: float) -> None:
    task.cancel()
    await asyncio.wait((task,), timeout=grace)
    if not task.done():
        text = "%r: %s goes on, though it was cancelled; nobody waits for it any more"
        log(logging.WARNING, text, sink, name)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # which is nobody's any more
