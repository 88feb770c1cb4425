"""The files of a recording: their names, and what is written into one after the other.

``session.jsonl`` is followed by ``session.0002.jsonl``, ``session.0003.jsonl``, … when it is
rotated; a name that ends in ``.gz`` is compressed.
"""

from __future__ import annotations

import gzip
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from rxsocket.recording.lines import End, Header, encoded

__all__ = ["Parts", "part_of"]


def part_of(path: Path, number: int) -> Path:
    """The file with a number, from 1, of the recording whose first file is ``path``."""
    if number == 1:
        return path
    packed = path.suffix == ".gz"
    plain = path.with_suffix("") if packed else path
    name = f"{plain.stem}.{number:04}{plain.suffix}{'.gz' if packed else ''}"
    return path.with_name(name)


class Parts:
    """Files being written. Its methods are called on one thread at a time.

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
        self._written = 0  # by the files before this one
        self._packed: gzip.GzipFile | None = None
        self._file = self._next(at)

    @property
    def size(self) -> int:
        """Bytes on disk, of all files."""
        return self._written + (0 if self._file.closed else self._file.tell())

    def write(self, lines: str, at: float) -> None:
        """Write lines, into the next file if this one is big or old enough."""
        old = self._rotate_after is not None and at - self.began >= self._rotate_after
        big = self._rotate_size is not None and self._file.tell() >= self._rotate_size
        if old or big:
            self.end(at, more=True)
            self._file = self._next(at)
        self._put(lines)

    def flush(self) -> None:
        """Hand what was written to the system: it stays when this process is killed."""
        if self._packed is not None:
            self._packed.flush()
        self._file.flush()

    def end(self, at: float, *, more: bool = False) -> None:
        """Write the last line and close the file."""
        try:
            self._put(encoded(End(at=at, more=more)))
            if self._packed is not None:
                self._packed.close()
            self._file.flush()
            self._written += self._file.tell()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, after a failure."""
        with suppress(OSError):
            self._file.close()

    def _next(self, at: float) -> BinaryIO:
        self._part += 1
        path = part_of(self._path, self._part)
        file = open(path, "wb", opener=self._opener)  # noqa: SIM115 - end() closes it
        if path.suffix == ".gz":
            self._packed = gzip.GzipFile(fileobj=file, mode="wb", filename="", compresslevel=6)
        self.began = at
        self._file = file
        self._put(encoded(Header(at=at, id=self._id, part=self._part, url=self._url)))
        self.flush()
        return file

    def _put(self, lines: str) -> None:
        (self._file if self._packed is None else self._packed).write(lines.encode("ascii"))

    def _opener(self, path: str, flags: int) -> int:
        # What a socket receives is nobody else's business.
        return os.open(path, (flags & ~os.O_TRUNC) | self._mode, 0o600)
