"""The lines of a recording: JSON objects, one a line, in ASCII (JSON Lines).

::

    {"type": "Header", "format": "rxsocket recording", "version": 1, "id": "…", "part": 1, …}
    {"type": "AuthSeen", "at": 1735689600.0, "credential": 1, "kind": "value", "names": ["token"]}
    {"type": "Connecting", "at": 1735689600.0, "epoch": 1, "cause": "STARTED", …}
    {"type": "Message", "at": 1735689600.1, "epoch": 1, "text": "hello"}
    {"type": "Message", "at": 1735689600.2, "epoch": 1, "base64": "AP8="}
    {"type": "Lost", "at": 1735689600.3, "count": 17}
    {"type": "End", "at": 1735689601.0, "more": false}

Every event of :mod:`rxsocket.events` is a line with its fields. ``at`` is the wall time in seconds
since the epoch. A credential is an ordinal: equal ones have the same, and that is all a file says
of their values.


Exceptions as JSON and back: the same kind, saying the same, without importing anything named.
"""

from __future__ import annotations

import builtins
import json
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from json.encoder import encode_basestring_ascii as quoted
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

from rxsocket import errors
from rxsocket.errors import HandshakeRefused, SocketError, SocketFailed
from rxsocket.events import Cause, Event, Message
from rxsocket.policy.verdicts import Verdict
from rxsocket.validation import is_list, is_mapping

__all__ = [
    "FORMAT",
    "VERSION",
    "AuthSeen",
    "End",
    "Entry",
    "Header",
    "Lost",
    "RecordedError",
    "Unreadable",
    "decoded",
    "encoded",
    "failure",
    "restored",
]

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


FORMAT = "rxsocket recording"
VERSION = 1


class Unreadable(Exception):
    """A line that is none of these; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of each file.

    Attributes:
        id: The same in every file of one recording.
        part: Number of the file, from 1.
        url: Address of the socket, without user info or query values.
        version: Version of the format.
    """

    at: float
    id: str
    part: int
    url: str
    version: int = VERSION
    format: str = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSeen:
    """The credential in use, from here on.

    Attributes:
        credential: Its ordinal, from 1: equal credentials have the same.
        kind: ``"value"``, ``"anonymous"``, ``"logged out"`` or ``"none yet"``.
        names: The names of its entries; ``None`` for a credential that is a string.
    """

    at: float
    credential: int
    kind: str
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Messages that came faster than they could be written are missing here."""

    at: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The last line of each file; ``more`` says whether another part follows."""

    at: float
    more: bool = False


Entry: TypeAlias = Event | Header | AuthSeen | Lost | End
"""What a line holds."""

_KINDS: Mapping[str, type[Any]] = MappingProxyType(
    {kind.__name__: kind for kind in (*get_args(Event), Header, AuthSeen, Lost, End)}
)
_READ: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "cause": Cause.__getitem__,
        "verdict": Verdict.__getitem__,
        "error": restored,
        "names": tuple,
    }
)
_NAMES = frozenset(("type", "cause", "verdict", "kind", "names", "id", "format"))


def encoded(entry: Entry, shown: Callable[[Any], Any] | None = None) -> str:
    """An entry as a line, its end included.

    Args:
        entry: What to write.
        shown: Called with each text and payload in it: what to write instead.
    """
    if isinstance(entry, Message):
        data = entry.data if shown is None else shown(entry.data)
        head = f'{{"type": "Message", "at": {entry.at!r}, "epoch": {entry.epoch}, '
        return f"{head}{_payload(data)}}}\n"
    kept = {item.name: _plain(getattr(entry, item.name)) for item in fields(entry)}
    kept = {"type": type(entry).__name__, "at": kept.pop("at"), **kept}
    return json.dumps(kept if shown is None else _each(kept, shown)) + "\n"


def decoded(line: str) -> Entry:
    """The entry in a line.

    Raises:
        Unreadable: If there is none; the text says why.
    """
    try:
        kept: dict[str, Any] = json.loads(line)
        name = kept.pop("type", None)
    except (ValueError, AttributeError, TypeError):
        raise Unreadable("not a JSON object; the line is cut or damaged") from None
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise Unreadable("no entry of a recording: its type is missing or unknown")
    try:
        if kind is Message:
            return Message(at=kept["at"], epoch=kept["epoch"], data=_data(kept))
        for name, read in _READ.items():
            if kept.get(name) is not None:
                kept[name] = read(kept[name])
        made: Entry = kind(**kept)
    except (KeyError, TypeError, ValueError):
        raise Unreadable(f"not a whole {kind.__name__}") from None
    return made


def _payload(data: Any) -> str:
    if isinstance(data, str):
        return f'"text": {quoted(data)}'
    if isinstance(data, bytes):
        return f'"base64": "{b64encode(data).decode("ascii")}"'
    try:
        return f'"json": {json.dumps(data)}'  # a codec made it from what came
    except (TypeError, ValueError):
        return f'"text": {quoted(repr(data))}'


def _data(kept: Mapping[str, Any]) -> Any:
    if "text" in kept:
        return str(kept["text"])
    if "base64" in kept:
        return b64decode(kept["base64"], validate=True)
    return kept["json"]


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Exception):
        return failure(value)
    plain = value is None or isinstance(value, (str, int, float)) or is_list(value)
    return value if plain else repr(value)


def _each(value: Any, shown: Callable[[Any], Any]) -> Any:
    if isinstance(value, str):
        return shown(value)
    if is_mapping(value):
        # What a type, a cause or a credential's entry is called is no value of a credential.
        return {k: v if k in _NAMES else _each(v, shown) for k, v in value.items()}
    if is_list(value):
        return [_each(item, shown) for item in value]
    return value
