"""Where it is reported that an observer raised, within an emission or after it (C23).

A stream catches what its observers raise within an emission. An operator that lets a value wait
calls its observer later, in a turn of its own; it keeps what :func:`reporter` gave it meanwhile.

::

    emission         --1--|
    latest()           '--waits--|
    observer                     1 raises
    reporter()         ^ kept    '--> errors
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Protocol, TypeAlias

from rxsocket.runtime.threads import log

PACKAGES = ("rxsocket.", "reactivex.")

Reporter: TypeAlias = Callable[[BaseException], None]


class Report(Protocol):
    """Publishes that an observer raised, and lets a ``SystemExit`` end the loop; any thread."""

    def __call__(
        self, observer: str, stream: str, error: BaseException, *, detached: bool = True
    ) -> None: ...


def report_to_log(exit_later: Reporter) -> Report:
    """A report for what is no socket, and has no events: it goes into the log.

    Args:
        exit_later: Lets a ``SystemExit`` end the program; that of the loop.
    """

    def report(observer: str, stream: str, error: BaseException, *, detached: bool = True) -> None:
        text = "observer %s of %s raised and was detached; the others go on"
        if not detached:
            text = "observer %s of %s raised"
        log(logging.WARNING, text, observer, stream, error=error)
        exit_later(error)

    return report


_reporter: ContextVar[Reporter | None] = ContextVar("rxsocket_reporter", default=None)


def report_to(context: Context, report: Reporter) -> None:
    """Set what :func:`reporter` returns in a context, and in those copied from it."""
    context.run(_reporter.set, report)


def reporter() -> Reporter | None:
    """What reports that an observer raised; ``None`` outside the emissions of a socket."""
    return _reporter.get()


def calling_code() -> str:
    """Name the innermost function on the stack that is no plumbing."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        if not str(frame.f_globals.get("__name__")).startswith(PACKAGES):
            break
        frame = frame.f_back
    if frame is None:  # an interpreter without stack frames
        return "an observer"
    module = str(frame.f_globals.get("__name__", ""))
    return f"{frame.f_code.co_qualname} (line {frame.f_lineno} of {module})"
