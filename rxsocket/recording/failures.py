"""Exceptions as JSON and back: the same kind, saying the same, without importing anything named."""

from __future__ import annotations

import builtins
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from rxsocket import errors
from rxsocket.errors import HandshakeRefused, SocketError, SocketFailed

__all__ = ["RecordedError", "failure", "restored"]

_PLAIN = (str, int, float, bool, type(None))


class RecordedError(SocketError):
    """An exception of a class that is not made again from a recording; it has that one's name."""


def failure(error: BaseException) -> dict[str, Any]:
    """An exception as JSON: its class's name, its text, and what it is made again from."""
    kept: dict[str, Any] = {"type": type(error).__name__, "text": str(error)}
    if isinstance(error, HandshakeRefused):
        kept |= {"status": error.status, "retry_after": error.retry_after}
    elif isinstance(error, SocketFailed):
        kept["url"] = error.url
        kept["cause"] = None if error.cause is None else failure(error.cause)
    elif error.args and all(isinstance(argument, _PLAIN) for argument in error.args):
        kept["args"] = list(error.args)
    return kept


def restored(kept: Mapping[str, Any]) -> Exception:
    """The exception that was recorded; of a class of the same name, if its own is not known here.

    Raises:
        KeyError: If it is not what :func:`failure` gave.
    """
    name, text = str(kept["type"]), str(kept["text"])
    error = _made(name, text, kept)
    if type(error).__name__ == name and str(error) == text:
        return error
    kind: type[RecordedError] = type(name, (RecordedError,), {"__doc__": RecordedError.__doc__})
    return kind(text)


def _made(name: str, text: str, kept: Mapping[str, Any]) -> Exception:
    known = _known(name)
    if known is HandshakeRefused:
        return HandshakeRefused(kept["status"], retry_after=kept["retry_after"])
    if known is SocketFailed:
        cause = kept["cause"]
        return SocketFailed(text, url=kept["url"], cause=None if cause is None else restored(cause))
    if known is None:
        return RecordedError(text)
    arguments: list[Any] = kept.get("args", [text])
    try:
        return known(*arguments)
    except Exception:
        return RecordedError(text)  # its constructor wants what was not kept


def _known(name: str) -> type[Exception] | None:
    for module in (errors, builtins, ssl, socket):
        found: object = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, Exception):
            return found
    return None
