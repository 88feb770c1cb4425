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
    Aborted,
    AwaitingAuth,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Fresh,
    Message,
    ObserverFailed,
    Opened,
    Rejected,
    Resumed,
    SendFailed,
    SlowConsumer,
    SourceFailed,
    Stale,
    TopicFailed,
    Waiting,
)
from rxsocket.explain.causes import closing, describe, failure
from rxsocket.explain.format import amount, span

__all__ = [
    "Happening",
    "Json",
    "Lines",
    "Notice",
    "Paper",
    "as_json",
    "console",
    "payload",
    "printable",
    "sentence",
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


def sentence(happening: Happening) -> str:
    """What happened, in one line."""
    match happening:
        case Connecting(url=url, attempt=attempt):
            return url if attempt == 1 else f"{url}, attempt {attempt}"
        case Opened(epoch=epoch, gap=gap):
            return f"connection {epoch}" + ("" if gap is None else f", after a gap of {gap:.3f} s")
        case Message(data=data):
            return payload(data)
        case Closed(epoch=epoch):
            return f"connection {epoch}: {closing(happening)}"
        case Aborted(cause=cause):
            return f"the attempt was given up: {cause.value}"
        case Waiting(delay=delay):
            return f"the next attempt comes in {delay:.1f} s"
        case AwaitingAuth(reason=reason):
            return f"no attempt until another credential comes: {reason}"
        case Stale(epoch=epoch, silence=silence):
            return f"connection {epoch} is open, but no message came for {span(silence)}"
        case Fresh(epoch=epoch, silence=silence):
            return f"connection {epoch} has messages again, after {span(silence)}"
        case Resumed(slept=slept):
            return f"time jumped by {span(slept)}"
        case Ended(error=None, cause=cause):
            return cause.value
        case Refused(reason=reason):
            return f"the new credential was refused: {reason}"
        case Dropped(count=count, reason=reason):
            return f"{amount(count, 'message')}: {reason}"
        case TopicFailed(topic=topic, error=error):
            return f"a message of {topic}: {describe(error)}"
        case ConnectFailed() | Rejected():
            return failure(happening.error)
        case ObserverFailed() | SourceFailed() | SendFailed():
            return describe(happening.error)
        case DecodeFailed(error=error, excerpt=excerpt):
            return f"{describe(error)}; its shape: {excerpt}"
        case SlowConsumer(observer=observer, seconds=seconds):
            return f"{observer} held the loop for {seconds:.1f} s"
        case Ended(error=Exception() as error):
            return describe(error)
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
            return repr(happening)


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
