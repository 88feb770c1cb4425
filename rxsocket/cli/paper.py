"""What ``listen`` writes on: messages on standard output, the rest on standard error."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from io import TextIOWrapper
from typing import Protocol, TextIO

from rich.console import Console
from rich.text import Text

from rxsocket.cli.wording import Happening, Notice, as_json, payload, printable, sentence, style
from rxsocket.events import AwaitingAuth, Message

__all__ = ["Json", "Lines", "Paper", "console", "silence"]

HINT = "to go on, write KEY=VALUE or KEY=env:NAME on standard input"


class Paper(Protocol):
    """Something to write on."""

    def write(self, happening: Happening) -> None:
        """Write what happened."""
        ...


class Json:
    """One JSON object a line, all on standard output."""

    def write(self, happening: Happening) -> None:
        """Write what happened."""
        print(as_json(happening), flush=True)


class Lines:
    """Lines for people. In a pipe, a message is written as it is and alone."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        self._out = console(sys.stdout)
        self._err = console(sys.stderr)

    def write(self, happening: Happening) -> None:
        """Write what happened."""
        if not isinstance(happening, Message):
            self._line(self._err, happening)
            if isinstance(happening, AwaitingAuth):
                self._line(self._err, Notice(HINT))
        elif self._terminal:
            self._line(self._out, happening)
        else:
            print(payload(happening.data), flush=True)

    @staticmethod
    def _line(target: Console, happening: Happening) -> None:
        at = time.strftime("%H:%M:%S", time.localtime(getattr(happening, "at", None)))
        name = "" if isinstance(happening, Message) else style(happening)
        target.print(
            Text.assemble(
                (at, "dim"),
                "  ",
                (f"{type(happening).__name__:<13}", name),
                " ",
                printable(sentence(happening)),
            )
        )


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the caller know; rich would end the process with 1."""
        raise BrokenPipeError


def console(stream: TextIO) -> Console:
    """A console that colours what goes to a terminal and changes nothing else."""
    return _Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def silence(*streams: TextIO) -> None:
    """Let what is still buffered go nowhere: nobody reads it, and its flush at exit may block."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
