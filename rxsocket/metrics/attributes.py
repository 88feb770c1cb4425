"""What is said of a socket beside a number: no credential, no path and no query is in it (C28)."""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import urlsplit

from rxsocket.engine.engine import Engine
from rxsocket.errors import HandshakeRefused

Attributes: TypeAlias = dict[str, str | int]

NAME = "rxsocket.name"
CAUSE = "rxsocket.cause"
EPOCH = "rxsocket.epoch"
ERROR_TYPE = "error.type"
STATUS_CODE = "http.response.status_code"

PROTOCOL = "network.protocol.name"

_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443}


def of_socket(engine: Engine) -> Attributes:
    """What is true of a socket as long as it lives: its name, and its address if it has one."""
    attributes: Attributes = {PROTOCOL: "websocket"}
    if engine.options.name is not None:
        attributes[NAME] = engine.options.name
    address = engine.options.endpoint.address
    if address is not None:
        attributes.update(of_address(address.shown))
    return attributes


def of_address(shown: str) -> Attributes:
    """Where a connection goes, of an address as it is shown; empty if it is none.

    Examples:
        >>> of_address("wss://example.com/feed?key=***")
        {'url.scheme': 'wss', 'server.address': 'example.com', 'server.port': 443}

    Server-sent events say that their protocol is ``http``.
    """
    parts = urlsplit(shown)
    if parts.scheme in ("unix", "ws+unix"):
        path = shown.partition(":")[2].partition(":")[0]
        return {"url.scheme": "ws", "network.transport": "unix", "server.address": path}
    if parts.scheme not in _PORTS or not parts.hostname:
        return {}
    attributes: Attributes = {
        "url.scheme": parts.scheme,
        "server.address": parts.hostname,
        "server.port": parts.port or _PORTS[parts.scheme],
    }
    return attributes if parts.scheme.startswith("ws") else {**attributes, PROTOCOL: "http"}


def of_error(error: BaseException) -> Attributes:
    """What kind of error it is; nothing of its text, which may be the server's."""
    if isinstance(error, HandshakeRefused):
        return {ERROR_TYPE: str(error.status), STATUS_CODE: error.status}
    return {ERROR_TYPE: type(error).__qualname__}
