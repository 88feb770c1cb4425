"""Writing down what happens to a socket, without holding it up.

::

    socket's loop     on_next ── append ──.              nothing else: no I/O, no encoding
                                          v
    writer's thread            [ bounded buffer ] ── encode, mask ── write, flush: 4 times a second
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from reactivex import abc
from reactivex.disposable import CompositeDisposable

from rxsocket.arguments import function, instance, seconds_or_none
from rxsocket.auth.credentials import Credential
from rxsocket.events import Event, Message
from rxsocket.recording.lines import Entry, Lost, encoded
from rxsocket.recording.masks import Mask, Ordinals
from rxsocket.recording.parts import Parts
from rxsocket.socket import Socket
from rxsocket.threads import run_blocking, running_loop, wall_clock

__all__ = ["Recorder", "record"]

logger = logging.getLogger("rxsocket")

PERIOD = 0.25
"""Seconds between two writes: what a killed process loses."""
MAX_BYTES = 64 * 2**20
MAX_ENTRIES = 500_000
SLICE = 256
"""Entries that are encoded at a time; in between, the loop's thread may run."""

Masking: TypeAlias = Callable[[Any], Any]


class Recorder(abc.DisposableBase):
    """A recording in progress. Made by :func:`record`; dispose it to end the file.

    Attributes:
        path: Its first file.
        error: Why it stopped early, e.g. because the disk is full; ``None`` if it did not.
    """

    def __init__(self, socket: Socket, path: Path, parts: Parts, mask: Masking | None) -> None:
        self.path = path
        self.error: Exception | None = None
        self._parts = parts
        self._mask = mask
        self._hidden = Mask()
        self._ordinals = Ordinals()
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._credentials: list[Credential] = []
        self._bytes = 0
        self._missing = 0  # since the last entry
        self._messages = self._lost = 0
        self._size = parts.size
        self._last: Event | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._written = threading.Event()
        _recorders.add(self)
        # A daemon: a disk that hangs must not keep the process from exiting (C26).
        threading.Thread(target=self._run, name="rxsocket-recorder", daemon=True).start()
        self._subscriptions = CompositeDisposable(
            socket.auth.passive().subscribe(self._changed),
            socket.events.passive(audience=False).subscribe(
                self._happened, lambda _: self.stop(), lambda: self.stop()
            ),
        )

    # --- looking, from any thread

    @property
    def messages(self) -> int:
        """How many messages came."""
        return self._messages

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._size

    @property
    def lost(self) -> int:
        """How many messages are missing, because they came faster than they could be written."""
        return self._lost

    @property
    def last(self) -> Event | None:
        """The last event."""
        return self._last

    def __repr__(self) -> str:
        where = "done" if self._written.is_set() else "recording"
        return f"<Recorder {self.path.name}: {where}, {self._messages} messages>"

    # --- ending

    def dispose(self) -> None:
        """Stop recording and end the file.

        Where that does not block a loop, the file is whole when this returns; in a coroutine, use
        ``async with`` or :meth:`wait_written`.
        """
        self._subscriptions.dispose()
        self.stop()
        loop = running_loop()
        if loop is None or hasattr(loop, "wall_time"):
            self._written.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the file is whole: the socket ended, or the recorder was disposed.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it is; ``False`` when the time was up.

        Raises:
            OSError: If it could not be written.
        """
        written = self._written.wait(timeout)
        if self.error is not None:
            raise self.error
        return written

    async def wait_written(self) -> None:
        """Return when the file is whole, in a coroutine.

        Raises:
            OSError: If it could not be written.
        """
        await run_blocking(asyncio.get_running_loop(), self._written.wait)
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dispose()
        if exc_type is None and self._written.is_set():
            self.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dispose()
        if exc_type is None:
            await self.wait_written()

    # --- on the socket's loop

    def _changed(self, credential: Credential) -> None:
        at = wall_clock(running_loop())()
        with self._lock:
            self._credentials.append(credential)
            self._append(self._ordinals.seen(credential, at))

    def _happened(self, event: Event) -> None:
        self._last = event
        if type(event) is not Message:
            with self._lock:
                self._append(event)
            return
        self._messages += 1
        data = event.data
        size = len(data) if isinstance(data, (str, bytes)) else 0
        with self._lock:
            if self._bytes + size > MAX_BYTES or len(self._entries) >= MAX_ENTRIES:
                self._missing += 1
                self._lost += 1
                return
            self._bytes += size
            self._append(event)

    def _append(self, entry: Entry) -> None:
        if self.error is not None:
            raise self.error  # the socket detaches this observer, and says so on its errors
        if self._missing:
            self._entries.append(Lost(at=entry.at, count=self._missing))
            self._missing = 0
        if not self._entries:
            self._wake.set()
        self._entries.append(entry)

    def stop(self) -> None:
        """Take nothing more, and let the writer end the file; it does not wait for that."""
        self._stopping.set()
        self._wake.set()

    # --- on the writer's thread

    def _run(self) -> None:
        try:
            at = self._write_until_stopped()
            self._parts.end(at)
        except Exception as error:
            logger.error("%s: the recording stopped: %s", self.path, error)
            self.error = error
            self._parts.abandon()
        finally:
            self._size = self._parts.size
            self._written.set()

    def _write_until_stopped(self) -> float:
        at = self._parts.began
        while True:
            self._wake.wait()
            self._stopping.wait(PERIOD)
            stopping = self._stopping.is_set()  # before the last entries are taken
            self._wake.clear()
            for piece in self._taken():
                at = piece[-1].at
                self._parts.write(self._lines(piece), at)
            self._parts.flush()
            self._size = self._parts.size
            if stopping:
                return at

    def _taken(self) -> list[list[Entry]]:
        with self._lock:
            entries, self._entries, self._bytes = self._entries, [], 0
            credentials, self._credentials = self._credentials, []
            if self._missing:
                entries.append(Lost(at=entries[-1].at, count=self._missing))
                self._missing = 0
        for credential in credentials:
            self._hidden.hide(credential)
        return [entries[start : start + SLICE] for start in range(0, len(entries), SLICE)]

    def _lines(self, entries: list[Entry]) -> str:
        if self._mask is None:
            lines = "".join([encoded(self._without_binary(entry)) for entry in entries])
            if not self._hidden.in_line(lines):
                return lines
        return "".join([encoded(self._masked(entry), self._hidden) for entry in entries])

    def _without_binary(self, entry: Entry) -> Entry:
        # In base64 a value would not be found.
        if type(entry) is not Message or not isinstance(entry.data, bytes):
            return entry
        return replace(entry, data=self._hidden(entry.data))

    def _masked(self, entry: Entry) -> Entry:
        if self._mask is None or not isinstance(entry, Message):
            return entry
        try:
            return replace(entry, data=self._mask(entry.data))
        except Exception as error:
            logger.warning("%s: mask= raised %r; the message is masked", self.path, error)
            return replace(entry, data="***")


def record(
    socket: Socket,
    path: str | os.PathLike[str],
    *,
    rotate_size: int | None = None,
    rotate_after: float | None = None,
    mask: Masking | None = None,
    overwrite: bool = False,
) -> Recorder:
    """Write everything that happens to a socket into a file, to :func:`replay` it later.

    It only looks: it does not connect, and keeps nobody connected (C1). It ends when the socket
    does, or when the recorder is disposed. Nothing is written on the socket's loop; what was
    recorded is on its way to the disk 0.25 s later, so that a killed process loses no more than its
    last second. More than 64 MiB or 500,000 entries that are not yet written are not kept: what is
    left out then is counted in the file.

    The file is JSON Lines; see ``rxsocket.recording.lines``. Of credentials it says which were the
    same and which were not; a value of one that turns up in a message, a reason or an error is
    written as ``***`` (C28). What else payloads hold is written as it came: use ``mask=``. Messages
    that are sent are not recorded.

    Args:
        socket: What to look at.
        path: The file; one that ends in ``.gz`` is compressed.
        rotate_size: Bytes on disk after which the next file is begun: ``name.0002.jsonl``, …
        rotate_after: Seconds after which the next file is begun.
        mask: Given the payload of each message, what to write instead. It is called on the writer's
            thread; when it raises, the payload is written as ``***``.
        overwrite: Whether a file that is there already is replaced.

    Raises:
        FileExistsError: If the file is there already.
        OSError: If it cannot be made.

    Examples:
        >>> with record(socket, "session.jsonl"), socket:
        ...     socket.wait(60)
    """
    instance("socket", socket, Socket, "a Socket")
    file, mask = Path(path), None if mask is None else function("mask", mask)
    if rotate_size is not None and (isinstance(rotate_size, bool) or rotate_size <= 0):
        raise ValueError(f"rotate_size: pass bytes, more than 0, not {rotate_size!r}")
    parts = Parts(
        file,
        socket.url,
        wall_clock(running_loop())(),
        rotate_size=rotate_size,
        rotate_after=seconds_or_none("rotate_after", rotate_after),
        overwrite=overwrite,
    )
    return Recorder(socket, file, parts, mask)


_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End the files that are still being written when the program ends."""
    for recorder in list(_recorders):
        recorder.stop()
    for recorder in list(_recorders):
        with suppress(Exception):  # it is in the log
            recorder.wait(1.0)
