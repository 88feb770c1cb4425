"""The output of the commands: lines for people, or JSON for programs.

Messages go to standard output, what happens to the connection goes to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from io import TextIOWrapper
from typing import Any, TextIO, TypeAlias

from rich.console import Console
from rich.text import Text

from rxsocket.auth.outcomes import AuthChange, InEffect, NotInEffect, Overtaken, Refused, Stored
from rxsocket.event_text import EventText
from rxsocket.events import (
    AwaitingAuth,
    Closed,
    ConnectFailed,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Gated,
    Message,
    Missed,
    Opened,
    Rejected,
    SlowConsumer,
    Waiting,
)
from rxsocket.explain.causes import describe
from rxsocket.explain.format import amount
from rxsocket.explain.wording import sentence
from rxsocket.stats import Stats
from rxsocket.texts import printable

SHOWN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Notice:
    """A line of the command itself."""

    text: str
    at: float = field(default_factory=time.time)


OutputItem: TypeAlias = Event | AuthChange | Notice
"""One item of output."""

_STYLES: dict[type[Any], str] = {
    Message: "cyan",
    Opened: "green",
    InEffect: "green",
    Closed: "yellow",
    Waiting: "yellow",
    Gated: "yellow",
    Dropped: "yellow",
    Missed: "yellow",
    DecodeFailed: "yellow",
    SlowConsumer: "yellow",
    Notice: "yellow",
    ConnectFailed: "red",
    Rejected: "red",
    Refused: "red",
    NotInEffect: "yellow",
    AwaitingAuth: "magenta",
}


def style(item: object) -> str:
    if isinstance(item, Ended):
        return "green" if item.error is None else "red"
    return _STYLES.get(type(item), "dim")


def in_words(item: OutputItem) -> str:
    match item:
        case Message(data=data):
            return payload(data)
        case Refused(reason=reason):
            return f"the new credential was refused: {reason}"
        case NotInEffect(reason=reason):
            return f"the new credential is not in effect yet: {reason}"
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
            return sentence(item)


def payload(data: Any) -> str:
    """A message: text as it is; of bytes, their number and the first ones in hex."""
    if not isinstance(data, bytes):
        return str(data)
    more = " ..." if len(data) > SHOWN_BYTES else ""
    return f"<{len(data)} bytes: {data[:SHOWN_BYTES].hex(' ')}{more}>"


def as_json(item: OutputItem) -> str:
    """An item as a JSON object in one line: ``type``, ``at``, then its own fields."""
    fields = {part.name: _plain(getattr(item, part.name)) for part in dataclasses.fields(item)}
    at = fields.pop("at", time.time())
    data = fields.get("data")
    if isinstance(data, EventText):
        fields |= {"event": data.event, "id": data.id}
    if isinstance(data, bytes):
        fields["data"] = None
        fields["base64"] = b64encode(data).decode()
    return json.dumps({"type": type(item).__name__, "at": at, **fields})


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Exception):
        return {"type": type(value).__name__, "text": describe(value)}
    return value


def connections_of(stats: Stats) -> str:
    """What became of the connection, for the line that a command ends with."""
    without = stats.seconds_without_connection
    return f"{amount(stats.connections, 'connection')}, {without:.1f} s without one"


HINT = "to go on, write KEY=VALUE or KEY=env:NAME on standard input"


Output: TypeAlias = Callable[[OutputItem], None]
"""Writes an item."""


def output(*, json: bool) -> Output:
    """One JSON object a line on standard output, or lines for people."""
    if json:
        return lambda item: print(as_json(item), flush=True)
    return TextOutput().write


class TextOutput:
    """Lines for people. In a pipe, a message is written as it is and alone."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        self._out = console(sys.stdout)
        self._err = console(sys.stderr)

    def write(self, item: OutputItem) -> None:
        if not isinstance(item, Message):
            self._line(self._err, item)
            if isinstance(item, AwaitingAuth):
                self._line(self._err, Notice(HINT))
        elif self._terminal:
            self._line(self._out, item)
        else:
            print(payload(item.data), flush=True)

    @staticmethod
    def _line(target: Console, item: OutputItem) -> None:
        at, name = getattr(item, "at", None), type(item).__name__
        target.print(
            line(at, name, "" if isinstance(item, Message) else style(item), in_words(item))
        )


def line(at: float | None, name: str, colour: str, text: str) -> Text:
    """A line for people: when, what, and about it in words."""
    clock = time.strftime("%H:%M:%S", time.localtime(at))
    return Text.assemble((clock, "dim"), "  ", (f"{name:<13}", colour), " ", printable(text))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process with 1


def console(stream: TextIO) -> Console:
    """A console that colours output to a terminal, and changes nothing else."""
    return _Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def silence(*streams: TextIO) -> None:
    """Discard buffered output: without a reader, the flush at exit may block."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
