"""``rxsocket listen``: messages of a server, and a credential that can be changed meanwhile.

The streams put events into a queue, and the main thread writes them. So a slow reader of the output
delays only the output, and Ctrl-C works at any time. ``record`` does the same.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeAlias

from reactivex import Observable, abc

from rxsocket.cli.credentials import UsageError, from_line
from rxsocket.cli.output import Notice, Output, OutputItem, connections_of
from rxsocket.cli.target import Target, open_socket
from rxsocket.errors import SocketError
from rxsocket.events import Event, Message
from rxsocket.explain.causes import describe
from rxsocket.explain.format import amount
from rxsocket.socket import Socket
from rxsocket.stats import Stats

SEND = "> "
"""Begins a line of standard input that is sent."""


def obey_stdin(socket: Socket, show: Callable[[OutputItem], None]) -> None:
    """Let each line of standard input be sent, or change the credential, and show the outcome."""

    def on_line(line: bytes) -> None:
        try:
            text = line.decode()
            if text.startswith(SEND):
                _send(socket, text.removeprefix(SEND), show)
                return
            receipt = socket.set_auth(from_line(text))
        except UnicodeDecodeError:
            show(Notice("standard input: a line is not UTF-8 text"))
        except (UsageError, TypeError, ValueError) as error:
            show(Notice(str(error)))
        else:
            receipt.subscribe(show, lambda error: show(Notice(describe(error))))

    read_stdin(on_line)


def _send(socket: Socket, text: str, show: Callable[[OutputItem], None]) -> None:
    """Send a text; that it was not sent is an event, and other trouble is told here."""
    try:
        socket.send(text)
    except SocketError as error:
        show(Notice(describe(error)))


OutputQueue: TypeAlias = "SimpleQueue[OutputItem | int]"
"""Items to write; the last one is the exit code."""


def listen(
    target: Target,
    output: Output,
    count: int | None = None,
    *,
    send: Sequence[str] = (),
    summary: bool = False,
) -> int:
    """Write the events of a socket until it ends, or ``count`` messages came; return the exit code.

    Args:
        target: Where to.
        output: Writes each event.
        count: Messages after which to end.
        send: What to send on each connection.
        summary: Whether the last line says what there was in all.

    Raises:
        UsageError: If the address or the credential cannot be used.
    """
    queue: OutputQueue = SimpleQueue()
    with open_socket(target) as socket:

        def on_open() -> None:
            for text in send:
                _send(socket, text, queue.put)

        socket.on_open(on_open)
        enqueue(queue, socket.events)
        obey_stdin(socket, queue.put)
        try:
            return write_all(queue, output, count)
        finally:
            if summary:
                with suppress(OSError):  # nobody reads
                    output(Notice(in_all(socket.stats)))


def in_all(stats: Stats) -> str:
    """What a socket has received, and over how many connections."""
    received = f"{amount(stats.messages_received, 'message')}, {stats.bytes_received:,} bytes"
    return f"{received}, {connections_of(stats)}"


def enqueue(queue: OutputQueue, events: Observable[Event]) -> abc.DisposableBase:
    return events.subscribe(queue.put, lambda _: queue.put(1), lambda: queue.put(0))


def write_all(queue: OutputQueue, output: Output, count: int | None = None) -> int:
    """Write a queue until the stream ends, or ``count`` messages came; return the exit code."""
    messages = 0
    while messages != count:
        item = queue.get()
        if isinstance(item, int):
            return item
        output(item)
        messages += isinstance(item, Message)
    return 0


def read_stdin(on_line: Callable[[bytes], None]) -> None:
    """Call back with each line of standard input that is not empty, on a daemon thread."""
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
                on_line(text.strip())

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
