"""Writing a recording: the buffer of entries, the thread that empties it, the files it fills.

``session.jsonl`` is followed by ``session.0002.jsonl``, ``session.0003.jsonl``, … when it is
rotated; a name that ends in ``.gz`` is compressed.
"""

from __future__ import annotations

import gzip
import logging
import os
import secrets
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from rxsocket.auth.credentials import Credential
from rxsocket.auth.masks import Mask
from rxsocket.events import Message
from rxsocket.publishing.history import LIFE
from rxsocket.recording.format import (
    AuthSeen,
    EndOfFile,
    Entry,
    Header,
    LostMessages,
    Masking,
    encode_entry,
)
from rxsocket.runtime.threads import log
from rxsocket.validation import is_mapping

logger = logging.getLogger("rxsocket")

PERIOD = 0.25
"""Seconds between two writes, which a killed process loses."""
MAX_BYTES = 64 * 2**20
MAX_ENTRIES = 500_000
SLICE = 256
"""Entries that are encoded at a time; between two of them the next file may begin."""


def part_path(path: Path, number: int) -> Path:
    """The file with a number, from 1, of the recording whose first file is ``path``."""
    if number == 1:
        return path
    packed = path.suffix == ".gz"
    plain = path.with_suffix("") if packed else path
    name = f"{plain.stem}.{number:04}{plain.suffix}{'.gz' if packed else ''}"
    return path.with_name(name)


class RotatingFile:
    """The file being written, and those before it. It is not thread safe.

    Args:
        path: The first file; it is made at once.
        url: Address of the socket, to show.
        at: The wall time now.
        rotate_size: Bytes of a file after which the next is begun.
        rotate_after: Seconds after which the next is begun.
        overwrite: Whether files that are there already are replaced.

    Raises:
        FileExistsError: If there is such a file already.
        OSError: If it cannot be made.

    Attributes:
        began: The wall time that the file being written was begun at.
    """

    def __init__(
        self,
        path: Path,
        url: str,
        at: float,
        *,
        rotate_size: int | None,
        rotate_after: float | None,
        overwrite: bool,
    ) -> None:
        self._path = path
        self._url = url
        self._id = secrets.token_hex(8)
        self._rotate_size = rotate_size
        self._rotate_after = rotate_after
        self._mode = os.O_TRUNC if overwrite else os.O_EXCL
        self._part = 0
        self._bytes_before = 0
        self._packed: gzip.GzipFile | None = None
        self._file = self._open_part(at)

    @property
    def size(self) -> int:
        """Bytes on disk, of all files."""
        return self._bytes_before + (0 if self._file.closed else self._file.tell())

    def write_lines(self, lines: str, at: float) -> None:
        """Write lines, into the next file if this one is big or old enough."""
        old = self._rotate_after is not None and at - self.began >= self._rotate_after
        big = self._rotate_size is not None and self._file.tell() >= self._rotate_size
        if old or big:
            self.close(at, more=True)
            self._file = self._open_part(at)
        self._write(lines)

    def flush(self) -> None:
        """Hand the lines to the operating system, which keeps them if this process is killed."""
        if self._packed is not None:
            self._packed.flush()
        self._file.flush()

    def close(self, at: float, *, more: bool = False) -> None:
        try:
            self._write(encode_entry(EndOfFile(at=at, more=more)))
            if self._packed is not None:
                self._packed.close()
            self._file.flush()
            self._bytes_before += self._file.tell()
        finally:
            self._file.close()

    def close_unfinished(self) -> None:
        """Close the file as it is, after a failure."""
        with suppress(OSError):
            self._file.close()

    def _open_part(self, at: float) -> BinaryIO:
        self._part += 1
        path = part_path(self._path, self._part)
        file = open(path, "wb", opener=self._opener)  # noqa: SIM115 - close() closes it
        if path.suffix == ".gz":
            self._packed = gzip.GzipFile(fileobj=file, mode="wb", filename="", compresslevel=6)
        self.began = at
        self._file = file
        self._write(encode_entry(Header(at=at, id=self._id, part=self._part, url=self._url)))
        self.flush()
        return file

    def _write(self, lines: str) -> None:
        (self._file if self._packed is None else self._packed).write(lines.encode("ascii"))

    def _opener(self, path: str, flags: int) -> int:
        # 0600: only the owner may read the messages.
        return os.open(path, (flags & ~os.O_TRUNC) | self._mode, 0o600)


_LEAVES = frozenset((str, bytes, int, float, bool, type(None)))


def size_in_memory(payload: Any) -> int:
    """About the bytes of a payload in memory; those of a decoded one are counted by value."""
    if isinstance(payload, (str, bytes)):
        return len(payload)
    size = 0
    values: list[Any] = [payload]
    counted: set[int] = set()  # a codec of the user's may make values that refer to each other
    for value in values:
        size += sys.getsizeof(value, 0)
        kind = value.__class__
        if kind in _LEAVES or id(value) in counted:
            continue
        counted.add(id(value))
        if kind is dict:
            values += value
            values += value.values()
        elif kind is list or kind is tuple:
            values += value
        else:
            values += _contents(value)
    return size


def _contents(value: Any) -> Iterable[Any]:
    if is_mapping(value):
        return (*value, *value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return cast(Iterable[Any], value)
    names: Iterable[str] = getattr(value, "__struct_fields__", ())  # msgspec
    names = names or getattr(value, "__dataclass_fields__", ())
    return [getattr(value, name, None) for name in names]


class EntryBuffer:
    """Entries that are to be written; bounded, and filled without waiting.

    Attributes:
        lost: The number of messages that did not fit.
        filled: Set while there are entries.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.filled = threading.Event()
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._credentials: list[Credential] = []
        self._bytes = 0
        self._lost_since_last_entry = 0

    def put_event(self, event: Entry) -> None:
        """Add an event; those that a server can cause at will only while there is room."""
        with self._lock:
            if type(event) in LIFE or self._has_room(0):
                self._append(event)

    def put_credential(self, seen: AuthSeen, credential: Credential) -> None:
        """Add a change of the credential, whose values are masked from now on."""
        with self._lock:
            self._credentials.append(credential)
            self._append(seen)

    def hide(self, credentials: Iterable[Credential]) -> None:
        """Mask earlier credentials: a server may repeat them, too."""
        with self._lock:
            self._credentials.extend(credentials)

    def put_message(self, message: Message) -> None:
        """Add a message, or count it as lost if there is no room."""
        size = size_in_memory(message.data)
        with self._lock:
            if self._has_room(size):
                self._bytes += size
                self._append(message)

    def _has_room(self, size: int) -> bool:
        if self._bytes + size <= MAX_BYTES and len(self._entries) < MAX_ENTRIES:
            return True
        self._lost_since_last_entry += 1
        self.lost += 1
        return False

    def take_all(self) -> tuple[list[Entry], list[Credential]]:
        with self._lock:
            entries, self._entries, self._bytes = self._entries, [], 0
            credentials, self._credentials = self._credentials, []
            if self._lost_since_last_entry:
                entries.append(self._lost_messages(entries[-1].at))
        return entries, credentials

    def _append(self, entry: Entry) -> None:
        if self._lost_since_last_entry:
            self._entries.append(self._lost_messages(entry.at))
        if not self._entries:
            self.filled.set()
        self._entries.append(entry)

    def _lost_messages(self, at: float) -> LostMessages:
        count, self._lost_since_last_entry = self._lost_since_last_entry, 0
        return LostMessages(at=at, count=count)


class WriterThread:
    """Writes what is in a buffer, four times a second, until it is stopped.

    Args:
        buffer: The entries to write.
        file: The file to write to.
        mask: The user's function that replaces payloads.
        name: The recording, for the log.

    Attributes:
        written: Set when the file is whole, or given up.
        error: Why it was given up; ``None`` if it was not.
        size: Bytes on disk.
    """

    def __init__(
        self, buffer: EntryBuffer, file: RotatingFile, mask: Masking | None, name: str
    ) -> None:
        self.written = threading.Event()
        self.error: Exception | None = None
        self.size = file.size
        self._buffer = buffer
        self._file = file
        self._mask = mask
        self._name = name
        self._credentials = Mask()
        self._stopping = threading.Event()
        # A daemon: a disk that hangs must not keep the process from exiting (C26).
        threading.Thread(target=self._run, name="rxsocket-recorder", daemon=True).start()

    def stop(self) -> None:
        """Write the rest and end the file, without waiting for it."""
        self._stopping.set()
        self._buffer.filled.set()

    def _run(self) -> None:
        try:
            at = self._write_until_stopped()
            self._file.close(at)
        except Exception as error:
            logger.error("%s: the recording stopped: %s", self._name, error)
            self.error = error
            self._file.close_unfinished()
        finally:
            self.size = self._file.size
            self.written.set()

    def _write_until_stopped(self) -> float:
        at = self._file.began
        while True:
            self._buffer.filled.wait()
            self._stopping.wait(PERIOD)
            self._buffer.filled.clear()
            stopping = self._stopping.is_set()  # after the clear: a stop since then is seen next
            entries, credentials = self._buffer.take_all()
            for credential in credentials:
                self._credentials.hide(credential)
            for start in range(0, len(entries), SLICE):
                piece = entries[start : start + SLICE]
                at = piece[-1].at
                self._file.write_lines(self._encode(piece), at)
            self._file.flush()
            self.size = self._file.size
            if stopping:
                return at

    def _encode(self, entries: list[Entry]) -> str:
        if self._mask is None:
            lines = "".join([encode_entry(self._mask_binary(entry)) for entry in entries])
            if not self._credentials.in_line(lines):
                return lines
        return "".join(
            [encode_entry(self._apply_mask(entry), self._credentials) for entry in entries]
        )

    def _mask_binary(self, entry: Entry) -> Entry:
        # In base64 a value would not be found.
        if type(entry) is not Message or not isinstance(entry.data, bytes):
            return entry
        return replace(entry, data=self._credentials(entry.data))

    def _apply_mask(self, entry: Entry) -> Entry:
        if self._mask is None or not isinstance(entry, Message):
            return entry
        try:
            return replace(entry, data=self._mask(entry.data))
        except BaseException as error:  # its text may quote the payload
            kind = type(error).__name__
            log(logging.WARNING, "%s: mask= raised %s; the message is masked", self._name, kind)
            return replace(entry, data="***")
