"""``rxsocket listen``: what a server sends, and a credential that can be changed meanwhile.

The streams put into a queue what happens; the main thread writes it. So a reader of the output who
pauses holds up nothing but the output, and Ctrl-C is heard whatever goes on.


What the commands that connect have in common: the socket, its end, and lines of stdin.

Lines of standard input, read so that nothing has to wait for them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from reactivex import Observable, abc

from rxsocket.auth.carrier import Carrier
from rxsocket.auth.credentials import ANONYMOUS
from rxsocket.cli.credentials import Entries, UsageError, from_line
from rxsocket.cli.output import Happening, Notice, Paper
from rxsocket.events import Event, Message
from rxsocket.explain.causes import describe
from rxsocket.socket import Socket

__all__ = ["Inbox", "Over", "follow", "follow_stdin", "listen", "put_into", "session", "written"]

FAREWELL = 0.5
"""Seconds that closing may take: Ctrl-C has to end the command within one."""


@contextmanager
def session(url: str, auth: Entries | None, carrier: Carrier) -> Generator[Socket, None, None]:
    """A socket that is closed at the end, whatever happened.

    Args:
        url: Address of the server.
        auth: The credential; ``None`` for none.
        carrier: How it goes on a connection.

    Raises:
        UsageError: If the address or the credential cannot be used.
    """
    try:
        socket = Socket(
            url,
            auth=ANONYMOUS if auth is None else auth,
            carrier=carrier,
            close_timeout=FAREWELL,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        yield socket
    finally:
        with suppress(TimeoutError):
            socket.close().result(2 * FAREWELL)


def follow_stdin(socket: Socket, tell: Callable[[Happening], None]) -> None:
    """Let each line of standard input change the credential; what comes of it is told."""
    follow(lambda line: _change(socket, line, tell))


def _change(socket: Socket, line: bytes, tell: Callable[[Happening], None]) -> None:
    try:
        receipt = socket.set_auth(from_line(line.decode()))
    except UnicodeDecodeError:
        tell(Notice("standard input: a line is not UTF-8 text"))
    except (UsageError, TypeError, ValueError) as error:
        tell(Notice(str(error)))
    else:
        receipt.subscribe(tell, lambda error: tell(Notice(describe(error))))


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more happens."""

    failed: bool


Inbox: TypeAlias = "SimpleQueue[Happening | Over]"


def listen(
    url: str, auth: Entries | None, carrier: Carrier, paper: Paper, count: int | None = None
) -> int:
    """Write what happens on a socket until it ends.

    Args:
        url: Address of the server.
        auth: The credential; ``None`` for none.
        carrier: How it goes on a connection.
        paper: What to write on.
        count: Messages after which to end; ``None`` for no limit.

    Returns:
        The exit code: 0, or 1 when the socket failed.

    Raises:
        UsageError: If the address or the credential cannot be used.
    """
    inbox: Inbox = SimpleQueue()
    with session(url, auth, carrier) as socket:
        put_into(inbox, socket.events)
        follow_stdin(socket, inbox.put)
        return written(inbox, paper, count)


def put_into(inbox: Inbox, events: Observable[Event]) -> abc.DisposableBase:
    """Put what happens into a queue, and its end."""
    return events.subscribe(
        inbox.put, lambda _: inbox.put(Over(True)), lambda: inbox.put(Over(False))
    )


def written(inbox: Inbox, paper: Paper, count: int | None = None) -> int:
    """Write what comes until it is over, or that many messages came; returns the exit code."""
    messages = 0
    while messages != count:
        item = inbox.get()
        if isinstance(item, Over):
            return int(item.failed)
        paper.write(item)
        messages += isinstance(item, Message)
    return 0


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
