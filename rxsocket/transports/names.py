"""The transports that have a name, and which of them an address means.

Their libraries are imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any, Literal, TypeAlias, cast

from rxsocket.runtime.page import is_in_browser, javascript
from rxsocket.transports.base import Transport
from rxsocket.url import Address
from rxsocket.validation import function

TransportName: TypeAlias = Literal["auto", "websockets", "picows", "sse", "browser"]

_PLACES = {
    "websockets": ("rxsocket.transports.websockets", "websockets_transport"),
    "picows": ("rxsocket.transports.picows", "picows_transport"),
    "sse": ("rxsocket.transports.sse", "sse_transport"),
    "browser": ("rxsocket.transports.browser", "browser_transport"),
}
_EXTRAS = {"picows": "fast", "sse": "sse"}


def named(given: Any, addresses: Iterable[Address]) -> Any:
    """The name of the transport for some addresses, where ``"auto"`` was given; else what was.

    Raises:
        ValueError: If no transport, or not the one that was given, speaks with all of them.
    """
    if given == "auto":
        is_http = [address.is_http for address in addresses]
        if any(is_http) and not all(is_http):
            raise ValueError("url: addresses of one kind go together: ws:// and wss://, or http://")
        if any(is_http):
            return "sse"
        given = _default()
    name = name_of(given)
    if name in (*_PLACES, "auto"):
        for address in addresses:
            if (why_not := mismatch(name, address)) is not None:
                hint = ", or leave transport= out" if name is given and name != "browser" else ""
                raise ValueError(f"url: {why_not}{hint}")
    return given


def _default() -> str:
    return "browser" if is_in_browser() else "websockets"


def name_of(given: Any) -> str | None:
    """The name of a transport, or of the one that it wraps; ``None`` of a function of a user's."""
    name: Any = getattr(given, "wraps", given)
    if not isinstance(name, str):
        return None
    return _default() if name == "auto" and is_in_browser() else name


def mismatch(name: Any, address: Address) -> str | None:
    """Why a transport does not speak with an address, in words; ``None`` if it does."""
    scheme = "ws+unix:" if address.is_unix else f"{address.origin[0]}://"
    if name == "sse":
        if address.is_http or address.url.startswith("unix:"):
            return None
        ours = address.as_event_stream
        return f"not an address of server-sent events; pass {ours} instead of {scheme}"
    if isinstance(name, str) and address.is_http:
        return f"not a WebSocket address; pass {address.as_websocket} instead of {scheme}"
    if name == "browser" and address.is_unix:
        return "no address for a browser, which reaches no unix socket; pass a wss:// address"
    if name == "browser" and address.has_user_info:
        return (
            "no address for a browser: a user name and password go in a header, which it lets no "
            "page set; pass them as auth=, with carrier=query() or first_message()"
        )
    return None


def transport_for(given: Any) -> Transport:
    """Find the transport of a name, or check that a function was given.

    Raises:
        TypeError: If it is neither a string nor a function.
        ValueError: If there is no transport of that name.
        ImportError: If the library of the transport is not installed.
    """
    if not isinstance(given, str):
        return cast(Transport, function("transport", given))
    given = _default() if given == "auto" else given  # where no address says more
    if given not in _PLACES:
        raise ValueError(
            f"transport: pass 'websockets', 'picows', 'sse', 'browser' or a function, not "
            f"{given!r}; 'auto' takes the one that the address means"
        )
    _check_place(given)
    try:
        return _imported(*_PLACES[given])
    except ModuleNotFoundError as error:
        if given not in _EXTRAS:
            raise
        missing = error.name
    hint = ""
    if given == "sse":
        hint = ". An address that begins with http is that of server-sent events; that of a "
        hint += "WebSocket begins with ws:// or wss://"
    raise ModuleNotFoundError(
        f"transport: {given!r} needs {missing}; run pip install 'rxsocket[{_EXTRAS[given]}]'{hint}",
        name=missing,
    )


def _check_place(name: str) -> None:
    """Check that a transport can be where Python runs.

    Raises:
        ValueError: If it cannot; the text says what to pass.
    """
    if not is_in_browser():
        if name == "browser":
            raise ValueError(
                "transport: 'browser' is for Python in a browser (Pyodide); elsewhere, leave "
                "transport= out"
            )
    elif name == "sse":
        raise ValueError(
            "url: server-sent events cannot be read where Python runs in a browser, which has no "
            "sockets; pass the address of a WebSocket, which begins with wss://"
        )
    elif name != "browser":
        raise ValueError(
            f"transport: {name!r} needs sockets, which Python does not have in a browser; leave "
            "transport= out"
        )
    elif not hasattr(javascript(), "WebSocket"):
        raise ValueError(
            "transport: there is no WebSocket in this JavaScript; Node has one from version 22 on"
        )


@cache
def _imported(module: str, name: str) -> Transport:
    return cast(Transport, getattr(import_module(module), name))


def compression_for(given: object, compression: Any) -> Any:
    """The compression to offer on a transport.

    Args:
        given: The ``transport`` argument.
        compression: The ``compression`` argument; ``"auto"`` is what the transport can do.

    Raises:
        ValueError: If it was asked for and the transport can do none.
    """
    if given in _EXTRAS:
        if compression == "deflate":
            other = ", or transport='websockets'" if given == "picows" else ""
            raise ValueError(
                f"compression: transport={given!r} can do none; pass 'auto' or None{other}"
            )
        return None if compression == "auto" else compression
    return "deflate" if compression == "auto" else compression
