"""``rxsocket record`` and ``rxsocket replay``: a session into a file, and out of it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from typing import TextIO

from reactivex import operators as ops
from rich.live import Live
from rich.text import Text

from rxsocket.cli.credentials import UsageError
from rxsocket.cli.listen import (
    OutputQueue,
    enqueue,
    obey_stdin,
    write_all,
)
from rxsocket.cli.output import Notice, Output, TextOutput, connections_of, console
from rxsocket.cli.target import Target, open_socket
from rxsocket.events import Message
from rxsocket.explain.format import amount
from rxsocket.recording import BadRecording, Recorder, record, replay
from rxsocket.recording.player import Speed
from rxsocket.socket import Socket
from rxsocket.stats import Stats

TERMINAL_INTERVAL = 0.25
"""Seconds between two updates of the progress on a terminal."""
PIPE_INTERVAL = 1.0
"""The same where the lines are kept, in a pipe or a file."""


def record_socket(
    target: Target,
    path: str,
    *,
    rotate_size: int | None = None,
    rotate_after: float | None = None,
    overwrite: bool = False,
    count: int | None = None,
) -> int:
    """Record a socket until it ends, and show the progress; see ``record``.

    Returns:
        The exit code: 0, or 1 if the socket or the recording failed.

    Raises:
        UsageError: If the address, the credential or the file cannot be used.
    """
    queue: OutputQueue = SimpleQueue()
    progress = _Progress()
    with ExitStack() as ending:
        socket = ending.enter_context(open_socket(target))
        try:
            recorder = record(
                socket,
                path,
                rotate_size=rotate_size,
                rotate_after=rotate_after,
                overwrite=overwrite,
            )
        except FileExistsError:
            raise UsageError(f"{path} is there already; --overwrite replaces it") from None
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from None
        ending.callback(_finish, socket, recorder, progress, ending.pop_all())

        enqueue(queue, socket.events.pipe(ops.filter(lambda event: not isinstance(event, Message))))
        obey_stdin(socket, queue.put)
        with progress:
            code = _write_events(queue, recorder, progress, count)
    return code if recorder.error is None else 1


def _write_events(
    queue: OutputQueue, recorder: Recorder, progress: _Progress, count: int | None
) -> int:
    while count is None or recorder.messages < count:
        try:
            item = queue.get(timeout=TERMINAL_INTERVAL)
        except Empty:
            item = None
        if isinstance(item, int):
            return item
        if recorder.error is not None:
            progress.notice(f"the recording stopped: {recorder.error}")
            return 1
        if item is not None:
            progress.output(item)
        progress.show(recorder)
    return 0


def _finish(socket: Socket, recorder: Recorder, progress: _Progress, connected: ExitStack) -> None:
    """Close the socket, then the file: the end of the session is in it."""
    try:
        connected.close()
    finally:
        recorder.stop()
        with suppress(OSError):  # it was shown, and the exit code says so
            recorder.wait(1.0)
        progress.summarize(recorder, socket.stats)


class _Progress:
    """A line on standard error, rewritten in place where that is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = console(stream or sys.stderr)
        self.output = TextOutput().write
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._console.is_terminal
            else None
        )
        self._shown_at = self._began = time.monotonic()
        self._messages = 0

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, recorder: Recorder) -> None:
        now = time.monotonic()
        passed = now - self._shown_at
        if passed < (PIPE_INTERVAL if self._live is None else TERMINAL_INTERVAL):
            return
        rate = (recorder.messages - self._messages) / passed
        self._shown_at, self._messages = now, recorder.messages
        last = "nothing yet" if recorder.last is None else type(recorder.last).__name__
        text = f"{_amount(recorder)}, {rate:,.0f} messages/s, last: {last}"
        if self._live is None:
            self.notice(text)
        else:
            self._live.update(Text(text, "dim"), refresh=True)

    def notice(self, text: str) -> None:
        self.output(Notice(text))

    def summarize(self, recorder: Recorder, stats: Stats) -> None:
        took = time.monotonic() - self._began
        where = f"in {os.fspath(recorder.path)}"
        self.notice(f"{_amount(recorder)} in {took:.1f} s, {where}; {connections_of(stats)}")


def _amount(recorder: Recorder) -> str:
    lost = f", {recorder.lost:,} not recorded" if recorder.lost else ""
    return f"{amount(recorder.messages, 'message')}{lost}, {recorder.size / 1e6:,.2f} MB"


def replay_file(path: str, output: Output, speed: Speed, *, partial: bool = False) -> int:
    """Write a recording; return the exit code. See ``replay``.

    Raises:
        UsageError: If the file cannot be read.
    """
    try:
        recording = replay(path, speed, partial=partial)
    except (BadRecording, ValueError) as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if speed == "max":  # on this thread: no queue fills up
        recording.events.subscribe(output)
        return 0
    queue: OutputQueue = SimpleQueue()
    with enqueue(queue, recording.events):
        return write_all(queue, output)
