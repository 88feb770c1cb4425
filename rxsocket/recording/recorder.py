"""Writing down what happens to a socket, without holding it up.

::

    socket's loop     on_next ── append ──.              nothing else: no I/O, no encoding
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
from types import TracebackType
from typing import Self

from reactivex import abc
from reactivex.disposable import CompositeDisposable

from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential
from rxsocket.events import Event, Message
from rxsocket.explain.format import amount
from rxsocket.recording.format import AuthSeen, Masking
from rxsocket.recording.writer import EntryBuffer, RotatingFile, WriterThread
from rxsocket.runtime.threads import run_blocking, running_loop, wall_clock
from rxsocket.socket import Socket
from rxsocket.validation import function, instance, is_mapping, seconds_or_none


def auth_seen(credential: Credential, at: float, numbers: dict[str, int]) -> AuthSeen:
    """What a recording says of a credential: which ones are the same (C28).

    Args:
        credential: The credential that is in use from now on.
        at: The wall time now.
        numbers: The numbers of those before it, by fingerprint; that of a new one is added.
    """
    number = numbers.setdefault(credential.fingerprint, len(numbers) + 1)
    value = credential.reveal()
    names = tuple(value) if is_mapping(value) else None
    return AuthSeen(at=at, credential=number, kind=_kind(credential), names=names)


def _kind(credential: Credential) -> str:
    if credential is ANONYMOUS:
        return "anonymous"
    if credential is LOGGED_OUT:
        return "logged out"
    return "none yet" if credential is PENDING else "value"


class Recorder(abc.DisposableBase):
    """A recording in progress. Made by :func:`record`; dispose it to end the file.

    Attributes:
        path: Its first file.
    """

    def __init__(
        self, socket: Socket, path: Path, file: RotatingFile, mask: Masking | None
    ) -> None:
        self.path = path
        self._credential_numbers: dict[str, int] = {}
        self._buffer = EntryBuffer()
        self._writer = WriterThread(self._buffer, file, mask, str(path))
        self._messages = 0
        self._last: Event | None = None
        self._history = socket._publisher.history  # pyright: ignore[reportPrivateUsage]
        self._sent: tuple[Credential, ...] | None = None
        _in_progress.add(self)
        self._subscriptions = CompositeDisposable(
            socket.auth.passive().subscribe(self._on_credential),
            socket.events.passive(audience=False).subscribe(
                self._on_event, lambda _: self.stop(), self.stop
            ),
        )

    @property
    def messages(self) -> int:
        """How many messages came."""
        return self._messages

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._writer.size

    @property
    def lost(self) -> int:
        """How many messages are missing, because they came faster than they could be written."""
        return self._buffer.lost

    @property
    def error(self) -> Exception | None:
        """Why it stopped early, e.g. because the disk is full; ``None`` if it did not."""
        return self._writer.error

    @property
    def last(self) -> Event | None:
        """The last event."""
        return self._last

    def __repr__(self) -> str:
        where = "done" if self._writer.written.is_set() else "recording"
        return f"<Recorder {self.path.name}: {where}, {amount(self._messages, 'message')}>"

    def dispose(self) -> None:
        """Stop recording and end the file.

        Where that does not block a loop, the file is whole when this returns; in a coroutine, use
        ``async with`` or :meth:`wait_written`.
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
            Whether it is; ``False`` when the time was up.

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
        """Take nothing more, and let the file be ended; this does not wait for it."""
        self._writer.stop()

    def _raise_error(self) -> None:
        if self._writer.error is not None:
            raise self._writer.error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.dispose()
        if exc_type is None and self._writer.written.is_set():
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

    def _on_credential(self, credential: Credential) -> None:
        at = wall_clock(running_loop())()
        seen = auth_seen(credential, at, self._credential_numbers)
        self._buffer.put_credential(seen, credential)

    def _on_event(self, event: Event) -> None:
        self._raise_error()  # the socket detaches this observer, and says so on its errors
        self._last = event
        sent = self._history.sent_credentials
        if sent is not self._sent:  # a server may repeat one that is never in use, too
            self._sent = sent
            self._buffer.hide(self._history.secrets)
        if type(event) is Message:
            self._messages += 1
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
    """Write everything that happens to a socket into a file, to :func:`replay` it later.

    It only looks: it does not connect, and keeps nobody connected (C1). It ends when the socket
    does, or when the recorder is disposed. Nothing is written on the socket's loop; what was
    recorded is on its way to the disk 0.25 s later, so that a killed process loses no more than its
    last second. More than 64 MiB or 500,000 entries that are not yet written are not kept: what is
    left out then is counted in the file. A decoded message counts with its size in memory.

    The file is JSON Lines; see ``rxsocket.recording.format``. Of credentials it says which were the
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
