"""Texts in the environment and in files, read once, and what is wrong in words.

No error here quotes what was read: it may be a secret, also in the wrong place (C28).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

LARGEST = 2**20
"""Bytes of a file; a credential has a few thousand."""

Identity: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and time of the last change: another one means that the file was changed."""


class Unreadable(ValueError):
    """There is no credential to be read in a place; the text says why, and has nothing of it."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a file held at one moment.

    Attributes:
        text: The text.
        identity: Which content of which file it is.
        changed_at: Time of its last change, in seconds since 1970.
    """

    text: str = field(repr=False)
    identity: Identity
    changed_at: float


def text_of_env(name: str) -> str:
    """The text of an environment variable.

    Raises:
        Unreadable: If it is not set.
    """
    if name not in os.environ:
        raise Unreadable(f"the environment variable {name} is not set")
    return os.environ[name]


def text_of_file(path: Path, shown: str | None = None) -> str:
    """What a file holds, in UTF-8, without what is blank around it; it may be a pipe.

    Args:
        path: The file.
        shown: What it is called in errors; default: its path.

    Raises:
        Unreadable: If it is missing, or holds no text.
    """
    try:
        with path.open("rb") as file:
            return _text(file, shown or str(path))
    except OSError as error:
        failure = _cannot(shown or str(path), error)
    raise Unreadable(failure)


def content_of(path: Path) -> FileContent:
    """What a file holds, likewise, and which content that is.

    Raises:
        Unreadable: If it is missing, is no file, holds no text, or changed while it was read.
    """
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise Unreadable(f"{path} is no file that can be read again")
            text = _text(file, str(path))
            after = os.fstat(file.fileno())
            if _identity(before) != _identity(after):
                raise Unreadable(f"{path} is being written")
            return FileContent(text, _identity(after), after.st_mtime)
    except OSError as error:
        failure = _cannot(str(path), error)
    raise Unreadable(failure)


def _text(file: BinaryIO, shown: str) -> str:
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Unreadable(f"{shown} has more than {LARGEST:,} bytes")
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        pass
    raise Unreadable(f"{shown} is not UTF-8 text")


def _cannot(shown: str, error: OSError) -> str:
    return f"cannot read {shown}: {error.strerror or type(error).__name__}"


def identity_of(path: Path) -> Identity | None:
    """Which content of which file is there; ``None`` if there is none."""
    try:
        return _identity(path.stat())
    except OSError:
        return None


def _identity(about: os.stat_result) -> Identity:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
