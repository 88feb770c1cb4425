"""What a notebook's cell has subscribed to and made, until the cell runs again.

::

    cell [1]     run ----subscribe A----------- run again ----subscribe B------
    A            ------------===================x
    B            ------------------------------------------------==============

So a cell may run ten times, and each message is printed once. A name is a place of its own, which
whatever takes it next takes over. It is about cells of an IPython kernel; everywhere else nothing
is kept here. IPython is not imported, only found where it runs.

While a cell runs, the kernel's loop is woken now and then: a kernel cancels a cell that is
interrupted, but a loop that sleeps until the next message does not notice that it is to wake up.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from reactivex import abc

from rxsocket.runtime.threads import running_loop

_kept: ContextVar[bool] = ContextVar("rxsocket_kept", default=False)
_owned: dict[str, tuple[str, list[abc.DisposableBase]]] = {}
_named: dict[str, abc.DisposableBase] = {}
_followed: WeakSet[Any] = WeakSet()

INTERVAL = 0.1
"""Seconds until an interrupt is noticed."""


class _Pulse:
    """Wakes the loop of a kernel while a cell runs."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = running_loop()
        if loop is not None and self._timer is None:
            self._timer = loop.call_later(INTERVAL, self._beat, loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(INTERVAL, self._beat, loop)


@contextmanager
def keep() -> Generator[None]:
    """For what a cell subscribes to or makes inside: running the cell again does not end it.

    Examples:
        >>> with keep():
        ...     socket.messages.subscribe(log)
    """
    token = _kept.set(True)
    try:
        yield
    finally:
        _kept.reset(token)


def adopt(dispose: Callable[[], abc.DisposableBase], name: str | None = None) -> None:
    """Let what somebody subscribed to or made end when the cell that runs now runs again.

    What a task of an earlier run makes ends at once: its cell did run again.

    Args:
        dispose: Called in a kernel only: what is to be disposed.
        name: What it is called; what was called so before ends now.
    """
    ipython = sys.modules.get("IPython")
    if ipython is None or threading.current_thread() is not threading.main_thread():
        return
    get_shell = getattr(ipython, "get_ipython", None)  # none while another thread imports it
    if get_shell is None:
        return
    shell: Any = get_shell()
    cell, run = _now(shell)
    if not cell or (_kept.get() and name is None):
        return
    made = dispose()
    if name is not None:
        before = _named.pop(name, None)
        if before is not None:
            before.dispose()
        _named[name] = made
    if _kept.get():
        return
    if shell not in _followed:
        _followed.add(shell)
        _follow(shell)
    newest, things = _owned.setdefault(cell, (run, []))
    if newest == run:
        things.append(made)
    else:
        made.dispose()


def _follow(shell: Any) -> None:
    """Hear of the cells that run from now on; one runs already."""
    pulse = _Pulse()

    def before(_info: object) -> None:
        _begin(*_now(shell))
        pulse.start()

    def after(_result: object) -> None:
        pulse.stop()

    shell.events.register("pre_run_cell", before)
    shell.events.register("post_run_cell", after)
    pulse.start()


def _begin(cell: str, run: str) -> None:
    """A cell runs; what an earlier run of it left ends."""
    _, things = _owned.get(cell, (run, []))
    _owned[cell] = run, []
    for thing in things:
        thing.dispose()


def _now(shell: Any) -> tuple[str, str]:
    """Which cell runs, and which run of it this is; empty where that is not known."""
    ask: Any = getattr(shell, "get_parent", dict)
    message: Any = ask()
    try:
        run, code = str(message["header"]["msg_id"]), str(message["content"]["code"])
    except (KeyError, TypeError):  # no request of a cell
        return "", ""
    # Front ends name their cells; without a name, a cell is its text.
    return str(message.get("metadata", {}).get("cellId") or code), run
