"""What may stand where in a handshake: names and values of headers, cookies and subprotocols.

A value may be a secret, so no error here shows one (C28).
"""

from __future__ import annotations

import re
from typing import Any

from rxsocket.arguments import one_line

__all__ = ["cookie_name", "cookie_value", "header_name", "header_value", "subprotocol_name"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_COOKIE_OCTETS = re.compile(r"[!#-+\--:<-\[\]-~]*")  # RFC 6265, section 4.1.1
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


def header_name(argument: str, name: Any) -> str:
    """Check the name of a header (RFC 9110, section 5.1).

    Raises:
        TypeError: If it is no string.
        ValueError: If it is no token, or a header that the handshake sets itself.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: pass a string, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{argument}: not the name of a header; use letters, digits and hyphens")
    if name.lower() in _OURS:
        raise ValueError(f"{argument}: the handshake sets {name} itself; pass another header")
    return name


def header_value(argument: str, value: Any) -> str:
    """Check the value of a header.

    Raises:
        TypeError: If it is no string.
        ValueError: If it holds CR, LF or NUL, or is not ASCII.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}: pass a string, not {type(value).__name__}")
    if not value.isascii():
        raise ValueError(f"{argument}: a header holds ASCII only; encode it, for example as base64")
    return one_line(argument, value)


def cookie_name(argument: str, name: Any) -> str:
    """Check the name of a cookie (RFC 6265, section 4.1.1).

    Raises:
        TypeError: If it is no string.
        ValueError: If it is no token.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: pass a string, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{argument}: not the name of a cookie; use letters, digits and hyphens")
    return name


def cookie_value(argument: str, value: Any) -> str:
    """Check the value of a cookie (RFC 6265, section 4.1.1); it may stand in double quotes.

    Raises:
        TypeError: If it is no string.
        ValueError: If it holds what a cookie cannot.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}: pass a string, not {type(value).__name__}")
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    if not _COOKIE_OCTETS.fullmatch(value[1:-1] if quoted else value):
        raise ValueError(
            f"{argument}: a cookie holds ASCII without white space, quotes, commas, semicolons and "
            "backslashes; encode it, for example with urllib.parse.quote"
        )
    return value


def subprotocol_name(argument: str, name: Any) -> str:
    """Check a subprotocol (RFC 6455, section 4.1).

    Raises:
        TypeError: If it is no string.
        ValueError: If it is no token.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: pass a string, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            f"{argument}: not a subprotocol, which is one or more letters, digits and "
            "!#$%&'*+-.^_`|~; encode it, for example as base64url"
        )
    return name
