"""``rxsocket listen``: messages of a server, and a credential that can be changed meanwhile.

The streams put events into a queue, and the main thread writes them. So a slow reader of the output
delays only the output, and Ctrl-C works at any time. ``record`` does the same.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import TypeAlias

from reactivex import Observable, abc

from rxsocket.auth.carrier import Carrier
from rxsocket.auth.credentials import ANONYMOUS
from rxsocket.cli.credentials import Entries, UsageError, from_line
from rxsocket.cli.output import Notice, Output, OutputItem, connections_of
from rxsocket.events import Event, Message
from rxsocket.explain.causes import describe
from rxsocket.explain.format import amount
from rxsocket.socket import Socket
from rxsocket.stats import Stats

CLOSE_TIMEOUT = 0.5
"""Seconds for closing: Ctrl-C has to end the command within one."""


@contextmanager
def open_socket(url: str, auth: Entries | None, carrier: Carrier) -> Generator[Socket, None, None]:
    """A socket that is closed at the end, also after an error.

    Raises:
        UsageError: If the address or the credential cannot be used.
    """
    try:
        socket = Socket(
            url,
            auth=ANONYMOUS if auth is None else auth,
            carrier=carrier,
            close_timeout=CLOSE_TIMEOUT,
        )
    except (ValueError, ImportError) as error:  # an extra may not be installed
        raise UsageError(str(error)) from None
    try:
        yield socket
    finally:
        with suppress(TimeoutError):
            socket.close().result(2 * CLOSE_TIMEOUT)


def set_auth_from_stdin(socket: Socket, show: Callable[[OutputItem], None]) -> None:
    """Let each line of standard input change the credential, and show the outcome."""

    def on_line(line: bytes) -> None:
        try:
            receipt = socket.set_auth(from_line(line.decode()))
        except UnicodeDecodeError:
            show(Notice("standard input: a line is not UTF-8 text"))
        except (UsageError, TypeError, ValueError) as error:
            show(Notice(str(error)))
        else:
            receipt.subscribe(show, lambda error: show(Notice(describe(error))))

    read_stdin(on_line)


OutputQueue: TypeAlias = "SimpleQueue[OutputItem | int]"
"""Items to write; the last one is the exit code."""


def listen(
    url: str,
    auth: Entries | None,
    carrier: Carrier,
    output: Output,
    count: int | None = None,
    *,
    summary: bool = False,
) -> int:
    """Write the events of a socket until it ends, or ``count`` messages came; return the exit code.

    Args:
        url: Address.
        auth: The credential, if there is one.
        carrier: How it goes.
        output: Writes each event.
        count: Messages after which to end.
        summary: Whether the last line says what there was in all.

    Raises:
        UsageError: If the address or the credential cannot be used.
    """
    queue: OutputQueue = SimpleQueue()
    with open_socket(url, auth, carrier) as socket:
        enqueue(queue, socket.events)
        set_auth_from_stdin(socket, queue.put)
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
