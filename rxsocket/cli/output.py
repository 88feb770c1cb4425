"""What ``listen`` writes on: messages on standard output, the rest on standard error.

What happened, in words for people and in JSON for programs.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from io import TextIOWrapper
from typing import Any, Protocol, TextIO, TypeAlias

from rich.console import Console
from rich.text import Text

from rxsocket.auth.outcomes import AuthChange, InEffect, Overtaken, Refused, Stored
from rxsocket.events import (
    AwaitingAuth,
    Closed,
    ConnectFailed,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Message,
    Opened,
    Rejected,
    SlowConsumer,
    Waiting,
)
from rxsocket.explain.causes import describe
from rxsocket.explain.wording import sentence

__all__ = [
    "Happening",
    "Json",
    "Lines",
    "Notice",
    "Paper",
    "as_json",
    "console",
    "in_words",
    "payload",
    "printable",
    "silence",
    "style",
]

SHOWN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the command itself has to say."""

    text: str
    at: float = field(default_factory=time.time)


Happening: TypeAlias = Event | AuthChange | Notice
"""What the command line shows."""

_STYLES: dict[type[Any], str] = {
    Message: "cyan",
    Opened: "green",
    InEffect: "green",
    Closed: "yellow",
    Waiting: "yellow",
    Dropped: "yellow",
    DecodeFailed: "yellow",
    SlowConsumer: "yellow",
    Notice: "yellow",
    ConnectFailed: "red",
    Rejected: "red",
    Refused: "red",
    AwaitingAuth: "magenta",
}


def style(happening: Happening) -> str:
    """The colour of it."""
    if isinstance(happening, Ended):
        return "green" if happening.error is None else "red"
    return _STYLES.get(type(happening), "dim")


def in_words(happening: Happening) -> str:
    match happening:
        case Message(data=data):
            return payload(data)
        case Refused(reason=reason):
            return f"the new credential was refused: {reason}"
        case InEffect(epoch=None):
            return "logged out"
        case InEffect(epoch=epoch):
            return f"the new credential is in effect on connection {epoch}"
        case Overtaken():
            return "a newer credential came first"
        case Stored():
            return "the new credential is kept for the next start"
        case Notice(text=text):
            return text
        case _:
            return sentence(happening)


def payload(data: Any) -> str:
    """A message: text as it is, bytes by their number and the first of them in hex."""
    if not isinstance(data, bytes):
        return str(data)
    more = " ..." if len(data) > SHOWN_BYTES else ""
    return f"<{len(data)} bytes: {data[:SHOWN_BYTES].hex(' ')}{more}>"


def printable(text: str) -> str:
    """A text on which no terminal acts: control characters are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_json(happening: Happening) -> str:
    """What happened, as a JSON object in one line: ``type``, ``at``, then its own fields."""
    fields = {
        item.name: _plain(getattr(happening, item.name)) for item in dataclasses.fields(happening)
    }
    at = fields.pop("at", time.time())
    data = fields.get("data")
    if isinstance(data, bytes):
        fields["data"] = None
        fields["base64"] = b64encode(data).decode()
    return json.dumps({"type": type(happening).__name__, "at": at, **fields})


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Exception):
        return {"type": type(value).__name__, "text": describe(value)}
    return value


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
                printable(in_words(happening)),
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
