"""Carriers: how a credential is put on a connection (C10).

A carrier is a function from a credential's value, a string or a mapping, to what it adds to the
handshake. It is asked again for each attempt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rxsocket.arguments import is_list, one_line
from rxsocket.auth.credentials import CredentialValue
from rxsocket.auth.greeting import Greeting

__all__ = ["Carried", "Carrier", "header", "query"]

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS = frozenset(
    (
        "connection",
        "host",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
    )
)


@dataclass(frozen=True, slots=True)
class Carried:
    """What a credential adds to a handshake. It never shows (C28).

    Attributes:
        query: Query parameters, decoded.
        headers: Header names and values.
        subprotocols: Subprotocols to offer.
        greeting: What to say first over the connection.
    """

    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    greeting: Greeting | None = field(default=None, repr=False)


Carrier: TypeAlias = Callable[[CredentialValue], Carried]


def query(key: str = "token") -> Carrier:
    """Carry the credential as query parameters of the URL, which is the default.

    A mapping's entries become parameters; a list repeats its name, ``None`` is left out, booleans
    are ``true`` and ``false``. A string becomes the parameter ``key``.

    URLs end up in the access logs of servers and proxies. Where the server takes a header, use
    :func:`header`.

    Args:
        key: Name of the parameter for a credential that is a string.

    Examples:
        >>> socket = Socket("wss://example.com/feed?room=1", auth={"token": "abc"}, carrier=query())
        >>> # dials wss://example.com/feed?room=1&token=abc
    """
    if not isinstance(key, str) or not key:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError("query(key): pass the name of a query parameter, such as 'token'")

    def carry(value: CredentialValue) -> Carried:
        return Carried(query=tuple(_texts({key: value} if isinstance(value, str) else value)))

    return carry


def header(
    name: str = "Authorization", scheme: str | None = "Bearer", key: str = "token"
) -> Carrier:
    """Carry the credential in headers of the handshake.

    A string goes into the header ``name``, after ``scheme``. Of a mapping, the entry ``key`` does,
    and every other entry is a header of its own.

    Args:
        name: The header.
        scheme: What stands before the value, such as ``"Bearer"``; ``None`` for the bare value.
        key: The entry of a mapping that goes into that header.

    Examples:
        >>> Socket(url, auth="abc", carrier=header())                 # Authorization: Bearer abc
        >>> Socket(url, auth={"token": "abc", "X-Device": "7"}, carrier=header())
        >>> Socket(url, auth={"X-Api-Key": "abc"}, carrier=header())  # X-Api-Key: abc
        >>> Socket(url, auth="abc", carrier=header("X-Api-Key", scheme=None))
    """
    header_name("header(name)", name)
    if scheme is not None:
        header_value("header(scheme)", scheme)

    def carry(value: CredentialValue) -> Carried:
        pairs = _texts({key: value} if isinstance(value, str) else value)
        return Carried(headers=tuple(_header(*pair) for pair in pairs))

    def _header(given: str, text: str) -> tuple[str, str]:
        if given == key:
            return name, header_value(f"auth[{key!r}]", f"{scheme} {text}" if scheme else text)
        return header_name(f"auth[{given!r}]", given), header_value(f"auth[{given!r}]", text)

    return carry


def header_name(argument: str, name: Any) -> str:
    """Check the name of a header (RFC 9110, section 5.1).

    Raises:
        ValueError: If it is no token, or a header that the handshake sets itself.
    """
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{argument}: not the name of a header; use letters, digits and hyphens")
    if name.lower() in _OURS:
        raise ValueError(f"{argument}: the handshake sets {name} itself; pass another header")
    return name


def header_value(argument: str, value: Any) -> str:
    """Check the value of a header, which may be a secret, so the error does not show it.

    Raises:
        TypeError: If it is no string.
        ValueError: If it holds CR, LF or NUL, or is not ASCII.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}: pass a string, not {type(value).__name__}")
    if not value.isascii():
        raise ValueError(f"{argument}: a header holds ASCII only; encode it, for example as base64")
    return one_line(argument, value)


def _texts(entries: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in entries.items():
        for item in _items(value):
            if item is not None:
                yield name, str(item).lower() if isinstance(item, bool) else str(item)


def _items(value: Any) -> Sequence[Any]:
    return value if is_list(value) else (value,)
