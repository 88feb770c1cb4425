"""The next values of a stream, as a list."""

from __future__ import annotations

import asyncio
import importlib
import sys
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, TypeVar

from reactivex import Observable

from rxsocket.runtime.interruptible import wait_until
from rxsocket.validation import instance, more_than_zero, whole_number

T = TypeVar("T")


async def peek(
    stream: Observable[T], count: int = 5, *, within: float | None = 2.0, progress: bool = False
) -> list[T]:
    """Return the next values of a stream: at most ``count``, within some seconds.

    However it ends, also by an interrupt of the kernel, it unsubscribes from the stream.

    ::

        stream            --1--2--3--4--5--6--
        peek(stream, 3)   --1--2--3|            [1, 2, 3]
        within=1          --1--2|               [1, 2]

    Args:
        stream: Any Observable.
        count: The number of values.
        within: Seconds; ``None`` to wait for ``count`` values, or for its end.
        progress: Whether to show a progress bar; it needs ``rxsocket[notebook]``.

    Raises:
        TypeError: If ``stream`` is not an Observable, or ``count`` not a number.
        ValueError: If ``count`` or ``within`` is not more than 0.
        Exception: The error of the stream, if it failed.

    Examples:
        >>> await peek(socket.messages, 3, within=10)
        ['{"price": 1}', '{"price": 2}', '{"price": 4}']
    """
    instance("peek(stream)", stream, Observable, "an Observable")
    whole_number("count", count)
    seconds = more_than_zero("within", within)
    end: Future[None] = Future()
    ended = asyncio.wrap_future(end)
    values: list[T] = []

    def on_end(error: Exception | None = None) -> None:
        with suppress(InvalidStateError):  # it has ended, or the cell was interrupted
            if error is None:
                end.set_result(None)
            else:
                end.set_exception(error)

    def on_next(value: T) -> None:
        if len(values) < count:
            values.append(value)
            if len(values) == count:
                on_end()

    bar = _bar(count) if progress else None
    subscription = stream.subscribe(on_next, on_end, on_end)
    try:
        await wait_until(ended, seconds, lambda: bar and bar.update(len(values) - bar.n))
        if ended.done():
            ended.result()
    finally:
        subscription.dispose()
        ended.cancel()
        if bar is not None:
            bar.close()
    return values


def _bar(count: int) -> Any:
    try:
        tqdm: Any = importlib.import_module("tqdm")
    except ImportError:
        raise ModuleNotFoundError(
            "progress: it needs tqdm; run pip install 'rxsocket[notebook]'"
        ) from None
    # Without its monitor, a thread that would outlive the bar.
    bar = type("Bar", (tqdm.tqdm,), {"monitor_interval": 0})
    return bar(total=count, unit="", file=sys.stdout)
