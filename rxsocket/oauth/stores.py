"""Where a refresh token is kept between two uses, and between two runs of a program (C47).

A store has ``load()`` and ``save(token)``, sync or async. A token is a mapping that JSON can hold;
what is in it is the library's business, but for ``refresh_token``, with which a user begins. It is
saved before the refresh token is presented, and again with the answer: a store that says that it
has saved what a crash then takes away loses the login.

One that several processes use has ``lock()``, too: a context manager, which lets in one at a time.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Awaitable, Mapping
from contextlib import AbstractContextManager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from rxsocket.oauth.client import missing
from rxsocket.validation import is_mapping, more_than_zero

Token: TypeAlias = Mapping[str, Any]
"""What a store keeps: ``refresh_token``, ``access_token``, and what is known about them."""

LARGEST = 2**20
"""Bytes of a file that is a store."""


class StoreFailed(Exception):
    """A store cannot be used; the text says why, and holds nothing of a token."""


class TokenStore(Protocol):
    """What keeps a token; ``lock()`` may be missing where one process uses it."""

    def load(self) -> Token | Awaitable[Token | None] | None:
        """The token that was saved last; ``None`` if there is none."""
        ...

    def save(self, token: Token, /) -> Awaitable[None] | None:
        """Keep a token in place of the last one; return when it is safe."""
        ...


class MemoryStore:
    """Keeps a token while the program runs.

    Args:
        refresh_token: The refresh token to begin with, if there is one.
    """

    def __init__(self, refresh_token: str | None = None) -> None:
        self._token: Token | None = None
        if refresh_token is not None:
            self._token = checked_token("MemoryStore(refresh_token)", refresh_token)

    def __repr__(self) -> str:
        return "MemoryStore(***)" if self._token else "MemoryStore()"

    def load(self) -> Token | None:
        """The token."""
        return self._token

    def save(self, token: Token) -> None:
        """Keep another one.

        Raises:
            TypeError: If it is no mapping.
        """
        self._token = dict(_mapping("MemoryStore.save(token)", token))


class FileStore:
    """Keeps a token in a file of its own, for one program or several at a time.

    Only its user may read it (0600). It is replaced as a whole, when the new one is on the disk:
    after a crash it holds the old token or the new one. A lock beside it, ``<path>.lock``, lets in
    one process at a time; the system takes it from one that ends, however it does.

    Args:
        path: The file. Its folder is made, if it is missing.
        lock_timeout: Seconds to wait for other processes.

    Raises:
        TypeError: If an argument is of a wrong type.
        ModuleNotFoundError: If ``rxsocket[oauth]`` is not installed.

    Examples:
        >>> store = FileStore("~/.config/feed/token.json")
        >>> store.save({"refresh_token": "..."})     # once, after a login
    """

    def __init__(self, path: str | os.PathLike[str], *, lock_timeout: float = 30.0) -> None:
        if path == "" or not isinstance(path, (str, os.PathLike)):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = "an empty text" if path == "" else type(path).__name__
            raise TypeError(f"FileStore(path): pass the path of a file, not {kind}")
        # What a link leads to is replaced, not the link.
        self._path = Path(os.path.realpath(os.path.expanduser(path)))
        self._timeout = more_than_zero("FileStore(lock_timeout)", lock_timeout) or 30.0
        try:
            self._filelock: Any = import_module("filelock")
        except ModuleNotFoundError as error:
            raise missing("FileStore", error) from None

    def __repr__(self) -> str:
        return f"FileStore({str(self._path)!r})"

    def load(self) -> Token | None:
        """The token in the file; ``None`` if there is none.

        Raises:
            StoreFailed: If the file cannot be read, or holds something else.
        """
        failure: str
        try:
            with self._path.open("rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            failure = f"cannot read {self._path}: {error.strerror or type(error).__name__}"
        else:
            found = _object_in(data)
            if found is not None:
                return found
            failure = f"{self._path} holds no token: delete it, and log in again"
        raise StoreFailed(failure)

    def save(self, token: Token) -> None:
        """Put a token in its place; it is on the disk when this returns.

        Raises:
            TypeError: If it is no mapping that JSON can hold.
            StoreFailed: If the file cannot be written.
        """
        data = json.dumps(dict(_mapping("FileStore.save(token)", token))).encode()
        new = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}")
        failure: str
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(new, data)
            os.replace(new, self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            failure = f"cannot write {self._path}: {error.strerror or type(error).__name__}"
        else:
            return
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        raise StoreFailed(failure)

    def lock(self) -> AbstractContextManager[object]:
        """Keep other processes out.

        Raises:
            StoreFailed: In ``with``, if another one does not leave in time.
        """
        return _Lock(self._filelock, self._path, self._timeout)

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(number)


class _Lock:
    """The lock beside a file, with errors of ours."""

    def __init__(self, filelock: Any, path: Path, timeout: float) -> None:
        where = f"{path}.lock"
        self._timed_out: type[Exception] = filelock.Timeout
        # Another thread may let go of it than the one that took it.
        self._lock: Any = filelock.FileLock(where, timeout=timeout, thread_local=False, mode=0o600)
        self._where, self._timeout = where, timeout

    def __enter__(self) -> object:
        failure: str
        try:
            return self._lock.acquire()
        except self._timed_out:
            failure = f"another process has kept {self._where} for {self._timeout:g} s"
        except OSError as error:
            failure = f"cannot lock {self._where}: {error.strerror or type(error).__name__}"
        raise StoreFailed(failure)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def checked_token(argument: str, text: str) -> Token:
    """A token of a refresh token alone.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is empty.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{argument}: pass a string, not {type(text).__name__}")
    if not text:
        raise ValueError(f"{argument}: it is empty")
    return {"refresh_token": text}


def _mapping(argument: str, token: Any) -> Token:
    if is_mapping(token):
        return token
    kind = type(token).__name__
    raise TypeError(f"{argument}: pass a mapping such as {{'refresh_token': '...'}}, not {kind}")


def _object_in(data: bytes) -> Token | None:
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if is_mapping(found) else None


def _sync_folder(folder: Path) -> None:
    """Make a rename last; a system that cannot open folders has no need for it."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
