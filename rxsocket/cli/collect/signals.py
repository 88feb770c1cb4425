"""SIGTERM and Ctrl-C end a command in order; the second one ends it at once. SIGHUP reads anew."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

RELOAD = getattr(signal, "SIGHUP", None)


@dataclass(frozen=True, slots=True)
class Signalled:
    """The process was told to end.

    Attributes:
        number: The number of the signal; the exit code is 128 more.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Reload:
    """The process was told to read the credential anew."""


@contextmanager
def signals_to(put: Callable[[Any], None]) -> Generator[None, None, None]:
    """Turn signals into items; on the main thread.

    Args:
        put: Called with ``Signalled`` or ``Reload``, on the main thread, at any time.
    """
    ending: list[int] = []

    def on_end(number: int, frame: FrameType | None) -> None:
        if ending:
            raise KeyboardInterrupt
        ending.append(number)
        put(Signalled(number))

    def on_reload(number: int, frame: FrameType | None) -> None:
        put(Reload())

    handlers: dict[int, Any] = {signal.SIGINT: on_end, signal.SIGTERM: on_end}
    if RELOAD is not None:
        handlers[RELOAD] = on_reload
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
