"""Lines of standard input, read so that nothing has to wait for them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

__all__ = ["follow"]


def follow(line: Callable[[bytes], None]) -> None:
    """Call back for each line of standard input, on a daemon thread.

    Args:
        line: Called with the line, stripped; not for empty ones. At the end of the input nothing
            happens.
    """
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or there is none
        return
    if hasattr(signal, "SIGTTIN"):
        # In the background of a shell, reading from the terminal would stop the whole process.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)

    def read() -> None:
        for text in _lines(descriptor):
            if text.strip():
                line(text.strip())

    threading.Thread(target=read, name="rxsocket-stdin", daemon=True).start()


def _lines(descriptor: int) -> Iterator[bytes]:
    # Not through sys.stdin: a daemon thread that holds its lock makes the interpreter's exit fail.
    rest = b""
    while chunk := _read(descriptor):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    yield rest


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
