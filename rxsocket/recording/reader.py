"""Reads a recording: all of its files as one, entry by entry, with errors that name the line."""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

from rxsocket.errors import SocketError
from rxsocket.recording.format import (
    FORMAT_NAME,
    FORMAT_VERSION,
    EndOfFile,
    Entry,
    Header,
    UnreadableLine,
    decode_entry,
)
from rxsocket.recording.writer import part_path

CHUNK = 2**16
GZIP = b"\x1f\x8b"


class BadRecording(SocketError, ValueError):
    """A recording cannot be read.

    Attributes:
        path: The file.
        line: Number of the line in it, from 1.
    """

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}, line {line}: {why}")
        self.path = path
        self.line = line


def read_header(path: Path) -> Header:
    """The first line of a recording.

    Raises:
        BadRecording: If that is not a header.
        OSError: If the file cannot be read.
    """
    for number, line in enumerate(_lines(path), start=1):
        return _to_header(path, number, line)
    raise BadRecording(path, 1, "the file is empty; pass one that record() wrote")


def read_entries(path: Path, *, partial: bool = False) -> Iterator[Entry]:
    """The entries of all files, without their headers and last lines.

    Args:
        path: The first file.
        partial: Whether to stop at a cut, damaged or missing part without an error.

    Raises:
        BadRecording: At the first line that cannot be read.
        OSError: If the first file cannot be read.
    """
    first, part, more = read_header(path), 0, True
    while more:
        part += 1
        file = part_path(path, part)
        try:
            more = yield from _read_part(file, first, part)
        except FileNotFoundError:
            if not partial:
                why = f"part {part} of the recording is missing"
                raise BadRecording(file, 1, f"{why}; {_PARTIAL}") from None
            return
        except BadRecording:
            if not partial:
                raise
            return


_PARTIAL = "partial=True plays what is whole before it"


def _read_part(path: Path, first: Header, part: int) -> Generator[Entry, None, bool]:
    number = 0
    for number, line in enumerate(_lines(path), start=1):
        if number == 1:
            _check_part(path, _to_header(path, number, line), first, part)
            continue
        try:
            entry = decode_entry(line)
        except UnreadableLine as error:
            raise BadRecording(path, number, f"{error}; {_PARTIAL}") from None
        if isinstance(entry, EndOfFile):
            return entry.more
        yield entry
    why = "the recording ends without its last line: it is being written, or its process was killed"
    raise BadRecording(path, number, f"{why}; {_PARTIAL}")


def _to_header(path: Path, number: int, line: str) -> Header:
    try:
        found = decode_entry(line)
    except UnreadableLine:
        found = None
    if not isinstance(found, Header) or found.format != FORMAT_NAME:
        raise BadRecording(path, number, "no header of a recording; pass a file of record()")
    if found.version != FORMAT_VERSION:
        why = f"version {found.version} of the format, of a newer rxsocket; this one reads"
        raise BadRecording(path, number, f"{why} version {FORMAT_VERSION}")
    return found


def _check_part(path: Path, found: Header, first: Header, part: int) -> None:
    if found.id != first.id:
        raise BadRecording(path, 1, f"a part of another recording; {_PARTIAL}")
    if found.part != part:
        raise BadRecording(path, 1, f"part {found.part} of a recording; pass the path of part 1")


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file, unpacked; the last one may be cut."""
    rest = b""
    for chunk in _chunks(path):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("ascii", "replace")
    if rest:
        yield rest.decode("ascii", "replace")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        chunk = file.read(CHUNK)
        unpack = zlib.decompressobj(wbits=31) if chunk.startswith(GZIP) else None
        while chunk:
            try:
                yield chunk if unpack is None else unpack.decompress(chunk)
            except zlib.error:
                yield b"\n\xff\n"  # what follows is damaged: a line that cannot be read
                return
            chunk = file.read(CHUNK)
