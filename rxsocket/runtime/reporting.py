"""Whom to tell that an observer raised, when the emission that reached it is over (C23).

A stream catches what its observers raise within an emission. An operator that lets a value wait
calls its observer later, in a turn of its own; it keeps what :func:`reporter` gave it meanwhile.

::

    emission         --1--|
    latest()           '--waits--|
    observer                     1 raises
    reporter()         ^ kept    '--> errors
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import TypeAlias

__all__ = ["Reporter", "report_to", "reporter"]

Reporter: TypeAlias = Callable[[Exception], None]

_reporter: ContextVar[Reporter | None] = ContextVar("rxsocket_reporter", default=None)


def report_to(context: Context, report: Reporter) -> None:
    """Let what is called in a context, and what that leads to, find whom to tell of failures."""
    context.run(_reporter.set, report)


def reporter() -> Reporter | None:
    """Who is told that an observer raised; ``None`` outside the emissions of a socket."""
    return _reporter.get()
