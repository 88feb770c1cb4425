"""Records the events of a socket without delaying it.

::

    socket's loop     on_next ── append ──.              no I/O, no encoding
                                          v
    writer's thread            [ bounded buffer ] ── encode, mask ── write, flush: 4 times a second
"""

from __future__ import annotations

import asyncio
import atexit
import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

from reactivex import abc
from reactivex.disposable import CompositeDisposable

from rxsocket.auth.credentials import Credential
from rxsocket.event_text import EventText
from rxsocket.events import Event, Message
from rxsocket.explain.format import amount
from rxsocket.recording.format import EventValue, Masking, auth_seen
from rxsocket.recording.writer import EntryBuffer, RotatingFile, WriterThread
from rxsocket.runtime.threads import run_blocking, running_loop, wall_clock
from rxsocket.socket import Socket
from rxsocket.validation import function, instance, seconds_or_none


class Recorder(abc.DisposableBase):
    """A recording in progress. Made by :func:`record`; dispose it to end the file.

    Attributes:
        path: Its first file.
        messages: The number of messages so far.
        last: The last event.
    """

    def __init__(
        self, socket: Socket, path: Path, file: RotatingFile, mask: Masking | None
    ) -> None:
        self.path = path
        self._credential_numbers: dict[str, int] = {}
        self._buffer = EntryBuffer()
        self._writer = WriterThread(self._buffer, file, mask, str(path))
        self.messages = 0
        self.last: Event | None = None
        self._publisher = socket._publisher  # pyright: ignore[reportPrivateUsage]
        self._history = self._publisher.history
        self._sent: tuple[Credential, ...] | None = None
        _in_progress.add(self)
        self._subscriptions = CompositeDisposable(
            socket.auth.passive().subscribe(self._on_credential),
            socket.events.passive(audience=False).subscribe(
                self._on_event, lambda _: self.stop(), self.stop
            ),
        )

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._writer.size

    @property
    def lost(self) -> int:
        """The number of missing messages, which came faster than they could be written."""
        return self._buffer.lost

    @property
    def error(self) -> Exception | None:
        """The error that stopped it, e.g. a full disk, or ``None``."""
        return self._writer.error

    def __repr__(self) -> str:
        where = "done" if self._writer.written.is_set() else "recording"
        return f"<Recorder {self.path.name}: {where}, {amount(self.messages, 'message')}>"

    def dispose(self) -> None:
        """Stop recording and end the file.

        When this returns, the file is whole, unless a loop runs here, which this does not block: in
        a coroutine, use ``async with`` or :meth:`wait_written`.
        """
        self._subscriptions.dispose()
        self.stop()
        loop = running_loop()
        if loop is None or hasattr(loop, "wall_time"):
            self._writer.written.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the file is whole: the socket ended, or the recorder was disposed.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            ``False`` if the file is not whole in time.

        Raises:
            OSError: If it could not be written.
        """
        written = self._writer.written.wait(timeout)
        self._raise_error()
        return written

    async def wait_written(self) -> None:
        """Return when the file is whole, in a coroutine.

        Raises:
            OSError: If it could not be written.
        """
        await run_blocking(asyncio.get_running_loop(), self._writer.written.wait)
        self._raise_error()

    def stop(self) -> None:
        """Stop recording, and end the file without waiting for it."""
        self._writer.stop()

    def _raise_error(self) -> None:
        if self._writer.error is not None:
            raise self._writer.error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        self.dispose()
        if exc_type is None and self._writer.written.is_set():
            self.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: object, exc_value: object, traceback: object) -> None:
        self.dispose()
        if exc_type is None:
            await self.wait_written()

    def _on_credential(self, credential: Credential) -> None:
        at = wall_clock(running_loop())()
        seen = auth_seen(credential, at, self._credential_numbers)
        self._buffer.put_credential(seen, credential)

    def _on_event(self, event: Event) -> None:
        self._raise_error()  # the socket detaches this observer, and says so on its errors
        self.last = event
        sent = self._history.sent_credentials
        if sent is not self._sent:  # a server may repeat one that is never in use, too
            self._sent = sent
            self._buffer.hide(self._history.secrets)
        if type(event) is Message:
            self.messages += 1
            source = self._publisher.source
            if isinstance(source, EventText) and event.data is not source:
                value = EventValue(event.data, source.event, source.id)
                event = Message(epoch=event.epoch, data=value, at=event.at)
            self._buffer.put_message(event)
        else:
            self._buffer.put_event(event)


def record(
    socket: Socket,
    path: str | os.PathLike[str],
    *,
    rotate_size: int | None = None,
    rotate_after: float | None = None,
    mask: Masking | None = None,
    overwrite: bool = False,
) -> Recorder:
    """Write all events of a socket into a file, to :func:`replay` it later.

    It does not connect, and does not keep the socket connected (rule C1, lazy and shared). It ends
    when the socket does, or when the recorder is disposed. Nothing is written on the socket's loop;
    an entry is handed to the system 0.25 s later, so that a killed process loses no more than its
    last second. Up to 64 MiB or 500,000 entries wait to be written; more messages are left out, and
    counted in the file. A decoded message counts with its size in memory.

    The file is JSON Lines; see ``rxsocket.recording.format``. Credentials are numbers, equal for
    equal ones; a value of one in a message, a reason or an error is written as ``***``
    (rule C28, secrets). Everything else in a payload is written as it came: use ``mask=``. Messages
    that are sent are not recorded.

    Args:
        socket: The socket.
        path: The file; one that ends in ``.gz`` is compressed.
        rotate_size: Bytes on disk after which the next file is begun: ``name.0002.jsonl``, …
        rotate_after: Seconds after which the next file is begun.
        mask: Given the payload of each message, returns the one to write. It is called on the
            writer's thread; if it raises, ``***`` is written.
        overwrite: Whether an existing file is replaced.

    Raises:
        FileExistsError: If the file exists.
        OSError: If it cannot be made.

    Examples:
        >>> with record(socket, "session.jsonl"), socket:
        ...     socket.wait(60)
    """
    instance("socket", socket, Socket, "a Socket")
    first, mask = Path(path), None if mask is None else function("mask", mask)
    if rotate_size is not None and (isinstance(rotate_size, bool) or rotate_size <= 0):
        raise ValueError(f"rotate_size: pass bytes, more than 0, not {rotate_size!r}")
    written = RotatingFile(
        first,
        socket.url,
        wall_clock(running_loop())(),
        rotate_size=rotate_size,
        rotate_after=seconds_or_none("rotate_after", rotate_after),
        overwrite=overwrite,
    )
    return Recorder(socket, first, written, mask)


_in_progress: weakref.WeakSet[Recorder] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for recorder in list(_in_progress):
        recorder.stop()
    for recorder in list(_in_progress):
        with suppress(Exception):  # it is in the log
            recorder.wait(1.0)
