"""The format of a recording: JSON Lines, in ASCII.

::

    {"type": "Header", "format": "rxsocket recording", "version": 1, "id": "…", "part": 1, …}
    {"type": "AuthSeen", "at": 1735689600.0, "credential": 1, "kind": "value", "names": ["token"]}
    {"type": "Connecting", "at": 1735689600.0, "epoch": 1, "cause": "STARTED", …}
    {"type": "Message", "at": 1735689600.1, "epoch": 1, "text": "hello"}
    {"type": "Message", "at": 1735689600.2, "epoch": 1, "base64": "AP8="}
    {"type": "Message", "at": 1735689600.2, "epoch": 1, "json": {"price": 12.5}}
    {"type": "Message", "at": 1735689600.2, "epoch": 1, "event": "trade", "id": "7", "text": "1"}
    {"type": "Lost", "at": 1735689600.3, "count": 17}
    {"type": "End", "at": 1735689601.0, "more": false}

Every event of :mod:`rxsocket.events` is a line with its fields. ``at`` is the wall time in seconds
since the epoch. A message is what the socket delivered: ``json`` is what a codec made of it. One of
an event stream may have the type and the id of its event (C50). A credential is a number: equal
ones have the same, and that is all a file says of their values.

An exception is the name of its class, its text and its arguments. Reading it imports nothing that
the file names.
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
from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential
from rxsocket.errors import HandshakeRefused, SocketError, SocketFailed
from rxsocket.event_text import EventText, event_text
from rxsocket.events import Cause, Event, Message
from rxsocket.policy.verdicts import Verdict
from rxsocket.validation import is_list, is_mapping

FORMAT_NAME = "rxsocket recording"
FORMAT_VERSION = 1


class UnreadableLine(Exception):
    """A line holds no entry; the text says why."""


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
    version: int = FORMAT_VERSION
    format: str = FORMAT_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSeen:
    """The credential in use, from here on.

    Attributes:
        credential: Its number, from 1: equal credentials have the same.
        kind: ``"value"``, ``"anonymous"``, ``"logged out"`` or ``"none yet"``.
        names: The names of its entries; ``None`` for a credential that is a string.
    """

    at: float
    credential: int
    kind: str
    names: tuple[str, ...] | None = None


_WITHOUT_VALUE = {"anonymous": ANONYMOUS, "logged out": LOGGED_OUT, "none yet": PENDING}


def auth_seen(credential: Credential, at: float, numbers: dict[str, int]) -> AuthSeen:
    """The entry of a credential (C28).

    Args:
        credential: The credential in use from now on.
        at: The wall time now.
        numbers: The numbers of earlier ones, by fingerprint; that of a new one is added.
    """
    number = numbers.setdefault(credential.fingerprint, len(numbers) + 1)
    kinds = (kind for kind, known in _WITHOUT_VALUE.items() if known is credential)
    value = credential.reveal()
    names = tuple(value) if is_mapping(value) else None
    return AuthSeen(at=at, credential=number, kind=next(kinds, "value"), names=names)


def recorded_credential(seen: AuthSeen, copy: int = 0) -> Credential:
    """A credential that stands for a recorded one, with the same names; equal if that was equal.

    Args:
        seen: The entry of the recorded one.
        copy: Each number gives a different credential.
    """
    known = _WITHOUT_VALUE.get(seen.kind)
    if known is not None:
        return known
    value = f"recorded-{seen.credential}" + (f"-{copy}" if copy else "")
    return Credential.of(value if seen.names is None else dict.fromkeys(seen.names, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class LostMessages:
    """Messages that came faster than they could be written are missing here."""

    at: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfFile:
    """The last line of each file; ``more`` says whether another part follows."""

    at: float
    more: bool = False


@dataclass(frozen=True, slots=True)
class EventValue:
    """What a codec made of an event of an event stream: ``data`` of a message that is recorded."""

    value: Any
    event: str
    id: str

    @property
    def source(self) -> EventText:
        """What the event is known by."""
        return event_text("", self.event, self.id)


Entry: TypeAlias = Event | Header | AuthSeen | LostMessages | EndOfFile
"""The content of a line."""

Masking: TypeAlias = Callable[[Any], Any]
"""Returns the text or payload to write instead of a given one."""

_CLASSES: Mapping[str, type[Any]] = MappingProxyType(
    {kind.__name__: kind for kind in get_args(Event)}
    | {"Header": Header, "AuthSeen": AuthSeen, "Lost": LostMessages, "End": EndOfFile}
)
_TYPES: Mapping[type[Any], str] = MappingProxyType({kind: name for name, kind in _CLASSES.items()})
_NEVER_MASKED = frozenset(("type", "cause", "verdict", "kind", "names", "id", "format"))
"""Fields that hold names of the library, which are not values of a credential."""


def encode_entry(entry: Entry, mask: Masking | None = None) -> str:
    """An entry as a line, its end included; ``mask`` replaces each text and payload."""
    if isinstance(entry, Message):
        data = entry.data
        head = f'{{"type": "Message", "at": {entry.at!r}, "epoch": {entry.epoch}, '
        if isinstance(data, (EventText, EventValue)):
            about = (data.event, data.id) if mask is None else (mask(data.event), mask(data.id))
            head += f'"event": {quoted(about[0])}, "id": {quoted(about[1])}, '
            data = data.value if isinstance(data, EventValue) else str(data)
        data = data if mask is None else mask_payload(data, mask)
        return f"{head}{_payload_to_json(data)}}}\n"
    kept = {item.name: _field_to_json(getattr(entry, item.name)) for item in fields(entry)}
    kept = {"type": _TYPES[type(entry)], "at": kept.pop("at"), **kept}
    return json.dumps(kept if mask is None else _mask_fields(kept, mask)) + "\n"


def decode_entry(line: str) -> Entry:
    """The entry in a line.

    Raises:
        UnreadableLine: If there is none; the text says why.
    """
    try:
        kept: dict[str, Any] = json.loads(line)
        name = kept.pop("type", None)
    except (ValueError, AttributeError, TypeError):
        raise UnreadableLine("not a JSON object; the line is cut or damaged") from None
    kind = _CLASSES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnreadableLine("no entry of a recording: its type is missing or unknown")
    try:
        if kind is Message:
            return Message(at=kept["at"], epoch=kept["epoch"], data=_payload_from_json(kept))
        for name, from_json in _FROM_JSON.items():
            if kept.get(name) is not None:
                kept[name] = from_json(kept[name])
        entry: Entry = kind(**kept)
    except (KeyError, TypeError, ValueError):
        raise UnreadableLine(f"not a whole {kind.__name__}") from None
    return entry


def mask_payload(data: Any, mask: Masking) -> Any:
    """A payload without what is masked. What was JSON stays JSON, so that it can be read again."""
    if isinstance(data, bytes):
        return mask(data)
    try:
        text = data if isinstance(data, str) else json.dumps(data)
    except (TypeError, ValueError, RecursionError):
        return mask(repr(data))
    masked = mask(text)
    if masked == text:
        return data
    if isinstance(data, str) and _is_json(masked):
        return masked
    try:
        value = _mask_json(text, mask)
        again = json.dumps(value)
    except (ValueError, RecursionError):
        return masked  # it was none
    if mask(again) != again:
        return masked  # a value is spread over several texts
    return again if isinstance(data, str) else value


def _mask_json(text: str, mask: Masking) -> Any:
    """The value of a JSON text without what is masked, in texts, keys and numbers."""

    def number(digits: str) -> Any:
        return json.loads(digits) if mask(digits) == digits else "***"

    return _mask_each(json.loads(text, parse_int=number, parse_float=number), mask)


def _mask_each(value: Any, mask: Masking) -> Any:
    if isinstance(value, str):
        return mask(value)
    if is_mapping(value):
        return {mask(key): _mask_each(item, mask) for key, item in value.items()}
    if is_list(value):
        return [_mask_each(item, mask) for item in value]
    return value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _payload_to_json(data: Any) -> str:
    if isinstance(data, str):
        return f'"text": {quoted(data)}'
    if isinstance(data, bytes):
        return f'"base64": "{b64encode(data).decode("ascii")}"'
    try:
        return f'"json": {json.dumps(data)}'  # a codec made it from what came
    except (TypeError, ValueError):
        return f'"text": {quoted(repr(data))}'


def _payload_from_json(kept: Mapping[str, Any]) -> Any:
    if "text" in kept:
        text = str(kept["text"])
        return event_text(text, str(kept["event"]), str(kept["id"])) if "event" in kept else text
    if "base64" in kept:
        return b64decode(kept["base64"], validate=True)
    value = kept["json"]
    return EventValue(value, str(kept["event"]), str(kept["id"])) if "event" in kept else value


def _field_to_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Exception):
        return error_to_json(value)
    plain = value is None or isinstance(value, (str, int, float)) or is_list(value)
    return value if plain else repr(value)


def _mask_fields(value: Any, mask: Masking) -> Any:
    if isinstance(value, str):
        return mask(value)
    if is_mapping(value):
        return {
            name: item if name in _NEVER_MASKED else _mask_fields(item, mask)
            for name, item in value.items()
        }
    if is_list(value):
        return [_mask_fields(item, mask) for item in value]
    return value


_PLAIN = (str, int, float, bool, type(None))


class RecordedError(SocketError):
    """Stands for an exception whose class is not known here, and has the name of that class."""


def error_to_json(error: BaseException) -> dict[str, Any]:
    kept: dict[str, Any] = {"type": type(error).__name__, "text": str(error)}
    if isinstance(error, HandshakeRefused):
        kept |= {"status": error.status, "retry_after": error.retry_after}
        texts = {"proxy": error.proxy, "body": error.body, "credential": error.credential}
        kept |= {name: text for name, text in texts.items() if text}
    elif isinstance(error, SocketFailed):
        kept["url"] = error.url
        kept["cause"] = None if error.cause is None else error_to_json(error.cause)
    elif error.args and all(isinstance(argument, _PLAIN) for argument in error.args):
        kept["args"] = list(error.args)
    return kept


def error_from_json(kept: Mapping[str, Any]) -> Exception:
    """The exception that was recorded; if its class is not known here, of one of the same name.

    Raises:
        KeyError: If :func:`error_to_json` did not make it.
    """
    name, text = str(kept["type"]), str(kept["text"])
    error = _make_error(name, text, kept)
    if type(error).__name__ == name and str(error) == text:
        return error
    kind: type[RecordedError] = type(name, (RecordedError,), {"__doc__": RecordedError.__doc__})
    return kind(text)


def _make_error(name: str, text: str, kept: Mapping[str, Any]) -> Exception:
    known = _error_class(name)
    if known is HandshakeRefused:
        texts = {name: kept[name] for name in ("proxy", "body", "credential") if name in kept}
        return HandshakeRefused(kept["status"], retry_after=kept["retry_after"], **texts)
    if known is SocketFailed:
        cause = kept["cause"]
        return SocketFailed(
            text, url=kept["url"], cause=None if cause is None else error_from_json(cause)
        )
    if known is None:
        return RecordedError(text)
    arguments: list[Any] = kept.get("args", [text])
    try:
        return known(*arguments)
    except Exception:
        return RecordedError(text)  # its constructor takes something that was not kept


def _error_class(name: str) -> type[Exception] | None:
    for module in (errors, builtins, ssl, socket):
        found: object = getattr(module, name, None)
        if isinstance(found, type) and issubclass(found, Exception):
            return found
    return None


_FROM_JSON: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "cause": Cause.__getitem__,
        "verdict": Verdict.__getitem__,
        "error": error_from_json,
        "names": tuple,
    }
)
"""Read the fields that are not plain JSON."""
