"""The settings of TLS where none were given."""

from __future__ import annotations

import os
import ssl
import sys

_kept: tuple[object, ssl.SSLContext] | None = None


def default_context() -> ssl.SSLContext:
    """What ``ssl.create_default_context()`` makes, as long as it would make the same.

    It reads every certificate of the system, and the loop waits for that. All connections without
    settings of their own share one, which is safe: a context is made for many connections and
    threads, and nobody who could change it gets at it. What an attempt adds something to, such as
    the certificate of the client, is made for that attempt.

    On Windows it is made each time, as nothing says whether the store of certificates has changed.
    """
    global _kept  # read and written at once, so that threads do no harm: one may make another
    source, kept = _source(), _kept
    if kept is not None and kept[0] == source and sys.platform != "win32":
        return kept[1]
    context = ssl.create_default_context()
    _kept = source, context
    return context


def _source() -> object:
    """What it is made from: the environment, the files, and what somebody may have replaced."""
    paths = ssl.get_default_verify_paths()
    return (
        ssl.create_default_context,
        ssl.SSLContext,
        os.environ.get("SSLKEYLOGFILE"),
        *((path, _version(path)) for path in (paths.cafile, paths.capath)),
    )


def _version(path: str | None) -> object:
    try:
        found = None if path is None else os.stat(path)
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)
