"""A key that is pressed at the terminal, for who reads along."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def wait_for_key() -> Callable[[], None] | None:
    """A function that returns when a key was pressed; ``None`` where nobody can press one.

    Ctrl-C is no key: it is raised, as anywhere.
    """
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    return _key


def _key() -> None:
    sys.stdout.flush()
    if sys.platform == "win32":
        import msvcrt

        if msvcrt.getwch() == "\x03":
            raise KeyboardInterrupt
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)  # no Enter is needed; Ctrl-C is still one
        os.read(descriptor, 32)  # an arrow key is several bytes
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
